"""From what was measured to a calibration record, and the folder that keeps records: written once, never changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from calibration.lights.check import FEWEST_FOR_STRENGTHS
from calibration.record import Calibration, FlatFieldRecord, Part, Picture, Provenance, SensorRecord
from calibration.sensor.photon_transfer import SensorCharacter
from station.calibrate.bench.target_bench import PIXEL_FORMAT, Identity
from station.calibrate.field.measured_field import MeasuredField
from station.calibrate.lights.measured_lights import MeasuredLights
from station.calibrate.viewpoints.measured_geometry import MeasuredGeometry, with_geometry
from station.documents.atomic import write_atomic
from station.documents.document import dump_document, load_document
from station.errors import BadInput
from station.recipe.binding import utc
from station.recipe.flat_field_file import FieldMaps, load_field, maps_bytes

HEADER = "Written by `station calibrate`. Do not edit: recipes are bound to its SHA-256."
VALID_FOR_DAYS = 180
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


FEWEST_FOR_LEFT_OUT = 5  # see `calibration.lights_check.leave_one_out`
DEPARTURE = "flat_field_departure_percent"


class RecordError(BadInput, ValueError):
    """A record that may not be written or used; the text says which file and why."""


@dataclass(frozen=True)
class Release:
    """Who answers for a calibration; the record is not released while a limit is passed or a flag is raised."""

    by: str
    at: datetime
    valid_for_days: int = VALID_FOR_DAYS
    lens: str = "unknown"  # its serial number, which no wire tells


def figures_of(lights: MeasuredLights, sensor: SensorCharacter | None) -> dict[str, float]:
    """The figures that LIMITS judge, by the same names; not finite where one could not be measured."""
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
    if len(lights.names) >= FEWEST_FOR_LEFT_OUT:  # fewer lights say nothing of each other: nothing is judged then
        found["left_out_ratio"] = float(lights.left_out.ratios.max())
    if sensor is not None:
        found["gain_spread_percent"] = 100 * sensor.gain_spread / sensor.gain_dn_per_e
        found["linearity_error_percent"] = sensor.linearity_error_percent
    return found


def limit_flags(figures: dict[str, float]) -> tuple[str, ...]:
    """What is beyond its limit, or could not be measured and so was never held against it."""
    return tuple(
        f"{name} is {figures[name]:.3g}, the limit is {limit:g}" if np.isfinite(figures[name])
        else f"{name} could not be measured"
        for name, limit in LIMITS.items()
        if name in figures and not figures[name] <= limit
    )  # fmt: skip


def flags_of(
    lights: MeasuredLights, sensor: SensorCharacter | None, figures: dict[str, float], of_geometry: tuple[str, ...]
) -> tuple[str, ...]:
    """Everything that keeps a record from being released."""
    flags = [*of_geometry]
    flags += [f"light {name}: {flag}" for name, own in zip(lights.names, lights.flags, strict=True) for flag in own]
    flags += [*lights.plane.flags, *lights.tilt.flags, *lights.dark.flags, *lights.condition.advice]
    flags += list(sensor.flags) if sensor is not None else []
    return (*flags, *limit_flags(figures))


def make_record(
    reference: Calibration,
    lights: MeasuredLights,
    sensor: SensorCharacter | None,
    identity: Identity,
    pictures: list[Picture],
    release: Release,
    calibration_id: str,
    geometry: MeasuredGeometry | None = None,
) -> Calibration:
    """The reference with lights and sensor replaced by what was measured; where camera and viewpoints were not
    measured (no `geometry`) they stay the reference's. Released only when nothing is flagged.
    """
    figures = figures_of(lights, sensor) | ({} if geometry is None else geometry.residuals())
    residuals = {name: round(value, 6) for name, value in figures.items() if np.isfinite(value)}
    flags = flags_of(lights, sensor, figures, () if geometry is None else geometry.flags)
    measured: list[Part] = ["light directions", "light intensities", "dark frame"]
    nominal: list[Part] = []
    (measured if geometry is not None else nominal).extend(["camera", "viewpoints"])
    (measured if sensor is not None else nominal).append("sensor")
    good = not flags
    expires = release.at + timedelta(days=release.valid_for_days)
    provenance = Provenance(
        lens_serial_number=release.lens,
        lights_serial_number=identity.lights or "unknown",
        temperature_c=identity.temperature_c,
        measured=tuple(measured),
        nominal=tuple(nominal),
        pictures=tuple(pictures),
        residuals=residuals,
        limits=LIMITS,
        flags=flags,
        released_by=release.by if good else None,
        released=utc(release.at) if good else None,
        expires=utc(expires) if good else None,
    )
    known = reference if geometry is None else with_geometry(reference, geometry)
    return known.model_copy(
        update={
            "calibration_id": calibration_id,
            "created": utc(release.at),
            "camera_serial_number": identity.camera,
            "black_level_dn": round(lights.dark.level_dn, 3),
            "lights": tuple(_light(reference, lights, channel) for channel in (c.channel for c in reference.lights)),
            "note": f"Measured: {', '.join(measured)}. Taken from the reference: {', '.join(nominal) or 'nothing'}.",
            "sensor": None if sensor is None else _sensor(sensor),
            "provenance": provenance,
        }
    )


def _light(reference: Calibration, lights: MeasuredLights, channel: int) -> object:
    light = reference.light(channel)
    level = lights.plane_levels_per_ms.get(channel)
    if channel not in lights.channels:
        return light if level is None else light.model_copy(update={"plane_level_per_ms": round(level, 6)})
    k = lights.channels.index(channel)
    near = lights.near[k]
    x, y, z = (round(float(v), 4) for v in near.position_mm)
    return light.model_copy(
        update={
            "position_mm": (x, y, z),
            "direction": None,
            "relative_intensity": round(float(lights.plane.intensities[k]), 6),
            "plane_level_per_ms": None if level is None else round(level, 6),
            "lobe_exponent": round(max(lights.plane.lobe_exponent, 0.0), 4),
            "direction_spread_deg": round(near.spread_deg, 5),
            "distance_spread_mm": round(near.distance_spread_mm, 4),
            "intensity_spread": round(float(lights.plane.spreads[k]), 7),
            "flags": lights.flags[k],
        }
    )


def _sensor(sensor: SensorCharacter) -> SensorRecord:
    return SensorRecord(
        pixel_format=PIXEL_FORMAT,
        gain_db=0.0,
        gain_dn_per_e=sensor.gain_dn_per_e,
        gain_spread=sensor.gain_spread,
        read_noise_e=sensor.read_noise_e,
        read_noise_spread_e=sensor.read_noise_spread_e,
        saturation_capacity_e=sensor.saturation_capacity_e,
        linearity_error_percent=sensor.linearity_error_percent if np.isfinite(sensor.linearity_error_percent) else None,
        dsnu_e=sensor.dsnu_e,
        prnu_percent=sensor.prnu_percent,
    )


def with_field(record: Calibration, field: MeasuredField) -> Calibration:
    """The record with its flat field named; `write_record` writes the maps. What is flagged takes the release away."""
    about = record.provenance
    if about is None:
        raise RecordError(f"calibration {record.calibration_id} has no provenance to enter a flat field in")
    percent = field.departure_percent
    figures = {DEPARTURE: percent, "plane_tilt_deg": field.tilt.tilt_deg}
    flags = tuple(dict.fromkeys((*about.flags, *field.tilt.flags, *limit_flags(figures))))
    release = {"released_by": None, "released": None, "expires": None} if flags else {}
    named = FlatFieldRecord(
        file=f"{record.calibration_id}.field.npz", sha256=hashlib.sha256(maps_bytes(field.maps)).hexdigest(),
        departure_percent=round(percent, 4), plane_tilt_deg=round(field.tilt.tilt_deg, 4),
        plane_tilt_spread_deg=round(field.tilt.spread_deg, 5),
    )  # fmt: skip
    parts = tuple(dict.fromkeys((*about.measured, "flat field")))
    residuals = {**about.residuals, DEPARTURE: round(percent, 4), "plane_tilt_deg": round(field.tilt.tilt_deg, 4)}
    changes = {"measured": parts, "residuals": residuals, "flags": flags, "limits": LIMITS, **release}
    return record.model_copy(update={"flat_field": named, "provenance": about.model_copy(update=changes)})


def write_record(folder: Path, record: Calibration, maps: FieldMaps | None = None) -> Path:
    """Write `<id>.calibration.yaml`, and the maps that it names before it, once. Raises RecordError where one of that
    id is there already, or the maps are not the record's."""
    path = folder / f"{record.calibration_id}.calibration.yaml"
    if path.exists():
        raise RecordError(f"{path}: a calibration record is never overwritten; choose another id")
    folder.mkdir(parents=True, exist_ok=True)
    if record.flat_field is not None and maps is not None:
        write_atomic(folder / record.flat_field.file, maps_bytes(maps))
        (folder / record.flat_field.file).chmod(0o444)
    load_field(record, path)
    write_atomic(path, record_bytes(record))
    if load_document(path, Calibration) != record:
        raise RecordError(f"{path}: does not read back as it was written")
    path.chmod(0o444)
    return path


def record_bytes(record: Calibration) -> bytes:
    """The file as `write_record` writes it."""
    return (f"# {HEADER}\n" + dump_document(record.model_dump(mode="json", exclude_none=True))).encode("utf-8")


def record_hash(record: Calibration) -> str:
    """SHA-256 of the file that `write_record` writes: what `sha256sum` says, and what recipes are bound to."""
    return hashlib.sha256(record_bytes(record)).hexdigest()
