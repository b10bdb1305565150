"""The archive: records inspections, and lists, loads and verifies what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine, inspect, select

from station.archive.ahead import Ahead
from station.archive.database import (
    open_database,
    open_database_for_reading,
    reading,
    sqlite_url,
)
from station.archive.documents import checked_document, keep_document
from station.archive.errors import ArchiveError, FramesThinned, InspectionNotFound
from station.archive.file_jobs import ArchivedFrame, Owner
from station.archive.folder import (
    TIMING,
    WrittenRecord,
    folder_of,
    read_record,
    read_verified,
    verify_record,
    write_record,
)
from station.archive.housekeeping import Housekeeping
from station.archive.light_rows import light_readings
from station.archive.lock import WriterLock
from station.archive.orphans import interrupted_folders, put_in_order, unfinished_folders
from station.archive.pins import pin_as_named
from station.archive.pixels import read_tiff
from station.archive.records import InspectionRecord, ViewRecord
from station.archive.room import check_room
from station.archive.rows import insert_record
from station.archive.spool import spool_of
from station.archive.tables import InspectionRow, LightRow
from station.archive.thinned import read_mark
from station.archive.thinned_rows import mark_in_doubt, thinned_of
from station.archive.timing_file import TimelineRecord
from station.archive.view_files import view_result
from station.archive.words import all_words, words_of
from station.documents.atomic import sync_folder
from station.inspection.result import DRAFT, HistoryRow, Inspection, Verdict, ViewResult
from station.inspection.timeline import Timeline
from station.inspection.words import GivenWord
from station.lights.series import LightReading

DATABASE = "archive.sqlite"
DOCUMENTS = "documents"
READERS = 2


class Archive:
    """A folder of records and the data base that lists them. Methods may be called from any thread."""

    def __init__(self, root: Path, engine: Engine, lock: WriterLock | None) -> None:
        self._root = root
        self._engine = engine
        self._lock = lock
        self._spool = spool_of(root)
        self.housekeeping = Housekeeping(root, engine, is_writer=lock is not None)
        self.notes: tuple[str, ...] = ()  # what the opening found and put in order, for a person to read
        self._ahead: dict[str, Ahead] = {}  # by inspection: what is written before its verdict
        self._without_row: set[str] = set()  # inspections whose folder is whole and whose row was refused

    @classmethod
    def open(
        cls, folder: Path, url: str | None = None, *, read_only: bool = False, purpose: str = "a station"
    ) -> Archive:
        """Open or create for writing, or open what is there with `read_only`.

        A writer holds the archive's lock until `close`; `purpose` is what another one reads of it. It puts in order
        what a station that died left behind: `station.archive.orphans`. A reader changes nothing, and may come at any
        time. `url` names another data base than the SQLite file in the folder.
        Raises ArchiveInUse, ArchiveNotFound for a reader, ArchiveError; a writer DocumentError for `retention.yaml`.
        """
        root = folder.resolve()
        if read_only:
            return cls(root, open_database_for_reading(root / DATABASE) if url is None else open_database(url), None)
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"{root}: cannot be created: {error.strerror or error}") from error
        lock = WriterLock.take(root, purpose)
        try:
            engine = open_database(url or sqlite_url(root / DATABASE), is_checked=lock.may_be_torn)
            lock.vouch()
            archive = cls(root, engine, lock)
        except BaseException:
            lock.release()
            raise
        try:
            archive.housekeeping.retention  # noqa: B018 - a file that cannot be used is refused before the first part
            archive.notes = put_in_order(root, archive._engine, archive._spool)
        except BaseException:
            archive.close()
            raise
        return archive

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the data base and give the lock back; the archive must not be used any more."""
        for ahead in self._ahead.values():
            ahead.finish()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release(is_in_order=True)

    def write_ahead(self, inspection_id: str, *, is_simulated: bool) -> Ahead:
        """Where views of an inspection are written before its verdict; `record` takes over what is there."""
        self._require_writer()
        ahead = self._ahead[inspection_id] = Ahead(self._root, Owner(inspection_id, is_simulated))
        return ahead

    def record(self, inspection: Inspection, frames: Sequence[ArchivedFrame]) -> Path:
        """Store everything; returns the record's folder once disk and data base have it.

        Raises ArchiveError. Where the data base alone refused, the whole folder stays, and the same call enters it
        later; so does the next opening of the archive. In every other case nothing of the record is left.
        """
        self._require_writer()
        name = inspection.inspection_id
        folder = folder_of(self._root, inspection)
        if name in self._without_row and folder.is_dir():
            record = read_record(folder)
            if self._is_entered(record):  # the data base had it, and failed on its way back
                self._without_row.discard(name)
                return record.folder
            _sync(folder.parent)
        else:
            if not folder.exists():
                self._without_row.add(name)  # whatever is refused from now on: it counts only where the folder is there
            record = write_record(self._root, inspection, frames, self._ahead.get(name))
        self._ahead.pop(name, None)
        insert_record(self._engine, self._root, record)
        self._without_row.discard(name)
        return record.folder

    def keep_aside(self, inspection: Inspection, frames: Sequence[ArchivedFrame]) -> Path:
        """Keep the record where the next opening finds it, since the archive does not take it; returns where.

        That is the archive itself, where only the row is missing, else the spool. Raises ArchiveError.
        """
        self._require_writer()
        folder = folder_of(self._root, inspection)
        if inspection.inspection_id in self._without_row and folder.is_dir():
            return folder
        return self._spool.put(inspection, frames, self._ahead.get(inspection.inspection_id))

    def drop_aside(self, inspection: Inspection) -> None:
        """Remove what `keep_aside` put into the spool."""
        self._spool.drop(inspection)

    def check_room(self, record_bytes: int) -> None:
        """Raise ArchiveError where a record of that size could not be stored now: space, rights, a locked data base."""
        self._require_writer()
        check_room(self._root, self._engine, record_bytes, self.housekeeping.retention)

    def keep_document(self, path: Path, sha256: str, suffix: str = ".yaml") -> Path:
        """Keep a copy of a file that inspections name by its SHA-256, once per content; returns the copy's path.

        Raises ArchiveError: it cannot be copied, or is no longer the file of that hash.
        """
        self._require_writer()
        return keep_document(self.document(sha256, suffix), path, sha256)

    def document(self, sha256: str, suffix: str = ".yaml") -> Path:
        """The path at which a kept document of that hash lies, such as an old inspection's calibration."""
        return self._root / DOCUMENTS / f"{sha256}{suffix}"

    def kept_document(self, sha256: str, suffix: str = ".yaml") -> Path:
        """The path of that copy, once its content was found to have that hash. Raises ArchiveError."""
        return checked_document(self.document(sha256, suffix), sha256)

    def history(self, limit: int = 200, part_id: str | None = None, verdict: Verdict | None = None) -> list[HistoryRow]:
        """The latest inspections, newest first; only of that part, or with that verdict. Raises ArchiveError."""
        query = select(InspectionRow).order_by(InspectionRow.inspection_id.desc()).limit(limit)
        if part_id is not None:
            query = query.where(InspectionRow.part_id == part_id)
        if verdict is not None:
            query = query.where(InspectionRow.verdict == verdict.value)
        with reading(self._engine) as session:
            rows = list(session.scalars(query))
        ids = [row.inspection_id for row in rows]
        words, thinned = words_of(self._engine, ids), thinned_of(self._engine, ids)
        return [self._history_row(row, words.get(row.inspection_id, ()), row.inspection_id in thinned) for row in rows]

    def words(self) -> dict[str, tuple[GivenWord, ...]]:
        """Inspection -> what people said of it, the oldest first. Raises ArchiveError."""
        return all_words(self._engine)

    def light_readings(
        self, limit: int = 1000, recipe_id: str | None = None, *, calibration: str | None = None, with_first: int = 0
    ) -> list[LightReading]:
        """The lights of the latest `limit` inspections, oldest first. Raises ArchiveError.

        `recipe_id` and `calibration` (SHA-256 of the record) select inspections where they are given. The oldest
        `with_first` are added, because the reference that lights are compared with must not move with the latest.
        """
        with reading(self._engine) as session:
            if self._lock is None and not inspect(self._engine).has_table(LightRow.__tablename__):
                return []  # of an earlier version, which recorded no lights
            return light_readings(session, limit, recipe_id, calibration, with_first)

    def load(self, inspection_id: str) -> Inspection:
        """One inspection with its arrays, each file checked against the manifest. Raises ArchiveError."""
        record = read_record(self.folder(inspection_id))
        with ThreadPoolExecutor(READERS, "archive") as pool:
            views = tuple(pool.map(partial(_load_view, record), record.inspection.views))
        return replace(record.inspection.inspection(views), timeline=_timeline(record))

    def load_figures(self, inspection_id: str) -> InspectionRecord:
        """One inspection without its arrays, which are then not read. Raises ArchiveError."""
        return read_record(self.folder(inspection_id)).inspection

    def load_timeline(self, inspection_id: str) -> Timeline:
        """When each stage of the inspection began and ended; empty for a record of an earlier version.

        Raises ArchiveError.
        """
        return _timeline(read_record(self.folder(inspection_id)))

    def load_frames(self, inspection_id: str, *, all_looks: bool = False) -> list[ArchivedFrame]:
        """The frames in the order in which they were taken, each file checked.

        Of a view that was looked at again, those of the look on which its result rests; of both with `all_looks`.
        Raises FramesThinned where they were removed by the retention's rule, ArchiveError.
        """
        record = read_record(self.folder(inspection_id))
        if mark := read_mark(record.folder):
            raise FramesThinned(f"{record.folder}: {mark.sentence()}; name a part whose raw frames were kept")
        loaded = []
        looks = {look.view: look for look in (found.look() for found in record.inspection.re_looks)}
        for entry in record.frames.frames:
            look, take = looks.get(entry.view), 1 if entry.proof is None else entry.proof.take
            if look is not None and take == look.discarded_take and not all_looks:
                continue
            pixels, _ = read_tiff(read_verified(record.folder, entry.file, record.manifest))
            loaded.append(
                ArchivedFrame(
                    entry.view,
                    entry.light,
                    entry.frame(pixels),
                    entry.commanded_pose(),
                    entry.stated_proof(),
                    look is not None and take == look.take,
                )
            )
        return loaded

    def verify(self, inspection_id: str) -> list[str]:
        """What is missing, changed or added since; empty of a record as it was archived, or as the rule thinned it."""
        row = self._row(inspection_id)
        folder = self._root / row.folder
        return [
            *verify_record(folder, row.manifest_sha256),
            *mark_in_doubt(folder, thinned_of(self._engine, [inspection_id]).get(inspection_id)),
        ]

    def pin(self, inspection_ids: Iterable[str], by: str) -> list[str]:
        """Keep these raw frames for good, since `by` names them; a reader may call it. See `pins.pin_as_named`."""
        return pin_as_named(self._root / DATABASE, inspection_ids, by)

    def thinned_sentence(self, inspection_id: str) -> str:
        """When and by which rule its raw frames were removed; empty where they were not. Raises ArchiveError."""
        mark = read_mark(self.folder(inspection_id))
        return "" if mark is None else mark.sentence()

    def folder(self, inspection_id: str) -> Path:
        """Raises ArchiveError for an id that is not in the archive."""
        return self._root / self._row(inspection_id).folder

    def incomplete(self) -> list[Path]:
        """Folders of records that are being written now, or whose writing was interrupted since the last opening."""
        return unfinished_folders(self._root)

    def interrupted(self) -> list[Path]:
        """Folders of records whose writing was interrupted, set aside by a later opening: no inspections."""
        return interrupted_folders(self._root)

    def _require_writer(self) -> None:
        if self._lock is None:
            raise ArchiveError(f"{self._root}: was opened for reading; nothing can be stored through it")

    def _is_entered(self, record: WrittenRecord) -> bool:
        with reading(self._engine) as session:
            row = session.get(InspectionRow, record.inspection.inspection_id)
        return row is not None and row.manifest_sha256 == record.manifest_sha256

    def _row(self, inspection_id: str) -> InspectionRow:
        with reading(self._engine) as session:
            row = session.get(InspectionRow, inspection_id)
        if row is None:
            raise InspectionNotFound(
                f"{self._root}: no inspection {inspection_id!r} in it; `station history` lists what there is"
            )
        return row

    def _history_row(self, row: InspectionRow, words: tuple[GivenWord, ...], is_thinned: bool) -> HistoryRow:
        """The row as a list shows it, with the folder's absolute path."""
        return HistoryRow(
            row.inspection_id,
            row.part_id,
            Verdict(row.verdict),
            row.creation_time,
            row.deciding_view,
            row.is_simulated,
            str(self._root / row.folder),
            row.provenance.get("release", "").startswith(DRAFT),
            words,
            is_thinned,
        )


def _sync(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        raise ArchiveError(f"{folder}: the disk does not confirm what is in it: {error}; check the disk") from error


def _load_view(record: WrittenRecord, view: ViewRecord) -> ViewResult:
    files = {what: read_verified(record.folder, name, record.manifest) for what, name in view.files.items()}
    return view_result(view, files)


def _timeline(record: WrittenRecord) -> Timeline:
    if TIMING not in record.manifest.files:
        return Timeline()
    data = read_verified(record.folder, TIMING, record.manifest)
    try:
        return TimelineRecord.model_validate_json(data).timeline()
    except ValueError as error:
        raise ArchiveError(f"{record.folder / TIMING}: cannot be read by this version: {error}") from error
