"""Boxes in the station that no straight way of the camera may touch: pure geometry, millimetres."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class KeepOutBox:
    """A box parallel to the station's axes, its faces included. Raises ValueError where low is not below high."""

    name: str
    low: Point
    high: Point

    def __post_init__(self) -> None:
        if not all(math.isfinite(a) and math.isfinite(b) and a < b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError(f"keep-out box {self.name}: {self.low} is not below {self.high} in x, y and z")

    def grown(self, by_mm: float) -> KeepOutBox:
        """A box larger on every side, as the camera's housing reaches this far from its entrance pupil."""
        x0, y0, z0 = (v - by_mm for v in self.low)
        x1, y1, z1 = (v + by_mm for v in self.high)
        return KeepOutBox(self.name, (x0, y0, z0), (x1, y1, z1))

    def is_crossed_by(self, start: Point, end: Point) -> bool:
        """Whether the straight way from `start` to `end`, both included, touches the box (the slab method)."""
        enter, leave = 0.0, 1.0  # the shares of the way between which it is inside all slabs looked at so far
        for low, high, a, b in zip(self.low, self.high, start, end, strict=True):
            if not (low <= a <= high) and a == b:
                return False
            if a != b:
                first, last = sorted(((low - a) / (b - a), (high - a) / (b - a)))
                enter, leave = max(enter, first), min(leave, last)
                if enter > leave:
                    return False
        return True


def first_crossed(boxes: Iterable[KeepOutBox], start: Point, end: Point) -> KeepOutBox | None:
    """The first box that the straight way touches; None when it is free."""
    return next((box for box in boxes if box.is_crossed_by(start, end)), None)
