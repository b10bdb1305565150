"""Score maps as colours: one scale, fixed to the view's limit and never to the single picture.

So equal colours mean equal scores in every picture under the same limit, and a good part stays blue.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LIMIT_POSITION = 0.5  # where the limit lies on the colour scale; the scale ends at twice the limit
SCALE_END = 1.0 / LIMIT_POSITION  # the score at the top of the scale, in limits

# Okabe-Ito hues: blue under the limit, yellow to vermilion over it, distinct for every kind of
# colour vision; the step in lightness at the limit is visible in grey as well.
_UNDER_STOPS = ((0.0, (0, 70, 140, 0)), (0.5, (0, 114, 178, 50)), (1.0, (86, 180, 233, 120)))
_OVER_STOPS = ((0.0, (240, 228, 66, 190)), (0.5, (230, 159, 0, 215)), (1.0, (213, 60, 0, 235)))
_NOT_FINITE = (204, 121, 167, 255)
_STEPS = 256


def _ramp(stops: tuple[tuple[float, tuple[int, int, int, int]], ...]) -> NDArray[np.uint8]:
    """RGBA (256, 4), interpolated between the stops."""
    positions = [position for position, _ in stops]
    at = np.linspace(0.0, 1.0, _STEPS)
    channels = [np.interp(at, positions, [colour[c] for _, colour in stops]) for c in range(4)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


_TABLE: NDArray[np.uint8] = np.concatenate(
    [_ramp(_UNDER_STOPS), _ramp(_OVER_STOPS), np.array([_NOT_FINITE], dtype=np.uint8)]
)


def require_limit(limit: float) -> None:
    """Raise ValueError unless the limit is a finite number above 0, which is what the scale needs."""
    if not (math.isfinite(limit) and limit > 0):
        raise ValueError(f"limit: {limit!r} has no place on the colour scale; a limit is a finite number above 0")


def colour_map(scores: NDArray[np.float32], limit: float) -> NDArray[np.uint8]:
    """Scores (h, w) as RGBA (h, w, 4): the same score under the same limit has the same colour everywhere.

    Transparent at 0, blue up to and including the limit, yellow to vermilion from there to twice
    the limit and beyond; pink where the score is not finite. Raises ValueError for a limit <= 0.
    """
    require_limit(limit)
    ratio = np.asarray(scores, dtype=np.float64) / limit
    finite = np.isfinite(ratio)
    ratio = np.where(finite, ratio, 0.0)
    over = ratio > 1.0
    position = np.clip(np.where(over, ratio - 1.0, ratio), 0.0, 1.0) * (_STEPS - 1)
    index = position.round().astype(np.int16) + np.where(over, _STEPS, 0)
    index[~finite] = 2 * _STEPS
    return np.asarray(_TABLE[index], dtype=np.uint8)


def colour_bar(height_px: int, width_px: int, ground: int = 128) -> NDArray[np.uint8]:
    """The scale from 0 (bottom) to twice the limit (top) on a grey ground, RGB (height, width, 3).

    A black line lies at the limit, `LIMIT_POSITION` of the height.
    """
    scores = np.linspace(SCALE_END, 0.0, height_px, dtype=np.float32)[:, None].repeat(width_px, axis=1)
    bar = over_ground(colour_map(scores, 1.0), np.full((height_px, width_px, 3), ground, dtype=np.uint8))
    middle = round((height_px - 1) * (1.0 - LIMIT_POSITION))
    bar[max(middle - 1, 0) : middle + 1] = 0
    return bar


def over_ground(rgba: NDArray[np.uint8], ground: NDArray[np.uint8], opacity: float = 1.0) -> NDArray[np.uint8]:
    """RGBA (h, w, 4) laid over an opaque RGB ground (h, w, 3); `opacity` 0..1 scales every alpha."""
    alpha = rgba[..., 3:].astype(np.float32) * (opacity / 255.0)
    mixed = rgba[..., :3] * alpha + ground * (1.0 - alpha)
    return np.asarray(mixed.round(), dtype=np.uint8)
