"""Readings of a myCobot compared with each other and with what was sent: its frames carry no checksum.

A garbled number looks like a number. So a place at rest counts once two readings in a row are alike, and a target
counts once the arm, asked where it was told to go, states what was sent, to the resolution of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drivers.geometry.rigid import angle_between_deg, distance_mm, from_coordinates
from drivers.serial_line.mycobot.protocol import Six

RESOLUTION_MM, RESOLUTION_DEG = 0.1, 0.01  # one count
REPEATABILITY_MM, REPEATABILITY_DEG = 0.5, 0.5  # the maker states +-0.5 mm for both models
STEADY_READINGS = 8
ROUNDING = 1.8  # counts: each of three coordinates may be rounded the other way

Apart = Callable[[Six, Six], bool]


def steady(read: Callable[[], Six], is_apart: Apart) -> Six | None:
    """The place of an arm at rest: the first reading that repeats the one before.

    An encoder may sway by a count: where no two are the same, the last counts if none is apart from it; else None.
    """
    readings = [read()]
    for _ in range(STEADY_READINGS):
        readings.append(read())
        if readings[-1] == readings[-2]:
            return readings[-1]
    return None if any(is_apart(r, readings[-1]) for r in readings) else readings[-1]


def coordinates_are_apart(a: Six, b: Six) -> bool:
    """Further than the arm repeats a place."""
    mm, deg = _between(a, b)
    return mm > REPEATABILITY_MM or deg > REPEATABILITY_DEG


def joints_are_apart(a: Six, b: Six) -> bool:
    """The same for six joint angles."""
    return any(abs(p - q) > REPEATABILITY_DEG for p, q in zip(a, b, strict=True))


def states_the_same_place(told: Six, sent: Sequence[float]) -> bool:
    """Whether both sets of coordinates are one place, to the resolution of the protocol; angles may be written anew."""
    mm, deg = _between(told, sent)
    return mm <= ROUNDING * RESOLUTION_MM and deg <= ROUNDING * RESOLUTION_DEG


def states_the_same_joints(told: Six, sent: Sequence[float]) -> bool:
    """The same for six joint angles."""
    return all(abs(a - b) <= 1.1 * RESOLUTION_DEG for a, b in zip(told, sent, strict=True))


def _between(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    first, second = from_coordinates(*a), from_coordinates(*b)
    return distance_mm(first, second), angle_between_deg(first, second)
