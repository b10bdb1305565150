"""`station calibrate lights --rig`: the lights of a live rig, against a drawing or a record of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from calibration.record import Calibration, vector_of
from station.calibrate.bench.target_bench import Progress
from station.calibrate.lights.measured_lights import MeasuredLights, measure_lights
from station.calibrate.lights.settings import LightSettings
from station.calibrate.runs.opened_rig import OpenedRig


@dataclass(frozen=True)
class LiveLight:
    """One light as measured. Axes: x right, y up, z toward the camera, from the target point."""

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
    """All directional lights of a rig; clean where nothing is flagged and the arrangement is good."""

    reference: str
    lights: tuple[LiveLight, ...]
    condition: float  # of L^T L
    advice: tuple[str, ...]
    plane_tilt_deg: float
    flags: tuple[str, ...]  # of what the lights were measured with

    @property
    def is_clean(self) -> bool:
        """Whether the command ends with 0."""
        return not self.flags and not self.advice and not any(light.flags for light in self.lights)

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """One line a light with its flags, then the condition of the set, advice and common flags."""
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
    opened: OpenedRig, reference: Calibration, progress: Progress, settings: LightSettings
) -> LiveLightsReport:
    """Measures mirror sphere, matte sphere and white plane, and judges every light against the reference.

    Raises CalibrationRefused.
    """
    own = settings.for_lights_of(reference)
    return _report(measure_lights(opened.bench, reference, own, progress), reference)


def _report(found: MeasuredLights, reference: Calibration) -> LiveLightsReport:
    """The figures of each light side by side, in the order of the reference."""
    lights = []
    for k, (name, channel) in enumerate(zip(found.names, found.channels, strict=True)):
        near = found.near[k]
        light = LiveLight(
            name, channel, vector_of(near.direction), near.spread_deg, vector_of(near.position_mm),
            near.distance_spread_mm, float(found.plane.intensities[k]), float(found.plane.spreads[k]),
            float(found.disagreement_deg[k]), float(found.matte_intensities[k]), float(found.part_intensities[k]),
            float(found.left_out.ratios[k]), found.flags[k],
        )  # fmt: skip
        lights.append(light)
    return LiveLightsReport(
        reference.calibration_id, tuple(lights), found.condition.condition, found.condition.advice,
        found.tilt.tilt_deg, (*found.plane.flags, *found.tilt.flags, *found.dark.flags),
    )  # fmt: skip
