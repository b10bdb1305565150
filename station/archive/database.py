"""The data base: opened so that a commit survives a power cut, checked, and filled from written records."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from station.archive.errors import ArchiveError, ArchiveNotFound
from station.archive.folder import WrittenRecord
from station.archive.tables import FrameRow, InspectionRow, LightRow, SchemaRow, Table, ViewRow

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 5000


def open_database(url: str) -> Engine:
    """Connect, check, create what is missing. Raises ArchiveError."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        _check_sqlite(engine)
        Table.metadata.create_all(engine)
        _check_version(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        action = "check the disk and who else has it open"
        raise ArchiveError(f"{engine.url}: cannot be used: {cause_of(error)}; {action}") from error
    except ArchiveError:
        engine.dispose()
        raise
    return engine


def open_database_for_reading(path: Path) -> Engine:
    """Connect to an SQLite file without ever changing it. Raises ArchiveNotFound, ArchiveError."""
    if not path.is_file():
        text = (
            f"{path.parent}: holds no archive (no {path.name} in it); "
            "name the folder `archive` below the --out of `station inspect`"
        )
        raise ArchiveNotFound(text)
    engine = create_engine(sqlite_url(path), creator=lambda: _connect_for_reading(path))
    try:
        _check_sqlite(engine)
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


def insert_record(engine: Engine, root: Path, record: WrittenRecord) -> None:
    """Enter the record in one transaction, durable when this returns. Raises ArchiveError."""
    try:
        with Session(engine) as session:
            session.add(_inspection_row(root, record))
            session.commit()
    except SQLAlchemyError as error:
        name = record.inspection.inspection_id
        raise ArchiveError(
            f"{engine.url}: inspection {name} could not be entered: {cause_of(error)}; check the disk"
        ) from error


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


def _inspection_row(root: Path, record: WrittenRecord) -> InspectionRow:
    """The inspection with its views, lights and frames; `folder` is stored relative to the archive."""
    found = record.inspection
    return InspectionRow(
        inspection_id=found.inspection_id,
        part_id=found.part_id,
        product=found.product,
        recipe_id=found.recipe_id,
        verdict=found.verdict.value,
        reasons=[str(reason) for reason in found.stated_reasons()],
        deciding_view=found.deciding_view,
        is_simulated=found.is_simulated,
        is_partial=found.is_partial,
        creation_time=found.creation_time,
        processing_times_ms=found.processing_times_ms,
        provenance=found.provenance,
        folder=record.folder.relative_to(root).as_posix(),
        manifest_sha256=record.manifest_sha256,
        views=_view_rows(record),
        frames=_frame_rows(record),
        lights=_light_rows(record),
    )


def _light_rows(record: WrittenRecord) -> list[LightRow]:
    """One row per view and light that has a level; views without levels have none."""
    rows = []
    for view in record.inspection.views:
        for light in view.light_levels:
            left_out, relit = view.left_out_residuals.get(light), view.light_residuals.get(light)
            level = view.light_levels[light]
            rows.append(
                LightRow(
                    view=view.view,
                    light=light,
                    level=_finite(level),
                    left_out_residual=_finite(left_out),
                    relighting_residual=_finite(relit),
                )
            )
    return rows


def _finite(value: float | None) -> float | None:
    """The value, or None (NULL) for NaN and infinity, which data bases store differently."""
    return value if value is not None and math.isfinite(value) else None


def _view_rows(record: WrittenRecord) -> list[ViewRow]:
    return [
        ViewRow(
            position=position,
            name=view.view,
            verdict=view.verdict.value,
            score_limit=view.limit,
            pred_score=view.pred_score,
            is_simulated=record.inspection.is_simulated,
        )
        for position, view in enumerate(record.inspection.views)
    ]


def _frame_rows(record: WrittenRecord) -> list[FrameRow]:
    return [
        FrameRow(
            position=position,
            view=frame.view,
            light=frame.light,
            file=frame.file,
            sha256=record.manifest.files[frame.file].sha256,
            bytes=record.manifest.files[frame.file].bytes,
            frame_id=frame.frame_id,
            timestamp_ns=frame.timestamp_ns,
            exposure_us=frame.exposure_us,
            gain_db=frame.gain_db,
            is_simulated=record.inspection.is_simulated,
        )
        for position, frame in enumerate(record.frames.frames)
    ]


def cause_of(error: Exception) -> str:
    """The data base's own words for what went wrong."""
    return str(getattr(error, "orig", None) or error)
