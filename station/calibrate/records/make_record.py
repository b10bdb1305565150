"""A calibration record from what was measured, and its release where nothing is flagged.

What was not measured stays that of the reference and is listed as nominal, so that a reader sees which figures are a
drawing's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from calibration.record import (
    CalibratedLight,
    Calibration,
    FlatFieldRecord,
    Part,
    Picture,
    Provenance,
    SensorRecord,
)
from calibration.sensor.photon_transfer import SensorCharacter
from station.calibrate.bench.target_bench import PIXEL_FORMAT, Identity
from station.calibrate.errors import RecordError
from station.calibrate.field.measured_field import MeasuredField
from station.calibrate.lights.measured_lights import MeasuredLights
from station.calibrate.records.limits import DEPARTURE, LIMITS, figures_of, flags_of, limit_flags
from station.calibrate.viewpoints.measured_geometry import MeasuredGeometry, with_geometry
from station.recipe.binding import utc
from station.recipe.flat_field_file import maps_bytes

VALID_FOR_DAYS = 180


@dataclass(frozen=True)
class Release:
    """Who releases a calibration, when and for how long.

    A record is released only where every residual is within its limit and nothing is flagged.
    """

    by: str
    at: datetime
    valid_for_days: int = VALID_FOR_DAYS
    lens: str = "unknown"  # its serial number, which no device reports


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
    """The reference with everything replaced that was measured, and released where nothing is flagged.

    Camera and viewpoints stay those of the reference without `geometry`, and the sensor's figures are left out without
    `sensor`; the record names both as nominal then.
    """
    provenance = _provenance(lights, sensor, identity, pictures, release, geometry)
    measured, nominal = ", ".join(provenance.measured), ", ".join(provenance.nominal) or "nothing"
    known = reference if geometry is None else with_geometry(reference, geometry)
    return known.model_copy(
        update={
            "calibration_id": calibration_id,
            "created": utc(release.at),
            "camera_serial_number": identity.camera,
            "black_level_dn": round(lights.dark.level_dn, 3),
            "lights": tuple(_light(light, lights) for light in reference.lights),
            "note": f"Measured: {measured}. Taken from the reference: {nominal}.",
            "sensor": None if sensor is None else _sensor(sensor),
            "provenance": provenance,
        }
    )


def _provenance(
    lights: MeasuredLights, sensor: SensorCharacter | None, identity: Identity, pictures: list[Picture],
    release: Release, geometry: MeasuredGeometry | None,
) -> Provenance:  # fmt: skip
    """What was measured, on which evidence, with which residuals; released where nothing is flagged."""
    measured: list[Part] = ["light directions", "light intensities", "dark frame"]
    nominal: list[Part] = []
    (measured if geometry is not None else nominal).extend(["camera", "viewpoints"])
    (measured if sensor is not None else nominal).append("sensor")
    figures = figures_of(lights, sensor) | ({} if geometry is None else geometry.residuals())
    flags = flags_of(lights, sensor, figures, () if geometry is None else geometry.flags)
    good = not flags
    expires = release.at + timedelta(days=release.valid_for_days)
    return Provenance(
        lens_serial_number=release.lens,
        lights_serial_number=identity.lights or "unknown",
        temperature_c=identity.temperature_c,
        measured=tuple(measured),
        nominal=tuple(nominal),
        pictures=tuple(pictures),
        residuals={name: round(value, 6) for name, value in figures.items() if np.isfinite(value)},
        limits=LIMITS,
        flags=flags,
        released_by=release.by if good else None,
        released=utc(release.at) if good else None,
        expires=utc(expires) if good else None,
    )


def _light(light: CalibratedLight, lights: MeasuredLights) -> CalibratedLight:
    """The reference's light as measured; of the diffuse one only the level of the white plane is new."""
    channel = light.channel
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
    """The record with its flat field named; `write_record` writes the maps.

    A flag of the field, such as a tilted plane, takes the release away. Raises RecordError for a record without
    provenance.
    """
    about = record.provenance
    if about is None:
        raise RecordError(
            f"calibration {record.calibration_id} has no provenance to enter a flat field in: "
            "measure a record with `station calibrate all` first"
        )
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
