"""How the camera gets from one pose to another without touching a keep-out box: pure planning.

A way is a chain of straight legs. It goes straight where that is free, else through waypoints along allowed
transitions; from the home pose it may be made to begin by retracting Z and to enter at one waypoint.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from drivers.geometry.pose import Pose
from drivers.serial_line.arms.keep_out import KeepOutBox, Point, first_crossed


class NoSafeWay(Exception):
    """The target lies in a keep-out box, or no allowed way leads there; the text names the box."""


@dataclass(frozen=True)
class SafeWays:
    """Boxes, waypoints by name, transitions (both ways) between waypoints, and where the home pose leads.

    Raises ValueError for names that do not exist, and for waypoints or transitions that touch a box.
    """

    boxes: tuple[KeepOutBox, ...] = ()
    waypoints: Mapping[str, Pose] = field(default_factory=dict)
    transitions: tuple[tuple[str, str], ...] = ()
    entry: str | None = None
    clearance_mm: float = 0.0

    def __post_init__(self) -> None:
        for name in (*(n for pair in self.transitions for n in pair), *((self.entry,) if self.entry else ())):
            if name not in self.waypoints:
                raise ValueError(f"there is no waypoint {name!r}; there are {', '.join(self.waypoints) or 'none'}")
        for name, pose in self.waypoints.items():
            if (box := self._crossed(pose, pose)) is not None:
                raise ValueError(f"waypoint {name} lies in the keep-out box {box.name}")
        for a, b in self.transitions:
            if (box := self._crossed(self.waypoints[a], self.waypoints[b])) is not None:
                raise ValueError(f"the transition {a} - {b} touches the keep-out box {box.name}")

    def check_target(self, pose: Pose) -> None:
        """Raises NoSafeWay for a pose within a box."""
        if (box := self._crossed(pose, pose)) is not None:
            raise NoSafeWay(f"x, y, z = {_words(pose)} mm lies in the keep-out box {box.name}{self._margin()}")

    def route(self, start: Pose, target: Pose, *, is_from_home: bool = False) -> tuple[Pose, ...]:
        """The poses at which to stop on the way, the target last. Raises NoSafeWay."""
        self.check_target(target)
        if not is_from_home or self.entry is None:
            return self._legs(start, target)
        entry = self.waypoints[self.entry]
        stops = _distinct(start, self._retreat(start, entry))
        return (*stops, *self._legs(entry, target))

    def _retreat(self, start: Pose, entry: Pose) -> Iterator[Pose]:
        """Z first, then across, then down: in this order nothing that stands upright is swept."""
        height_mm = max(start.z_mm, entry.z_mm)
        before = start
        for stop in (replace(start, z_mm=height_mm), replace(entry, z_mm=height_mm), entry):
            if (box := self._crossed(before, stop)) is not None:
                raise NoSafeWay(
                    f"from the home pose to waypoint {self.entry}: the way from {_words(before)} to {_words(stop)} mm "
                    f"touches the keep-out box {box.name}{self._margin()}"
                )
            yield stop
            before = stop

    def _legs(self, start: Pose, target: Pose) -> tuple[Pose, ...]:
        box = self._crossed(start, target)
        if box is None:
            return (target,)
        names = self._shortest(start, target)
        if names is None:
            raise NoSafeWay(
                f"the way from {_words(start)} to {_words(target)} mm touches the keep-out box {box.name}"
                f"{self._margin()}, and no waypoints lead around it"
            )
        return (*(self.waypoints[n] for n in names), target)

    def _shortest(self, start: Pose, target: Pose) -> tuple[str, ...] | None:
        """Dijkstra over the waypoints; their names in order, None when there is no way."""
        ends = {n for n, pose in self.waypoints.items() if self._crossed(pose, target) is None}
        open_ways: list[tuple[float, tuple[str, ...]]] = [
            (_distance_mm(start, pose), (name,))
            for name, pose in self.waypoints.items()
            if self._crossed(start, pose) is None
        ]
        heapq.heapify(open_ways)
        best: tuple[float, tuple[str, ...]] | None = None
        seen: set[str] = set()
        while open_ways:
            length_mm, names = heapq.heappop(open_ways)
            if best is not None and length_mm >= best[0]:
                break
            here = names[-1]
            if here in seen:
                continue
            seen.add(here)
            if here in ends:
                whole_mm = length_mm + _distance_mm(self.waypoints[here], target)
                best = min(best or (whole_mm, names), (whole_mm, names))
            for neighbour in self._neighbours[here] - seen:
                step_mm = _distance_mm(self.waypoints[here], self.waypoints[neighbour])
                heapq.heappush(open_ways, (length_mm + step_mm, (*names, neighbour)))
        return None if best is None else best[1]

    @cached_property
    def _neighbours(self) -> dict[str, set[str]]:
        neighbours: dict[str, set[str]] = {name: set() for name in self.waypoints}
        for a, b in self.transitions:
            neighbours[a].add(b)
            neighbours[b].add(a)
        return neighbours

    @cached_property
    def _grown(self) -> tuple[KeepOutBox, ...]:
        return tuple(box.grown(self.clearance_mm) for box in self.boxes)

    def _crossed(self, start: Pose, end: Pose) -> KeepOutBox | None:
        return first_crossed(self._grown, _place(start), _place(end))

    def _margin(self) -> str:
        return f" (clearance {self.clearance_mm:g} mm)" if self.clearance_mm else ""


def _distinct(start: Pose, stops: Iterator[Pose]) -> Iterator[Pose]:
    before = start
    for stop in stops:
        if stop != before:
            yield stop
        before = stop


def _place(pose: Pose) -> Point:
    return pose.x_mm, pose.y_mm, pose.z_mm


def _words(pose: Pose) -> str:
    return ", ".join(f"{v:g}" for v in _place(pose))


def _distance_mm(a: Pose, b: Pose) -> float:
    return math.dist(_place(a), _place(b))
