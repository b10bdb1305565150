"""Thins the archive and looks at its room while nothing is inspected, in a thread of its own at low priority."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable

from station.archive import Archive, ArchiveError
from station.archive.gate import Gate, Held
from station.archive.outlook import Mark, Outlook
from station.engine.events import RoomWatched
from station.errors import BadInput

log = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0  # where no part is inspected meanwhile
LEAST_NICE = 19  # POSIX: whoever else wants the processor gets it
_FAILURES = (ArchiveError, BadInput, OSError)


class RetentionWatch:
    """Looks once it is started, after every part, and every LOOK_EVERY_S; `latest` is what it found last.

    Between `hold` and `release` it touches no file. It never raises into its thread's caller: what goes wrong is
    logged, and the next look tries again.
    """

    def __init__(self, archive: Archive, emit: Callable[[RoomWatched], None]) -> None:
        self._archive = archive
        self._emit = emit
        self._gate = Gate()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._warned = Mark.WELL
        self.latest: RoomWatched | None = None

    def start(self) -> None:
        """Begin to look; a second call does nothing. A machine without a thread left is reported in the log."""
        if self._thread is not None:
            return
        self._closing.clear()
        self._wake.clear()  # `close` has set it, and a thread that begins looks once by itself
        self._gate.release()
        thread = threading.Thread(target=self._watch, name="retention", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            log.exception("the archive is not thinned, and its room is not watched")
        else:
            self._thread = thread

    def hold(self) -> None:
        """A part begins: once this returns, no file is touched. It waits for one file's removal at most."""
        self._gate.hold()

    def release(self) -> None:
        """The part is over: look again."""
        self._gate.release()
        self._wake.set()

    def close(self) -> None:
        """End the thread at its next step; a thinning that was begun is carried on by the next station."""
        self._closing.set()
        self._gate.hold()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _watch(self) -> None:
        _be_nice()
        while not self._closing.is_set():
            try:
                self._look()
            except Held:
                log.debug("the thinning waits for the part that is inspected")
            except Exception as error:  # nothing of this may end the watch, nor reach the part that comes next
                is_known = isinstance(error, _FAILURES)
                log.warning("the archive's room cannot be looked after: %s", error, exc_info=not is_known)
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _look(self) -> None:
        """Report the room; thin what is due; report it again where that has changed it."""
        with self._gate.step():
            found = self._report()
        report = self._archive.housekeeping.thin(self._gate, go_on=self._goes_on)
        if found.mark is not Mark.WELL:
            with self._gate.step():
                self._archive.housekeeping.keep_reserve()
        for problem in report.problems:
            log.warning("not thinned: %s", problem)
        if report.parts:
            log.info("raw frames of %d PASS were removed, %.1f MB", report.parts, report.bytes / 1e6)
            if found.mark is not Mark.WELL:
                self._report()

    def _report(self) -> Outlook:
        found = self._archive.housekeeping.outlook()
        self.latest = RoomWatched(found)
        if found.mark is not self._warned and found.mark is not Mark.WELL:
            log.warning("%s; what to do: %s", found.sentence(), found.remedy)
        self._warned = found.mark
        self._emit(self.latest)
        return found

    def _goes_on(self) -> bool:
        return not self._closing.is_set()


def _be_nice() -> None:
    """Of this thread alone, which Linux allows; elsewhere the thread's small steps have to do."""
    if sys.platform == "linux":
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST_NICE)
        except OSError as error:
            log.debug("the retention's thread keeps its priority: %s", error)
