"""Held-out good parts whose score stands far out: likely defective ones that were collected as good. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from models.part_limits import LEAST_SCALE, law_of

FALSE_WARNINGS = 0.01  # of sets without any odd part, in which one part or more is warned of all the same
DRAWS, MOST_DRAWN = 2000, 300
MAD_TO_SIGMA = 1.4826  # of a normal law
FEWEST = 5


@dataclass(frozen=True, slots=True)
class StandsOut:
    """A view of a held-out good part, and how far its score lies from those of all parts in that view."""

    part: str
    view: str
    score: float
    median: float  # of the view's scores
    deviations: float  # (score - median) over 1.4826 times the median absolute deviation
    n_parts: int

    def __str__(self) -> str:
        return (
            f"{self.part}, view {self.view}: score {self.score:.3g}, where the median of {self.n_parts} good parts is "
            f"{self.median:.3g}: {self.deviations:.0f} robust deviations out"
        )


def standing_out(parts: Sequence[str], scores: Mapping[str, Sequence[float]]) -> tuple[StandsOut, ...]:
    """`scores` holds, per view, one score of each of `parts`; the farthest comes first. None of fewer than FEWEST.

    A view's upper tail is a Gumbel law fitted to the body of its scores (models/part_limits.py), which a few odd parts
    do not move. A score stands out where it lies farther, in units of that law, than the farthest one of as many good
    parts in as many views does in all but 1 % of simulated sets. That allows for the law being fitted.
    """
    n, views = len(parts), len(scores)
    if n < FEWEST or not views:
        return ()
    found = []
    for view, of_view in scores.items():
        values = np.array(of_view, np.float64)
        location, scale = (float(v[0]) for v in law_of(np.sort(values)[:, None]))
        scale = max(scale, LEAST_SCALE * max(abs(location), 1.0))
        median = float(np.median(values))
        deviation = max(MAD_TO_SIGMA * float(np.median(np.abs(values - median))), LEAST_SCALE * max(abs(median), 1.0))
        for part, value in zip(parts, values, strict=True):
            if not (value - location) / scale <= _farthest(min(n, MOST_DRAWN), views):
                found.append(StandsOut(part, view, float(value), median, float((value - median) / deviation), n))
    return tuple(sorted(found, key=lambda s: -s.deviations))


@cache
def _farthest(n: int, views: int) -> float:
    """The place that the farthest of n good parts in `views` views exceeds in FALSE_WARNINGS of simulated sets."""
    rng = np.random.default_rng(23)
    farthest = np.full(DRAWS, -np.inf)
    for _ in range(views):
        values = np.sort(-np.log(-np.log(rng.uniform(size=(n, DRAWS)))), axis=0)
        location, scale = law_of(values)
        farthest = np.maximum(farthest, (values[-1] - location) / scale)
    return float(np.quantile(farthest, 1 - FALSE_WARNINGS))
