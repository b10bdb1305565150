"""What an inspection is: its views, what was found in each, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from station.inspection.re_looks import ReLook
from station.inspection.reasons import Reason
from station.inspection.retakes import Retake
from station.inspection.timeline import Timeline
from station.inspection.words import GivenWord
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap

DRAFT = "draft"  # how `provenance["release"]` begins where no active release judged; else it is the release's number
JUDGED = "judged"  # in the provenance: what was looked at, where that was not pictures and normals
NO_NORMALS = "pictures alone, no normals were judged"
RE_EXPOSED = "re_exposed"  # in `ViewResult.quality`: frames that did not come whole and were exposed again


class Verdict(StrEnum):
    """Three values. UNDECIDED always comes with a reason, and is never shipped as PASS."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True, slots=True)
class AnomalyMap:
    """What the detector found at one viewpoint, in the model's units: 0 is the median of good parts, 1 their 99th
    percentile."""

    scores: NDArray[np.float32]  # (h, w), on the model's grid
    pred_score: float


@dataclass(frozen=True, slots=True)
class ViewResult:
    """One view: what was seen, what was found, and why it is UNDECIDED if it is.

    The figures per light and of quality are recorded and trended; the checks of station.judge read some of them.
    """

    view: str
    verdict: Verdict
    limit: float
    image: NDArray[np.float32] | None = None  # (3, H, W) linear RGB 0..1 under the diffuse light
    normal_map: NormalMap | PackedNormalMap | None = None
    anomaly_map: AnomalyMap | None = None
    reasons: tuple[Reason, ...] = ()  # each with this view's name
    light_residuals: dict[str, float] = field(default_factory=dict)  # relative relighting residual per light
    left_out_residuals: dict[str, float] = field(default_factory=dict)  # each light against the rest; NaN at K = 3
    light_levels: dict[str, float] = field(default_factory=dict)  # mean level over black of each frame, of full scale
    quality: dict[str, float] = field(default_factory=dict)  # figures of the normals; see station.judge.view_figures
    solvers: dict[str, str] = field(
        default_factory=dict
    )  # the solver of the normals that the `detector` got, and of this `map`
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # factors of red, green, blue when `image` is drawn
    written_as: str = ""  # under which name the archive may have this very result already
    is_reduced: bool = False  # the archive has picture and map at full size, and these are small ones to be shown

    @property
    def re_exposed(self) -> int:
        """How many frames did not come whole and were exposed again before this view was judged."""
        return int(self.quality.get(RE_EXPOSED, 0))

    @property
    def pred_score(self) -> float | None:
        """The model's score of the view, in its calibrated units; None where the view was not scored."""
        return None if self.anomaly_map is None else self.anomaly_map.pred_score


@dataclass(frozen=True, slots=True)
class Inspection:
    """One part, inspected once: what the archive stores and the console shows."""

    inspection_id: str
    part_id: str
    product: str
    recipe_id: str
    verdict: Verdict
    reasons: tuple[Reason, ...]  # those of the whole part, then those of its views
    views: tuple[ViewResult, ...]  # in the recipe's order; views that were never captured are absent
    expected_views: tuple[str, ...]
    deciding_view: str | None  # the view with the highest score relative to its limit
    is_simulated: bool
    is_partial: bool
    creation_time: datetime  # UTC
    processing_times_ms: dict[str, float]
    provenance: dict[str, str]  # recipe, calibration and model SHA-256, release, device identities, software version
    retakes: tuple[Retake, ...] = ()  # views that were taken again, in the order in which it happened
    re_looks: tuple[ReLook, ...] = ()  # views that were looked at again with other exposures, or would have been
    timeline: Timeline = field(default_factory=Timeline)  # empty in records of earlier versions

    @property
    def release(self) -> str:
        """The number of the release that judged, or `draft: ` and why; empty in records from before there were any."""
        return self.provenance.get("release", "")

    @property
    def is_draft(self) -> bool:
        """Whether the recipe was not the active release when it was prepared."""
        return self.release.startswith(DRAFT)

    @property
    def judged_alone(self) -> str:
        """What was looked at, where that was not all: pictures without normals. Empty where both were judged."""
        return self.provenance.get(JUDGED, "")


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
    is_draft: bool = False
    words: tuple[GivenWord, ...] = ()  # what people said of it, the latest last
    is_thinned: bool = False  # its raw frames were removed by the archive's rule, or are being removed
