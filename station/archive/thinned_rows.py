"""What the data base knows of thinned parts, beside the marks in their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine, inspect, select

from station.archive.database import reading
from station.archive.errors import ArchiveError
from station.archive.tables import ThinningRow
from station.archive.thinned import THINNED, read_mark

AT_ONCE = 500  # ids in one query: SQLite's least limit of parameters is 999


def thinned_of(engine: Engine, inspection_ids: Sequence[str]) -> dict[str, str]:
    """Those of the inspections that are thinned or being thinned -> SHA-256 of their marks. Raises ArchiveError."""
    found: dict[str, str] = {}
    with reading(engine) as session:
        if not inspect(engine).has_table(ThinningRow.__tablename__):
            return found  # of an earlier version, opened for reading
        for begin in range(0, len(inspection_ids), AT_ONCE):
            ids = inspection_ids[begin : begin + AT_ONCE]
            query = select(ThinningRow.inspection_id, ThinningRow.mark_sha256).where(ThinningRow.inspection_id.in_(ids))
            found |= {row.inspection_id: row.mark_sha256 for row in session.execute(query)}
    return found


def mark_in_doubt(folder: Path, entered_sha256: str | None) -> list[str]:
    """What is wrong between a record's mark and the data base, which holds its hash too, as text."""
    try:
        mark = read_mark(folder)
    except ArchiveError:
        return []  # `verify_record` says so
    if mark is None or mark.sha256 == entered_sha256:
        return []
    if entered_sha256 is None:
        return [f"{THINNED}: the data base knows of no thinning"]
    return [f"{THINNED}: differs from the one in the data base (SHA-256)"]
