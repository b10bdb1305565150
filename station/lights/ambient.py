"""Light that falls on the part while every light is off: one dark frame a part, at its first view.

It fills shadows: where a shadow is brighter than the recipe's `shadow_fraction`, photometric stereo takes it for lit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from drivers.protocols import Frame
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection
from station.lights.levels import mean_level

DARK_LEVEL, SHARE = "dark_level_per_ms", "ambient_share"  # names among a view's figures of quality


@dataclass(frozen=True, slots=True)
class DarkLevel:
    """What a view gave with every light off."""

    view: str
    level_per_ms: float  # mean over black, share of full scale, per ms of exposure at the gain of the view's frames


def dark_level(view: str, frame: Frame) -> DarkLevel:
    return DarkLevel(view, mean_level(frame) / frame.exposure_us * 1e3)


def archived_dark_level(inspection: Inspection, first_view: str) -> DarkLevel | None:
    """The dark frame of an old inspection; None where none was taken."""
    levels = [view.quality[DARK_LEVEL] for view in inspection.views if DARK_LEVEL in view.quality]
    return DarkLevel(first_view, levels[0]) if levels else None


def ambient_share(dark: DarkLevel, exposures_us: Mapping[str, float], levels: Mapping[str, float]) -> float:
    """Median over the lights in `exposures_us` of what is there without them, over `levels` with them."""
    shares = [
        dark.level_per_ms * exposure_us / 1e3 / levels[light]
        for light, exposure_us in exposures_us.items()
        if levels.get(light, 0.0) > 0
    ]
    return float(np.median(shares)) if shares else float("nan")


def check_ambient(share: float, limit: float) -> tuple[Reason, ...]:
    """Why normals cannot be trusted in this light; NaN never passes."""
    if share <= limit:
        return ()
    text = f"with every light off there is still {share:.1%} of the lights' level (limit {limit:.1%})"
    return (Reason(ReasonKind.AMBIENT_LIGHT, text, "keep other light out, or find the light that stays on"),)
