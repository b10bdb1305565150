"""From raw counts to light: black level, exposure and gain; RGB pixels are folded to grey.

The rule for saturation, in every method and engine: a sample is saturated where its count, or any of its colours, is at
full scale (from `SolverSettings.saturation_fraction` on). Its value is what the sensor gave, clipped at full scale.
`masked` and `robust` leave it out; `ls`, which takes every light, takes the value. It never counts as lit, and its
pixel is marked as saturated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.settings import PhotometricStereoError

SATURATED = np.uint16(65535)  # what a pixel of a grey plane holds where a colour was at full scale


def saturation_limit_dn(frame: Frame, fraction: float) -> int:
    """The raw count at and above which a pixel is saturated: `fraction` of full scale, 1 at least."""
    return max(int(np.floor(fraction * frame.full_scale_dn)), 1)


def reciprocal_signals(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """(K,) factors that bring counts above black to 0..1 of the frame with the least exposure x gain.

    Raises PhotometricStereoError if an exposure x gain is not above 0, or a black level reaches full scale.
    """
    effort = np.array([f.exposure_us * 10 ** (f.gain_db / 20) for f in frames])
    spans = np.array([f.full_scale_dn - f.black_level_dn for f in frames])
    if not (np.isfinite(effort).all() and (effort > 0).all()):
        raise PhotometricStereoError(f"exposure x gain of the frames is {effort.tolist()}, all must be above 0")
    if not (spans > 0).all():
        raise PhotometricStereoError(f"black level {[f.black_level_dn for f in frames]} DN reaches full scale")
    return np.asarray(effort.min() / effort / spans)


def grey_frame(frame: Frame, weights: NDArray[np.float64] | None = None) -> Frame:
    """An (H, W, 3) frame as one 16-bit plane: the colours times `weights` (3,), which sum to at most 1.

    A pixel with any colour at full scale becomes 65535, and no other does, so that saturation is still
    judged on raw counts.
    """
    if frame.pixels.ndim == 2:
        return frame
    grey, clipped = grey_values(frame, weights)
    marked = np.minimum(grey.pixels, np.uint16(65534))
    marked[clipped] = SATURATED
    return replace(grey, pixels=marked)


def grey_values(frame: Frame, weights: NDArray[np.float64] | None = None) -> tuple[Frame, NDArray[np.bool_]]:
    """An (H, W, 3) frame as one 16-bit plane, and (H, W) where any colour was at full scale.

    The value is the colours times `weights` (3,) (default: their mean), clipped at full scale. It stands there for
    saturated pixels too: `ls`, which takes every light, takes what the sensor gave of it, and no more.
    """
    shares = np.full(3, 1 / 3) if weights is None else weights
    span = frame.full_scale_dn - frame.black_level_dn
    light = (frame.pixels.astype(np.float32) - np.float32(frame.black_level_dn)) @ (shares / span).astype(np.float32)
    grey = np.clip(np.round(light * 65535), 0, 65535).astype(np.uint16)
    clipped = np.asarray((frame.pixels >= frame.full_scale_dn).any(axis=2))
    return replace(frame, pixels=grey, significant_bits=16, black_level_dn=0.0, pixel_format="Mono16"), clipped
