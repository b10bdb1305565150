"""Lamps that graze the fixture in some view, found in the frames of a first look.

Lamps ride with the camera, so that in a tilted view one of them may shine along the fixture's surface. There its light
changes with every hundredth of a degree by which the arm comes back, and the fixture cannot prove it from part to part:
`station view-reference` would refuse the lamp once parts are collected. Whoever begins a product learns it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.inspection.reasons import Reason, ReasonKind
from station.judge.fixture_picture import cell_edge_px, fixture_picture

EDGE = 0.15  # of width and height, on every side: the fixture, where a part lies in the middle
GRAZES = 0.3  # of the lamps' median level there: a lamp at 30 degrees over the surface gives half of one at 90
FAINT = (ReasonKind.LIGHT_DEAD, ReasonKind.LIGHT_WEAK)
FEWEST_LAMPS = 3  # that must be left: photometric stereo needs three


@dataclass(frozen=True, slots=True)
class GrazingLamp:
    """A lamp, and the views in which it grazes with the share that it gives there of what the other lamps give."""

    light: str
    views: Mapping[str, float]

    def as_text(self, *, is_left_out: bool) -> str:
        """What it means, for the screen."""
        where = ", ".join(f"{view} ({share:.0%} of the other lamps' light)" for view, share in self.views.items())
        end = (
            "it is left out of the recipe"
            if is_left_out
            else "it was asked for and stays, but station view-reference will refuse it there"
        )
        return f"{self.light} grazes the fixture in {where}, where no picture proves how strongly it shines: {end}"


def grazing_lamps(frames: Mapping[str, Mapping[str, Frame]], lamps: tuple[str, ...]) -> tuple[GrazingLamp, ...]:
    """Of the directional `lamps`, those that hardly light the fixture in some views and light it in others.

    What is weak in every view is a weak lamp, and no place. `frames` are view -> light -> frame; the weakest lamp is
    named first, and no more are named than leave FEWEST_LAMPS.
    """
    found: dict[str, dict[str, float]] = {}
    for view, of_view in frames.items():
        levels = {lamp: _fixture_level(of_view[lamp]) for lamp in lamps}
        usual = float(np.median(list(levels.values())))
        for lamp, level in levels.items():
            if level < GRAZES * usual:
                found.setdefault(lamp, {})[view] = round(level / usual, 3)
    somewhere = {lamp: views for lamp, views in found.items() if len(views) < len(frames)}
    ordered = sorted(somewhere.items(), key=lambda item: min(item[1].values()))
    return tuple(GrazingLamp(lamp, views) for lamp, views in ordered[: max(0, len(lamps) - FEWEST_LAMPS)])


def unexplained(reasons: tuple[Reason, ...], grazing: tuple[GrazingLamp, ...]) -> tuple[Reason, ...]:
    """The reasons but those that call a lamp dead or weak where it grazes: on a low part it lights nothing there."""
    places = {(lamp.light, view) for lamp in grazing for view in lamp.views}
    return tuple(r for r in reasons if r.kind not in FAINT or (r.light, r.view) not in places)


def _fixture_level(frame: Frame) -> float:
    """Median level around the picture's middle, as a share of full scale."""
    levels = fixture_picture(frame, cell_edge_px(frame.pixels.shape[1])).levels
    return float(np.median(levels[_around_the_middle(levels.shape)]))


def _around_the_middle(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.ones(shape, np.bool_)
    top, left = (max(1, round(EDGE * size)) for size in shape)
    inside[top:-top, left:-left] = False
    return inside
