"""The limits of a calibration record, the figures that they judge, and all that keeps a record from being released."""

from __future__ import annotations

import numpy as np

from calibration.lights.check import FEWEST_FOR_STRENGTHS
from calibration.sensor.photon_transfer import SensorCharacter
from station.calibrate.lights.measured_lights import MeasuredLights

FEWEST_FOR_LEFT_OUT = 5  # see `calibration.lights.check.leave_one_out`
DEPARTURE = "flat_field_departure_percent"
LIMITS = {
    "focal_interval95_percent": 0.2,
    "viewpoint_interval95_mm": 0.1,
    "viewpoint_interval95_deg": 0.05,
    "direction_spread_deg": 0.5,
    "intensity_spread_percent": 1.0,
    "mirror_to_matte_deg": 1.0,
    "matte_to_plane_percent": 2.0,
    "semi_calibrated_percent": 2.0,
    "plane_tilt_deg": 0.4,
    "flat_field_departure_percent": 3.0,
    "left_out_ratio": 1.8,
    "condition": 10.0,
    "gain_spread_percent": 1.0,
    "linearity_error_percent": 1.0,
}


def figures_of(lights: MeasuredLights, sensor: SensorCharacter | None) -> dict[str, float]:
    """The figures that LIMITS judge, by the same names, and some more; not finite where one could not be measured."""
    apart = np.abs(lights.matte_intensities / lights.plane.intensities - 1)
    parts = np.abs(lights.part_intensities / lights.plane.intensities - 1)
    found = {
        "direction_spread_deg": max(near.spread_deg for near in lights.near),
        "intensity_spread_percent": 100 * float(lights.plane.spreads.max()),
        "mirror_to_matte_deg": float(lights.disagreement_deg.max()),
        "matte_to_plane_percent": 100 * float(apart.max()),
        "plane_tilt_deg": lights.tilt.tilt_deg,
        "condition": lights.condition.condition,
        "outline_rms_px": lights.outline_rms_px,
        "plane_rms": lights.plane.residual,
        "dark_noise_dn": lights.dark.noise_dn,
        "hot_pixels": float(lights.dark.hot_pixels),
    }
    if len(lights.names) >= FEWEST_FOR_STRENGTHS:
        found["semi_calibrated_percent"] = 100 * float(parts.max())
    if len(lights.names) >= FEWEST_FOR_LEFT_OUT:  # fewer lights cannot judge each other
        found["left_out_ratio"] = float(lights.left_out.ratios.max())
    if sensor is not None:
        found["gain_spread_percent"] = 100 * sensor.gain_spread / sensor.gain_dn_per_e
        found["linearity_error_percent"] = sensor.linearity_error_percent
    return found


def limit_flags(figures: dict[str, float]) -> tuple[str, ...]:
    """A flag for each figure that is beyond its limit, or could not be measured and so was never judged."""
    return tuple(
        f"{name} is {figures[name]:.3g}, the limit is {limit:g}" if np.isfinite(figures[name])
        else f"{name} could not be measured"
        for name, limit in LIMITS.items()
        if name in figures and not figures[name] <= limit
    )  # fmt: skip


def flags_of(
    lights: MeasuredLights, sensor: SensorCharacter | None, figures: dict[str, float], of_geometry: tuple[str, ...]
) -> tuple[str, ...]:
    """Everything that keeps a record from being released, in the order in which it was measured."""
    flags = [*of_geometry]
    flags += [f"light {name}: {flag}" for name, own in zip(lights.names, lights.flags, strict=True) for flag in own]
    flags += [*lights.plane.flags, *lights.tilt.flags, *lights.dark.flags, *lights.condition.advice]
    flags += list(sensor.flags) if sensor is not None else []
    return (*flags, *limit_flags(figures))
