"""`station calibrate lights --rig`: the lights of a live rig, against a table or record of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from calibration.lights.rays import F64
from calibration.record import Calibration
from station.calibrate.bench.target_bench import Progress
from station.calibrate.runs.opened_rig import Station
from station.calibrate.lights.measured_lights import LightSettings, MeasuredLights, measure_lights


@dataclass(frozen=True)
class LiveLight:
    """Axes: x right, y up, z toward the camera, from the target point."""

    name: str
    channel: int
    direction: tuple[float, float, float]
    spread_deg: float  # one sigma per axis
    position_mm: tuple[float, float, float]
    distance_spread_mm: float
    intensity: float  # over the mean of all lights, from the white plane
    intensity_spread: float
    mirror_to_matte_deg: float
    matte_intensity: float
    semi_calibrated_intensity: float  # with the matte sphere's normals unknown
    left_out_ratio: float
    flags: tuple[str, ...]


@dataclass(frozen=True)
class LiveLightsReport:
    reference: str
    lights: tuple[LiveLight, ...]
    condition: float  # of L^T L
    advice: tuple[str, ...]
    plane_tilt_deg: float
    flags: tuple[str, ...]  # of what the lights were measured with

    @property
    def is_clean(self) -> bool:
        return not self.flags and not self.advice and not any(light.flags for light in self.lights)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        lines = []
        for light in self.lights:
            x, y, z = light.direction
            lines.append(
                f"{light.name}: {x:+.4f} {y:+.4f} {z:+.4f} +- {light.spread_deg:.3f} degrees, intensity "
                f"{light.intensity:.4f}; matte sphere {light.mirror_to_matte_deg:.2f} degrees away"
            )
            lines += [f"    ! {flag}" for flag in light.flags]
        lines.append(f"condition of L^T L: {self.condition:.2f}")
        return "\n".join([*lines, *self.advice, *(f"! {flag}" for flag in self.flags)])


def calibrate_lights_live(
    station_open: Station, reference: Calibration, progress: Progress, settings: LightSettings
) -> LiveLightsReport:
    """Mirror sphere, matte sphere, white plane; every light judged against the reference. Raises CalibrationRefused."""
    own = settings.for_lights_of(reference)
    return report_of(measure_lights(station_open.bench, reference, own, progress), reference)


def report_of(found: MeasuredLights, reference: Calibration) -> LiveLightsReport:
    lights = []
    for k, (name, channel) in enumerate(zip(found.names, found.channels, strict=True)):
        near = found.near[k]
        light = LiveLight(
            name, channel, _three(near.direction), near.spread_deg, _three(near.position_mm),
            near.distance_spread_mm, float(found.plane.intensities[k]), float(found.plane.spreads[k]),
            float(found.disagreement_deg[k]), float(found.matte_intensities[k]), float(found.part_intensities[k]),
            float(found.left_out.ratios[k]), found.flags[k],
        )  # fmt: skip
        lights.append(light)
    return LiveLightsReport(
        reference.calibration_id, tuple(lights), found.condition.condition, found.condition.advice,
        found.tilt.tilt_deg, (*found.plane.flags, *found.tilt.flags, *found.dark.flags),
    )  # fmt: skip


def _three(vector: F64) -> tuple[float, float, float]:
    return (float(vector[0]), float(vector[1]), float(vector[2]))
