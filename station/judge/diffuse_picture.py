"""A frame under the diffuse light as a linear colour picture: the one function for live views and data sets."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame

# OpenCV names the mosaic by its first row here (its older names start one pixel in)
_DEMOSAIC = {
    "BayerRG": cv2.COLOR_BayerRGGB2RGB,
    "BayerGR": cv2.COLOR_BayerGRBG2RGB,
    "BayerGB": cv2.COLOR_BayerGBRG2RGB,
    "BayerBG": cv2.COLOR_BayerBGGR2RGB,
}


class PictureError(ValueError):
    """A frame whose pixel format has no colour picture; the text names the format and those that have one."""


def diffuse_rgb(frame: Frame, strength: float = 1.0) -> NDArray[np.float32]:
    """(3, H, W) float32, linear, 0 = black level, 1 = full scale; noise may lie a little below 0.

    Under a light of another `strength` than that under which the model learned, the picture is divided by it.
    A Mono frame gives three equal channels that share their memory: read-only. Raises PictureError for a
    format that is neither Mono, RGB nor Bayer, and for a black level at or above full scale.
    """
    black = np.float32(frame.black_level_dn)
    span = (np.float32(frame.full_scale_dn) - black) * np.float32(strength)
    if not span > 0:
        raise PictureError(f"black level {black} DN leaves nothing of {frame.significant_bits} bits")
    if frame.pixels.ndim == 3:
        return np.ascontiguousarray((frame.pixels.transpose(2, 0, 1).astype(np.float32) - black) / span)
    if frame.pixel_format.startswith("Mono"):
        gray = frame.pixels.astype(np.float32)
        gray -= black  # in place: each further plane of 20 megapixels is 80 MB
        gray /= span
        return np.broadcast_to(gray, (3, *gray.shape))
    code = _DEMOSAIC.get(frame.pixel_format[:7])
    if code is None:
        raise PictureError(f"pixel format {frame.pixel_format!r} has no picture: use a Mono, RGB8 or Bayer format")
    # bilinear weights are shares of whole counts: the unused high bits keep what rounding would lose
    spare_bits = 16 - frame.significant_bits
    mosaic = np.left_shift(frame.pixels.astype(np.uint16), spare_bits)
    planes = cv2.demosaicing(mosaic, code).transpose(2, 0, 1).astype(np.float32)
    return np.ascontiguousarray((planes / np.float32(2**spare_bits) - black) / span)
