"""In which order the views are visited, and how long the arm will be on its way.

The arm stays at a part's last view until the next part begins, so the way is closed: it ends where it began. The first
view of the recipe stays first, because the part's dark frame is taken there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.geometry.pose import Pose

Ways = dict[tuple[int, int], tuple[float, tuple[int, ...]]]

MOST_VIEWS = 12  # that are ordered: the work doubles with each; beyond, they stay as they are written
WORTH_S = 0.01  # another order than the recipe's must save that much


@dataclass(frozen=True, slots=True)
class Motion:
    """How fast each axis of an arm is: a trapezoid of speed. The defaults are those of the simulated gantry."""

    mm_per_s: float = 500.0
    mm_per_s2: float = 2000.0
    deg_per_s: float = 180.0
    deg_per_s2: float = 720.0

    def move_s(self, start: Pose, end: Pose) -> float:
        """Seconds of one move; the slowest axis decides, and all start and stop together."""
        ways = [abs(b - a) for a, b in zip(start.as_tuple(), end.as_tuple(), strict=True)]
        along = [_trapezoid_s(way, self.mm_per_s, self.mm_per_s2) for way in ways[:3]]
        around = [_trapezoid_s(way, self.deg_per_s, self.deg_per_s2) for way in ways[3:]]
        return max([*along, *around])


def _trapezoid_s(way: float, speed: float, acceleration: float) -> float:
    """From standstill to standstill: up, at speed, down; or up and down at once on a short way."""
    if way * acceleration <= speed**2:
        return 2 * math.sqrt(way / acceleration)
    return way / speed + speed / acceleration


def round_trip_s(poses: Sequence[Pose], motion: Motion) -> float:
    """Seconds of all moves, the one from the last pose to the first among them."""
    return sum(motion.move_s(a, b) for a, b in zip(poses, [*poses[1:], *poses[:1]], strict=True))


def least_travel(poses: Sequence[Pose], motion: Motion) -> tuple[int, ...]:
    """Indices in the order of the shortest closed way that begins with the first pose.

    Exact (Held and Karp, 1962). The order as it is given stands where another one saves less than WORTH_S, and where
    there are more than MOST_VIEWS poses.
    """
    count = len(poses)
    as_given = tuple(range(count))
    if not 3 < count <= MOST_VIEWS:
        return as_given
    best = _shortest_cycle([[motion.move_s(a, b) for b in poses] for a in poses])
    saved_s = round_trip_s(poses, motion) - round_trip_s([poses[i] for i in best], motion)
    return best if saved_s >= WORTH_S else as_given


def _shortest_cycle(move_s: list[list[float]]) -> tuple[int, ...]:
    """The ways through growing sets of places (bits) that end at a place, each as (seconds, the places in order)."""
    count = len(move_s)
    ways: Ways = {(1 << last, last): (move_s[0][last], (0, last)) for last in range(1, count)}
    for _ in range(count - 2):
        longer: Ways = {}
        for (seen, last), (seconds, path) in ways.items():
            for following in range(1, count):
                if seen & 1 << following:
                    continue
                key = (seen | 1 << following, following)
                way = (seconds + move_s[last][following], (*path, following))
                if key not in longer or way < longer[key]:
                    longer[key] = way
        ways = longer
    return min((seconds + move_s[last][0], path) for (_, last), (seconds, path) in ways.items())[1]
