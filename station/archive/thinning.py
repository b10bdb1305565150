"""Raw frames of old PASS leave the archive by the retention's rule; nothing else ever does.

The order makes every moment safe: a row says that a part's thinning has begun, then `thinned.json` in its folder says
what goes, then the frames go one by one, then the row says that it is done. Whatever dies in between, the next call
carries it on. A word or a pin that is given before the first step keeps the part: its transaction asks for both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, delete, exists, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from station.archive.database import cause_of, reading
from station.archive.errors import ArchiveError
from station.archive.folder import WrittenRecord, read_record
from station.archive.gate import Gate
from station.archive.ids import first_id_of
from station.archive.records import Thinned
from station.archive.retention import Retention
from station.archive.tables import InspectionRow, PassFramesRow, PinRow, ThinningRow, WordRow
from station.archive.thinned import THINNED, ThinnedMark, mark_bytes, mark_of, mark_problems, raw_frames, read_mark
from station.documents.atomic import sync_folder, write_atomic
from station.inspection.result import Verdict

log = logging.getLogger(__name__)

AT_ONCE = 500  # rows read at a time


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part whose raw frames the rule gives up, and how much room they take."""

    inspection_id: str
    bytes: int


@dataclass(slots=True)
class ThinReport:
    """What went, or would go."""

    parts: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, size: int) -> None:
        """Count one part."""
        self.parts, self.bytes = self.parts + 1, self.bytes + size


class Thinning:
    """The thinning of one archive. All but `candidates` belongs to the holder of the archive's lock."""

    def __init__(self, root: Path, engine: Engine, retention: Retention) -> None:
        self._root, self._engine, self.retention = root, engine, retention
        self._refused: set[str] = set()  # damaged records: they stay as they are, for a person to look at

    def candidates(self, *, is_disk_full: bool = False, now: datetime | None = None) -> Iterator[Candidate]:
        """What the rule gives up, the oldest first; on a full disk whatever its age. Raises ArchiveError."""
        rule = self.retention.passes
        if not rule.thin or rule.then_one_in == 1:
            return
        before = self._first_of_the_latest(rule.kept_latest)
        if not is_disk_full:
            limit = (now or datetime.now(UTC)) - timedelta(days=rule.kept_days)
            before = min(before, first_id_of(limit)) if before else first_id_of(limit)
        after = ""
        while batch := self._batch(after, before):
            for found in batch:
                if not self.retention.is_spared(found.inspection_id) and found.inspection_id not in self._refused:
                    yield found
            after = batch[-1].inspection_id

    def thinnable_bytes(self) -> int:
        """About what the rule gives up on a full disk: one sum, since it is asked after every part."""
        rule = self.retention.passes
        query = select(func.sum(PassFramesRow.bytes))
        if before := self._first_of_the_latest(rule.kept_latest):
            query = query.where(PassFramesRow.inspection_id < before)
        with reading(self._engine) as session:
            if not rule.thin or not inspect(self._engine).has_table(PassFramesRow.__tablename__):
                return 0
            return round((session.scalar(query) or 0) * (1 - 1 / rule.then_one_in))

    def thin(self, inspection_id: str, rule: str, gate: Gate) -> int:
        """Remove the raw frames of one part; returns their bytes, 0 where it has to stay.

        Raises Held where the gate kept it out, ArchiveError. After either `carry_on` ends what was begun.
        """
        record = self._sound_record(inspection_id)
        if record is None:
            return 0
        with gate.step():
            row = self._begin(record, rule)
        return 0 if row is None else self._carry_out(row, record, gate)

    def carry_on(self, gate: Gate) -> list[str]:
        """End every thinning that was begun; returns what kept one from it. Raises Held, ArchiveError."""
        with reading(self._engine) as session:
            begun = list(session.scalars(select(ThinningRow).where(ThinningRow.is_done.is_(False))))
        problems = []
        for row in begun:
            try:
                self._carry_out(row, read_record(self._folder(row.inspection_id)), gate)
            except ArchiveError as error:
                problems.append(str(error))
        return problems

    # -- inside -----------------------------------------------------------------------------

    def _first_of_the_latest(self, count: int) -> str:
        """The oldest id among the latest inspections, which are kept; empty where every id may go."""
        query = select(InspectionRow.inspection_id).order_by(InspectionRow.inspection_id.desc())
        with reading(self._engine) as session:
            oldest = session.scalars(query.offset(max(count - 1, 0)).limit(1)).first()
        return "" if count == 0 else oldest or "0"

    def _batch(self, after: str, before: str) -> list[Candidate]:
        """The next PASS with raw frames, without a word and without a pin, in the order of their ids."""
        query = (
            select(PassFramesRow.inspection_id, PassFramesRow.bytes)
            .where(PassFramesRow.inspection_id > after)
            .where(~exists().where(WordRow.inspection_id == PassFramesRow.inspection_id))
            .where(~exists().where(PinRow.inspection_id == PassFramesRow.inspection_id))
            .order_by(PassFramesRow.inspection_id)
            .limit(AT_ONCE)
        )
        if before:
            query = query.where(PassFramesRow.inspection_id < before)
        with reading(self._engine) as session:
            if not inspect(self._engine).has_table(PassFramesRow.__tablename__):
                return []  # of an earlier version, opened for reading
            return [Candidate(name, size) for name, size in session.execute(query)]

    def _folder(self, inspection_id: str) -> Path:
        with reading(self._engine) as session:
            row = session.get(InspectionRow, inspection_id)
        if row is None:
            raise ArchiveError(f"{self._root}: no inspection {inspection_id!r} in it")
        return self._root / row.folder

    def _sound_record(self, inspection_id: str) -> WrittenRecord | None:
        """The record, where it is a PASS with every raw frame as long as it was; a damaged one stays as evidence."""
        try:
            record = read_record(self._folder(inspection_id))
            problem = _damage(record)
        except (ArchiveError, OSError) as error:
            problem = str(error)
        if problem:
            log.warning("inspection %s is damaged and is not thinned: %s", inspection_id, problem)
            self._refused.add(inspection_id)
            return None
        return record if record.inspection.verdict is Verdict.PASS else None

    def _begin(self, record: WrittenRecord, rule: str) -> ThinningRow | None:
        """Enter that its thinning begins; None where a word or a pin has come, or it was thinned before."""
        name = record.inspection.inspection_id
        before = read_mark(record.folder)  # there already where the data base is older than the folder
        about = _about(record, datetime.now(UTC), rule) if before is None else before.about
        size = sum(file.bytes for file in about.files.values())
        row = ThinningRow(
            inspection_id=name, is_done=False, rule=about.rule, begun=about.when, bytes=size,
            mark_sha256=mark_of(about).sha256,
        )  # fmt: skip
        needed = exists().where(WordRow.inspection_id == name) | exists().where(PinRow.inspection_id == name)
        try:
            with Session(self._engine, expire_on_commit=False) as session:
                listed = delete(PassFramesRow).where(PassFramesRow.inspection_id == name)
                # A statement that writes comes first: from there on no other process can enter a word or a pin.
                if not session.connection().execute(listed).rowcount:
                    return None
                if session.scalar(select(needed)):
                    session.rollback()
                    return None
                session.add(row)
                session.commit()
        except SQLAlchemyError as error:
            raise ArchiveError(f"{self._engine.url}: {name} cannot be thinned: {cause_of(error)}") from error
        return row

    def _carry_out(self, row: ThinningRow, record: WrittenRecord, gate: Gate) -> int:
        """Write the mark where it is not there yet, remove the frames that are, and say that it is done."""
        mark = self._mark(row, record, gate)
        folders = set()
        for name in sorted(mark.about.files):
            with gate.step():
                _remove(record.folder / name)
            folders.add((record.folder / name).parent)
        with gate.step():
            for folder in folders:
                if folder.is_dir():
                    sync_folder(folder)
            self._end(row)
        log.info("%s: %s", record.folder, mark.sentence())
        return row.bytes

    def _mark(self, row: ThinningRow, record: WrittenRecord, gate: Gate) -> ThinnedMark:
        mark = read_mark(record.folder)
        if mark is None:
            mark = mark_of(_about(record, row.begun, row.rule))
            with gate.step():
                try:
                    write_atomic(record.folder / THINNED, mark_bytes(mark.about))
                except OSError as error:
                    raise ArchiveError(
                        f"{record.folder / THINNED}: cannot be written: {error}; free the disk"
                    ) from error
        problems = mark_problems(mark, record.manifest, record.manifest_sha256)
        if problems or mark.sha256 != row.mark_sha256:
            text = problems[0] if problems else f"{THINNED}: differs from what the data base holds (SHA-256)"
            raise ArchiveError(f"{record.folder}: {text}; nothing more of it is thinned, restore it from a backup")
        return mark

    def _end(self, row: ThinningRow) -> None:
        try:
            with Session(self._engine) as session:
                found = session.get(ThinningRow, row.inspection_id)
                if found is not None:
                    found.is_done = True
                session.commit()
        except SQLAlchemyError as error:
            raise ArchiveError(f"{self._engine.url}: a thinning cannot be ended: {cause_of(error)}") from error


