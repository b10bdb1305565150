"""One inspection as a folder: frames, normals, maps, verdict, and a manifest of SHA-256 sums.

The folder is built under a name that starts with a dot. Every file is synced, the manifest last, and only then is the
folder renamed to the inspection id: a folder with that name is complete.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from pydantic import BaseModel

from station.archive.ahead import PARTIAL_PREFIX, Ahead, store_file
from station.archive.errors import ArchiveError
from station.archive.file_jobs import ArchivedFrame, FileJob, Owner, frame_jobs, has_time_for, view_jobs
from station.archive.ids import is_inspection_id
from station.archive.records import (
    VERDICT_VERSION,
    FramesRecord,
    InspectionRecord,
    Manifest,
    StoredFile,
)
from station.archive.thinned import THINNED, mark_problems, read_mark
from station.archive.timing_file import TimelineRecord
from station.documents.atomic import sync_folder, write_synced
from station.inspection.result import Inspection

MANIFEST = "manifest.json"
VERDICT = "verdict.json"
FRAMES = "frames.json"
ADDED_LATER = "words.jsonl"  # what people said since: station/archive/words.py
TIMING = "timing.json"  # absent in records of earlier versions
PINS = "pins.jsonl"  # who needs the raw frames: station/archive/pins.py
WRITERS = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WrittenRecord:
    """A whole record on disk, without its arrays."""

    folder: Path
    inspection: InspectionRecord
    frames: FramesRecord
    manifest: Manifest
    manifest_sha256: str


def write_record(
    root: Path, inspection: Inspection, frames: Sequence[ArchivedFrame], ahead: Ahead | None = None
) -> WrittenRecord:
    """Write `<root>/<YYYY-MM-DD>/<inspection_id>/`, or nothing. Raises ArchiveError.

    Files that were written ahead, below the same root, are taken over; where the record cannot be written they stay.
    Below another root they are copied.
    """
    folder = folder_of(root, inspection)
    unfinished = folder.with_name(f"{PARTIAL_PREFIX}{folder.name}")
    if folder.exists():
        raise ArchiveError(f"{folder}: this inspection is archived already; records are never overwritten")
    kept: frozenset[str] = frozenset()
    if ahead is not None:
        ahead.finish()
        if ahead.folder.parent.parent == root:
            unfinished, kept = ahead.folder, ahead.names
    try:
        record = _build(unfinished, folder, inspection, frames, ahead)
        folder.parent.mkdir(exist_ok=True)  # the day may have changed since files were written ahead
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except BaseException as error:
        _clear(unfinished, kept, ignore_errors=True)
        if isinstance(error, OSError):
            left = "it is there, not yet safe from a power cut" if folder.exists() else "nothing of it is left there"
            if kept and not folder.exists():
                left = f"the {len(kept)} files that were written ahead wait in {unfinished.name}"
            raise ArchiveError(f"{folder}: could not be written, and {left}: {error}") from error
        raise
    return record


def _clear(unfinished: Path, kept: frozenset[str], *, ignore_errors: bool = False) -> None:
    """Remove all files but those of these names; the whole folder where none is kept. Raises OSError."""
    if not kept:
        if unfinished.exists():
            shutil.rmtree(unfinished, ignore_errors=ignore_errors)
        return
    for path in unfinished.rglob("*"):
        if path.is_file() and path.relative_to(unfinished).as_posix() not in kept:
            try:
                path.unlink()
            except OSError as error:
                if not ignore_errors:
                    raise
                log.warning("%s: cannot be removed: %s", path, error)


def folder_of(root: Path, inspection: Inspection) -> Path:
    """`<root>/<YYYY-MM-DD>/<inspection_id>`, the day in UTC.

    Raises ArchiveError for an id that `new_inspection_id` did not make, and for a time without a zone.
    """
    if not is_inspection_id(inspection.inspection_id):
        raise ArchiveError(f"{inspection.inspection_id!r} is not an inspection id (see new_inspection_id)")
    if inspection.creation_time.tzinfo is None:
        raise ArchiveError(f"inspection {inspection.inspection_id}: creation_time has no time zone; it must be UTC")
    return root / f"{inspection.creation_time.astimezone(UTC):%Y-%m-%d}" / inspection.inspection_id


def read_record(folder: Path) -> WrittenRecord:
    """The JSON files of a record, checked against the manifest. Raises ArchiveError."""
    manifest_bytes = read_bytes(folder / MANIFEST)
    try:
        manifest = Manifest.model_validate_json(manifest_bytes)
        verdict = read_verified(folder, VERDICT, manifest)
        _check_version(folder / VERDICT, verdict)
        inspection = InspectionRecord.model_validate_json(verdict)
        frames = FramesRecord.model_validate_json(read_verified(folder, FRAMES, manifest))
    except ValueError as error:
        raise ArchiveError(f"{folder}: not a record that this version can read: {error}") from error
    return WrittenRecord(folder, inspection, frames, manifest, hashlib.sha256(manifest_bytes).hexdigest())


def _check_version(path: Path, data: bytes) -> None:
    """Raise ArchiveError for a record of a later version of this software."""
    record = json.loads(data)
    found = record.get("format_version") if isinstance(record, dict) else None
    if isinstance(found, int) and found > VERDICT_VERSION:
        raise ArchiveError(
            f"{path}: has format {found}, this software reads up to {VERDICT_VERSION}; use the software that wrote it"
        )


def read_verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    """A file's bytes, checked against its SHA-256 in the manifest. Raises ArchiveError."""
    stored = manifest.files.get(name)
    if stored is None:
        raise ArchiveError(f"{folder / name}: the manifest does not list this file")
    data = read_bytes(folder / name)
    if hashlib.sha256(data).hexdigest() != stored.sha256:
        raise ArchiveError(
            f"{folder / name}: {len(data)} bytes that differ from what was archived (SHA-256); restore it from a backup"
        )
    return data


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises ArchiveError naming it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read: {error.strerror or error}") from error


