"""What a station that died left behind, put in order by the next one that writes.

Only the holder of the archive's lock may call this: what looks left behind may otherwise be what another one writes.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from station.archive.ahead import PARTIAL_PREFIX
from station.archive.database import insert_record, reading
from station.archive.errors import ArchiveError
from station.archive.folder import MANIFEST, read_record, verify_record
from station.archive.ids import is_inspection_id
from station.archive.spool import Spool
from station.archive.tables import InspectionRow
from station.archive.words import enter_words, mend_files
from station.documents.atomic import sync_folder

log = logging.getLogger(__name__)

INTERRUPTED = "interrupted"  # folder of records that were never finished
DAY_FOLDERS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


def put_in_order(root: Path, engine: Engine, spool: Spool) -> tuple[str, ...]:
    """Finish or set aside what was interrupted, bring home what was kept aside, enter whole folders without a row.

    Returns a line for each of them, for a person to read. What cannot be put in order stays as it is.
    Raises ArchiveError: the data base cannot be read.
    """
    kept_aside = {kept.name for kept in spool.records()}
    spool.drop_unfinished()
    notes = [_finish_or_set_aside(root, unfinished, kept_aside) for unfinished in unfinished_folders(root)]
    notes += [_bring_home(root, spool, kept) for kept in spool.records()]
    known = _known(engine)
    for folder in sorted(root.glob(f"{DAY_FOLDERS}/*")):
        if folder.name not in known and is_inspection_id(folder.name):
            notes.append(_enter(root, engine, folder))
    spool.drop_all(_known(engine))
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


def _known(engine: Engine) -> set[str]:
    with reading(engine) as session:
        return set(session.scalars(select(InspectionRow.inspection_id)))


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
        insert_record(engine, root, read_record(folder))
        with Session(engine) as session:
            enter_words(session, folder.name, folder)
            session.commit()
    except Exception as error:  # one damaged folder must not keep the archive from opening, whatever is wrong with it
        text = str(error) if isinstance(error, ArchiveError) else f"{type(error).__name__}: {error}"
        return f"{folder}: has no row in the data base and could not be entered: {text}"
    return f"{folder}: had no row in the data base and was entered"
