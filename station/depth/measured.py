"""From normals to what the depth methods are given: the integrated height, and how far each pixel of it is trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.depth_views import DepthView, centred
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.surfaces import Perspective, filled_height_mm, seen_for_height

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

RESIDUAL_OF_ALBEDO = 0.05  # at which a pixel's slope counts half: what is left over is light that Lambert's law denies


@dataclass(frozen=True, slots=True)
class DepthTruth:
    """What is true of a view."""

    height_mm: F32  # (H, W) along the optical axis, toward the camera
    valid: Bools  # (H, W) where it counts
    steps: Bools  # (H, W) within 1 mm of a discontinuity


def depth_view(
    picture: F32, found: NormalMap, lights: int, pixel_mm: float, truth: DepthTruth | None,
    perspective: Perspective | None = None,
) -> DepthView:  # fmt: skip
    """Everything that a depth method is given of one view, and the truth where there is one.

    picture (3, H, W) linear 0..1; `found` on the same grid, solved under so many `lights`; `pixel_mm` on the part. The
    height is that of `station solve --height`, in perspective where the camera is known. It is not weighted by the
    reliability: that was no better on 18 reliefs, because the slopes beside a step are wrong and yet fit well.
    """
    trust = reliability(found, lights)
    mask = seen_for_height(found.normals)
    normals = np.where(mask, found.normals, np.float32(0))
    height = centred(filled_height_mm(normals, pixel_mm, perspective=perspective), mask)
    nothing = np.zeros(mask.shape, np.bool_)
    if truth is None:
        blank = np.zeros(mask.shape, np.float32)
        return DepthView(_shown(picture), normals, mask, height, trust, blank, nothing, nothing, pixel_mm)
    depth = np.where(truth.valid, centred(truth.height_mm, truth.valid), np.float32(0))
    return DepthView(_shown(picture), normals, mask, height, trust, depth, truth.valid, truth.steps, pixel_mm)


def reliability(found: NormalMap, lights: int) -> F32:
    """(H, W) 0..1: the share of lights that counted, times how well Lambert's law explains them, times n_z.

    The second factor is 1 / (1 + (residual / (0.05 albedo))^2); n_z stands for the error of a slope, which grows as
    1 / n_z^2 with that of the angle. 0 where the height takes nothing from the normal.
    """
    seen = seen_for_height(found.normals)
    share = np.minimum(found.lit_count.astype(np.float32) / lights, 1.0)
    off = found.residual / np.maximum(found.albedo * np.float32(RESIDUAL_OF_ALBEDO), 1e-6)
    trust = share / (1.0 + off * off) * np.maximum(found.normals[2], 0.0)
    return np.asarray(np.where(seen, np.clip(trust, 0.0, 1.0), 0.0), np.float32)


def _shown(picture: F32) -> F32:
    """0..1, in an array of its own: noise lies a little below 0."""
    return np.clip(np.ascontiguousarray(picture, np.float32), 0.0, 1.0)
