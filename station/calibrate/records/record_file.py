"""The files of a calibration record: written once, read-only, and named in recipes by their SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from calibration.record import Calibration
from station.calibrate.errors import RecordError
from station.documents.atomic import write_atomic
from station.documents.document import dump_document, load_document
from station.recipe.flat_field_file import FieldMaps, load_field, maps_bytes

HEADER = "Written by `station calibrate`. Do not edit: recipes are bound to its SHA-256."


def write_record(folder: Path, record: Calibration, maps: FieldMaps | None = None) -> Path:
    """Writes `<id>.calibration.yaml`, and before it the maps that it names; both are read-only afterwards.

    Raises RecordError where a record of that id is there already or does not read back as written, and an error of
    `load_field` where the maps are not the record's.
    """
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
    """The content of the file that `write_record` writes."""
    return (f"# {HEADER}\n" + dump_document(record.model_dump(mode="json", exclude_none=True))).encode("utf-8")


def record_hash(record: Calibration) -> str:
    """SHA-256 of the file that `write_record` writes, as `sha256sum` gives it; recipes are bound to it."""
    return hashlib.sha256(record_bytes(record)).hexdigest()
