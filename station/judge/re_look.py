"""Whether another look at a view, with other exposures, may decide what the first one could not.

Only exposure and coverage start one: too many pixels at full scale, or too few of the part with an observable normal.
Whatever else speaks against the view (a lamp, the camera, the part's place) another exposure would hide at best. A
view that FAILed is never looked at again, and a second look that is UNDECIDED too leaves the first one as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Verdict, ViewResult
from station.judge.model_grid import block_mean
from station.judge.part_place import PartTracker
from station.judge.shown_view import ShownView
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.recipe.fields import Recipe

STARTS_ONE = (ReasonKind.SATURATED, ReasonKind.FEW_OBSERVABLE)
OBSERVED, CLIPPED, DARK = "part_observed_share", "part_clipped_share", "part_dark_share"  # figures of quality
LEAST_OF_A_BLOCK = 0.25  # of its pixels; half of a block that is not observed are not observable


@dataclass(frozen=True, slots=True)
class ReLookWish:
    """Which lights to expose differently, as factors on the recipe's exposures, and why."""

    view: str
    factors: dict[str, float]
    why: tuple[Reason, ...]


def re_look_wish(result: ViewResult, recipe: Recipe) -> ReLookWish | None:
    """What may decide this view; None where nothing speaks for another look, or the recipe allows none.

    A light that clips is exposed for less. Where pixels of the part are not observed because they clip, or are too dark
    under every light, the directional lights are: if all of them came back, the view would have enough.
    """
    choice = recipe.re_look
    if choice is None or result.verdict is not Verdict.UNDECIDED or not result.reasons:
        return None
    if any(reason.kind not in STARTS_ONE for reason in result.reasons):
        return None
    factors: dict[str, float] = {}
    for reason in result.reasons:
        if reason.kind is ReasonKind.SATURATED and reason.light is not None:
            factors[reason.light] = choice.shorten_to
        elif (factor := _for_coverage(result, recipe)) is not None:
            factors |= {light.name: factor for light in recipe.directional_lights}
        else:
            return None
    return ReLookWish(result.view, factors, result.reasons)


def _for_coverage(result: ViewResult, recipe: Recipe) -> float | None:
    """The factor that may bring back enough of the part; None where neither clipping nor darkness keeps it hidden."""
    assert recipe.re_look is not None
    observed, clipped, dark = (result.quality.get(name, 0.0) for name in (OBSERVED, CLIPPED, DARK))
    least = recipe.photometric_stereo.minimum_observable_share
    if clipped >= dark and observed + clipped >= least:
        return recipe.re_look.shorten_to
    return recipe.re_look.lengthen_to if observed + dark >= least else None


def decides(result: ViewResult) -> bool:
    """Whether a second look with this result counts in the place of the first."""
    return result.verdict is not Verdict.UNDECIDED


def why_not_observed(
    normal_map: NormalMap | PackedNormalMap,
    shown: ShownView,
    tracker: PartTracker | None,
    shift_px: tuple[float, float],
) -> dict[str, float]:
    """Shares of the part's pixels: observed, not observed because they clip, not observed because they are dark.

    Of the whole picture where no part was recognised. `shift_px` is as of `shown_view`. Pixels in the shadow of too
    many lights are in none of the three: no exposure brings them back.
    """
    unseen = ~normal_map.observable
    clipped = unseen & normal_map.saturated
    dark = unseen & ~normal_map.saturated & (normal_map.lit_count == 0)  # under `dark_fraction` of full scale
    if tracker is None or shown.placement is None:
        return {OBSERVED: float(np.mean(~unseen)), CLIPPED: float(np.mean(clipped)), DARK: float(np.mean(dark))}
    factor = unseen.shape[0] // shown.normals.shape[1]
    planes = np.stack([_on_grid(plane, factor) for plane in (clipped, dark, dark)])
    shift = (shift_px[0] / factor, shift_px[1] / factor)
    found, _, _ = tracker.bring_what_is_seen(planes, np.zeros_like(planes), shown.placement, shift)
    region = tracker.reference.region
    seen = shown.normals[2] != 0
    hidden = [(plane > LEAST_OF_A_BLOCK) & ~seen for plane in found[:2]]
    return {OBSERVED: _share(seen, region), CLIPPED: _share(hidden[0], region), DARK: _share(hidden[1], region)}


def _on_grid(plane: NDArray[np.bool_], factor: int) -> NDArray[np.float32]:
    """The share of each block, one plane at a time: three at 20 megapixels would be 240 MB."""
    on_grid: NDArray[np.float32] = block_mean(np.broadcast_to(plane.astype(np.float32), (3, *plane.shape)), factor)[0]
    return on_grid


def _share(of: NDArray[np.bool_], region: NDArray[np.bool_]) -> float:
    return float(np.mean(of[region])) if region.any() else 0.0
