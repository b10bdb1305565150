"""A view that is undecided for its exposure alone is looked at again: within the takt, whole, and on the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from engine_bench import LIGHTS, PLAN, Bench, StandInJudge

from drivers.errors import DeviceLost, FeatureMissing
from station.acquire.captured_view import CapturedView
from station.engine.events import AcquisitionDone, State, StepDone, ViewJudged, ViewLookedAgain
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import AnomalyMap, Inspection, Verdict, ViewResult
from station.judge.re_look import ReLookWish, re_look_wish

CLIPS = Reason(ReasonKind.SATURATED, "light 'diffuse' saturates 3.0% of the pixels", light="diffuse")
OTHER = Reason(ReasonKind.BLURRED, "the pictures are blurred")


class ExposureJudge(StandInJudge):
    """A view whose diffuse frame was exposed for longer than its limit clips, for less than `dims_under` is blurred."""

    def __init__(self, bench: Bench) -> None:
        super().__init__("judge", bench.told, bench.acts)
        self.recipe = bench.recipe
        self.clips_over = {"top": 1e9, "left": 1e9}  # us
        self.second: ViewResult | None = None  # what a view at less than the plan's exposure is found to be
        self.first: dict[str, ViewResult] = {}

    def judge(self, view: CapturedView) -> ViewResult:
        taken_us = view.frames["diffuse"].exposure_us
        if taken_us < 900 and self.second is not None:
            return replace(self.second, view=view.name)
        if taken_us > self.clips_over[view.name]:
            return undecided(view.name, CLIPS)
        return self.first.get(view.name) or super().judge(view)

    def re_look(self, result: ViewResult) -> ReLookWish | None:
        return re_look_wish(result, cast(Any, self.recipe))


def undecided(view: str, reason: Reason) -> ViewResult:
    return ViewResult(view, Verdict.UNDECIDED, 1.0, reasons=(reason.of_view(view),))


def scored(view: str, score: float) -> ViewResult:
    verdict = Verdict.PASS if score <= 1 else Verdict.FAIL
    return ViewResult(view, verdict, 1.0, anomaly_map=AnomalyMap(np.full((2, 3), score, np.float32), score))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path, monkeypatch)
    made.judge = ExposureJudge(made)
    made.engine.prepare_recipe(tmp_path / "recipe.yaml")
    made.recipe.re_look = SimpleNamespace(takt_s=3600.0, shorten_to=0.5, lengthen_to=2.0)
    made.told.clear()
    made.events.clear()
    yield made
    made.close()


def judge_of(bench: Bench) -> ExposureJudge:
    return cast(ExposureJudge, bench.judge)


def frames_of(bench: Bench, part: Inspection, *, all_looks: bool = False) -> list[tuple[str, str, float, int]]:
    found = bench.archive.load_frames(part.inspection_id, all_looks=all_looks)
    return [(f.view, f.light, f.frame.exposure_us, f.proof.take if f.proof else 0) for f in found]


def test_an_overexposed_view_of_a_good_part_is_looked_at_again_and_passes(bench: Bench) -> None:
    judge_of(bench).clips_over["top"] = 600.0
    part = bench.engine.inspect("P-1")
    assert part.verdict is Verdict.PASS, part.reasons
    (look,) = part.re_looks
    assert (look.view, look.counts, look.first_take, look.take) == ("top", True, 1, 2)
    assert look.exposures_us == {"diffuse": (900.0, 450.0)}
    assert [reason.kind for reason in look.why] == [ReasonKind.SATURATED]
    assert look.frame_ids == (7, 8, 9)
    assert "looked at again with diffuse 900 to 450 us" in str(look)
    assert bench.told.count("arm.move_to") == 3, "the arm had left that view, and came back"
    assert "re_look" in part.processing_times_ms
    archived = bench.archive.load(part.inspection_id)
    assert (archived.verdict, archived.re_looks) == (Verdict.PASS, part.re_looks)
    assert bench.archive.verify(part.inspection_id) == []


def test_both_looks_are_kept_and_the_one_that_counts_is_what_others_read(bench: Bench) -> None:
    judge_of(bench).clips_over["top"] = 600.0
    part = bench.engine.inspect("P-1")
    first = [("top", light, 900.0, 1) for light in LIGHTS]
    left = [("left", light, 900.0, 1) for light in LIGHTS]
    second = [("top", light, 450.0 if light == "diffuse" else 900.0, 2) for light in LIGHTS]
    assert frames_of(bench, part) == [*left, *second]
    assert frames_of(bench, part, all_looks=True) == [*first, *left, *second]


def test_the_window_hears_of_the_look_and_may_free_the_part_only_after_it(bench: Bench) -> None:
    judge_of(bench).clips_over["left"] = 600.0
    bench.engine.inspect("P-1")
    kinds = [type(event) for event in bench.events]
    assert kinds.index(ViewLookedAgain) < kinds.index(AcquisitionDone)
    steps = [event.index for event in bench.events if isinstance(event, StepDone)]
    assert steps == [*range(1, len(PLAN) + 1), *[len(PLAN)] * len(LIGHTS)]
    judged = [event.result.verdict.value for event in bench.events if isinstance(event, ViewJudged)]
    assert judged == ["PASS", "UNDECIDED", "PASS"]


@pytest.mark.parametrize(
    ("takt_s", "not_done"), [(None, ""), (1e-6, "of the recipe's takt of 1e-06 s"), (0.02, "of the recipe's takt")]
)
def test_no_second_look_is_taken_without_the_recipes_leave_or_once_the_takt_is_over(
    takt_s: float | None, not_done: str, bench: Bench
) -> None:
    """20 ms are less than the arm's way back alone."""
    bench.recipe.re_look = None if takt_s is None else SimpleNamespace(takt_s=takt_s, shorten_to=0.5, lengthen_to=2.0)
    judge_of(bench).clips_over["top"] = 600.0
    part = bench.engine.inspect("P-1")
    assert part.verdict is Verdict.UNDECIDED
    assert bench.told.count("camera.expose") == len(PLAN)
    assert [not_done in look.not_done and not look.counts for look in part.re_looks] == ([True] if not_done else [])
    assert frames_of(bench, part) == [(step.view, step.light, 900.0, 1) for step in PLAN]


