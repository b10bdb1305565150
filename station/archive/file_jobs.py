"""The files that a record holds, each with what tells it from another of the same name, and how its parts are made."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.archive.errors import ArchiveError
from station.archive.pixels import Buffer, Plane, tiff_parts
from station.archive.records import FrameRecord, ViewRecord
from station.archive.thinned import FRAME_PREFIX
from station.archive.view_files import view_planes
from station.inspection.frame_proof import FrameProof
from station.inspection.result import ViewResult

MOST_COMPRESSED_BYTES = 60_000_000  # half a second of one core
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ArchivedFrame:
    """A frame with the view, light and pose that it was commanded for."""

    view: str
    light: str
    frame: Frame
    pose: Pose  # as commanded
    proof: FrameProof | None = None  # None in records of earlier versions
    is_re_look: bool = False  # of a second look at the view, whose first one is kept too


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose record it is; every file says so."""

    inspection_id: str
    is_simulated: bool

    def about(self, **more: Any) -> dict[str, Any]:
        return {"inspection_id": self.inspection_id, "is_simulated": self.is_simulated, **more}


@dataclass(frozen=True, slots=True)
class FileJob:
    """One file to be written. Two jobs with the same `name` and `identity` make a file of the same contents."""

    name: str  # path inside the record
    identity: str
    make: Callable[[bool], Iterable[Buffer]]  # its parts, in order; of whether pixels are compressed
    pixel_bytes: int = 0  # about, uncompressed; 0 for a file without pixels


def has_time_for(waiting_bytes: int) -> bool:
    """Whether files are compressed while so many bytes of arrays wait to be written, for the judge or for a person.

    At full resolution they are not: compressing was 22 of the 36 CPU seconds of a part (`benchmarks/cycle.py`, K = 8).
    """
    return waiting_bytes <= MOST_COMPRESSED_BYTES


def view_jobs(owner: Owner, result: ViewResult) -> tuple[ViewRecord, list[FileJob]]:
    """The view's record, and the jobs that make its files. Raises ArchiveError for a name that is no file's."""
    _check_names("view", [result.view])
    files: dict[str, str] = {}
    jobs: list[FileJob] = []
    for what, size, make in view_planes(result):
        files[what] = f"{result.view}/{what}.tif"
        about = owner.about(view=result.view, what=what)
        makes = partial(_gone, files[what]) if result.is_reduced else partial(make, about)
        jobs.append(FileJob(files[what], f"{result.written_as} {json.dumps(about)}", makes, size))
    return ViewRecord.of(result, files), jobs


def frame_jobs(owner: Owner, frames: Sequence[ArchivedFrame]) -> tuple[tuple[FrameRecord, ...], list[FileJob]]:
    """The frames' records, and the jobs that make their files; a frame of a second look gets the suffix ~2."""
    records: list[FrameRecord] = []
    jobs: list[FileJob] = []
    taken: Counter[tuple[str, str]] = Counter()
    for archived in frames:
        _check_names("view or light", [archived.view, archived.light])
        taken[archived.view, archived.light] += 1
        number = max(taken[archived.view, archived.light], 2 if archived.is_re_look else 1)
        suffix = "" if number == 1 else f"~{number}"
        name = f"{archived.view}/{FRAME_PREFIX}{archived.light}{suffix}.tif"
        record = FrameRecord.of(name, archived.view, archived.light, archived.pose, archived.frame, archived.proof)
        about = owner.about(what="frame", **record.model_dump(exclude={"file"}))
        pixels = archived.frame.pixels
        makes = partial(tiff_parts, Plane.of(pixels), about) if pixels.size else partial(_gone, name)
        jobs.append(FileJob(name, json.dumps(about), makes, pixels.nbytes))
        records.append(record)
    return tuple(records), jobs


def _gone(name: str, _compressed: bool) -> Iterable[Buffer]:
    raise ArchiveError(f"{name}: was written ahead and is there no longer, and its pixels are not in memory any more")


def _check_names(what: str, names: Iterable[str]) -> None:
    for name in names:
        if not _SAFE_NAME.fullmatch(name):
            raise ArchiveError(f"the {what} name {name!r} cannot be a file name; use letters, digits, - and _")
