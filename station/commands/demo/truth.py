"""Where a simulated part's defect truly is, and whether a score map peaks there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.simulated.control import RigControl
from station.inspection.result import ViewResult
from station.recipe.loaded import LoadedRecipe

DILATION_SHARE = 0.02  # of the picture's width


def true_defect_mask(view: str, control: RigControl, loaded: LoadedRecipe) -> NDArray[np.bool_]:
    """The Scene's own (H, W) mask of the defect, in the frame's pixels, as seen at the last visit of that viewpoint."""
    viewpoint = next(v for v in loaded.recipe.viewpoints if v.name == view)
    answer = control.call(
        "defect_mask", pose=list(viewpoint.as_pose().as_tuple()), binning=loaded.recipe.capture.binning
    )
    mask: NDArray[np.bool_] = np.load(answer["file"], allow_pickle=False)
    return mask


def peak_inside(view: ViewResult, mask: NDArray[np.bool_]) -> bool:
    """Whether the map's highest pixel lies in the mask, dilated by 2 % of the picture's width.

    Map (h, w) and mask (H, W) show the same field of view at different sizes. False for an empty mask.
    """
    assert view.anomaly_map is not None
    scores = view.anomaly_map.scores
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    height, width = mask.shape
    y = int((row + 0.5) * height / scores.shape[0])
    x = int((column + 0.5) * width / scores.shape[1])
    if not mask.any():
        return False
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return bool(distance[y, x] <= DILATION_SHARE * width)
