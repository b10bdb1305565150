"""What `ls` says of pixels whose value is sound but whose colours were clipped (the rule stands in `radiometry`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.normal_map import MOST_COUNTED, PackedNormalMap
from station.photometric_stereo.packing import ORIGIN
from station.photometric_stereo.work import Maps

FEWEST_LIGHTS = 3


def withdraw_clipped(result: Maps, top: int, clipped: NDArray[np.uint8]) -> None:
    """Take the clipped lights (rows, W) out of the lit counts from row `top` on, and mark their pixels as saturated.

    A pixel that keeps fewer than three lights is not observable. A clipped light is lit: it never lay in shadow.
    """
    rows = slice(top, top + len(clipped))
    number, seen = result.lit_count[rows], result.observable[rows]
    number -= np.where(number == MOST_COUNTED, 0, np.minimum(number, clipped))  # what is beyond was not counted
    result.saturated[rows] |= clipped > 0
    lost = seen & (number < FEWEST_LIGHTS)
    seen &= ~lost
    result.normals[:, rows][:, lost] = ORIGIN if isinstance(result, PackedNormalMap) else 0
    result.albedo[rows][lost] = 0
