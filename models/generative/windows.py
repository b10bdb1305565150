"""Views larger than a patch: overlapping windows, put on one level and blended. It needs no torch.

Each window's height is known up to a constant, so the constants are found first: those with which neighbours agree
best, pixel by pixel over their overlaps. Then the windows are blended with weights that fall to their borders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from models.depth_views import F32

OVERLAP = 2  # windows lie half a side apart
ANCHOR = 1e-4  # share of a window's pixels that hold its constant at 0, since a constant for all is free
LEAST_WEIGHT = 0.02


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows of a view lie; the view is at least as large as one."""

    shape: tuple[int, int]
    side: int
    corners: tuple[tuple[int, int], ...]  # top, left

    @classmethod
    def over(cls, shape: tuple[int, int], side: int) -> Windows:
        """Half a side apart, the last of a row or column at the view's border. ValueError for a smaller view."""
        if min(shape) < side:
            raise ValueError(f"a view of {shape} is smaller than a window of {side}")
        rows, columns = (_starts(size, side) for size in shape)
        return cls(shape, side, tuple((r, c) for r in rows for c in columns))

    def joined(self, heights: Sequence[F32]) -> F32:
        """(side, side) each, in the order of `corners` -> (H, W)."""
        levels = self.levels(heights)
        weight = blending_weight(self.side)
        total, sum_weight = np.zeros(self.shape), np.zeros(self.shape)
        for (top, left), height, level in zip(self.corners, heights, levels, strict=True):
            where = np.s_[top : top + self.side, left : left + self.side]
            total[where] += weight * (height + level)
            sum_weight[where] += weight
        return np.asarray(total / sum_weight, np.float32)

    def levels(self, heights: Sequence[F32]) -> NDArray[np.float64]:
        """The constant of each window: least squares over all pixels that two windows share."""
        n = len(self.corners)
        if n == 1:
            return np.zeros(1)
        rows, columns, values = list(range(n)), list(range(n)), [ANCHOR * self.side**2] * n
        right = np.zeros(n)
        for a, b in self._neighbours():
            pixels, difference = self._overlap(a, b, heights)
            rows += [a, b, a, b]
            columns += [a, b, b, a]
            values += [pixels, pixels, -pixels, -pixels]
            right[a] -= pixels * difference
            right[b] += pixels * difference
        matrix = sparse.csc_array((np.array(values, float), (rows, columns)), shape=(n, n))
        found = np.atleast_1d(spsolve(matrix, right))
        return np.asarray(found - found.mean(), np.float64)

    def _neighbours(self) -> list[tuple[int, int]]:
        near = []
        by_row: dict[int, list[int]] = {}
        for n, (top, _) in enumerate(self.corners):
            by_row.setdefault(top, []).append(n)
        tops = sorted(by_row)
        for i, top in enumerate(tops):
            for other in (t for t in tops[i:] if t - top < self.side):
                near += [
                    (a, b)
                    for a in by_row[top]
                    for b in by_row[other]
                    if (other > top or b > a) and abs(self.corners[a][1] - self.corners[b][1]) < self.side
                ]
        return near

    def _overlap(self, a: int, b: int, heights: Sequence[F32]) -> tuple[int, float]:
        """Pixels that both share, and the mean of a's height minus b's there."""
        (top_a, left_a), (top_b, left_b), side = self.corners[a], self.corners[b], self.side
        top, left = max(top_a, top_b), max(left_a, left_b)
        bottom, right = min(top_a, top_b) + side, min(left_a, left_b) + side
        of_a = heights[a][top - top_a : bottom - top_a, left - left_a : right - left_a]
        of_b = heights[b][top - top_b : bottom - top_b, left - left_b : right - left_b]
        return of_a.size, float(np.mean(of_a - of_b, dtype=np.float64))


def blending_weight(side: int) -> F32:
    """(side, side): a raised cosine in both directions, never quite 0."""
    wave = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    return np.maximum(np.outer(wave, wave), LEAST_WEIGHT**2).astype(np.float32)


def _starts(size: int, side: int) -> list[int]:
    return sorted({*range(0, size - side + 1, side // OVERLAP), size - side})
