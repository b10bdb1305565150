"""The parts taken before as a witness: a new product has no references yet, and a bad capture must show at once.

Coarse on purpose. It finds another lamp than the one commanded, a blurred picture, an empty fixture and a part far off
its seat; what is finer is found by the view reference and the part reference, once the recipe names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from station.inspection.reasons import Reason, ReasonKind
from station.judge.fixture_picture import FixturePicture
from station.recipe.fields import ProofTolerances

MOST_PARTS = 5  # the latest: their median is what a part of this product looks like
# Connectors of a simulated collection, good and dented, up to 2 mm and 2 degrees off their seat (n = 9): the other
# lamps' patterns fit worse by 0.48 at least, and those of two exchanged lamps better by 0.58; likeness is 0.89 at
# least, and a knob's is 0.32 in its worst view.
SURE = 0.1  # by so much another lamp's pattern must fit better
LEAST_LIKENESS = 0.6  # of a part's picture to those before
REACH = 3.0  # times the tolerance: so far is a part looked for
DARK = 1e-3  # of full scale: what is darker has no sure pattern
AGAINST = "look at the parts before it too: if they were wrong, take them out of the collection"
F32 = NDArray[np.float32]
Pictures = Mapping[str, Mapping[str, FixturePicture]]  # view -> light -> picture, of one part


@dataclass(frozen=True)
class _Usual:
    """One view of the parts before: per light the median picture (h, w) and sharpness."""

    levels: Mapping[str, F32]
    sharpness: Mapping[str, float]


class PartsBefore:
    """Keeps the pictures of the latest good parts, and holds the next part against them."""

    def __init__(self, diffuse: str, cell_mm: float, tolerances: ProofTolerances) -> None:
        """`diffuse` is the light under which a part is looked for; `cell_mm` the edge of a picture's cell."""
        self._diffuse, self._cell_mm, self._tolerances = diffuse, cell_mm, tolerances
        self._parts: list[Pictures] = []
        self._usual: dict[str, _Usual] = {}

    def add(self, part: Pictures) -> None:
        """A good part that was accepted."""
        self._parts = [*self._parts, part][-MOST_PARTS:]
        self._usual = {}

    def reasons(
        self, view: str, pictures: Mapping[str, FixturePicture], *, of_lamps: bool, of_part: bool
    ) -> tuple[Reason, ...]:
        """Why this view cannot be one of a good capture; nothing before there is a part to compare with.

        `of_lamps` and `of_part` leave out what the recipe's own references prove better.
        """
        if not self._parts:
            return ()
        usual = self._usual_view(view)
        found: list[Reason] = []
        if of_lamps:
            found += _blurred(usual, pictures, self._tolerances.blurred_below)
            found += _wrong_lamps(usual, pictures)
        if of_part and not found:
            found += self._misplaced(usual.levels[self._diffuse], pictures[self._diffuse].levels)
        return tuple(found)

    def _usual_view(self, view: str) -> _Usual:
        if view not in self._usual:
            parts = [part[view] for part in self._parts]
            levels = {
                name: np.asarray(np.median([p[name].levels for p in parts], axis=0), np.float32) for name in parts[0]
            }
            sharpness = {name: float(np.median([p[name].sharpness for p in parts])) for name in parts[0]}
            self._usual[view] = _Usual(levels, sharpness)
        return self._usual[view]

    def _misplaced(self, usual: F32, levels: F32) -> Iterator[Reason]:
        """The middle of the usual picture is looked for in this one: a part that is not there is found nowhere."""
        most_mm = self._tolerances.part_moved_mm
        reach = min(int(np.ceil(REACH * most_mm / self._cell_mm)), min(usual.shape) // 3)
        wanted = _root(usual)[reach : usual.shape[0] - reach, reach : usual.shape[1] - reach]
        fits = cv2.matchTemplate(_root(levels), np.ascontiguousarray(wanted), cv2.TM_CCOEFF_NORMED)
        _, likeness, _, (column, row) = cv2.minMaxLoc(np.nan_to_num(fits, nan=-1.0))
        if not likeness >= LEAST_LIKENESS:
            text = f"the picture is not like the parts before (likeness {likeness:.2f}, at least {LEAST_LIKENESS:g})"
            yield Reason(ReasonKind.PART_NOT_FOUND, text, f"look whether the part lies in the fixture; {AGAINST}")
            return
        shift_mm = float(np.hypot(column - reach, row - reach)) * self._cell_mm
        if not shift_mm <= most_mm + self._cell_mm:
            text = f"the part lies some {shift_mm:.1f} mm from where the parts before lay (tolerance {most_mm:g} mm)"
            yield Reason(ReasonKind.PART_MOVED, text, f"seat the part and take it again; {AGAINST}")


def _root(levels: F32) -> F32:
    return np.asarray(np.sqrt(np.maximum(levels, 0)), np.float32)


def _blurred(usual: _Usual, pictures: Mapping[str, FixturePicture], least: float) -> Iterator[Reason]:
    ratios = [pictures[name].sharpness / before for name, before in usual.sharpness.items() if before > 0]
    sharp = float(np.median(ratios)) if ratios else 1.0
    if not sharp >= least:
        text = f"the pictures have {sharp:.2f} of the sharpness of the parts before (at least {least:g})"
        yield Reason(ReasonKind.BLURRED, text, f"look for dirt on the lens, focus and vibration; {AGAINST}")


def _wrong_lamps(usual: _Usual, pictures: Mapping[str, FixturePicture]) -> Iterator[Reason]:
    """A frame that looks more like the parts before under another lamp than under its own."""
    patterns = _patterns(usual.levels)
    seen = _patterns({name: pictures[name].levels for name in patterns})
    for name in patterns:
        fits = {other: float((seen[name] * pattern).mean()) for other, pattern in patterns.items()}
        best = max(fits, key=lambda other: fits[other])
        if fits[best] - fits[name] > SURE:
            text = f"the frame under light {name!r} looks as if {best!r} shone"
            remedy = f"check the channels and the cables of the light controller; {AGAINST}"
            yield Reason(ReasonKind.LIGHT_STUCK_ON, text, remedy, light=best)


def _patterns(levels: Mapping[str, F32]) -> dict[str, F32]:
    """Per light, where it falls more than the part's lights together do, whatever is lit: mean 0, spread 1."""
    mean = np.log(np.maximum(np.mean(list(levels.values()), axis=0), DARK))
    found = {}
    for name, of_light in levels.items():
        off = np.log(np.maximum(of_light, DARK)) - mean
        off = off - off.mean()
        found[name] = np.asarray(off / max(float(off.std()), 1e-6), np.float32)
    return found
