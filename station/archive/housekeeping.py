"""What keeps an archive from filling its disk: the rule, the room that is left, and the thinning."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from station.archive.errors import ArchiveError
from station.archive.gate import Gate
from station.archive.outlook import Mark, Outlook, free_of, mark_at, outlook
from station.archive.reserve import give_up_reserve, keep_reserve
from station.archive.retention import Retention, read_retention
from station.archive.thinning import Candidate, Thinning, ThinReport, thin_all


class Housekeeping:
    """Of one open archive. A reader can ask; only the holder of the lock changes anything."""

    def __init__(self, root: Path, engine: Engine, *, is_writer: bool) -> None:
        self._root, self._engine, self._is_writer = root, engine, is_writer

    @cached_property
    def retention(self) -> Retention:
        """Which raw frames are kept, and the watermarks: `retention.yaml` in the archive. Raises DocumentError."""
        return read_retention(self._root)

    @cached_property
    def _thinning(self) -> Thinning:
        return Thinning(self._root, self._engine, self.retention)

    def outlook(self) -> Outlook:
        """How much room there is, and for how many days. Raises ArchiveError, DocumentError."""
        return outlook(self._root, self._engine, self.retention)

    def is_to_be_thinned(self) -> bool:
        """Whether the disk has less free than the watermark from which raw frames go whatever their age."""
        return mark_at(*free_of(self._root), self.retention) in (Mark.THIN, Mark.REFUSE)

    def would_thin(self, *, is_disk_full: bool = False) -> list[Candidate]:
        """What the rule gives up now, the oldest first; on a full disk whatever its age. Raises ArchiveError."""
        return list(self._thinning.candidates(is_disk_full=is_disk_full))

    def thin(
        self,
        gate: Gate | None = None,
        *,
        is_disk_full: Callable[[], bool] | None = None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> ThinReport:
        """Remove what the rule gives up, by age, and on a disk below its watermark until there is room again.

        Raises Held where the gate kept it out, ArchiveError; a later call carries on what was begun.
        """
        self._require_writer()
        give_up_reserve(self._root)
        return thin_all(self._thinning, gate or Gate(), is_disk_full=is_disk_full or self.is_to_be_thinned, go_on=go_on)

    def keep_reserve(self) -> None:
        """Keep a little room aside with which a full disk can still be thinned."""
        self._require_writer()
        keep_reserve(self._root)

    def _require_writer(self) -> None:
        if not self._is_writer:
            raise ArchiveError(f"{self._root}: was opened for reading; nothing can be thinned through it")
