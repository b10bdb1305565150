"""`station calibrate lights FOLDER`: light directions from photographs of one sphere, and the faults that they show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calibration.camera_model import F64
from calibration.lights.check import (
    SetCondition,
    disagreements,
    intensities_from_part,
    leave_one_out,
    set_condition,
    table_faults,
)
from calibration.lights.diffuse_sphere import DiffuseFit, fit_light, sphere_face
from calibration.lights.mirror_sphere import sight_light
from calibration.lights.outline import Sphere, fit_sphere, outline_of_mask
from calibration.lights.rays import LightCalibrationError, Orthographic
from calibration.record import vector_of
from station.calibrate.lights.sphere_folder import SphereFolder, SphereFolderError, read_sphere_folder
from station.photometric_stereo.listing import MASK, NAMES

SphereKind = Literal["mirror", "diffuse"]


@dataclass(frozen=True)
class LightFinding:
    """One light of the folder. Axes: x right, y up, z toward the camera."""

    name: str
    direction: tuple[float, float, float] | None  # unit, toward the light; None where nothing could be measured
    spread_deg: float | None  # one sigma per axis
    flags: tuple[str, ...]
    strength: float | None = None  # diffuse spheres only: over the mean of all lights
    table_angle_deg: float | None = None
    left_out_residual: float | None = None
    other_estimate_deg: float | None = None


@dataclass(frozen=True)
class LightsReport:
    """The lights of one folder; clean where no light is flagged."""

    folder: str
    sphere: SphereKind
    sphere_px: tuple[float, float, float]  # centre x, y and radius
    outline_rms_px: float
    lights: tuple[LightFinding, ...]
    condition: float | None  # of L^T L
    advice: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        return not any(light.flags for light in self.lights)

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """One line a light, its flags below it."""
        x, y, r = self.sphere_px
        lines = [f"sphere at ({x:.1f}, {y:.1f}) px, radius {r:.1f} px, outline within {self.outline_rms_px:.2f} px rms"]
        for light in self.lights:
            if light.direction is None:
                lines.append(f"{light.name}: not measured")
            else:
                a, b, c = light.direction
                lines.append(f"{light.name}: {a:+.4f} {b:+.4f} {c:+.4f}  +- {light.spread_deg:.2f} degrees")
            lines += [f"    ! {flag}" for flag in light.flags]
        if self.condition is not None:
            lines.append(f"condition of L^T L: {self.condition:.2f}")
        return "\n".join([*lines, *self.advice])


def calibrate_lights_folder(folder: Path, sphere: SphereKind, second: Path | None = None) -> LightsReport:
    """Directions of all lights of the folder, compared with its table where it has one.

    `second` is a folder of the other kind of sphere under the same lights, for an independent estimate. A light that
    cannot be measured is reported with the reason as its flag. Raises SphereFolderError for a folder or mask that
    cannot be used.
    """
    photographs = read_sphere_folder(folder)
    found, place = _measure(photographs, sphere)
    extra: dict[int, list[str]] = {}
    angles: dict[int, float] = {}
    if second is not None:
        _compare(found, _second_estimate(photographs, second, sphere), angles, extra)
    directions = np.array([f.direction if f.direction is not None else (np.nan,) * 3 for f in found])
    known = np.isfinite(directions).all(axis=1)
    lights = _judge_table(found, photographs, directions, known, extra)
    lights = [
        replace(f, flags=(*f.flags, *extra.get(k, ())), other_estimate_deg=angles.get(k)) for k, f in enumerate(lights)
    ]
    whole = _condition(directions[known], [n for n, ok in zip(photographs.names, known, strict=True) if ok])
    return LightsReport(
        str(folder), sphere, (place.circle.x_px, place.circle.y_px, place.circle.radius_px), place.outline_rms_px,
        tuple(lights), None if whole is None else whole.condition, () if whole is None else whole.advice,
    )  # fmt: skip


def _condition(directions: F64, names: list[str]) -> SetCondition | None:
    return set_condition(directions, names) if len(directions) >= 3 else None


def _measure(photographs: SphereFolder, kind: SphereKind) -> tuple[list[LightFinding], Sphere]:
    """Finds the sphere in the mask, then each light on it."""
    rays = Orthographic()
    try:
        place = fit_sphere(outline_of_mask(photographs.mask), rays)
    except LightCalibrationError as error:
        raise SphereFolderError(f"{photographs.folder / MASK}: {error}") from error
    if kind == "mirror":
        return [_mirror(photographs, k, place) for k in range(len(photographs.names))], place
    return _diffuse(photographs, place), place


def _mirror(photographs: SphereFolder, k: int, place: Sphere) -> LightFinding:
    """The light of picture `k` by its highlight."""
    name = photographs.names[k]
    try:
        seen = sight_light(photographs.pictures[k], place, Orthographic(), 1.0, name)
    except LightCalibrationError as error:
        return LightFinding(name, None, None, (str(error),))
    return LightFinding(name, vector_of(seen.direction), seen.spread_deg, seen.flags)


def _diffuse(photographs: SphereFolder, place: Sphere) -> list[LightFinding]:
    """All lights by the shading, their strengths over the mean of those that could be measured."""
    fits: list[DiffuseFit | str] = []
    for name, picture in zip(photographs.names, photographs.pictures, strict=True):
        try:
            fits.append(fit_light(picture, place, Orthographic(), 1.0, what=name))
        except LightCalibrationError as error:
            fits.append(str(error))
    good = [fit for fit in fits if not isinstance(fit, str)]
    mean = float(np.mean([fit.strength for fit in good])) if good else 1.0
    findings = [
        LightFinding(name, None, None, (fit,))
        if isinstance(fit, str)
        else LightFinding(name, vector_of(fit.direction), fit.spread_deg, fit.flags, fit.strength / mean)
        for name, fit in zip(photographs.names, fits, strict=True)
    ]
    return _judge_left_out(photographs, place, findings)


def _judge_left_out(photographs: SphereFolder, place: Sphere, findings: list[LightFinding]) -> list[LightFinding]:
    """Adds how well the other lights predict each light.

    Uses the directions of the folder's own table where there is one, because a sphere agrees too well with its own fit.
    """
    kept = [k for k, f in enumerate(findings) if f.direction is not None]
    if len(kept) < 4:
        return findings
    face = sphere_face(place, Orthographic(), photographs.mask.shape)
    values = np.array([photographs.pictures[k][face.rows, face.columns] for k in kept], np.float64)
    directions = (
        photographs.table[kept] if photographs.table is not None else np.array([findings[k].direction for k in kept])
    )
    strengths = intensities_from_part(values, directions)
    judged = leave_one_out(values, directions, strengths)
    out = list(findings)
    for i, k in enumerate(kept):
        flag = judged.flags[i]
        flags = (*findings[k].flags, flag) if flag is not None else findings[k].flags
        residual = float(judged.residuals[i])
        out[k] = replace(findings[k], flags=flags, left_out_residual=residual)
    return out


def _judge_table(
    found: list[LightFinding], photographs: SphereFolder, directions: F64, known: NDArray[np.bool_],
    extra: dict[int, list[str]],
) -> list[LightFinding]:  # fmt: skip
    """Adds each light's angle to the folder's table, and to `extra` the faults of the table."""
    if photographs.table is None or not known.any():
        return found
    index = np.flatnonzero(known)
    spreads = np.array([found[k].spread_deg or 0.0 for k in index])
    table = photographs.table[index]
    names = [photographs.names[k] for k in index]
    for k, faults in zip(index.tolist(), table_faults(directions[index], table, spreads, names), strict=True):
        extra.setdefault(k, []).extend(faults)
    angles, outliers = disagreements(directions[index], table)
    out = list(found)
    for k, angle, outlier in zip(index.tolist(), angles, outliers, strict=True):
        out[k] = replace(found[k], table_angle_deg=float(angle))
        if outlier is not None and not extra[k]:
            extra[k].append(f"table and measurement differ by {angle:.1f} degrees, more than for the other lights")
    return out


def _second_estimate(photographs: SphereFolder, second: Path, kind: SphereKind) -> list[LightFinding]:
    """The same lights from the other folder, whose sphere is of the other kind."""
    other = read_sphere_folder(second)
    if len(other.names) != len(photographs.names):
        raise SphereFolderError(
            f"{second / NAMES}: {len(other.names)} pictures, but {photographs.folder / NAMES} has "
            f"{len(photographs.names)}; both spheres must be seen under the same lights in the same order"
        )
    return _measure(other, "diffuse" if kind == "mirror" else "mirror")[0]


def _compare(
    found: list[LightFinding], other: list[LightFinding], angles: dict[int, float], extra: dict[int, list[str]]
) -> None:
    """Enters into `angles` and `extra` how the two estimates agree, by the light's index."""
    both = [k for k in range(len(found)) if found[k].direction is not None and other[k].direction is not None]
    if not both:
        return
    pair = (np.array([found[k].direction for k in both]), np.array([other[k].direction for k in both]))
    values, flags = disagreements(*pair)
    for k, angle, flag in zip(both, values, flags, strict=True):
        angles[k] = float(angle)
        if flag is not None:
            extra.setdefault(k, []).append(flag)
