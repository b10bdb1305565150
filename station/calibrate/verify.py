"""`station calibrate verify`: once per shift, do the lights still agree with the record on the matte sphere?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from calibration.lights_rays import angle_deg
from calibration.record import Calibration
from station.calibrate.bench import Bench, Identity, Progress
from station.calibrate.measure import LightSettings, measure_matte
from station.recipe_calibration import utc

DIRECTION_LIMIT_DEG = 1.0
INTENSITY_LIMIT_PERCENT = 3.0


@dataclass(frozen=True)
class LightCheck:
    name: str
    angle_deg: float  # measured now against the record
    intensity_percent: float
    ok: bool


@dataclass(frozen=True)
class VerifyReport:
    calibration_id: str
    accepted: bool
    reasons: tuple[str, ...]  # for refusing
    warnings: tuple[str, ...]
    lights: tuple[LightCheck, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        lines = [f"{'ACCEPTED' if self.accepted else 'REFUSED'}: {self.calibration_id}"]
        lines += [
            f"{'ok ' if c.ok else 'NOT'} {c.name}: {c.angle_deg:.2f} degrees, {c.intensity_percent:+.1f} %"
            for c in self.lights
        ]
        return "\n".join([*lines, *self.reasons, *(f"warning: {w}" for w in self.warnings)])


def verify(
    bench: Bench, record: Calibration, identity: Identity, settings: LightSettings, progress: Progress
) -> VerifyReport:
    """Directions and relative intensities on the matte sphere against the record. Raises CalibrationRefused."""
    fits = measure_matte(bench, record, settings, progress)
    chosen = [light for light in record.lights if light.kind == "directional"]
    strengths = np.array([fit.strength for fit in fits])
    expected = np.array([light.relative_intensity for light in chosen])
    ratios = strengths / expected
    percent = 100 * (ratios / np.median(ratios) - 1)
    checks = []
    for light, fit, change in zip(chosen, fits, percent, strict=True):
        angle = float(angle_deg(fit.direction, np.array(light.unit_direction())))
        ok = angle <= DIRECTION_LIMIT_DEG and abs(change) <= INTENSITY_LIMIT_PERCENT
        checks.append(LightCheck(light.name, angle, float(change), ok))
    reasons = [
        f"light {c.name} is off by {c.angle_deg:.2f} degrees (limit {DIRECTION_LIMIT_DEG:g}) and "
        f"{c.intensity_percent:+.1f} % (limit {INTENSITY_LIMIT_PERCENT:g}): calibrate the lights again"
        for c in checks
        if not c.ok
    ]
    reasons += _of_the_record(record, identity)
    warnings = () if record.provenance is not None else ("the record says nothing of its release and expiry",)
    return VerifyReport(record.calibration_id, not reasons, tuple(reasons), warnings, tuple(checks))


def _of_the_record(record: Calibration, identity: Identity) -> list[str]:
    reasons = []
    if identity.camera != record.camera_serial_number:
        reasons.append(f"the camera is {identity.camera}, the record is of {record.camera_serial_number}")
    if record.provenance is not None:
        if record.provenance.released_by is None:
            reasons.append("the record was not released")
        if record.provenance.is_expired(utc(datetime.now(UTC))):
            reasons.append(f"the record expired on {record.provenance.expires}")
    return reasons
