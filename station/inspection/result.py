"""What an inspection is: its views, its verdict, and the rule that makes the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap


class Verdict(StrEnum):
    """Three values. UNDECIDED always comes with a reason, and is never shipped as PASS."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True)
class AnomalyMap:
    """What the detector found at one viewpoint, in the model's calibrated units."""

    scores: NDArray[np.float32]  # (h, w), on the model's grid
    pred_score: float


@dataclass(frozen=True, slots=True)
class ViewResult:
    """One view: what was seen, what was found, and what was wrong if anything."""

    view: str
    verdict: Verdict
    limit: float
    image: NDArray[np.float32] | None = None  # (3, H, W) linear RGB 0..1 under the diffuse light
    normal_map: NormalMap | PackedNormalMap | None = None
    anomaly_map: AnomalyMap | None = None
    reasons: tuple[str, ...] = ()
    light_residuals: dict[str, float] = field(default_factory=dict)  # relative relighting residual per light
    left_out_residuals: dict[str, float] = field(default_factory=dict)  # each light against the rest; NaN at K = 3
    light_levels: dict[str, float] = field(default_factory=dict)  # mean level over black of each frame, of full scale
    quality: dict[str, float] = field(default_factory=dict)  # figures of the normals, see station.judge.view_judge
    solvers: dict[str, str] = field(default_factory=dict)  # whose normals the `detector` got, and this `map` has
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # times red, green, blue when `image` is drawn

    @property
    def pred_score(self) -> float | None:
        return None if self.anomaly_map is None else self.anomaly_map.pred_score


@dataclass(frozen=True, slots=True)
class Inspection:
    """One part, inspected once. What the archive stores and the console shows."""

    inspection_id: str
    part_id: str
    product: str
    recipe_id: str
    verdict: Verdict
    reasons: tuple[str, ...]
    views: tuple[ViewResult, ...]  # in the recipe's order; views that were never captured are absent
    expected_views: tuple[str, ...]
    deciding_view: str | None  # the view with the highest score relative to its limit
    is_simulated: bool
    is_partial: bool
    creation_time: datetime  # UTC
    processing_times_ms: dict[str, float]
    provenance: dict[str, str]  # recipe, calibration and model SHA-256, device identities, software version


def without_pictures(result: ViewResult) -> ViewResult:
    """The view's figures alone: full pictures are 480 MB a view at 20 megapixels and must not be kept."""
    return replace(result, image=None, normal_map=None)


def inspection_without_pictures(inspection: Inspection) -> Inspection:
    """The inspection with its figures alone."""
    return replace(inspection, views=tuple(without_pictures(view) for view in inspection.views))


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One earlier inspection, as a list shows it."""

    inspection_id: str
    part_id: str
    verdict: Verdict
    creation_time: datetime  # UTC
    deciding_view: str | None
    is_simulated: bool
    folder: str


def judge_score(score: float, limit: float) -> Verdict:
    """FAIL unless the score is at or under the limit: written so that NaN can never pass."""
    return Verdict.PASS if score <= limit else Verdict.FAIL


def told_once(inspection: Inspection) -> tuple[str, ...]:
    """The inspection's reasons, what holds of several views in one line."""
    views: dict[str, list[str]] = {}
    for view in inspection.views:
        for reason in view.reasons:
            views.setdefault(reason, []).append(view.view)
    lines: dict[str, None] = {}  # as a set that keeps its order
    for line in inspection.reasons:
        told = next((r for r, names in views.items() if line in {f"view {name!r}: {r}" for name in names}), None)
        lines[line if told is None else _of_views(views[told], told, len(inspection.expected_views))] = None
    return tuple(lines)


def _of_views(names: list[str], reason: str, expected: int) -> str:
    if len(names) == 1:
        return f"view {names[0]!r}: {reason}"
    return f"every view: {reason}" if len(names) == expected else f"views {', '.join(names)}: {reason}"


def judge_part(views: tuple[ViewResult, ...], expected: tuple[str, ...]) -> tuple[Verdict, tuple[str, ...], str | None]:
    """The part's verdict, its reasons, and the view that decided.

    UNDECIDED beats PASS but not FAIL: a defect seen in one good view is a defect, whatever the
    other views could not show. PASS needs every expected view, each judged PASS.
    """
    by_name = {v.view: v for v in views}
    reasons = [f"view {name!r} was not captured" for name in expected if name not in by_name]
    reasons += [f"view {v.view!r}: {r}" for v in views for r in v.reasons]
    scored = [v for v in views if v.pred_score is not None and v.limit > 0 and np.isfinite(v.pred_score)]
    deciding = max(scored, key=lambda v: float(v.pred_score or 0.0) / v.limit, default=None)
    if any(v.verdict is Verdict.FAIL for v in views):
        verdict = Verdict.FAIL
    elif expected and all(name in by_name and by_name[name].verdict is Verdict.PASS for name in expected):
        verdict = Verdict.PASS
    else:
        verdict = Verdict.UNDECIDED
        if not reasons:
            reasons = ["no view was expected"] if not expected else ["a view is undecided without a reason"]
    return verdict, tuple(reasons), None if deciding is None else deciding.view
