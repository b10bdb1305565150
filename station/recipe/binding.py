"""Whether a recipe may run with a calibration: bound by hash, released, not expired, measured with this camera."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from calibration.record import Calibration
from station.documents.reader import FieldPath

Problem = tuple[FieldPath, str]  # the recipe's field, and what is wrong with it

BIND = "bind the recipe to a released record: station calibrate bind RECORD RECIPE"


def utc(at: datetime) -> str:
    """A time as calibration records write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def binding_problems(calibration: Calibration, sha256: str, bound_sha256: str | None) -> Iterator[Problem]:
    """The problems that time does not change. `sha256` is that of the file found, `bound_sha256` the recipe's.

    Only the drawing of a simulated rig may be used without hash and release: it is no record of measurements.
    """
    name = calibration.calibration_id
    if bound_sha256 is not None and bound_sha256 != sha256:
        text = f"calibration {name} has SHA-256 {sha256}, but the recipe is bound to {bound_sha256}"
        yield ("calibration_sha256",), f"{text}; restore the record that was released, or {BIND}"
    is_drawing = calibration.is_simulated and calibration.provenance is None
    if bound_sha256 is None and not is_drawing:
        yield ("calibration",), f"calibration {name} is a record, but the recipe does not name its SHA-256; {BIND}"
    yield from ((("calibration",), text) for text in release_problems(calibration) if not is_drawing)


def release_problems(calibration: Calibration) -> Iterator[str]:
    """Why this calibration counts as not released; nothing where a person released it."""
    about = calibration.provenance
    if about is None:
        yield f"calibration {calibration.calibration_id} does not record its release: run station calibrate all"
    elif about.released_by is None:
        why = f"; it was flagged: {about.flags[0]}" if about.flags else ""
        yield f"calibration {calibration.calibration_id} was not released{why}; calibrate again, or release it by hand"


def expiry_problem(calibration: Calibration, now: datetime | None = None) -> str | None:
    """Why the calibration may not be used at this time (default: now)."""
    about = calibration.provenance
    if about is None or not about.is_expired(utc(now or datetime.now(UTC))):
        return None
    return f"calibration {calibration.calibration_id} expired on {about.expires}: calibrate again, then {BIND}"


def camera_problem(calibration: Calibration, serial_number: str) -> str | None:
    """A record holds for the camera that it was measured with."""
    if calibration.provenance is None or calibration.camera_serial_number == serial_number:
        return None
    own = calibration.camera_serial_number
    found = f"calibration {calibration.calibration_id} is of camera {own}, but the rig's camera is {serial_number}"
    return f"{found}; {BIND}"


def simulation_problem(calibration: Calibration) -> str | None:
    """Why a real rig may not use it: the lights of a simulated rig stand elsewhere than real ones."""
    if not calibration.is_simulated:
        return None
    return f"calibration {calibration.calibration_id} is of a simulated rig, and this rig is real; {BIND}"
