"""The rule that makes a verdict: of a view from its score, of a part from its views."""

from __future__ import annotations

import numpy as np

from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Verdict, ViewResult


def judge_score(score: float, limit: float) -> Verdict:
    """PASS at or under the limit, else FAIL. Written so that NaN can never pass."""
    return Verdict.PASS if score <= limit else Verdict.FAIL


def judge_part(
    views: tuple[ViewResult, ...], expected: tuple[str, ...], of_part: tuple[Reason, ...] = ()
) -> tuple[Verdict, tuple[Reason, ...], str | None]:
    """The part's verdict, its reasons, and the view that decided: the highest score relative to its limit.

    FAIL beats UNDECIDED, and UNDECIDED beats PASS: a defect seen in one good view is a defect, whatever the other
    views could not show. PASS needs every expected view, each judged PASS.
    `of_part` are causes that only all views together show, as a lamp that was knocked: they may be behind a FAIL too,
    so the part is UNDECIDED whatever its views say.
    """
    by_name = {v.view: v for v in views}
    reasons = [*of_part, *(not_captured(name) for name in expected if name not in by_name)]
    reasons += [reason for v in views for reason in v.reasons]
    if of_part:
        verdict = Verdict.UNDECIDED
    elif any(v.verdict is Verdict.FAIL for v in views):
        verdict = Verdict.FAIL
    elif expected and all(name in by_name and by_name[name].verdict is Verdict.PASS for name in expected):
        verdict = Verdict.PASS
    else:
        verdict = Verdict.UNDECIDED
        reasons = reasons or [without_reason(expected)]
    return verdict, tuple(reasons), _deciding(views)


def _deciding(views: tuple[ViewResult, ...]) -> str | None:
    scored = [(v.pred_score / v.limit, v.view) for v in views if v.pred_score is not None and v.limit > 0]
    finite = [entry for entry in scored if np.isfinite(entry[0])]
    return max(finite, key=lambda entry: entry[0])[1] if finite else None


def not_captured(view: str) -> Reason:
    """The reason of a view that was expected and is absent."""
    return Reason(ReasonKind.NOT_CAPTURED, "was not captured", "inspect the part again", view)


def without_reason(expected: tuple[str, ...]) -> Reason:
    """The reason of an UNDECIDED part none of whose views gives one."""
    if not expected:
        return Reason(ReasonKind.NO_VIEWS, "no view was expected", "list viewpoints in the recipe")
    return Reason(ReasonKind.UNSTATED, "a view is undecided without a reason", "keep the log and report it")
