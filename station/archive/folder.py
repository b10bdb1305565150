"""One inspection as a folder: frames, normals, maps, verdict, and a manifest of SHA-256 sums.

The folder is built under a name that starts with a dot. Every file is synced, the manifest last, and only then is the
folder renamed to the inspection id: a folder with that name is complete.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.archive.errors import ArchiveError
from station.archive.ids import is_inspection_id
from station.archive.pixels import tiff_bytes
from station.archive.records import (
    VERDICT_VERSION,
    FrameRecord,
    FramesRecord,
    InspectionRecord,
    Manifest,
    StoredFile,
    ViewRecord,
)
from station.archive.thinned import FRAME_PREFIX, THINNED, mark_problems, read_mark
from station.archive.view_files import view_planes
from station.documents.atomic import sync_folder, write_synced
from station.inspection.result import Inspection

MANIFEST = "manifest.json"
VERDICT = "verdict.json"
FRAMES = "frames.json"
ADDED_LATER = "words.jsonl"  # what people said since: station/archive/words.py
PINS = "pins.jsonl"  # who needs the raw frames: station/archive/pins.py
PARTIAL_PREFIX = ".partial-"
WRITERS = 2

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_Job = tuple[str, Callable[[], bytes | memoryview]]


@dataclass(frozen=True, slots=True)
class ArchivedFrame:
    """A frame with the view, light and pose that it was commanded for."""

    view: str
    light: str
    frame: Frame
    pose: Pose  # as commanded


@dataclass(frozen=True, slots=True)
class WrittenRecord:
    """A whole record on disk, without its arrays."""

    folder: Path
    inspection: InspectionRecord
    frames: FramesRecord
    manifest: Manifest
    manifest_sha256: str


def write_record(root: Path, inspection: Inspection, frames: Sequence[ArchivedFrame]) -> WrittenRecord:
    """Write `<root>/<YYYY-MM-DD>/<inspection_id>/`, or nothing. Raises ArchiveError."""
    folder = folder_of(root, inspection)
    unfinished = folder.with_name(f"{PARTIAL_PREFIX}{folder.name}")
    if folder.exists():
        raise ArchiveError(f"{folder}: this inspection is archived already; records are never overwritten")
    try:
        if unfinished.exists():  # of an earlier attempt of this very writer, whose disk did not even let it be removed
            shutil.rmtree(unfinished)
        record = _build(unfinished, folder, inspection, frames)
        unfinished.rename(folder)
        sync_folder(folder.parent)
    except BaseException as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if isinstance(error, OSError):
            left = "it is there, not yet safe from a power cut" if folder.exists() else "nothing of it is left there"
            raise ArchiveError(f"{folder}: could not be written, and {left}: {error}") from error
        raise
    return record


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


def _build(unfinished: Path, folder: Path, inspection: Inspection, frames: Sequence[ArchivedFrame]) -> WrittenRecord:
    """Write every file below `unfinished`, sync it, and write the manifest last. OSError is left to the caller."""
    views, jobs = _plan_views(inspection)
    frame_records, frame_jobs = _plan_frames(inspection, frames)
    verdict = InspectionRecord.of(inspection, views)
    frames_record = FramesRecord(is_simulated=inspection.is_simulated, frames=frame_records)
    jobs = [
        *frame_jobs,
        *jobs,
        (VERDICT, lambda: verdict.model_dump_json(indent=1).encode()),
        (FRAMES, lambda: frames_record.model_dump_json(indent=1).encode()),
    ]
    for name, _ in jobs:
        (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(WRITERS, "archive") as pool:
        files = dict(pool.map(lambda job: _store(unfinished, job), jobs))
    manifest = Manifest(inspection_id=inspection.inspection_id, is_simulated=inspection.is_simulated, files=files)
    data = manifest.model_dump_json(indent=1).encode()
    for below in {(unfinished / name).parent for name in files}:
        sync_folder(below)
    write_synced(unfinished / MANIFEST, data)
    sync_folder(unfinished)
    return WrittenRecord(folder, verdict, frames_record, manifest, hashlib.sha256(data).hexdigest())


def _store(unfinished: Path, job: _Job) -> tuple[str, StoredFile]:
    name, make = job
    data = make()
    write_synced(unfinished / name, data)
    return name, StoredFile(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def _plan_views(inspection: Inspection) -> tuple[tuple[ViewRecord, ...], list[_Job]]:
    """The views' records, and the jobs that will make their files."""
    views: list[ViewRecord] = []
    jobs: list[_Job] = []
    for result in inspection.views:
        _check_names("view", [result.view])
        files = {}
        for what, make in view_planes(result):
            files[what] = f"{result.view}/{what}.tif"
            about = _about(inspection, view=result.view, what=what)
            jobs.append((files[what], partial(make, about)))
        views.append(ViewRecord.of(result, files))
    return tuple(views), jobs


def _plan_frames(inspection: Inspection, frames: Sequence[ArchivedFrame]) -> tuple[tuple[FrameRecord, ...], list[_Job]]:
    """The frames' records, and the jobs that will make their files; a frame taken again gets the suffix ~2, ~3 ..."""
    records: list[FrameRecord] = []
    jobs: list[_Job] = []
    taken: Counter[tuple[str, str]] = Counter()
    for archived in frames:
        _check_names("view or light", [archived.view, archived.light])
        taken[archived.view, archived.light] += 1
        number = taken[archived.view, archived.light]
        suffix = "" if number == 1 else f"~{number}"  # a frame that was taken again
        name = f"{archived.view}/{FRAME_PREFIX}{archived.light}{suffix}.tif"
        record = FrameRecord.of(name, archived.view, archived.light, archived.pose, archived.frame)
        about = _about(inspection, what="frame", **record.model_dump(exclude={"file"}))
        pixels = archived.frame.pixels
        jobs.append((name, partial(tiff_bytes, pixels, about)))
        records.append(record)
    return tuple(records), jobs


def _about(inspection: Inspection, **more: Any) -> dict[str, Any]:
    return {"inspection_id": inspection.inspection_id, "is_simulated": inspection.is_simulated, **more}


def _check_names(what: str, names: Iterable[str]) -> None:
    for name in names:
        if not _SAFE_NAME.fullmatch(name):
            raise ArchiveError(f"the {what} name {name!r} cannot be a file name; use letters, digits, - and _")
