"""Whether a map finds one defect of several on a part: the map around it against the view's limit."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

REACH_PX = 18  # twice the smoothing of the map: a defect's response spreads so far
TOP_PIXELS = 144  # four tokens of 6 x 6 px, of which a view's score is the mean


def defect_ratio(
    fused: NDArray[np.float32], mask: NDArray[np.bool_], limit: float, top_pixels: int = TOP_PIXELS
) -> float:
    """The mean of the map's highest pixels near the defect, over the limit: above 1 the defect is found.

    `fused` (H, W) is a view's map and `mask` (H, W) where one defect is. It is what the view's score would be if there
    were nothing else in the view. ValueError for a mask without a pixel.
    """
    if not mask.any():
        raise ValueError("mask: has no pixel, so this view does not see the defect; ask the views that do")
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH_PX + 1, 2 * REACH_PX + 1))
    near = fused[cv2.dilate(mask.astype(np.uint8), around) > 0]
    top = min(top_pixels, len(near))
    return float(np.partition(near, len(near) - top)[len(near) - top :].mean()) / limit
