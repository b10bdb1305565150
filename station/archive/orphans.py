"""What a station that died left behind, put in order by the next one that writes.

Only the holder of the archive's lock may call this: what looks left behind may otherwise be what another one writes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from station.archive.ahead import PARTIAL_PREFIX
from station.archive.database import cause_of, reading
from station.archive.errors import ArchiveError
from station.archive.folder import MANIFEST, read_record, verify_record
from station.archive.ids import is_inspection_id
from station.archive.pins import enter_pins
from station.archive.rows import insert_record
from station.archive.spool import Spool
from station.archive.tables import DayRow, InspectionRow
from station.archive.thinned import read_mark
from station.archive.words import enter_words, mend_files
from station.documents.atomic import sync_folder

log = logging.getLogger(__name__)

INTERRUPTED = "interrupted"  # folder of records that were never finished
DAY_FOLDERS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
SETTLED_NS = 2_000_000_000  # a folder's time of change says nothing of what came within the same tick of the clock
AT_ONCE = 500  # ids in one query: SQLite's least limit of parameters is 999


def put_in_order(root: Path, engine: Engine, spool: Spool) -> tuple[str, ...]:
    """Finish or set aside what was interrupted, bring home what was kept aside, enter whole folders without a row.

    A day whose folder has not changed since it was last found in order is passed by: at 100,000 parts a look at every
    folder takes seconds.
    Returns a line for each of them, for a person to read. What cannot be put in order stays as it is.
    Raises ArchiveError: the data base cannot be read.
    """
    kept_aside = {kept.name for kept in spool.records()}
    spool.drop_unfinished()
    changed = _changed_days(root, engine)
    notes = [
        _finish_or_set_aside(root, unfinished, kept_aside)
        for day in changed
        for unfinished in sorted(day.glob(f"{PARTIAL_PREFIX}*"))
    ]
    notes += [_bring_home(root, spool, kept) for kept in spool.records()]
    for day in _changed_days(root, engine):
        notes += _put_day_in_order(root, engine, day)
    if kept_aside:
        spool.drop_all(_known(engine, sorted(kept_aside)))
    notes += mend_files(engine, root)
    for note in notes:
        log.warning("%s", note)
    return tuple(notes)


def unfinished_folders(root: Path) -> list[Path]:
    """Records that are being written, or whose writing was interrupted."""
    return sorted(root.glob(f"{DAY_FOLDERS}/{PARTIAL_PREFIX}*"))


def interrupted_folders(root: Path) -> list[Path]:
    """Records whose writing was interrupted, as they were set aside: no inspection, but their whole files stay."""
    return sorted(path for path in root.glob(f"{INTERRUPTED}/{DAY_FOLDERS}/*") if path.is_dir())


def _changed_days(root: Path, engine: Engine) -> list[Path]:
    """The folders of days that have changed since every record in them was found to have its row."""
    with reading(engine) as session:
        seen = {row.day: row.seen_ns for row in session.scalars(select(DayRow))}
    days = (path for path in sorted(root.glob(DAY_FOLDERS)) if path.is_dir())
    return [day for day in days if seen.get(day.name) != day.stat().st_mtime_ns]


def _put_day_in_order(root: Path, engine: Engine, day: Path) -> list[str]:
    """Enter what has no row, and remember the day where nothing in it is left to do."""
    changed_ns = day.stat().st_mtime_ns
    is_settled = time.time_ns() - changed_ns > SETTLED_NS
    names = sorted(path.name for path in day.iterdir())
    ids = [name for name in names if is_inspection_id(name)]
    known = _known(engine, ids)
    notes = [_enter(root, engine, day / name) for name in ids if name not in known]
    is_whole = len(_known(engine, ids)) == len(ids) and not any(name.startswith(PARTIAL_PREFIX) for name in names)
    if is_settled and is_whole:
        _remember(engine, day.name, changed_ns)
    return notes


def _remember(engine: Engine, day: str, changed_ns: int) -> None:
    try:
        with Session(engine) as session:
            row = session.get(DayRow, day)
            if row is None:
                session.add(DayRow(day=day, parts=0, bytes=0, pass_frame_bytes=0, seen_ns=changed_ns))
            else:
                row.seen_ns = changed_ns
            session.commit()
    except SQLAlchemyError as error:  # the next opening looks at that day once more
        log.warning("%s cannot be remembered as in order: %s", day, cause_of(error))


def _known(engine: Engine, ids: Sequence[str]) -> set[str]:
    """Which of these inspections have a row."""
    found: set[str] = set()
    with reading(engine) as session:
        for begin in range(0, len(ids), AT_ONCE):
            asked = ids[begin : begin + AT_ONCE]
            found |= set(
                session.scalars(select(InspectionRow.inspection_id).where(InspectionRow.inspection_id.in_(asked)))
            )
    return found


def _finish_or_set_aside(root: Path, unfinished: Path, kept_aside: set[str]) -> str:
    """A record that lacks nothing but its name gets it; any other one is moved away whole."""
    target = unfinished.with_name(unfinished.name.removeprefix(PARTIAL_PREFIX))
    try:
        if is_inspection_id(target.name) and not target.exists() and _is_whole(unfinished):
            unfinished.rename(target)
            sync_folder(target.parent)
            return f"{target}: its writing was interrupted after its last file; it is whole"
        aside = _free_name(root / INTERRUPTED / unfinished.parent.name / target.name)
        sizes = [path.stat().st_size for path in unfinished.rglob("*") if path.is_file()]
        aside.parent.mkdir(parents=True, exist_ok=True)
        unfinished.rename(aside)
        sync_folder(aside.parent)
    except OSError as error:
        return f"{unfinished}: its writing was interrupted, and it cannot be moved away: {error.strerror or error}"
    remedy = (
        "The whole inspection was kept elsewhere: delete the folder"
        if target.name in kept_aside
        else "That part has no verdict: inspect it again, then delete the folder"
    )
    return (
        f"{aside}: the writing of this inspection was interrupted; its {len(sizes)} files ({sum(sizes) / 1e6:.1f} MB) "
        f"were set aside. {remedy}"
    )


def _is_whole(folder: Path) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    try:
        return not verify_record(folder, read_record(folder).manifest_sha256)
    except Exception:  # one damaged folder must not keep the archive from opening, whatever is wrong with it
        log.exception("%s is no whole record", folder)
        return False


def _free_name(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}~{number}")
    return free


def _bring_home(root: Path, spool: Spool, kept: Path) -> str:
    try:
        spool.copy_home(kept, root)
    except (ArchiveError, OSError) as error:
        return f"{kept}: this inspection waits here for its archive {root}, and cannot be stored there yet: {error}"
    return f"{root}: inspection {kept.name}, which could not be stored before, was brought home from {kept}"


def _enter(root: Path, engine: Engine, folder: Path) -> str:
    try:
        insert_record(engine, root, read_record(folder), read_mark(folder))
        with Session(engine) as session:
            enter_words(session, folder.name, folder)
            enter_pins(session, folder.name, folder)
            session.commit()
    except Exception as error:  # one damaged folder must not keep the archive from opening, whatever is wrong with it
        text = str(error) if isinstance(error, ArchiveError) else f"{type(error).__name__}: {error}"
        return f"{folder}: has no row in the data base and could not be entered: {text}"
    return f"{folder}: had no row in the data base and was entered"
