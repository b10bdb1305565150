"""Ambient light: what falls on the part while every light is off, seen in one dark frame a part.

Ambient light fills shadows. Where a shadow is brighter than the recipe's `shadow_fraction`, photometric stereo takes
it for lit.
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
    """The level of a dark frame."""

    view: str
    level_per_ms: float  # mean over black, share of full scale, per ms of exposure at the gain of the view's frames


def dark_level(view: str, frame: Frame) -> DarkLevel:
    """The level of a frame of this view that was taken with every light off."""
    return DarkLevel(view, mean_level(frame) / frame.exposure_us * 1e3)


def archived_dark_level(inspection: Inspection, first_view: str) -> DarkLevel | None:
    """The dark frame's level as the archive recorded it; None where no dark frame was taken.

    Archives older than 2026-11-29 keep this figure and not the frame.
    """
    levels = [view.quality[DARK_LEVEL] for view in inspection.views if DARK_LEVEL in view.quality]
    return DarkLevel(first_view, levels[0]) if levels else None


def ambient_share(dark: DarkLevel, exposures_us: Mapping[str, float], levels: Mapping[str, float]) -> float:
    """The ambient light as a share of the lights' own level: the median over the lights in `exposures_us`.

    `levels` are the lights' mean levels as shares of full scale. NaN where no light has a level.
    """
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
