"""People's words on inspected parts: rows of the data base, and `words.jsonl` in the inspection's folder.

They are only ever added. A word may be given while a station writes to the archive: it touches no record. The row is
entered first and the file written from all rows; a kill between the two is mended by the next word, or by the next
opening for writing. A data base that was lost gets the words back from the files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from station.archive.database import cause_of, open_beside_a_writer, reading
from station.archive.errors import ArchiveError, InspectionNotFound
from station.archive.folder import ADDED_LATER
from station.archive.tables import InspectionRow, WordRow
from station.documents.atomic import write_atomic
from station.inspection.words import GivenWord, Word, check_word

WORDS = ADDED_LATER
AT_ONCE = 500  # ids in one query: SQLite's least limit of parameters is 999


def give_word(database: Path, inspection_id: str, word: Word, by: str, reason: str) -> GivenWord:
    """Enter a person's word on an inspection of the archive whose data base this is; durable when this returns.

    Raises WordRefused for a word that the verdict contradicts, InspectionNotFound, ArchiveNotFound, ArchiveError.
    """
    engine = open_beside_a_writer(database)
    try:
        return _given(engine, database.parent, inspection_id, word, by, reason)
    except SQLAlchemyError as error:
        raise ArchiveError(f"{database}: the word could not be entered: {cause_of(error)}; check the disk") from error
    except OSError as error:
        raise ArchiveError(
            f"{database.parent}: the word is entered, but its file could not be written: {error}; free the disk, the "
            "next opening for writing mends it"
        ) from error
    finally:
        engine.dispose()


def _given(engine: Engine, root: Path, inspection_id: str, word: Word, by: str, reason: str) -> GivenWord:
    with Session(engine, expire_on_commit=False) as session:
        row = session.get(InspectionRow, inspection_id)
        if row is None:
            raise InspectionNotFound(
                f"{root}: no inspection {inspection_id!r} in it; `station history` lists what there is"
            )
        check_word(row.verdict, word, by, reason)
        given = GivenWord(word, by.strip(), reason.strip(), datetime.now(UTC))
        enter_words(session, inspection_id, root / row.folder)
        session.add(_row(inspection_id, given))
        session.commit()
        _write(root / row.folder, _words(session, inspection_id))
    return given


def all_words(engine: Engine) -> dict[str, tuple[GivenWord, ...]]:
    """Inspection -> the words on it, the oldest first; those without any are absent. Raises ArchiveError."""
    found: dict[str, tuple[GivenWord, ...]] = {}
    with reading(engine) as session:
        if not inspect(engine).has_table(WordRow.__tablename__):
            return {}  # of an earlier version, opened for reading
        for row in session.scalars(select(WordRow).order_by(WordRow.number)):
            found[row.inspection_id] = (*found.get(row.inspection_id, ()), _word(row))
    return found


def words_of(engine: Engine, inspection_ids: Sequence[str]) -> dict[str, tuple[GivenWord, ...]]:
    """`all_words` of these inspections alone: a list of the latest must not read those of all. Raises ArchiveError."""
    found: dict[str, tuple[GivenWord, ...]] = {}
    with reading(engine) as session:
        if not inspect(engine).has_table(WordRow.__tablename__):
            return {}  # of an earlier version, opened for reading
        for begin in range(0, len(inspection_ids), AT_ONCE):
            ids = inspection_ids[begin : begin + AT_ONCE]
            query = select(WordRow).where(WordRow.inspection_id.in_(ids)).order_by(WordRow.number)
            for row in session.scalars(query):
                found[row.inspection_id] = (*found.get(row.inspection_id, ()), _word(row))
    return found


def mend_files(engine: Engine, root: Path) -> list[str]:
    """Write the files that a kill kept from being written; returns a line for each. Raises ArchiveError."""
    notes = []
    query = select(InspectionRow.inspection_id, InspectionRow.folder).where(
        InspectionRow.inspection_id.in_(select(WordRow.inspection_id))
    )
    with reading(engine) as session:
        folders = {name: root / folder for name, folder in session.execute(query)}
    for inspection_id, words in all_words(engine).items():
        folder = folders.get(inspection_id)
        if folder is None or not folder.is_dir() or len(read_words(folder)) >= len(words):
            continue
        try:
            _write(folder, words)
            notes.append(f"{folder / WORDS}: lacked a word that the data base holds; it was added")
        except OSError as error:
            notes.append(f"{folder / WORDS}: lacks a word, and cannot be written: {error}")
    return notes


def enter_words(session: Session, inspection_id: str, folder: Path) -> None:
    """Enter the words of the folder's file that the data base lacks; the caller commits. Raises ArchiveError."""
    known = set(_words(session, inspection_id))
    session.add_all(_row(inspection_id, word) for word in read_words(folder) if word not in known)
    session.flush()


def read_words(folder: Path) -> tuple[GivenWord, ...]:
    """The words in an inspection's folder, the oldest first. Raises ArchiveError."""
    path = folder / WORDS
    try:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        found = [json.loads(line) for line in lines]
        return tuple(GivenWord(Word(w["word"]), w["by"], w["reason"], datetime.fromisoformat(w["when"])) for w in found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path}: cannot be read ({error}); restore it from a backup") from error


def _write(folder: Path, words: Sequence[GivenWord]) -> None:
    lines = [json.dumps(word.as_dict(), ensure_ascii=False) for word in words]
    write_atomic(folder / WORDS, ("\n".join(lines) + "\n").encode())


def _words(session: Session, inspection_id: str) -> tuple[GivenWord, ...]:
    query = select(WordRow).where(WordRow.inspection_id == inspection_id).order_by(WordRow.number)
    return tuple(map(_word, session.scalars(query)))


def _word(row: WordRow) -> GivenWord:
    return GivenWord(Word(row.word), row.by, row.reason, row.creation_time)


def _row(inspection_id: str, given: GivenWord) -> WordRow:
    return WordRow(
        inspection_id=inspection_id, word=given.word.value, by=given.by, reason=given.reason, creation_time=given.when
    )
