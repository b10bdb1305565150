"""The dark frame: the camera's counts without light, and how much of them changes from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOT_SIGMAS = 8.0
AMBIENT_DN_OF_FULL_SCALE = 0.005


@dataclass(frozen=True)
class DarkFrame:
    """The mean of several dark frames, and what it shows of the sensor and the room."""

    mean_dn: NDArray[np.float32]  # (H, W)
    level_dn: float
    noise_dn: float  # temporal, one frame
    hot_pixels: int
    flags: tuple[str, ...]


def dark_frame(frames: Sequence[NDArray[np.generic]], black_level_dn: float, full_scale: int) -> DarkFrame:
    """Averages frames (H, W) of one exposure that were taken with all lights off.

    Flags a level above the black level, which means room light or a lamp that stays on. Raises ValueError for fewer
    than two frames.
    """
    if len(frames) < 2:
        raise ValueError(f"dark frame: {len(frames)} frames; at least 2 are needed to tell noise from pattern")
    stack = np.stack([np.asarray(f, np.float32) for f in frames])
    mean = stack.mean(axis=0)
    noise = float(np.sqrt(stack.var(axis=0, ddof=1).mean()))
    level = float(np.median(mean))
    spread = max(1.4826 * float(np.median(np.abs(mean - level))), noise / np.sqrt(len(frames)), 0.05)
    hot = int((mean - level > HOT_SIGMAS * spread).sum())
    flags = []
    if mean.mean() - black_level_dn > AMBIENT_DN_OF_FULL_SCALE * full_scale:
        flags.append(
            f"dark frames stand {mean.mean() - black_level_dn:.1f} DN above the black level of {black_level_dn:.1f}: "
            "is the room's light getting in, or a light still on?"
        )
    return DarkFrame(np.asarray(mean, np.float32), level, noise, hot, tuple(flags))
