"""Whether the next record would find its place: free space, the right to write, and a data base that takes rows."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from station.archive.database import cause_of
from station.archive.errors import ArchiveError
from station.archive.outlook import free_of, refuse_below_bytes
from station.archive.retention import FILE, Retention
from station.documents.atomic import write_synced

RESERVE_BYTES = 64_000_000  # for the data base, its log and the documents
PROBE_BYTES = 4096
PROBE_TIMEOUT_MS = 500  # a person waits for the answer


def check_room(root: Path, engine: Engine, record_bytes: int, retention: Retention) -> None:
    """Raise ArchiveError where a record of that size could not be stored now; the text says what to do."""
    _check_space(root, record_bytes, retention)
    _check_writing(root)
    _check_rows(engine)


def _check_space(root: Path, record_bytes: int, retention: Retention) -> None:
    """For the record itself first, then for what the watermark wants left after it."""
    free, _ = free_of(root)
    wanted = record_bytes + RESERVE_BYTES
    kept_free = refuse_below_bytes(retention)
    if wanted <= free < record_bytes + kept_free:
        raise ArchiveError(
            f"{root}: {free / 1e9:.2f} GB free, and {kept_free / 1e9:g} GB must be left after the next part "
            f"(refuse_below_gb in {FILE}); free the disk, move the archive to a larger one, or use another --out"
        )
    if free < wanted:
        raise ArchiveError(
            f"{root}: {free / 1e6:.0f} MB free, the next part may need {wanted / 1e6:.0f} MB; "
            "free the disk, or use another --out"
        )


def _check_writing(root: Path) -> None:
    """Write, sync and remove a small file where today's records go."""
    folder = root / f"{datetime.now(UTC):%Y-%m-%d}"
    probe = folder / f".probe-{secrets.token_hex(4)}"
    try:
        folder.mkdir(exist_ok=True)
        try:
            write_synced(probe, bytes(PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        text = f"{folder}: cannot be written to: {error.strerror or error}"
        raise ArchiveError(f"{text}; free the disk, or give this user the right to write") from error


def _check_rows(engine: Engine) -> None:
    """Begin a transaction that writes, and give it up. Only SQLite's data base can be asked so."""
    if engine.dialect.name != "sqlite":
        return
    try:
        with engine.connect() as connection:
            raw = connection.connection.cursor()
            (usual_ms,) = raw.execute("PRAGMA busy_timeout").fetchone()
            try:
                raw.execute(f"PRAGMA busy_timeout={PROBE_TIMEOUT_MS}")
                raw.execute("BEGIN IMMEDIATE")
                raw.execute("ROLLBACK")
            finally:
                raw.execute(f"PRAGMA busy_timeout={usual_ms}")
                raw.close()
    except (SQLAlchemyError, _dbapi_error(engine)) as error:
        text = f"{engine.url}: the data base takes no rows: {cause_of(error)}"
        raise ArchiveError(f"{text}; end what else has it open, or give this user the right to write") from error


def _dbapi_error(engine: Engine) -> type[Exception]:
    found: type[Exception] = engine.dialect.loaded_dbapi.Error
    return found
