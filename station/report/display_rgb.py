"""Linear images, normals and unknown pixels as 8-bit RGB for a screen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HATCH_PERIOD_PX = 12
_HATCH_GREYS = (120, 150)


def hatch(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Diagonal grey stripes (H, W): the mark of pixels about which nothing is known."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    stripe = ((rows + columns) // (_HATCH_PERIOD_PX // 2)) % 2
    return np.asarray(np.asarray(_HATCH_GREYS)[stripe], dtype=np.uint8)


def normals_to_rgb(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Normals (3, H, W) as RGB (H, W, 3) by (n + 1) / 2; hatched grey where they are 0 0 0 or not finite."""
    rgb = np.empty((*normals.shape[1:], 3), dtype=np.uint8)
    known = np.zeros(normals.shape[1:], dtype=np.bool_)
    for channel in range(3):
        plane = normals[channel]
        finite = np.isfinite(plane)
        known |= finite & (plane != 0)
        rgb[..., channel] = np.clip(np.where(finite, plane, 0.0) * 127.5 + 128.0, 0.0, 255.0)
    unknown = ~known
    if unknown.any():
        rgb[unknown] = hatch(normals.shape[1:])[unknown][:, None]
    return rgb


def _srgb_table() -> NDArray[np.uint8]:
    """The transfer function of IEC 61966-2-1 at 4096 steps: enough that no 8-bit value is skipped."""
    linear = np.linspace(0.0, 1.0, 4096)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray((coded * 255).round(), dtype=np.uint8)


_SRGB = _srgb_table()


def linear_to_srgb(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear 0..1 of any shape as sRGB 0..255 (IEC 61966-2-1); outside values are clipped, NaN is black."""
    scaled = np.clip(np.nan_to_num(linear, nan=0.0) * np.float32(4095.0) + np.float32(0.5), 0.0, 4095.0)
    return np.asarray(_SRGB[scaled.astype(np.uint16)], dtype=np.uint8)
