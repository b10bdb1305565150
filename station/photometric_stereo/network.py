"""Which quantile over the lights scales a pixel, and the comparators that select it for many pixels at once."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

QUANTILE = 0.7  # a highlight is the maximum: a scale taken from the maximum would let the outlier in


def quantile_index(count: int) -> int:
    """Which ascending element, from 0, is the quantile of `count` values."""
    return round(QUANTILE * (count - 1))


def selection_network(count: int, index: int) -> NDArray[np.int64]:
    """(M, 2) pairs (a, b), a < b: doing `a, b = min, max` in order puts the index-th smallest value at `index`.

    Batcher's odd-even merge sort, of which only what the wanted element depends on is kept.
    """
    needed, kept = {index}, []
    for low, high in reversed(_batcher(count)):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return np.array(kept[::-1], np.int64).reshape(-1, 2)


@cache
def network_table(count: int, index: int) -> NDArray[np.int64]:
    """`selection_network` for a kernel that reads it at run time: index, number of pairs, then the pairs."""
    pairs = selection_network(count, index)
    return np.concatenate([[index, len(pairs)], pairs.ravel()]).astype(np.int64)


def _batcher(count: int) -> list[tuple[int, int]]:
    """Sorting network for any count: the one for the next power of two without the comparators beyond the end."""
    size = 1 << max(count - 1, 1).bit_length()
    pairs: list[tuple[int, int]] = []
    merge = 1
    while merge < size:
        step = merge
        while step >= 1:
            for start in range(step % merge, size - step, 2 * step):
                pairs += [
                    (low, low + step)
                    for low in range(start, min(start + step, size - step))
                    if low // (2 * merge) == (low + step) // (2 * merge)
                ]
            step //= 2
        merge *= 2
    return [(low, high) for low, high in pairs if high < count]
