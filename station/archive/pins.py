"""Who needs an inspection's raw frames: rows of the data base, and `pins.jsonl` in the inspection's folder.

A release, a collection or a reference pins what it names; so may a person. Pins are only ever added, and like words
they may be given while a station writes: they touch no record. What is pinned is never thinned. The row is entered
first and the file written from all rows, so that a data base that was lost gets the pins back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from station.archive.database import cause_of, open_beside_a_writer
from station.archive.errors import ArchiveError, InspectionNotFound
from station.archive.folder import PINS
from station.archive.tables import InspectionRow, PinRow, ThinningRow
from station.documents.atomic import write_atomic

log = logging.getLogger(__name__)

LONGEST_BY = 255


@dataclass(frozen=True, slots=True)
class Pin:
    """Who needs the raw frames, and since when (UTC)."""

    by: str
    when: datetime


def pin(database: Path, inspection_ids: Iterable[str], by: str) -> list[str]:
    """Keep these inspections' raw frames for good, since `by` needs them; durable when this returns.

    Returns those whose frames were thinned before. Raises InspectionNotFound, ArchiveNotFound, ArchiveError.
    """
    engine = open_beside_a_writer(database)
    try:
        with Session(engine, expire_on_commit=False) as session:
            return [name for name in dict.fromkeys(inspection_ids) if not _pinned(session, database.parent, name, by)]
    except SQLAlchemyError as error:
        raise ArchiveError(f"{database}: a part cannot be pinned: {cause_of(error)}; check the disk") from error
    except OSError as error:
        raise ArchiveError(f"{database.parent}: a part cannot be pinned: {error}; free the disk") from error
    finally:
        engine.dispose()


def pin_as_named(database: Path, inspection_ids: Iterable[str], by: str) -> list[str]:
    """`pin`, for what names parts of an archive that it only reads: one that takes no pin is reported in the log.

    An archive that cannot be written to loses no frame either, as long as that is so.
    """
    try:
        return pin(database, inspection_ids, by)
    except InspectionNotFound:
        raise
    except ArchiveError as error:
        log.warning("the raw frames that %s needs may be thinned later: %s", by, error)
        return []


def _pinned(session: Session, root: Path, inspection_id: str, by: str) -> bool:
    """Enter one pin, unless the same one is there; whether the frames are still there to be kept."""
    row = session.get(InspectionRow, inspection_id)
    if row is None:
        raise InspectionNotFound(
            f"{root}: no inspection {inspection_id!r} in it; `station history` lists what there is"
        )
    wanted = by.strip()[:LONGEST_BY]
    enter_pins(session, inspection_id, root / row.folder)
    if wanted not in {found.by for found in _pins(session, inspection_id)}:
        session.add(PinRow(inspection_id=inspection_id, by=wanted, creation_time=datetime.now(UTC)))
    session.commit()
    pins = _pins(session, inspection_id)
    if len(_read(root / row.folder)) < len(pins):
        _write(root / row.folder, pins)
    return session.get(ThinningRow, inspection_id) is None


def pins_of(engine: Engine, inspection_id: str) -> tuple[Pin, ...]:
    """The pins of one inspection, the oldest first."""
    with Session(engine) as session:
        return _pins(session, inspection_id)


def enter_pins(session: Session, inspection_id: str, folder: Path) -> None:
    """Enter the pins of the folder's file that the data base lacks; the caller commits. Raises ArchiveError."""
    known = set(_pins(session, inspection_id))
    session.add_all(
        PinRow(inspection_id=inspection_id, by=found.by, creation_time=found.when)
        for found in _read(folder)
        if found not in known
    )
    session.flush()


def _pins(session: Session, inspection_id: str) -> tuple[Pin, ...]:
    query = select(PinRow).where(PinRow.inspection_id == inspection_id).order_by(PinRow.number)
    return tuple(Pin(row.by, row.creation_time) for row in session.scalars(query))


def _read(folder: Path) -> tuple[Pin, ...]:
    path = folder / PINS
    try:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        return tuple(Pin(str(p["by"]), datetime.fromisoformat(p["when"])) for p in map(json.loads, lines))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path}: cannot be read ({error}); restore it from a backup") from error


def _write(folder: Path, pins: Sequence[Pin]) -> None:
    lines = [json.dumps({"by": pin.by, "when": pin.when.isoformat()}, ensure_ascii=False) for pin in pins]
    write_atomic(folder / PINS, ("\n".join(lines) + "\n").encode())
