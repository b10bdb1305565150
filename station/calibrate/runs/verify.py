"""`station calibrate verify`, once per shift: whether the lights still agree with the record, on sphere or plane.

The matte sphere shows directions and intensities, the white plane intensities and flat field. Intensities are compared
light by light after what all lights share is taken out: exposure and the age of the target do not count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from calibration.camera_model import F64
from calibration.lights.rays import angle_deg
from calibration.record import Calibration
from station.calibrate.bench.target_bench import Bench, Identity, Progress
from station.calibrate.field.measured_field import measure_field
from station.calibrate.lights.matte_sphere import measure_matte
from station.calibrate.lights.settings import LightSettings
from station.recipe.binding import utc
from station.recipe.calibrated_lights import directional_channels
from station.recipe.flat_field_file import FieldMaps

DIRECTION_LIMIT_DEG = 1.0
INTENSITY_LIMIT_PERCENT = 3.0
TEMPERATURE_APART_C = 8.0  # by then a lens has refocused and a sensor's dark signal doubled
FIELD_LIMIT_PERCENT = 1.5


@dataclass(frozen=True)
class LightCheck:
    """One light against the record."""

    name: str
    angle_deg: float | None  # measured now against the record; None on the plane, which shows no directions
    intensity_percent: float
    field_percent: float | None  # rms change of its flat field; None on the sphere, and without maps in the record
    ok: bool

    def as_text(self) -> str:
        """One line: whether the light is within its limits, and its figures."""
        figures = [f"{self.intensity_percent:+.1f} %"]
        if self.angle_deg is not None:
            figures.insert(0, f"{self.angle_deg:.2f} degrees")
        if self.field_percent is not None:
            figures.append(f"field {self.field_percent:.2f} % rms")
        return f"{'ok ' if self.ok else 'NOT'} {self.name}: {', '.join(figures)}"


@dataclass(frozen=True)
class VerifyReport:
    """Accepted where nothing is a reason to refuse; warnings do not refuse."""

    calibration_id: str
    target: Literal["sphere", "plane"]
    seconds: float
    accepted: bool
    reasons: tuple[str, ...]  # for refusing
    warnings: tuple[str, ...]
    lights: tuple[LightCheck, ...]

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """The verdict, one line a light, reasons, warnings and the time taken."""
        lines = [f"{'ACCEPTED' if self.accepted else 'REFUSED'}: {self.calibration_id}"]
        lines += [c.as_text() for c in self.lights]
        return "\n".join([*lines, *self.reasons, *(f"warning: {w}" for w in self.warnings), f"{self.seconds:.0f} s"])


def verify(
    bench: Bench, record: Calibration, identity: Identity, settings: LightSettings, progress: Progress
) -> VerifyReport:
    """Compares directions and relative intensities on the matte sphere with the record.

    Also refuses another camera's record, one not released and one expired. Raises CalibrationRefused where the pictures
    cannot be used.
    """
    began = time.monotonic()
    fits = measure_matte(bench, record, settings, progress)
    chosen = [light for light in record.lights if light.kind == "directional"]
    percent = _changes(np.array([fit.strength for fit in fits]), record)
    checks, reasons = [], []
    for light, fit, change in zip(chosen, fits, percent, strict=True):
        angle = float(angle_deg(fit.direction, np.array(light.unit_direction())))
        ok = angle <= DIRECTION_LIMIT_DEG and abs(change) <= INTENSITY_LIMIT_PERCENT
        checks.append(LightCheck(light.name, angle, float(change), None, ok))
        if not ok:
            reasons.append(
                f"light {light.name} is off by {angle:.2f} degrees (limit {DIRECTION_LIMIT_DEG:g}) and {change:+.1f} % "
                f"(limit {INTENSITY_LIMIT_PERCENT:g}): calibrate the lights again"
            )
    return _report("sphere", record, identity, checks, reasons, began)


def verify_on_plane(
    bench: Bench, record: Calibration, maps: FieldMaps | None, identity: Identity, settings: LightSettings,
    progress: Progress,
) -> VerifyReport:  # fmt: skip
    """Compares intensities, the plane's tilt and, where the record has `maps`, the flat field with the record.

    Refuses and raises as `verify` does.
    """
    began = time.monotonic()
    channels = directional_channels(record)
    found = measure_field(bench, record, settings, progress)
    percent = _changes(found.intensities, record)
    checks, reasons = [], [*found.tilt.flags]
    fields = _field_percents(found.maps, maps, channels)
    for channel, change, field in zip(channels, percent, fields, strict=True):
        name = record.light(channel).name
        ok = abs(change) <= INTENSITY_LIMIT_PERCENT and (field is None or field <= FIELD_LIMIT_PERCENT)
        checks.append(LightCheck(name, None, float(change), field, ok))
        if not ok:
            by_field = "" if field is None else f" and its field by {field:.1f} % rms (limit {FIELD_LIMIT_PERCENT:g})"
            reasons.append(
                f"light {name} is off by {change:+.1f} % (limit {INTENSITY_LIMIT_PERCENT:g}){by_field}: verify on the "
                "sphere, or calibrate the lights again"
            )
    return _report("plane", record, identity, checks, reasons, began)


def _changes(strengths: F64, record: Calibration) -> F64:
    """(K,) change of each light in percent, without what all lights have in common."""
    ratios = strengths / record.intensities(directional_channels(record))
    return np.asarray(100 * (ratios / np.median(ratios) - 1), np.float64)


def _field_percents(now: FieldMaps, then: FieldMaps | None, channels: Sequence[int]) -> list[float | None]:
    """Rms change in percent of each light's map over the picture; None where the record has no maps."""
    if then is None:
        return [None] * len(channels)
    shape = (now.factors.shape[1] * 8, now.factors.shape[2] * 8)  # at binning 16
    ratios = np.divide(*(m.flat_field(channels, 16, shape).factors for m in (now, then)))
    ratios /= ratios.mean(axis=(1, 2), keepdims=True)
    return [100 * float(rms) for rms in np.sqrt(((ratios - 1) ** 2).mean(axis=(1, 2)))]


