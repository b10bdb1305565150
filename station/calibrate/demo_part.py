"""What a calibration is worth: the normals of a demo part, solved with one calibration and with another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from drivers.protocols import Frame
from station.photometric_stereo.lights import DirectionalLights, LightModel, PointLights
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


def lights_of(calibration: Calibration, binning: int) -> LightModel:
    """All directional lights of a calibration, as near lights where their positions are known."""
    chosen = [light for light in calibration.lights if light.kind == "directional"]
    channels = [light.channel for light in chosen]
    names = tuple(light.name for light in chosen)
    positions, intensities = calibration.positions_mm(channels), calibration.intensities(channels)
    if positions is None:
        return DirectionalLights(names, calibration.directions(channels), intensities)
    lobes = [light.lobe_exponent for light in chosen if light.lobe_exponent is not None]
    return PointLights(
        names, positions, intensities, calibration.mm_per_px(binning), calibration.center_px(binning), 0.0,
        float(np.mean(lobes)) if lobes else 0.0,
    )  # fmt: skip


def normal_errors(
    frames: list[Frame],
    calibration: Calibration,
    truth: NDArray[np.float32],
    part: NDArray[np.bool_],
) -> NormalErrors:
    """frames in the order of the calibration's directional lights; truth (3, H, W), camera axes."""
    solver = PhotometricStereo(
        lights_of(calibration, PART_BINNING), (part.shape[0], part.shape[1]), SolverSettings(method="masked")
    )
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