def thin_all(
    thinning: Thinning, gate: Gate, *, is_disk_full: Callable[[], bool], go_on: Callable[[], bool] = lambda: True
) -> ThinReport:
    """End what was begun, then thin by age, then by the full disk until it has room. Raises Held, ArchiveError."""
    report = ThinReport(problems=thinning.carry_on(gate))
    for by_disk in (False, True):
        if by_disk and not is_disk_full():
            break
        rule = thinning.retention.rule_text(is_disk_full=by_disk)
        for found in thinning.candidates(is_disk_full=by_disk):
            if not go_on() or (by_disk and not is_disk_full()):
                break
            try:
                if size := thinning.thin(found.inspection_id, rule, gate):
                    report.add(size)
            except ArchiveError as error:  # most likely the next one would be refused too: a later look tries again
                report.problems.append(str(error))
                return report
    return report


def _damage(record: WrittenRecord) -> str:
    """What is wrong with the raw frames, as far as their lengths say; nothing of those that a mark says are gone."""
    mark = read_mark(record.folder)
    if mark is not None:
        return next(iter(mark_problems(mark, record.manifest, record.manifest_sha256)), "")
    wrong = [
        name
        for name, stored in raw_frames(record.manifest).items()
        if (record.folder / name).stat().st_size != stored.bytes
    ]
    return f"{wrong[0]} is not as long as it was" if wrong else ""


def _about(record: WrittenRecord, when: datetime, rule: str) -> Thinned:
    manifest = record.manifest
    return Thinned(
        inspection_id=manifest.inspection_id, is_simulated=manifest.is_simulated, when=when, rule=rule,
        manifest_sha256=record.manifest_sha256, files=dict(sorted(raw_frames(manifest).items())),
    )  # fmt: skip


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be removed: {error.strerror or error}; give this user the right") from error