def _report(
    target: Literal["sphere", "plane"], record: Calibration, identity: Identity, checks: list[LightCheck],
    reasons: list[str], began: float,
) -> VerifyReport:  # fmt: skip
    """Adds the reasons and warnings that lie in the record; accepted where there is no reason."""
    reasons = [*reasons, *_record_reasons(record, identity)]
    warnings = tuple(_warnings(record, identity))
    seconds = time.monotonic() - began
    return VerifyReport(record.calibration_id, target, seconds, not reasons, tuple(reasons), warnings, tuple(checks))


def _record_reasons(record: Calibration, identity: Identity) -> list[str]:
    """Reasons to refuse that lie in the record itself, whatever the lights show."""
    reasons = []
    if identity.camera != record.camera_serial_number:
        reasons.append(
            f"the camera is {identity.camera}, the record is of {record.camera_serial_number}: "
            "verify against a record of this camera"
        )
    if record.provenance is not None:
        if record.provenance.released_by is None:
            reasons.append("the record was not released: measure it again, or cure what it flags")
        if record.provenance.is_expired(utc(datetime.now(UTC))):
            reasons.append(f"the record expired on {record.provenance.expires}: calibrate again")
    return reasons


def _warnings(record: Calibration, identity: Identity) -> Iterator[str]:
    """What makes the comparison less certain: no provenance, or a camera at another temperature."""
    if record.provenance is None:
        yield "the record has no provenance: its release and expiry are unknown"
        return
    then, now = record.provenance.temperature_c, identity.temperature_c
    if then is not None and now is not None and abs(now - then) > TEMPERATURE_APART_C:
        yield f"the camera is at {now:.0f} degrees C, but was calibrated at {then:.0f}: let it warm up, verify again"
