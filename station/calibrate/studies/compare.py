"""A finished calibration against the simulated rig's truth: judges the method, and never enters a calibration.

Every error is judged twice: against a fixed limit, and by whether the truth lies in the 95 % interval that was stated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.camera_model import F64
from calibration.lights.rays import angle_deg, unit
from calibration.record import Calibration
from calibration.viewpoints.record import viewpoint_of_record
from drivers.simulated.control import RigControl
from station.calibrate.viewpoints.measured_viewpoints import MeasuredViewpoints

ANGLE_SIGMAS = 2.448  # 95 % of an error with one sigma per axis in two axes
SIGMAS = 1.960
MOST_POINT_PX = 20.0  # 0.05 degrees of the viewing axis
CAMERA_FIELDS = ("fx_px", "fy_px", "cx_px", "cy_px")


@dataclass(frozen=True)
class Comparison:
    """One quantity: how far it is off the truth, and how far it may be.

    In `inside` of `count` cases the truth lies in the stated 95 % interval.
    """

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
        """Whether the errors are within what is allowed; the intervals are not judged."""
        return self.worst_error <= self.worst_allowed and (
            self.median_allowed is None or self.median_error <= self.median_allowed
        )

    def as_text(self) -> str:
        """One line: whether it is within what is allowed, the errors, and how many intervals hold."""
        allowed = f"<= {self.worst_allowed:g}"
        if self.median_allowed is not None:
            allowed = f"median <= {self.median_allowed:g}, worst {allowed}"
        return (
            f"{'ok ' if self.ok else 'NOT'} {self.quantity}: median {self.median_error:.3f}, "
            f"worst {self.worst_error:.3f} {self.unit} ({allowed}); "
            f"truth in the 95 % interval: {self.inside} of {self.count}"
        )


def compare(calibration: Calibration, truth: dict[str, Any]) -> tuple[Comparison, ...]:
    """Camera, viewpoints, lights and sensor against `truth`, as `truth_of_rig` returns it; what was not measured is
    left
    out."""
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
    out: list[Comparison] = [
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
    return (*_geometry(calibration, truth), *out)


def _geometry(calibration: Calibration, truth: dict[str, Any]) -> Iterator[Comparison]:
    """The rows of camera and viewpoints, where they were measured."""
    camera = calibration.camera
    if camera is not None:
        true = truth["camera"]
        for name, allowed in (("fx", 0.2), ("fy", 0.2)):
            focal = float(true[f"{name}_px"])
            off = np.array([100 * abs(getattr(calibration, f"{name}_px") / focal - 1)])
            half = np.array([100 * camera.factor95 * getattr(camera, f"{name}_spread_px") / focal])
            yield _row(f"focal length {name}", "%", off, half, allowed)
        off = np.abs([calibration.cx_px - true["cx_px"], calibration.cy_px - true["cy_px"]])
        half = camera.factor95 * np.array([camera.cx_spread_px, camera.cy_spread_px])
        yield _row("principal point", "px", off, half, MOST_POINT_PX)
    views = [viewpoint_of_record(v) for v in calibration.viewpoints if v.name in truth.get("viewpoints", {})]
    if views:
        errors = [v.errors(np.array(truth["viewpoints"][v.name], np.float64)) for v in views]
        for k, (name, unit_name, allowed) in enumerate(
            (("viewpoint position", "mm", 0.1), ("viewpoint angles", "degrees", 0.05))
        ):
            halves = [v.position_interval95_mm if k == 0 else v.angle_interval95_deg for v in views]
            lengths = np.array([np.linalg.norm(e[k]) for e in errors])
            inside = int(sum((np.abs(e[k]) <= half).sum() for e, half in zip(errors, halves, strict=True)))
            worst = float(lengths.max())
            yield Comparison(name, unit_name, float(np.median(lengths)), worst, allowed, inside, 3 * len(views))


def truth_of_rig(control: RigControl, calibration: Calibration) -> dict[str, Any]:
    """The simulated rig's truth, with the camera's average pose at each of the calibration's viewpoints."""
    truth = dict(control.call("truth"))
    views = {v.name: control.call("truth", arm=list(v.arm))["viewpoint"] for v in calibration.viewpoints}
    return {**truth, "viewpoints": views}


def truth_text(found: MeasuredViewpoints, control: RigControl) -> str:
    """How far each viewpoint and the focal length are off the simulated rig's truth, a line each."""
    lines = []
    for viewpoint in found.viewpoints:
        answer = control.call("truth", arm=list(viewpoint.axes))
        off, turn = viewpoint.errors(np.array(answer["viewpoint"], np.float64))
        inside = int((np.abs(off) <= viewpoint.position_interval95_mm).sum())
        inside += int((np.abs(turn) <= viewpoint.angle_interval95_deg).sum())
        lines.append(
            f"{viewpoint.name:<8} off the truth by {np.linalg.norm(off):.4f} mm, {np.linalg.norm(turn):.4f} degrees; "
            f"{inside} of 6 in their 95 % intervals"
        )
    focal = float(control.call("truth")["camera"]["fx_px"])
    return "\n".join([*lines, f"focal length off the truth by {100 * (found.camera.fx_px / focal - 1):+.4f} %"])


def as_built(calibration: Calibration, truth: dict[str, Any]) -> Calibration:
    """The calibration with the true lights and camera: an error that is left with it is not the calibration's."""
    known = {int(light["channel"]): light for light in truth["lights"]}
    lights = []
    for light in calibration.lights:
        if light.channel in known:
            x, y, z = known[light.channel]["position_mm"]
            power = known[light.channel]["power"] / (x * x + y * y + z * z) * calibration.working_distance_mm**2
            lobe = known[light.channel]["lobe"]
            exact = {"position_mm": (x, y, z), "relative_intensity": power, "lobe_exponent": lobe}
            lights.append(light.model_copy(update=exact))
        else:
            lights.append(light)
    camera = {name: truth["camera"][name] for name in CAMERA_FIELDS if name in truth["camera"]}
    changes = {"calibration_id": "as built", "lights": tuple(lights), "flat_field": None, **camera}
    return calibration.model_copy(update=changes)


_SPREADS = ("direction_spread_deg", "distance_spread_mm", "intensity_spread")


def _row(
    quantity: str, unit_name: str, errors: F64, intervals: F64, worst: float, median: float | None = None
) -> Comparison:
    """A comparison of errors (n,) with the half widths (n,) of their stated intervals."""
    return Comparison(
        quantity, unit_name, float(np.median(errors)), float(errors.max()), worst, int((errors <= intervals).sum()),
        len(errors), median,
    )  # fmt: skip
