"""How kernels are compiled, and the constants that all of them share.

No kernel is `parallel`: rows are shared out by the caller's own threads, because two callers of a parallel kernel abort
the process under numba's workqueue layer. No fast-math beyond `contract`: it would delete the checks for NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

PIECE_PX = 512  # of a row; a multiple of GROUP
LS, MASKED, ROBUST = 0, 1, 2
CODES = {"ls": LS, "masked": MASKED, "robust": ROBUST}
KNOT_VALUES = 7  # per light at a knot: unit vector, reciprocal strength, column of the pseudo-inverse
ENDS = 2 * KNOT_VALUES  # value and slope of each
f32 = np.float32
_FAST = {"contract"}

_njit: Any = njit  # its type knows nothing of the wrappers that inner functions do without
inner = _njit(nogil=True, fastmath=_FAST, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def entry(function: Any) -> Any:
    """Compile with numba's cache on disk, or without it where no folder can be written.

    Without the cache a kernel is compiled at every start, which takes seconds.
    """
    try:
        return njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")(function)
    except RuntimeError:
        return njit(nogil=True, fastmath=_FAST, error_model="numpy")(function)
