"""The data base: opened so that a commit survives a power cut, checked, and brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateIndex

from station.archive.errors import ArchiveError, ArchiveNotFound
from station.archive.tables import (
    LATEST_OF,
    REPLACED_INDICES,
    FrameRow,
    InspectionRow,
    PassFramesRow,
    SchemaRow,
    Table,
    ThinningRow,
)
from station.inspection.result import Verdict

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 5000
CONNECTIONS = 2  # kept open: for the part that is inspected, and for the retention beside it
MOST_CONNECTIONS = 15


def open_database(url: str, *, is_checked: bool = True) -> Engine:
    """Connect, check, create what is missing. Raises ArchiveError.

    `is_checked` looks at every page of an SQLite file, which takes seconds at 100,000 parts. It is for what a power cut
    may have torn: a writer that is killed alone leaves whole pages, or a log whose sums show which are not.
    """
    engine = create_engine(url, pool_size=CONNECTIONS, max_overflow=MOST_CONNECTIONS - CONNECTIONS)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        if is_checked:
            _check_sqlite(engine)
        Table.metadata.create_all(engine)
        _check_version(engine)
        _bring_up_to_date(engine)
        _connect_all(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        action = "check the disk and who else has it open"
        raise ArchiveError(f"{engine.url}: cannot be used: {cause_of(error)}; {action}") from error
    except ArchiveError:
        engine.dispose()
        raise
    return engine


def open_beside_a_writer(path: Path) -> Engine:
    """Connect to the data base of an archive that a station may be writing to, for one small entry.

    Raises ArchiveNotFound, ArchiveError.
    """
    _require_database(path)
    return open_database(sqlite_url(path), is_checked=False)


def _require_database(path: Path) -> None:
    if not path.is_file():
        raise ArchiveNotFound(
            f"{path.parent}: holds no archive (no {path.name} in it); name the folder `archive` below the --out of "
            "`station inspect`"
        )


def open_database_for_reading(path: Path) -> Engine:
    """Connect to an SQLite file without ever changing it. Raises ArchiveNotFound, ArchiveError.

    Its pages are not checked: that would take seconds at 100,000 parts, and what is read is checked as it is read.
    """
    _require_database(path)
    engine = create_engine(sqlite_url(path), creator=lambda: _connect_for_reading(path))
    try:
        _check_known_version(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise ArchiveError(f"{engine.url}: cannot be read: {cause_of(error)}; check the disk") from error
    except ArchiveError:
        engine.dispose()
        raise
    return engine


def _connect_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Where not even the log's index may be written, nobody has the file open."""
    uri = f"file:{quote(path.as_posix())}?mode=ro"
    try:
        return _checked(uri)
    except sqlite3.OperationalError:
        if path.with_name(f"{path.name}-wal").exists():
            raise
        return _checked(f"{uri}&immutable=1")


def _checked(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    try:
        for pragma in ("query_only=ON", f"busy_timeout={BUSY_TIMEOUT_MS}", "schema_version"):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()
        raise
    return connection


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's URL of an SQLite file."""
    return f"sqlite:///{path}"


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session whose rows stay usable after it ends. Any error of the data base becomes an ArchiveError."""
    try:
        with Session(engine, expire_on_commit=False) as session:
            yield session
    except SQLAlchemyError as error:
        raise ArchiveError(f"{engine.url}: cannot be read: {cause_of(error)}") from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _connect_all(engine: Engine) -> None:
    """Open every connection that is kept, so that what a process has open does not depend on which threads met when."""
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(engine.connect())


def _check_sqlite(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        found = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
    if found != "ok":
        raise ArchiveError(f"{engine.url}: the data base is damaged ({found}); move it away, the folders rebuild it")


def _check_version(engine: Engine) -> None:
    """Enter the schema's version into a new data base; raises ArchiveError if an old one has another."""
    with Session(engine) as session:
        version = session.scalars(select(SchemaRow.version)).first()
        if version is None:
            session.add(SchemaRow(version=SCHEMA_VERSION))
            session.commit()
        else:
            _refuse_other_version(engine, version)


def _check_known_version(engine: Engine) -> None:
    """Raise ArchiveError for a data base that is no archive's, or that of later software."""
    if not inspect(engine).has_table(SchemaRow.__tablename__):
        raise ArchiveNotFound(f"{engine.url}: is a data base, but not one of an archive")
    with Session(engine) as session:
        _refuse_other_version(engine, session.scalars(select(SchemaRow.version)).first())


def _refuse_other_version(engine: Engine, version: int | None) -> None:
    if version != SCHEMA_VERSION:
        raise ArchiveError(
            f"{engine.url}: tables of version {version}, this software knows {SCHEMA_VERSION}; "
            "use the software that wrote them"
        )


def _bring_up_to_date(engine: Engine) -> None:
    """What an earlier version lacked: two indices, and the list of PASS whose raw frames are there."""
    with engine.begin() as connection:
        for index in LATEST_OF:
            connection.execute(CreateIndex(index, if_not_exists=True))
        for name in REPLACED_INDICES:
            connection.execute(text(f"DROP INDEX IF EXISTS {name}"))
        is_counted = any(connection.execute(select(row).limit(1)).first() for row in (PassFramesRow, ThinningRow))
        if not is_counted:
            _list_pass_frames(connection)


def _list_pass_frames(connection: Connection) -> None:
    listed = (
        select(FrameRow.inspection_id, func.sum(FrameRow.bytes))
        .join(InspectionRow, InspectionRow.inspection_id == FrameRow.inspection_id)
        .where(InspectionRow.verdict == Verdict.PASS.value)
        .group_by(FrameRow.inspection_id)
    )
    connection.execute(insert(PassFramesRow).from_select(["inspection_id", "bytes"], listed))


def cause_of(error: Exception) -> str:
    """The data base's own words for what went wrong."""
    return str(getattr(error, "orig", None) or error)
