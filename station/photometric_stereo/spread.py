"""Pixels evenly spread over a mask, without a list of all of its pixels: of 20 megapixels that would be 160 MB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]


def spread_pixels(mask: NDArray[np.bool_], samples: int) -> tuple[Index, Index]:
    """Rows and columns (n,) of every s-th pixel of the mask (H, W), row by row; `samples` of them or somewhat more.

    The same as `np.flatnonzero(mask)[::s]`. Fewer where the mask has fewer, none where it is empty.
    """
    ends = np.cumsum(np.count_nonzero(mask, axis=1))
    count = int(ends[-1]) if ends.size else 0
    wanted = np.arange(0, count, max(1, count // samples))
    rows = np.searchsorted(ends, wanted, side="right")
    columns = np.empty(len(wanted), np.intp)
    first = 0
    for row, many in zip(*np.unique(rows, return_counts=True), strict=True):
        listed = np.flatnonzero(mask[row])
        columns[first : first + many] = listed[wanted[first : first + many] - (ends[row] - len(listed))]
        first += many
    return rows.astype(np.intp), columns
