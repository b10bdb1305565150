"""Where a true depth map is torn: jumps between neighbours that the surface's own slopes do not explain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

LEAST_JUMP_MM = 0.05
JUMP_PX = 1.0  # a crease between a flat and a face of 60 degrees misses the mean of their slopes by 0.87 px
LEAST_NZ = 0.1  # a steeper face is taken to rise as steeply as this: its rim is a step for any solver
NEAR_MM = 1.0


def discontinuities(depth_mm: F32, normals: F32, pixel_mm: float) -> Bools:
    """(H, W) pixels at either side of a jump in depth.

    Depth (H, W) mm along the optical axis, true normals (3, H, W) x right, y up, z to the camera. A jump is a
    difference between neighbours that is off the mean of their two slopes by more than one pixel's size, and by more
    than 0.05 mm. Pixels without a normal (0 0 0) count as flat.
    """
    nz = np.maximum(np.where(normals[2] > 0, normals[2], 1.0), LEAST_NZ).astype(np.float64)
    right, down = normals[0] / nz * pixel_mm, -normals[1] / nz * pixel_mm  # change of depth to the next pixel
    limit = max(LEAST_JUMP_MM, JUMP_PX * pixel_mm)
    out = np.zeros(depth_mm.shape, np.bool_)
    across = np.abs(np.diff(depth_mm.astype(np.float64), axis=1) - (right[:, 1:] + right[:, :-1]) / 2) > limit
    along = np.abs(np.diff(depth_mm.astype(np.float64), axis=0) - (down[1:] + down[:-1]) / 2) > limit
    out[:, 1:] |= across
    out[:, :-1] |= across
    out[1:] |= along
    out[:-1] |= along
    return out


def near_steps(torn: Bools, pixel_mm: float, within_mm: float = NEAR_MM) -> Bools:
    """(H, W) whose centre lies within that distance of the centre of a torn pixel."""
    if not torn.any():
        return np.zeros(torn.shape, np.bool_)
    away = cv2.distanceTransform((~torn).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away * pixel_mm <= within_mm, np.bool_)
