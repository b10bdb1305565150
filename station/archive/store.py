"""The archive: records inspections, and lists, loads and verifies what was recorded."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine, select, union

from station.archive.database import insert_record, open_database, reading, sqlite_url
from station.archive.errors import ArchiveError, InspectionNotFound
from station.archive.folder import (
    PARTIAL_PREFIX,
    ArchivedFrame,
    WrittenRecord,
    read_bytes,
    read_record,
    read_verified,
    verify_record,
    write_record,
)
from station.archive.ids import is_inspection_id
from station.archive.pixels import read_tiff
from station.archive.records import ViewRecord
from station.archive.tables import InspectionRow, LightRow
from station.archive.view_files import view_result
from station.documents.atomic import write_atomic
from station.inspection.result import HistoryRow, Inspection, Verdict, ViewResult
from station.lights.series import LightReading

log = logging.getLogger(__name__)

DATABASE = "archive.sqlite"
DOCUMENTS = "documents"
READERS = 2
_DAY_FOLDERS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


class Archive:
    """A folder of records and the data base that lists them. Methods may be called from any thread."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self._root = root
        self._engine = engine

    @classmethod
    def open(cls, folder: Path, url: str | None = None) -> Archive:
        """Open or create; `url` names another data base than the SQLite file in the folder.

        Whole records that have no row (the power went between folder and row) are entered now.
        Raises ArchiveError.
        """
        root = folder.resolve()
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"{root}: cannot be created: {error.strerror or error}") from error
        archive = cls(root, open_database(url or sqlite_url(root / DATABASE)))
        archive._enter_orphans()
        return archive

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the data base; the archive must not be used any more."""
        self._engine.dispose()

    def record(self, inspection: Inspection, frames: Sequence[ArchivedFrame]) -> Path:
        """Store everything, or nothing; returns the record's folder once disk and data base have it.

        Raises ArchiveError.
        """
        record = write_record(self._root, inspection, frames)
        try:
            insert_record(self._engine, self._root, record)
        except ArchiveError:
            shutil.rmtree(record.folder, ignore_errors=True)
            raise
        return record.folder

    def keep_document(self, path: Path, sha256: str, suffix: str = ".yaml") -> Path:
        """Keep a copy of a file that inspections name by its SHA-256, once per content; returns the copy's path.

        Raises ArchiveError: it cannot be copied, or is no longer the file of that hash.
        """
        kept = self.document(sha256, suffix)
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != sha256:
                raise ArchiveError(f"{path}: changed while it was being read; prepare the recipe again")
            if not kept.is_file() or kept.read_bytes() != data:
                kept.parent.mkdir(exist_ok=True)
                write_atomic(kept, data)
        except OSError as error:
            raise ArchiveError(f"{path}: could not be kept as {kept}: {error.strerror or error}") from error
        return kept

    def document(self, sha256: str, suffix: str = ".yaml") -> Path:
        """The path at which a kept document of that hash lies, such as an old inspection's calibration."""
        return self._root / DOCUMENTS / f"{sha256}{suffix}"

    def kept_document(self, sha256: str, suffix: str = ".yaml") -> Path:
        """The path of that copy, once its content was found to have that hash. Raises ArchiveError."""
        path = self.document(sha256, suffix)
        if not path.is_file():
            raise ArchiveError(f"{path}: not archived: earlier versions stored the calibration record only")
        if hashlib.sha256(read_bytes(path)).hexdigest() != sha256:
            raise ArchiveError(f"{path}: its content no longer has this SHA-256; restore it from a backup")
        return path

    def history(
        self, limit: int = 200, *, part_id: str | None = None, verdict: Verdict | None = None
    ) -> list[HistoryRow]:
        """The latest inspections, newest first; only of that part, or with that verdict. Raises ArchiveError."""
        query = select(InspectionRow).order_by(InspectionRow.inspection_id.desc()).limit(limit)
        if part_id is not None:
            query = query.where(InspectionRow.part_id == part_id)
        if verdict is not None:
            query = query.where(InspectionRow.verdict == verdict.value)
        with reading(self._engine) as session:
            return [self._history_row(row) for row in session.scalars(query)]

    def light_readings(
        self, limit: int = 1000, recipe_id: str | None = None, *, calibration: str | None = None, with_first: int = 0
    ) -> list[LightReading]:
        """The lights of the latest `limit` inspections, oldest first. Raises ArchiveError.

        `recipe_id` and `calibration` (SHA-256 of the record) select inspections where they are given. The oldest
        `with_first` are added, because the reference that lights are compared with must not move with the latest.
        """
        wanted = select(InspectionRow.inspection_id)
        if recipe_id is not None:
            wanted = wanted.where(InspectionRow.recipe_id == recipe_id)
        if calibration is not None:
            wanted = wanted.where(InspectionRow.provenance["calibration"].as_string() == calibration)
        latest = wanted.order_by(InspectionRow.inspection_id.desc()).limit(limit).subquery()
        first = wanted.order_by(InspectionRow.inspection_id).limit(with_first).subquery()
        chosen = union(select(latest.c.inspection_id), select(first.c.inspection_id)).subquery()
        query = (
            select(LightRow, InspectionRow.creation_time, InspectionRow.recipe_id, InspectionRow.provenance)
            .join(chosen, chosen.c.inspection_id == LightRow.inspection_id)
            .join(InspectionRow, InspectionRow.inspection_id == LightRow.inspection_id)
            .order_by(LightRow.inspection_id, LightRow.view, LightRow.light)
        )
        with reading(self._engine) as session:
            return [_light_reading(*found) for found in session.execute(query)]

    def load(self, inspection_id: str) -> Inspection:
        """One inspection with its arrays, each file checked against the manifest. Raises ArchiveError."""
        record = read_record(self.folder(inspection_id))
        with ThreadPoolExecutor(READERS, "archive") as pool:
            views = tuple(pool.map(partial(_load_view, record), record.inspection.views))
        return record.inspection.inspection(views)

    def load_frames(self, inspection_id: str) -> list[ArchivedFrame]:
        """The frames in the order in which they were taken, each file checked. Raises ArchiveError."""
        record = read_record(self.folder(inspection_id))
        loaded = []
        for entry in record.frames.frames:
            pixels, _ = read_tiff(read_verified(record.folder, entry.file, record.manifest))
            loaded.append(ArchivedFrame(entry.view, entry.light, entry.frame(pixels), entry.commanded_pose()))
        return loaded

    def verify(self, inspection_id: str) -> list[str]:
        """What is missing, changed or added since; empty if the record is as it was archived."""
        row = self._row(inspection_id)
        return verify_record(self._root / row.folder, row.manifest_sha256)

    def folder(self, inspection_id: str) -> Path:
        """Raises ArchiveError for an id that is not in the archive."""
        return self._root / self._row(inspection_id).folder

    def incomplete(self) -> list[Path]:
        """Folders without a finished record: the station died while writing, or is writing now."""
        return sorted(self._root.glob(f"{_DAY_FOLDERS}/{PARTIAL_PREFIX}*"))

    def _row(self, inspection_id: str) -> InspectionRow:
        with reading(self._engine) as session:
            row = session.get(InspectionRow, inspection_id)
        if row is None:
            raise InspectionNotFound(
                f"{self._root}: no inspection {inspection_id!r} in it; `station history` lists what there is"
            )
        return row

    def _history_row(self, row: InspectionRow) -> HistoryRow:
        """The row as a list shows it, with the folder's absolute path."""
        return HistoryRow(
            row.inspection_id,
            row.part_id,
            Verdict(row.verdict),
            row.creation_time,
            row.deciding_view,
            row.is_simulated,
            str(self._root / row.folder),
        )

    def _enter_orphans(self) -> None:
        with reading(self._engine) as session:
            known = set(session.scalars(select(InspectionRow.inspection_id)))
        for folder in sorted(self._root.glob(f"{_DAY_FOLDERS}/*")):
            if folder.name not in known and is_inspection_id(folder.name):
                self._enter(folder)

    def _enter(self, folder: Path) -> None:
        try:
            record: WrittenRecord = read_record(folder)
            insert_record(self._engine, self._root, record)
        except ArchiveError:
            log.exception("%s has no row in the data base and could not be entered", folder)


def _light_reading(row: LightRow, when: datetime, recipe_id: str, provenance: dict[str, str]) -> LightReading:
    calibration = provenance.get("calibration", "")
    return LightReading(
        row.inspection_id, when, recipe_id, row.view, row.light, row.level, row.left_out_residual, calibration
    )


def _load_view(record: WrittenRecord, view: ViewRecord) -> ViewResult:
    files = {what: read_verified(record.folder, name, record.manifest) for what, name in view.files.items()}
    return view_result(view, files)
