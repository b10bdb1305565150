"""A finished calibration against the simulated rig's truth: for judging the method, never for calibrating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.lights_rays import F64, angle_deg, unit
from calibration.record import Calibration

ANGLE_SIGMAS = 2.448  # 95 % of an error with one sigma per axis in two axes
SIGMAS = 1.960


@dataclass(frozen=True)
class Comparison:
    """One quantity: how far it is off, and what was allowed. `inside`: in how many of `count` the truth lies in the
    stated 95 % interval."""

    quantity: str
    unit: str
    median_error: float
    worst_error: float
    worst_allowed: float
    inside: int
    count: int
    median_allowed: float | None = None

    @property
    def ok(self) -> bool:
        return self.worst_error <= self.worst_allowed and (
            self.median_allowed is None or self.median_error <= self.median_allowed
        )

    def as_text(self) -> str:
        allowed = f"<= {self.worst_allowed:g}"
        if self.median_allowed is not None:
            allowed = f"median <= {self.median_allowed:g}, worst {allowed}"
        return (
            f"{'ok ' if self.ok else 'NOT'} {self.quantity}: median {self.median_error:.3f}, "
            f"worst {self.worst_error:.3f} {self.unit} ({allowed}); "
            f"truth in the 95 % interval: {self.inside} of {self.count}"
        )


def compare(calibration: Calibration, truth: dict[str, Any]) -> tuple[Comparison, ...]:
    """`truth` as the simulated rig's control verb of that name gives it."""
    chosen = [light for light in calibration.lights if light.kind == "directional"]
    known = {int(light["channel"]): light for light in truth["lights"]}
    positions = np.array([known[light.channel]["position_mm"] for light in chosen], np.float64)
    powers = np.array([known[light.channel]["power"] for light in chosen], np.float64)
    strengths = powers / (positions**2).sum(axis=1)
    strengths /= strengths.mean()
    measured = np.array([light.unit_direction() for light in chosen])
    intensities = np.array([light.relative_intensity for light in chosen])
    angles = angle_deg(measured, unit(positions))
    reach = np.array([np.linalg.norm(light.position_mm or (0, 0, 0)) for light in chosen])
    distance = np.abs(reach - np.linalg.norm(positions, axis=1))
    percent = 100 * np.abs(intensities / intensities.mean() / strengths - 1)
    spread = {key: np.array([getattr(light, key) or 0.0 for light in chosen]) for key in _SPREADS}
    out = [
        _row("light direction", "degrees", angles, ANGLE_SIGMAS * spread["direction_spread_deg"], 0.5, 0.3),
        _row("light distance", "mm", distance, SIGMAS * spread["distance_spread_mm"], 5.0),
        _row("light intensity", "%", percent, 100 * SIGMAS * spread["intensity_spread"], 1.0),
    ]
    if calibration.sensor is not None:
        sensor = calibration.sensor
        gain, noise = float(truth["sensor"]["gain_dn_per_e"]), float(truth["sensor"]["read_noise_e"])
        miss = np.array([100 * abs(sensor.gain_dn_per_e / gain - 1)])
        out.append(_row("system gain K", "%", miss, np.array([100 * SIGMAS * sensor.gain_spread / gain]), 1.0))
        off = np.array([abs(sensor.read_noise_e - noise)])
        out.append(_row("read noise", "e", off, np.array([SIGMAS * sensor.read_noise_spread_e]), 0.5))
    focal = float(truth["camera"]["fx_px"])
    if calibration.provenance is None or "camera" in calibration.provenance.measured:
        out.append(_row("focal length", "%", np.array([100 * abs(calibration.fx_px / focal - 1)]), np.zeros(1), 0.2))
    return tuple(out)


def with_true_lights(calibration: Calibration, truth: dict[str, Any]) -> Calibration:
    """The calibration that would have been perfect: what is left of an error then is not the calibration's."""
    known = {int(light["channel"]): light for light in truth["lights"]}
    lights = []
    for light in calibration.lights:
        if light.channel in known:
            x, y, z = known[light.channel]["position_mm"]
            power = known[light.channel]["power"] / (x * x + y * y + z * z) * calibration.working_distance_mm**2
            changes = {
                "position_mm": (x, y, z),
                "relative_intensity": power,
                "lobe_exponent": known[light.channel]["lobe"],
            }
            lights.append(light.model_copy(update=changes))
        else:
            lights.append(light)
    changes = {"calibration_id": "the true lights", "lights": tuple(lights), "flat_field": None}
    return calibration.model_copy(update=changes)


_SPREADS = ("direction_spread_deg", "distance_spread_mm", "intensity_spread")


def _row(
    quantity: str, unit_name: str, errors: F64, intervals: F64, worst: float, median: float | None = None
) -> Comparison:
    return Comparison(
        quantity, unit_name, float(np.median(errors)), float(errors.max()), worst, int((errors <= intervals).sum()),
        len(errors), median,
    )  # fmt: skip
