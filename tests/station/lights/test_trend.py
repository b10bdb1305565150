"""A light that stands out part after part is named; one part, or a dark part, proves nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from station.lights.series import LightReading, light_series
from station.lights.trend import FlagKind, TrendReport, light_histories, light_trends
from station.lights.warning import light_warnings

LIGHTS = tuple(f"L{45 * k}" for k in range(8))
WHEN = datetime(2026, 11, 24, tzinfo=UTC)


def readings(
    parts: int, lights: tuple[str, ...] = LIGHTS, residual: dict[str, float] | None = None, fading: str = ""
) -> list[LightReading]:
    rng = np.random.default_rng(3)
    found = []
    for part in range(parts):
        brightness = rng.uniform(0.6, 1.2)  # of the part
        for view in ("top", "left"):
            for k, light in enumerate(lights):
                level = 0.1 * (k + 1) * brightness * (1 - 0.01 * part * (light == fading))
                left_out = (residual or {}).get(light, 1.0) * rng.uniform(0.02, 0.024)
                found.append(LightReading(f"{part:026}", WHEN, "knob", view, light, level, left_out))
            found.append(LightReading(f"{part:026}", WHEN, "knob", view, "diffuse", 0.3 * brightness, None))
    return found


def flags(report: TrendReport) -> dict[str, str]:
    return {trend.light: "; ".join(flag.text for flag in trend.flags) for trend in report.flagged}


def test_good_lights_are_not_flagged() -> None:
    report = light_trends(readings(30))
    assert report.flagged == ()
    assert [t.light for t in report.trends] == sorted([*LIGHTS, "diffuse"])
    assert report.trends[-1].median_residual is None  # the diffuse light is no equation


def test_the_light_with_the_worst_residual_again_and_again_is_named() -> None:
    report = light_trends(readings(12, residual={"L90": 2.5}))
    assert list(flags(report)) == ["L90"]
    assert "worst light in 100% of the last 12 parts" in flags(report)["L90"]
    assert "<- worst light" in report.as_text()


def test_a_light_that_stands_out_in_one_of_the_views_alone_is_not_named() -> None:
    raised = [
        replace(r, left_out_residual=4 * r.left_out_residual)
        if r.view == "left" and r.light == "L270" and r.left_out_residual is not None
        else r
        for r in readings(12)
    ]
    assert light_trends(raised).flagged == ()


def test_a_few_parts_prove_nothing() -> None:
    assert light_trends(readings(4, residual={"L90": 2.5})).flagged == ()
    assert light_trends([]).as_text() == "no inspection in this archive recorded its lights"


def test_with_four_lights_none_is_named_for_its_residual_but_the_rise_is_told() -> None:
    early, late = readings(8, LIGHTS[:4]), readings(20, LIGHTS[:4], dict.fromkeys(LIGHTS[:4], 3.0))
    report = light_trends([*early, *(r for r in late if int(r.inspection_id) >= 8)])
    assert all(t.standing_out_share is None for t in report.trends)
    assert set(flags(report)) == set(LIGHTS[:4])
    assert all("too few to say which" in text for text in flags(report).values())


def test_a_fading_light_is_named_and_dark_parts_do_not_count() -> None:
    report = light_trends(readings(20, LIGHTS[:4], fading="L90"))
    assert list(flags(report)) == ["L90"]
    drift = next(t.level_drift for t in report.trends if t.light == "L90")
    assert drift == pytest.approx(-0.15, abs=0.03)


def test_a_flag_says_since_when_it_holds() -> None:
    early, late = readings(30), readings(30, residual={"L90": 2.5})
    found = [
        replace(r, creation_time=WHEN + timedelta(hours=int(r.inspection_id)))
        for r in (*early, *late)
        if (int(r.inspection_id) >= 18) == (r in late)
    ]
    flag = next(f for t in light_trends(found).flagged for f in t.flags)
    assert (flag.kind, flag.since) == (FlagKind.STANDS_OUT, WHEN + timedelta(hours=18))
    assert "since 2026-11-24 18:00 UTC" in light_trends(found).as_text()


def test_with_a_new_calibration_the_trend_begins_anew() -> None:
    before = [replace(r, calibration="old") for r in readings(20, fading="L90")]
    after = [replace(r, calibration="new", inspection_id=f"9{r.inspection_id[1:]}") for r in readings(7)]
    assert [t.light for t in light_trends(before).flagged] == ["L90"]
    trends = light_trends([*before, *after])
    assert trends.flagged == ()
    assert {t.inspections for t in trends.trends} == {7}


def test_histories_are_aligned_and_carry_the_limit_that_is_judged() -> None:
    many = {h.light: h for h in light_histories(light_series(readings(30)))}
    assert len(many["L45"].times) == len(many["L45"].levels) == len(many["L45"].residuals) == 20
    assert many["L45"].residual_limit == 1.8
    assert (many["diffuse"].residual_limit, set(many["diffuse"].residuals)) == (None, {None})
    few = light_histories(light_series(readings(12, LIGHTS[:4], residual=dict.fromkeys(LIGHTS[:4], 3.0))))
    assert few[0].residual_limit == 2.0
    assert few[0].residuals[0] == pytest.approx(1.0, abs=0.1), "for few lights: over its own at first"
    assert light_histories(light_series([])) == ()


def test_warnings_are_plain_words_and_the_set_is_told_of_once() -> None:
    (faded,) = light_warnings(light_trends(readings(20, LIGHTS[:4], fading="L90")).trends)
    assert faded.text == "Light L90 is 14% weaker than it was, against the other lights"
    assert "wipe its window" in faded.action
    early, late = readings(8, LIGHTS[:4]), readings(20, LIGHTS[:4], dict.fromkeys(LIGHTS[:4], 3.0))
    report = light_trends([*early, *(r for r in late if int(r.inspection_id) >= 8)])
    (one,) = light_warnings(report.trends)
    assert (one.light, one.text) == ("", "One of the lights no longer fits the others")


def test_the_set_is_not_told_of_beside_the_light_that_explains_it() -> None:
    late = readings(20, LIGHTS[:4], dict.fromkeys(LIGHTS[:4], 3.0), fading="L90")
    both = [*(r for r in readings(8, LIGHTS[:4])), *(r for r in late if int(r.inspection_id) >= 8)]
    trends = light_trends(both).trends
    assert {f.kind for t in trends for f in t.flags} == {FlagKind.LEVEL, FlagKind.SET_RESIDUAL}
    assert [w.light for w in light_warnings(trends)] == ["L90"]


def test_a_lamp_that_was_a_little_weaker_before_does_not_hide_a_holder_that_is_knocked_later() -> None:
    late = readings(20, LIGHTS[:4], dict.fromkeys(LIGHTS[:4], 3.0), fading="L90")
    both = [*readings(14, LIGHTS[:4], fading="L90"), *(r for r in late if int(r.inspection_id) >= 14)]
    both = [replace(r, creation_time=WHEN + timedelta(hours=int(r.inspection_id))) for r in both]
    assert {w.light for w in light_warnings(light_trends(both).trends)} == {"L90", ""}
