"""`station calibrate lights FOLDER`: light directions from photographs of one sphere, and what is wrong with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
from calibration.lights.rays import F64, LightCalibrationError, Orthographic
from station.errors import BadInput
from station.photometric_stereo.photographs import read_picture

SphereKind = Literal["mirror", "diffuse"]
NAMES, TABLE, MASK = "filenames.txt", "light_directions.txt", "mask.png"
MAXIMUM_PICTURES = 1000


class SphereFolderError(BadInput, ValueError):
    """A folder of sphere photographs that cannot be used; the text names file, line, what was found, and the cure."""


@dataclass(frozen=True)
class SphereFolder:
    """Photographs of one sphere, one light each."""

    folder: Path
    names: tuple[str, ...]
    pictures: tuple[NDArray[np.float32], ...]  # (H, W), full scale 1
    mask: NDArray[np.bool_]
    table: F64 | None  # (K, 3), as light_directions.txt gives them


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
        return asdict(self)

    def as_text(self) -> str:
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


def read_sphere_folder(folder: Path) -> SphereFolder:
    """filenames.txt and mask.png are needed, light_directions.txt is compared with where there is one.

    Raises SphereFolderError.
    """
    if not folder.is_dir():
        raise SphereFolderError(f"{folder}: no such folder")
    names = [line for _, line in _lines(folder / NAMES)]
    if not 0 < len(names) <= MAXIMUM_PICTURES:
        raise SphereFolderError(f"{folder / NAMES}: {len(names)} pictures listed, expected 1 to {MAXIMUM_PICTURES}")
    if len(set(names)) < len(names):
        raise SphereFolderError(f"{folder / NAMES}: a file is listed twice; one picture per light")
    mask = _grey(folder / MASK) > 0
    pictures = []
    for name in names:
        picture = _grey(folder / name)
        if picture.shape != mask.shape:
            raise SphereFolderError(
                f"{folder / name}: {picture.shape[1]} x {picture.shape[0]} px, "
                f"but {MASK} has {mask.shape[1]} x {mask.shape[0]}; all must be alike"
            )
        pictures.append(picture)
    return SphereFolder(folder, tuple(names), tuple(pictures), mask, _table(folder / TABLE, len(names)))


def calibrate_lights_folder(folder: Path, sphere: SphereKind, second: Path | None = None) -> LightsReport:
    """Directions of all lights of the folder; `second` holds the other kind of sphere under the same lights.

    Raises SphereFolderError.
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
        LightFinding(**{**asdict(f), "flags": (*f.flags, *extra.get(k, ())), "other_estimate_deg": angles.get(k)})
        for k, f in enumerate(lights)
    ]
    whole = _condition(directions[known], [n for n, ok in zip(photographs.names, known, strict=True) if ok])
    return LightsReport(
        str(folder), sphere, (place.circle.x_px, place.circle.y_px, place.circle.radius_px), place.outline_rms_px,
        tuple(lights), None if whole is None else whole.condition, () if whole is None else whole.advice,
    )  # fmt: skip


def _condition(directions: F64, names: list[str]) -> SetCondition | None:
    return set_condition(directions, names) if len(directions) >= 3 else None


def _measure(photographs: SphereFolder, kind: SphereKind) -> tuple[list[LightFinding], Sphere]:
    rays = Orthographic()
    try:
        place = fit_sphere(outline_of_mask(photographs.mask), rays)
    except LightCalibrationError as error:
        raise SphereFolderError(f"{photographs.folder / MASK}: {error}") from error
    if kind == "mirror":
        return [_mirror(photographs, k, place) for k in range(len(photographs.names))], place
    return _diffuse(photographs, place), place


def _mirror(photographs: SphereFolder, k: int, place: Sphere) -> LightFinding:
    name = photographs.names[k]
    try:
        seen = sight_light(photographs.pictures[k], place, Orthographic(), 1.0, name)
    except LightCalibrationError as error:
        return LightFinding(name, None, None, (str(error),))
    return LightFinding(name, _tuple(seen.direction), seen.spread_deg, seen.flags)


def _diffuse(photographs: SphereFolder, place: Sphere) -> list[LightFinding]:
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
        else LightFinding(name, _tuple(fit.direction), fit.spread_deg, fit.flags, fit.strength / mean)
        for name, fit in zip(photographs.names, fits, strict=True)
    ]
    return _judge_left_out(photographs, place, findings)


def _judge_left_out(photographs: SphereFolder, place: Sphere, findings: list[LightFinding]) -> list[LightFinding]:
    """With the directions of the folder's own table where there is one: a sphere fits its own fit too well."""
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
        out[k] = LightFinding(**{**asdict(findings[k]), "flags": flags, "left_out_residual": residual})
    return out


def _judge_table(
    found: list[LightFinding], photographs: SphereFolder, directions: F64, known: NDArray[np.bool_],
    extra: dict[int, list[str]],
) -> list[LightFinding]:  # fmt: skip
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
        out[k] = LightFinding(**{**asdict(found[k]), "table_angle_deg": float(angle)})
        if outlier is not None and not extra[k]:
            extra[k].append(f"table and measurement differ by {angle:.1f} degrees, more than for the other lights")
    return out


def _second_estimate(photographs: SphereFolder, second: Path, kind: SphereKind) -> list[LightFinding]:
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
    both = [k for k in range(len(found)) if found[k].direction is not None and other[k].direction is not None]
    if not both:
        return
    pair = (np.array([found[k].direction for k in both]), np.array([other[k].direction for k in both]))
    values, flags = disagreements(*pair)
    for k, angle, flag in zip(both, values, flags, strict=True):
        angles[k] = float(angle)
        if flag is not None:
            extra.setdefault(k, []).append(flag)


def _tuple(vector: F64) -> tuple[float, float, float]:
    return (float(vector[0]), float(vector[1]), float(vector[2]))


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SphereFolderError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SphereFolderError(f"{path}: not a text file (byte {error.start})") from error
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


def _grey(path: Path) -> NDArray[np.float32]:
    """(H, W) float32, full scale 1; the mean of colours, and any colour at full scale counts as clipped."""
    pixels = read_picture(path) if path.is_file() else None
    if pixels is None:
        raise SphereFolderError(f"{path}: {'not a readable picture, or cut short' if path.is_file() else 'missing'}")
    scale = np.float32(255 if pixels.dtype == np.uint8 else 65535)
    values = pixels.astype(np.float32) / scale
    if values.ndim == 2:
        return values
    grey = values.mean(axis=2)
    grey[(values >= 1).any(axis=2)] = 1
    return np.asarray(grey, np.float32)


def _table(path: Path, count: int) -> F64 | None:
    if not path.exists():
        return None
    rows = []
    for number, line in _lines(path):
        try:
            row = [float(word) for word in line.replace(",", " ").split()]
        except ValueError as error:
            raise SphereFolderError(f"{path}, line {number}: {error}") from error
        if len(row) != 3 or not np.isfinite(row).all() or not np.linalg.norm(row) > 1e-6:
            raise SphereFolderError(f"{path}, line {number}: {line!r}, expected three figures x y z of a direction")
        rows.append(row)
    if len(rows) != count:
        raise SphereFolderError(f"{path}: {len(rows)} rows for {count} pictures in {NAMES}")
    table = np.array(rows, np.float64)
    return np.asarray(table / np.linalg.norm(table, axis=1, keepdims=True))
