"""What a calibration is worth: the normals of a demo part, solved with one calibration and with another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from drivers.protocols import Frame
from station.calibrated_lights import directional_channels, light_model
from station.flat_field_file import FieldMaps
from station.photometric_stereo.solve import PhotometricStereo, SolverSettings

PART_BINNING, PART_EXPOSURE_US = 8, 8000.0


@dataclass(frozen=True)
class NormalErrors:
    """Angles to the exact normals where every light reached the part."""

    calibration_id: str
    mean_deg: float
    median_deg: float
    p95_deg: float
    pixels: int

    def as_text(self) -> str:
        return (
            f"normals with {self.calibration_id}: mean {self.mean_deg:.2f}, median {self.median_deg:.2f}, "
            f"95 % {self.p95_deg:.2f} degrees ({self.pixels} lit pixels)"
        )


def normal_errors(
    frames: list[Frame],
    calibration: Calibration,
    truth: NDArray[np.float32],
    part: NDArray[np.bool_],
    maps: FieldMaps | None = None,
) -> NormalErrors:
    """frames in the order of the calibration's directional lights; truth (3, H, W), camera axes; maps: its field."""
    channels, shape = directional_channels(calibration), (part.shape[0], part.shape[1])
    solver = PhotometricStereo(
        light_model(calibration, channels, PART_BINNING), shape, SolverSettings(method="masked"),
        flat_field=None if maps is None else maps.flat_field(channels, PART_BINNING, shape),
    )  # fmt: skip
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    result = solver.solve()
    used = part & result.observable & (result.lit_count == len(frames))
    cosine = (result.normals * truth).sum(axis=0)[used].clip(-1, 1)
    errors = np.degrees(np.arccos(cosine.astype(np.float64)))
    return NormalErrors(
        calibration.calibration_id, float(errors.mean()), float(np.median(errors)), float(np.quantile(errors, 0.95)),
        int(used.sum()),
    )  # fmt: skip