def test_a_second_look_that_decides_nothing_leaves_the_first_one(bench: Bench) -> None:
    judge_of(bench).clips_over["top"] = 600.0
    judge_of(bench).second = undecided("top", OTHER)
    part = bench.engine.inspect("P-1")
    assert part.verdict is Verdict.UNDECIDED
    assert [reason.kind for reason in part.reasons] == [ReasonKind.SATURATED]
    (look,) = part.re_looks
    assert not look.counts
    assert [reason.kind for reason in look.reasons] == [ReasonKind.BLURRED]
    assert frames_of(bench, part) == [(step.view, step.light, 900.0, 1) for step in PLAN]
    assert len(frames_of(bench, part, all_looks=True)) == len(PLAN) + len(LIGHTS)
    assert bench.archive.load(part.inspection_id).re_looks == part.re_looks


def test_a_second_look_may_find_a_defect(bench: Bench) -> None:
    judge_of(bench).clips_over["top"] = 600.0
    judge_of(bench).second = scored("top", 3.0)
    part = bench.engine.inspect("P-1")
    assert part.verdict is Verdict.FAIL
    assert part.re_looks[0].counts


def test_a_view_that_fails_is_never_looked_at_again_nor_is_any_beside_it(bench: Bench) -> None:
    judge_of(bench).clips_over["top"] = 600.0
    judge_of(bench).first["left"] = scored("left", 3.0)
    part = bench.engine.inspect("P-1")
    assert part.verdict is Verdict.FAIL
    assert part.re_looks == ()
    assert bench.told.count("camera.expose") == len(PLAN)


def test_another_cause_starts_no_second_look(bench: Bench) -> None:
    judge_of(bench).first["top"] = undecided("top", OTHER)
    judge_of(bench).clips_over["left"] = 600.0
    part = bench.engine.inspect("P-1")
    assert (part.verdict, part.re_looks) == (Verdict.UNDECIDED, ())
    assert bench.told.count("camera.expose") == len(PLAN)


def test_exposures_that_the_rig_cannot_do_leave_the_first_look_and_the_station_ready(bench: Bench) -> None:
    judge_of(bench).clips_over["top"] = 600.0
    bench.acts["camera.expose"] = lambda: _refuse(bench, FeatureMissing("camera", "450 us lie outside its range"))
    part = bench.engine.inspect("P-1")
    assert part.verdict is Verdict.UNDECIDED
    assert "cannot expose so" in part.re_looks[0].not_done
    assert bench.engine.state is State.READY


def test_a_device_that_is_lost_in_a_second_look_ends_as_it_does_in_any_other(bench: Bench) -> None:
    judge_of(bench).clips_over["top"] = 600.0
    bench.acts["camera.expose"] = lambda: _refuse(bench, DeviceLost("camera", "is gone"))
    part = bench.engine.inspect("P-1")
    assert part.verdict is Verdict.UNDECIDED
    assert part.reasons[0].kind is ReasonKind.DEVICE_FAULT
    assert "broken off" in part.re_looks[0].not_done
    assert bench.engine.state is State.ERROR


def _refuse(bench: Bench, error: Exception) -> None:
    if bench.told.count("camera.expose") > len(PLAN):
        raise error
