"""A written record as rows of the data base, entered in one transaction."""

from __future__ import annotations

import math
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from station.archive.database import cause_of
from station.archive.errors import ArchiveError
from station.archive.folder import WrittenRecord
from station.archive.tables import DayRow, FrameRow, InspectionRow, LightRow, PassFramesRow, ThinningRow, ViewRow
from station.archive.thinned import ThinnedMark, raw_frames
from station.inspection.result import Verdict


def insert_record(engine: Engine, root: Path, record: WrittenRecord, mark: ThinnedMark | None = None) -> None:
    """Enter the record in one transaction, durable when this returns; `mark` where its frames were thinned.

    Raises ArchiveError.
    """
    try:
        with Session(engine) as session:
            session.add(_inspection_row(root, record))
            session.flush()
            session.add_all(_retention_rows(record, mark))
            _count_in_day(session, record)
            session.commit()
    except SQLAlchemyError as error:
        name = record.inspection.inspection_id
        raise ArchiveError(
            f"{engine.url}: inspection {name} could not be entered: {cause_of(error)}; check the disk"
        ) from error


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


def _retention_rows(record: WrittenRecord, mark: ThinnedMark | None) -> list[PassFramesRow | ThinningRow]:
    """What the retention has to know of the record. One that was thinned may lack the last step still."""
    name, frames = record.inspection.inspection_id, raw_frames(record.manifest)
    if mark is not None:
        about = mark.about
        size = sum(file.bytes for file in about.files.values())
        row = ThinningRow(
            inspection_id=name, is_done=False, rule=about.rule, begun=about.when, bytes=size, mark_sha256=mark.sha256
        )
        return [row]
    if record.inspection.verdict is not Verdict.PASS or not frames:
        return []
    return [PassFramesRow(inspection_id=name, bytes=sum(file.bytes for file in frames.values()))]


def _count_in_day(session: Session, record: WrittenRecord) -> None:
    """Add the record to its day: the archive's growth is read from few rows."""
    size = sum(file.bytes for file in record.manifest.files.values())
    is_pass = record.inspection.verdict is Verdict.PASS
    of_frames = sum(file.bytes for file in raw_frames(record.manifest).values()) if is_pass else 0
    day = session.get(DayRow, record.folder.parent.name)
    if day is None:
        day = DayRow(day=record.folder.parent.name, parts=0, bytes=0, pass_frame_bytes=0, seen_ns=None)
        session.add(day)
    day.parts, day.bytes, day.pass_frame_bytes = day.parts + 1, day.bytes + size, day.pass_frame_bytes + of_frames


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
