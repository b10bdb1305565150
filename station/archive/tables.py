"""The data base's tables, in types that SQLite and PostgreSQL both have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, String, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """Stored without a zone, always UTC; comes back with its zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """Base of all tables."""


class SchemaRow(Table):
    """One row: which version of these tables the data base has."""

    __tablename__ = "schema_version"

    version: Mapped[int] = mapped_column(primary_key=True)


class InspectionRow(Table):
    """One inspection, and where its folder lies."""

    __tablename__ = "inspection"

    inspection_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    part_id: Mapped[str] = mapped_column(String(255))
    product: Mapped[str] = mapped_column(String(64), index=True)
    recipe_id: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(16))
    reasons: Mapped[list[str]] = mapped_column(JSON)
    deciding_view: Mapped[str | None] = mapped_column(String(64))
    is_simulated: Mapped[bool]
    is_partial: Mapped[bool]
    creation_time: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    processing_times_ms: Mapped[dict[str, float]] = mapped_column(JSON)
    provenance: Mapped[dict[str, str]] = mapped_column(JSON)
    folder: Mapped[str] = mapped_column(String(255))  # below the archive
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    views: Mapped[list[ViewRow]] = relationship(cascade="all, delete-orphan", order_by="ViewRow.position")
    lights: Mapped[list[LightRow]] = relationship(cascade="all, delete-orphan")
    frames: Mapped[list[FrameRow]] = relationship(cascade="all, delete-orphan", order_by="FrameRow.position")


LATEST_OF = (  # the latest of a part or a verdict, without a look at the others; older data bases get them too
    Index("ix_inspection_part_latest", InspectionRow.part_id, InspectionRow.inspection_id),
    Index("ix_inspection_verdict_latest", InspectionRow.verdict, InspectionRow.inspection_id),
)
REPLACED_INDICES = ("ix_inspection_part_id", "ix_inspection_verdict")  # of older data bases, now in the way


class ViewRow(Table):
    """One view's verdict; `position` is its place in the recipe's order."""

    __tablename__ = "view"

    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.inspection_id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(16))
    score_limit: Mapped[float]
    pred_score: Mapped[float | None]  # SQLite has no NaN and stores NULL for it; verdict.json tells them apart
    is_simulated: Mapped[bool]


class LightRow(Table):
    """How one light looked in one view. Older data bases get this table when they are opened."""

    __tablename__ = "light"

    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.inspection_id"), primary_key=True)
    view: Mapped[str] = mapped_column(String(64), primary_key=True)
    light: Mapped[str] = mapped_column(String(64), primary_key=True)
    level: Mapped[float | None]  # mean over black, of full scale
    left_out_residual: Mapped[float | None]  # NULL where too few lights or pixels tell
    relighting_residual: Mapped[float | None]


class WordRow(Table):
    """A person's word on an inspection; rows are only added. Older data bases get this table when they are opened."""

    __tablename__ = "word"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.inspection_id"), index=True)
    word: Mapped[str] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(500))
    creation_time: Mapped[datetime] = mapped_column(UtcDateTime)


class FrameRow(Table):
    """One frame: its file, and the camera's figures of it."""

    __tablename__ = "frame"

    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.inspection_id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    view: Mapped[str] = mapped_column(String(64))
    light: Mapped[str] = mapped_column(String(64))
    file: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    frame_id: Mapped[int] = mapped_column(BigInteger)
    timestamp_ns: Mapped[int] = mapped_column(BigInteger)
    exposure_us: Mapped[float]
    gain_db: Mapped[float]
    is_simulated: Mapped[bool]


class PassFramesRow(Table):
    """A PASS whose raw frames are all there: what the retention may thin. The row goes when its thinning begins."""

    __tablename__ = "pass_frames"

    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.inspection_id"), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)  # of the frames


class ThinningRow(Table):
    """An inspection whose raw frames are removed, or are being removed where `is_done` is false."""

    __tablename__ = "thinning"

    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.inspection_id"), primary_key=True)
    is_done: Mapped[bool] = mapped_column(index=True)
    rule: Mapped[str] = mapped_column(String(200))
    begun: Mapped[datetime] = mapped_column(UtcDateTime)
    bytes: Mapped[int] = mapped_column(BigInteger)
    mark_sha256: Mapped[str] = mapped_column(String(64))  # of thinned.json


class PinRow(Table):
    """Who needs an inspection's raw frames: a release, a collection, a reference, or a person. Rows are only added."""

    __tablename__ = "pin"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.inspection_id"), index=True)
    by: Mapped[str] = mapped_column(String(255))
    creation_time: Mapped[datetime] = mapped_column(UtcDateTime)


class DayRow(Table):
    """One day's folder: what was stored in it, and when it was last found to be in order."""

    __tablename__ = "day"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # UTC, as the folder is called
    parts: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)  # as stored; what was thinned since is not taken off
    pass_frame_bytes: Mapped[int] = mapped_column(BigInteger)  # of these, raw frames of PASS
    seen_ns: Mapped[int | None] = mapped_column(BigInteger)  # the folder's time of change when every record had its row
