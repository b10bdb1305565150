"""`station calibrate field`: flat-field maps for a record whose lights are known, written as a new record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from calibration.lights.white_plane import PlaneTilt
from calibration.record import Calibration, Provenance
from station.calibrate.bench.target_bench import Progress, Recorder
from station.calibrate.errors import CalibrationRefused
from station.calibrate.field.measured_field import measure_field
from station.calibrate.lights.settings import LightSettings
from station.calibrate.records.make_record import VALID_FOR_DAYS, with_field
from station.calibrate.records.record_file import record_hash, write_record
from station.calibrate.runs.opened_rig import OpenedRig
from station.recipe.binding import utc


@dataclass(frozen=True)
class FieldReport:
    """The new record, its maps, and what was flagged."""

    record: str
    maps: str
    calibration_id: str
    sha256: str
    released: bool
    flags: tuple[str, ...]
    departure_percent: float  # rms of the maps beside the light model and what all lights share
    channels: tuple[int, ...]
    tilt: PlaneTilt  # of the white plane, against the record's intensities

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """The maps and the plane's tilt, the flags, and whether the record was released."""
        lines = [
            f"{len(self.channels)} maps, {self.departure_percent:.2f} % rms beside the light model; white plane tilted "
            f"by {self.tilt.tilt_deg:.2f} +- {1.96 * self.tilt.spread_deg:.2f} degrees",
            *(f"! {flag}" for flag in self.flags),
            f"{'released' if self.released else 'NOT released'}: {self.record}",
        ]
        return "\n".join(lines)


def calibrate_field(
    opened: OpenedRig, record: Calibration, out: Path, release_by: str, progress: Progress, settings: LightSettings
) -> FieldReport:
    """Writes a new record: the old one's lights, with flat-field maps measured now.

    The new record expires no later than the old one, whose lights it keeps, and is released only if that one was.
    Raises CalibrationRefused, RecordError, DeviceError.
    """
    about = _usable(record, opened.identity().camera)
    recorder = Recorder(opened.bench)
    field = measure_field(recorder, record, settings, progress)
    now = datetime.now(UTC)
    released = {} if about.released_by is None else {
        "released_by": release_by, "released": utc(now), "expires": utc(now + timedelta(days=VALID_FOR_DAYS)),
    }  # fmt: skip
    if about.released_by is not None and about.expires is not None:
        released["expires"] = min(released["expires"], about.expires)  # the lights in it are as old as they were
    pictures = (*about.pictures, *recorder.pictures)
    bare = record.model_copy(
        update={
            "calibration_id": f"{record.camera_serial_number}-{now.strftime('%Y%m%dT%H%M%SZ')}",
            "created": utc(now),
            "provenance": about.model_copy(update={"pictures": pictures, **released}),
        }
    )
    made = with_field(bare, field)
    path = write_record(out, made, field.maps)
    found = made.provenance
    assert found is not None
    assert made.flat_field is not None
    return FieldReport(
        str(path), str(out / made.flat_field.file), made.calibration_id, record_hash(made),
        found.released_by is not None, found.flags, field.departure_percent, field.maps.channels, field.tilt,
    )  # fmt: skip


def _usable(record: Calibration, camera: str) -> Provenance:
    """The record's provenance. Raises CalibrationRefused for a drawing, another camera's record or an expired one."""
    about = record.provenance
    if about is None:
        raise CalibrationRefused(
            f"{record.calibration_id} is no record of measurements: run `station calibrate all` first"
        )
    if camera != record.camera_serial_number:
        raise CalibrationRefused(
            f"the camera is {camera}, the record is of {record.camera_serial_number}: give a record of this camera"
        )
    if about.is_expired(utc(datetime.now(UTC))):
        raise CalibrationRefused(
            f"{record.calibration_id} expired at {about.expires}: its lights are too old for new maps; "
            "run `station calibrate all`"
        )
    return about
