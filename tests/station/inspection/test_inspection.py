"""Three verdicts: PASS needs every view, a reason makes UNDECIDED, and NaN never passes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from station.inspection.reasons import Reason, ReasonKind, reason_lines
from station.inspection.result import AnomalyMap, Inspection, Verdict, ViewResult
from station.inspection.rule import judge_part, judge_score

EXPECTED = ("top", "front")


def view(name: str, verdict: Verdict, score: float = 0.5, *reasons: str) -> ViewResult:
    why = tuple(Reason(ReasonKind.LIGHT_DEAD, text, view=name) for text in reasons)
    return ViewResult(name, verdict, 1.0, anomaly_map=AnomalyMap(np.zeros((2, 2), np.float32), score), reasons=why)


@pytest.mark.parametrize(
    ("score", "expected"), [(0.99, Verdict.PASS), (1.0, Verdict.PASS), (1.01, Verdict.FAIL), (math.nan, Verdict.FAIL)]
)
def test_a_score_passes_only_at_or_under_its_limit(score: float, expected: Verdict) -> None:
    assert judge_score(score, 1.0) is expected


def test_all_views_passed_is_pass() -> None:
    verdict, reasons, deciding = judge_part((view("top", Verdict.PASS), view("front", Verdict.PASS, 0.9)), EXPECTED)
    assert (verdict, reasons, deciding) == (Verdict.PASS, (), "front")


def test_a_missing_view_is_undecided_and_named() -> None:
    verdict, reasons, _ = judge_part((view("top", Verdict.PASS),), EXPECTED)
    assert verdict is Verdict.UNDECIDED
    assert [(r.kind, r.view, r.text) for r in reasons] == [(ReasonKind.NOT_CAPTURED, "front", "was not captured")]


def test_one_failed_view_fails_the_part_whatever_the_others_could_not_show() -> None:
    views = (view("top", Verdict.UNDECIDED, 0.2, "a light is dead"), view("front", Verdict.FAIL, 3.0))
    assert judge_part(views, EXPECTED)[0] is Verdict.FAIL


def test_an_undecided_view_hands_its_reason_to_the_part() -> None:
    views = (view("top", Verdict.UNDECIDED, 0.2, "a light is dead"), view("front", Verdict.PASS))
    verdict, reasons, _ = judge_part(views, EXPECTED)
    assert verdict is Verdict.UNDECIDED
    assert tuple(map(str, reasons)) == ("view 'top': a light is dead",)


def test_no_expected_view_is_never_pass() -> None:
    assert judge_part((), ())[0] is Verdict.UNDECIDED


def test_what_holds_of_several_views_is_one_line(make_inspection: Callable[..., Inspection]) -> None:
    names = ("top", "front", "right", "back", "left")
    scores = dict.fromkeys(names, 0.5)
    every = make_inspection(scores, view_reasons=dict.fromkeys(names, ("ambient light",)))
    assert reason_lines(every.reasons, 5) == ("every view: ambient light",)
    assert len(every.reasons) == 5, "the record keeps each"
    some = make_inspection(
        {name: 0.5 for name in names if name != "left"},
        view_reasons={"top": ("light 'L45' is weak", "few pixels"), "back": ("light 'L45' is weak",)},
    )
    assert reason_lines(some.reasons, 5) == (
        "view 'left': was not captured; inspect the part again",
        "views top, back: light 'L45' is weak",
        "view 'top': few pixels",
    )
