"""From a capture to the model's grid by averaging whole blocks. Detector and training data share these functions."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
LEAST_OBSERVABLE = 0.5  # a block with fewer observable pixels has no normal


class GridError(ValueError):
    """A capture that does not fit the model's grid; the text gives both sizes."""


def grid_factor(image: Image, normals: Image, grid: tuple[int, int]) -> int:
    """How many pixels of the capture make one of the grid, in x and in y. Raises GridError."""
    if image.shape != normals.shape or image.ndim != 3 or image.shape[0] != 3:
        raise GridError(f"image {image.shape} and normals {normals.shape} must both be (3, H, W), alike")
    return factor_of((image.shape[1], image.shape[2]), grid)


def factor_of(shape: tuple[int, int], grid: tuple[int, int]) -> int:
    """How many pixels of a capture of `shape` (H, W) make one of the grid, in x and in y. Raises GridError."""
    h, w = grid
    factor = shape[0] // h
    if factor < 1 or shape != (factor * h, factor * w):
        raise GridError(
            f"a capture of {shape[1]} x {shape[0]} pixels is no whole multiple of the model's "
            f"{w} x {h}: choose the recipe's binning so that it is"
        )
    return factor


def block_mean(planes: Image, factor: int) -> Image:
    """(3, H, W) -> (3, H / factor, W / factor) float32, the means of blocks.

    A grey picture, whose planes are views of one, is averaged once.
    """
    if factor == 1:
        return np.ascontiguousarray(planes, np.float32)
    size = (planes.shape[2] // factor, planes.shape[1] // factor)
    if planes.strides[0] == 0:
        once = _shrunk(planes[0], size)
        return np.ascontiguousarray(np.broadcast_to(once, (3, *once.shape)))
    return np.stack([_shrunk(p, size) for p in planes])


def block_normals(normals: Image, factor: int) -> Image:
    """Mean direction of the observable pixels of each block, or 0 0 0 where fewer than half are observable."""
    if factor == 1:
        return np.ascontiguousarray(normals, np.float32)
    size = (normals.shape[2] // factor, normals.shape[1] // factor)
    mean = np.stack([_shrunk(p, size) for p in normals])
    share = _shrunk((normals[2] != 0).astype(np.float32), size)
    length = np.sqrt((mean**2).sum(axis=0))
    usable = (share >= LEAST_OBSERVABLE) & (length > 1e-6)
    return np.where(usable, mean / np.maximum(length, np.float32(1e-6)), np.float32(0))


def _shrunk(plane: NDArray[Any], size: tuple[int, int]) -> Image:
    """Means of whole blocks: what OpenCV's area method is at a whole factor."""
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def brought_back(planes: Image, dx_px: int, dy_px: int) -> Image:
    """(3, H, W) whose content stands that many pixels too far right and down, brought to its place; the border repeats.

    By whole pixels: to resample would blur, and the model has learned from pictures that were not resampled.
    """
    if dx_px == 0 and dy_px == 0:
        return planes
    rows, columns = (
        np.clip(np.arange(size) + off, 0, size - 1) for size, off in zip(planes.shape[1:], (dy_px, dx_px), strict=True)
    )
    return np.ascontiguousarray(planes[:, rows[:, None], columns[None, :]])