def verify_record(folder: Path, manifest_sha256: str) -> list[str]:
    """Every way in which the folder is not what was archived: missing, changed, or unknown files.

    A raw frame that the record's own mark of thinning names may be missing; where it is there, it must be the one.
    """
    try:
        data = read_bytes(folder / MANIFEST)
        manifest = Manifest.model_validate_json(data)
    except (ArchiveError, ValueError) as error:
        return [f"{MANIFEST}: {error}"]
    problems = []
    if hashlib.sha256(data).hexdigest() != manifest_sha256:
        problems.append(f"{MANIFEST}: differs from the one in the data base (SHA-256)")
    excused, of_mark = _excused(folder, manifest, hashlib.sha256(data).hexdigest())
    problems += of_mark
    for name in sorted(manifest.files):
        if name in excused and not (folder / name).exists():
            continue
        try:
            read_verified(folder, name, manifest)
        except ArchiveError as error:
            problems.append(f"{name}: {error}")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    problems += [
        f"{name}: was not archived with this record"
        for name in sorted(found - {MANIFEST, ADDED_LATER, PINS, THINNED, *manifest.files})
    ]
    return problems


def _excused(folder: Path, manifest: Manifest, manifest_sha256: str) -> tuple[set[str], list[str]]:
    """The files that may be missing because they were thinned, and what is wrong with the mark that says so."""
    try:
        mark = read_mark(folder)
    except ArchiveError as error:
        return set(), [f"{THINNED}: {error}"]
    if mark is None:
        return set(), []
    problems = mark_problems(mark, manifest, manifest_sha256)
    return (set() if problems else set(mark.about.files)), problems


def _build(
    unfinished: Path, folder: Path, inspection: Inspection, frames: Sequence[ArchivedFrame], ahead: Ahead | None
) -> WrittenRecord:
    """Write every file below `unfinished`, sync it, and write the manifest last. OSError is left to the caller."""
    owner = Owner(inspection.inspection_id, inspection.is_simulated)
    views = [view_jobs(owner, result) for result in inspection.views]
    frame_records, jobs = frame_jobs(owner, frames)
    verdict = InspectionRecord.of(inspection, tuple(record for record, _ in views))
    frames_record = FramesRecord(is_simulated=inspection.is_simulated, frames=frame_records)
    jobs += [job for _, of_view in views for job in of_view]
    jobs += [_json_job(VERDICT, verdict), _json_job(FRAMES, frames_record)]
    if inspection.timeline.spans:
        jobs.append(_json_job(TIMING, TimelineRecord.of(inspection.timeline)))
    taken_over = {job.name for job in jobs if ahead is not None and ahead.folder == unfinished and ahead.written(job)}
    _clear(unfinished, frozenset(taken_over))  # of a take that was thrown away, or of an attempt that failed
    for job in jobs:
        (unfinished / job.name).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(WRITERS, "archive") as pool:
        compressed = has_time_for(sum(job.pixel_bytes for job in jobs if job.name not in taken_over))
        stored = pool.map(lambda job: _stored(unfinished, job, ahead, compressed=compressed), jobs)
        files = {job.name: file for job, file in zip(jobs, stored, strict=True)}
    manifest = Manifest(inspection_id=inspection.inspection_id, is_simulated=inspection.is_simulated, files=files)
    data = manifest.model_dump_json(indent=1).encode()
    for below in {(unfinished / name).parent for name in files}:
        sync_folder(below)
    write_synced(unfinished / MANIFEST, data)
    sync_folder(unfinished)
    return WrittenRecord(folder, verdict, frames_record, manifest, hashlib.sha256(data).hexdigest())


def _json_job(name: str, record: BaseModel) -> FileJob:
    return FileJob(name, "", lambda _compressed: (record.model_dump_json(indent=1).encode(),))


def _stored(unfinished: Path, job: FileJob, ahead: Ahead | None, *, compressed: bool) -> StoredFile:
    """The file as it was written ahead, copied where that was elsewhere; else it is made and written now."""
    kept = None if ahead is None else ahead.written(job)
    if kept is None or ahead is None:
        return store_file(unfinished / job.name, job, compressed=compressed)
    if ahead.folder != unfinished:
        data = read_bytes(ahead.folder / job.name)
        if hashlib.sha256(data).hexdigest() != kept.sha256:
            raise ArchiveError(f"{ahead.folder / job.name}: has changed since it was written")
        write_synced(unfinished / job.name, data)
    return kept
