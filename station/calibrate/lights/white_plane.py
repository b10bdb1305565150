"""The white plane under each light, averaged over PLANE_FRAMES frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibration.lights.white_plane import check_level
from drivers.protocols import Frame
from station.calibrate.bench.target_bench import Bench, Progress, find_exposure_us, light_of, span_dn

PLANE_FRAMES = 4
MIDDLE = 8  # the plane's level is read in the middle eighth of the picture's width and height


def photograph_plane(
    bench: Bench, channels: Sequence[int], names: Sequence[str], binning: int, progress: Progress,
    exposure_us: float | None = None,
) -> tuple[Frame, ...]:  # fmt: skip
    """One averaged frame per light, in the order of `channels`.

    `exposure_us` None searches an exposure for each light. Raises LightCalibrationError for a plane that is clipped or
    dark, ValueError where no exposure shows it.
    """
    progress("white plane")
    bench.place("plane_white")
    averaged = []
    for channel, name in zip(channels, names, strict=True):
        exposure = exposure_us or find_exposure_us(bench, channel, binning, 4000.0, 0.95, 0.65)
        frames = [bench.photograph(channel, exposure, binning) for _ in range(PLANE_FRAMES)]
        check_level(f"light {name}", frames[0].pixels, frames[0].black_level_dn, frames[0].full_scale_dn)
        mean = np.mean([f.pixels for f in frames], axis=0)
        averaged.append(replace(frames[0], pixels=np.rint(mean).astype(np.uint16)))
    return tuple(averaged)


def plane_level_per_ms(frame: Frame) -> float:
    """Mean signal over black in the middle of a picture of the plane, share of full scale per ms of exposure."""
    rows, columns = (n // MIDDLE for n in frame.pixels.shape[:2])
    top, left = (frame.pixels.shape[0] - rows) // 2, (frame.pixels.shape[1] - columns) // 2
    middle = light_of(frame)[top : top + rows, left : left + columns]
    return float(middle.mean()) / span_dn(frame) / (frame.exposure_us / 1000)
