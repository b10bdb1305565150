"""How much room an archive's disk has, how fast it goes, and for how many days it lasts."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Engine, func, inspect, select

from station.archive.database import reading
from station.archive.errors import ArchiveError
from station.archive.retention import FILE, Retention
from station.archive.tables import DayRow
from station.archive.thinning import Thinning

RATE_DAYS = 7  # the last days, from which the growth is taken
MOST_DAYS = 999.0


class Mark(StrEnum):
    """Which watermark the free disk has reached."""

    WELL = "well"
    WARN = "warn"
    THIN = "thin"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Room in bytes; rates per day of the calendar, over the last days; days are None where nothing was stored yet."""

    root: str
    mark: Mark
    free_bytes: int
    total_bytes: int
    refuse_below_bytes: int
    thinnable_bytes: int  # about what the rule gives up on a full disk: parts with a word or a pin are not taken off
    parts_a_day: float
    bytes_a_day: float
    lasting_bytes_a_day: float  # of these, what no rule ever gives up
    days_measured: float  # over how many days; less than RATE_DAYS in a young archive
    days_left: float | None  # with thinning

    @property
    def remedy(self) -> str:
        """What a person can do."""
        return (
            f"move {self.root} to a larger disk, free this one, or shorten kept_days and raise then_one_in in "
            f"{FILE} there (`station archive thin --dry-run` shows what that gives)"
        )

    def short(self) -> str:
        """A few words for a strip."""
        if self.days_left is None:
            return f"Archive: {_gb(self.free_bytes)} free"
        return f"Archive: room for {_days(self.days_left)}"

    def sentence(self) -> str:
        """What a person has to know at a watermark."""
        share = 100 * self.free_bytes / max(self.total_bytes, 1)
        done = {
            Mark.WELL: "",
            Mark.WARN: "",
            Mark.THIN: "; raw frames of the oldest PASS are being removed",
            Mark.REFUSE: "; no part is started any more",
        }[self.mark]
        return f"the archive's disk has {_gb(self.free_bytes)} free ({share:.0f} %), {self._left()}{done}"

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {**asdict(self), "mark": self.mark.value, "remedy": self.remedy}

    def as_text(self) -> str:
        """For the screen."""
        rate = (
            f"{self.parts_a_day:.0f} parts and {_gb(self.bytes_a_day)} a day over the last {self.days_measured:.1f} "
            f"days, {_gb(self.lasting_bytes_a_day)} of it for good"
            if self.days_left is not None
            else "no part was archived in the last days"
        )
        lines = [
            f"{self.root}: {self.mark.value}",
            f"  free      {_gb(self.free_bytes)} of {_gb(self.total_bytes)}; Start is refused below "
            f"{_gb(self.refuse_below_bytes)}",
            f"  rate      {rate}",
            f"  thinning  may remove about {_gb(self.thinnable_bytes)} of raw frames of PASS",
            f"  left      {self._left()}",
        ]
        return "\n".join(lines if self.mark is Mark.WELL else [*lines, f"  what to do: {self.remedy}"])

    def _left(self) -> str:
        return "room for how long is not known yet" if self.days_left is None else f"room for {_days(self.days_left)}"


def free_of(root: Path) -> tuple[int, int]:
    """Free and total bytes of the disk. Raises ArchiveError."""
    try:
        usage = shutil.disk_usage(root)
    except OSError as error:
        raise ArchiveError(f"{root}: cannot be asked for its free space: {error.strerror or error}") from error
    return usage.free, usage.total


def mark_at(free: int, total: int, retention: Retention) -> Mark:
    """The watermark that this much free disk has reached. Where thinning is off, `thin` is not among them."""
    marks = retention.watermarks
    percent = 100 * free / max(total, 1)
    if free < refuse_below_bytes(retention):
        return Mark.REFUSE
    if percent < marks.thin_below_percent and retention.passes.thin:
        return Mark.THIN
    return Mark.WARN if percent < marks.warn_below_percent else Mark.WELL


def refuse_below_bytes(retention: Retention) -> int:
    """Free bytes that must be left after the next part."""
    return round(retention.watermarks.refuse_below_gb * 1e9)


def outlook(root: Path, engine: Engine, retention: Retention, now: datetime | None = None) -> Outlook:
    """Room and rate as they are now. Raises ArchiveError."""
    now = now or datetime.now(UTC)
    free, total = free_of(root)
    parts, size, pass_frames, days = _last_days(engine, now.date(), now)
    thinned_share = 1 - 1 / retention.passes.then_one_in if retention.passes.thin else 0.0
    lasting = size - pass_frames * thinned_share
    thinnable = Thinning(root, engine, retention).thinnable_bytes()
    room = free - refuse_below_bytes(retention) + thinnable
    left = None if size <= 0 else min(max(room, 0) / max(lasting / days, 1.0), MOST_DAYS)
    return Outlook(
        root=str(root), mark=mark_at(free, total, retention), free_bytes=free, total_bytes=total,
        refuse_below_bytes=refuse_below_bytes(retention), thinnable_bytes=thinnable, parts_a_day=parts / days,
        bytes_a_day=size / days, lasting_bytes_a_day=lasting / days, days_measured=days, days_left=left,
    )  # fmt: skip


def _last_days(engine: Engine, today: date, now: datetime) -> tuple[int, int, int, float]:
    """Parts, bytes, bytes of PASS frames, and over how many days: RATE_DAYS, or as old as the archive, at least one."""
    first = today - timedelta(days=RATE_DAYS - 1)
    sums = (func.sum(DayRow.parts), func.sum(DayRow.bytes), func.sum(DayRow.pass_frame_bytes))
    with reading(engine) as session:
        if not inspect(engine).has_table(DayRow.__tablename__):
            return 0, 0, 0, 1.0  # of an earlier version, opened for reading
        found = session.execute(select(*sums).where(DayRow.day >= first.isoformat())).one()
        oldest = session.scalars(select(func.min(DayRow.day)).where(DayRow.parts > 0)).first()
    begin = max(date.fromisoformat(oldest), first) if oldest else today
    days = (now - datetime(begin.year, begin.month, begin.day, tzinfo=UTC)) / timedelta(days=1)
    parts, size, frames = (int(value or 0) for value in found)
    return parts, size, frames, max(days, 1.0)


def _days(days: float) -> str:
    return "more than 999 days" if days >= MOST_DAYS else f"{days:.0f} days" if days >= 10 else f"{days:.1f} days"


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
