"""What becomes of an inspection after its verdict: stored, or kept until it is.

A verdict that is not on the disk is not given as PASS. Its inspection stays in memory with all frames, and a copy goes
where the next station finds it (`Archive.keep_aside`). It is tried again in the background, ever less often, and at
each reset. One inspection waits at a time, because no part is started before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from station.archive import Archive, ArchivedFrame, ArchiveError
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection, Verdict, inspection_without_pictures

log = logging.getLogger(__name__)

SLOW_AFTER_S = 20.0  # a record of 2 GB takes less; whatever waits longer hangs, and a person must hear of it
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0  # between attempts; each waits twice as long as the one before
REMEDY = (
    "free the disk, unlock the data base or give this user the right to write; then it is stored by itself, or at "
    "Reset. Leave the station running until then"
)
# An inspection that is refused for itself, and not for the disk, would be refused for ever.
_OF_THE_MACHINE = (ArchiveError, OSError, MemoryError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Stored:
    """What `Storing.store` came to: the record's folder, or why there is none."""

    folder: str
    problem: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether disk and data base have it."""
        return not self.problem


@dataclass(slots=True, eq=False)
class _Waiting:
    """An inspection that is not stored yet, as it was judged."""

    inspection: Inspection
    frames: tuple[ArchivedFrame, ...]
    problem: str
    is_lasting: bool  # the inspection itself is refused: trying again is of no use
    is_reported: bool = False  # it was stored, and the listeners are about to hear of it


class Storing:
    """Stores inspections in the archive, one after the other. Methods may be called from any thread.

    `on_stored` gets an inspection that was stored late, and its folder; nothing waits any more when `on_free` is
    called afterwards. Both are called without a lock, on the thread that tried. `on_slow` gets a text while the archive
    has not answered for long, on a thread of its own.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        on_stored: Callable[[Inspection, str], None],
        on_free: Callable[[], None],
        on_slow: Callable[[str], None],
        first_wait_s: float = FIRST_WAIT_S,
        slow_after_s: float = SLOW_AFTER_S,
    ) -> None:
        self._archive = archive
        self._on_stored, self._on_free, self._on_slow = on_stored, on_free, on_slow
        self._first_wait_s, self._slow_after_s = first_wait_s, slow_after_s
        self._lock = threading.Lock()  # held while the archive is written to
        self._closing = threading.Event()
        self._waiting: _Waiting | None = None
        self._thread: threading.Thread | None = None

    @property
    def problem(self) -> str:
        """Why the last inspection is not stored yet; empty where nothing waits."""
        waiting = self._waiting
        return "" if waiting is None else waiting.problem

    def store(self, inspection: Inspection, frames: Sequence[ArchivedFrame]) -> Stored:
        """Store it, or keep it until `try_again` succeeds. Raises nothing that the archive raises.

        A disk that takes its time is waited for, and reported once by `on_slow`: the verdict comes when it answers.
        """
        with self._lock, self._reported_if_slow(inspection):
            try:
                return Stored(str(self._archive.record(inspection, frames)))
            except BaseException as error:  # on the job's thread: whatever it is, the frames are not let go
                log.exception("inspection %s could not be stored", inspection.inspection_id)
                problem = _text(error)
                is_lasting = not isinstance(error, _OF_THE_MACHINE)
            problem = f"{problem}; {self._kept_aside(inspection, frames, problem)}"
            self._waiting = _Waiting(inspection, tuple(frames), problem, is_lasting)
        return Stored("", problem)

    @contextmanager
    def _reported_if_slow(self, inspection: Inspection) -> Iterator[None]:
        text = f"storing inspection {inspection.inspection_id} has taken {self._slow_after_s:g} s, and goes on"
        timer = threading.Timer(self._slow_after_s, self._on_slow, [text])
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # the machine has no thread left; the part is stored without the watch
            log.warning("nothing watches how long the disk takes")
        try:
            yield
        finally:
            timer.cancel()

    def keep_trying(self) -> None:
        """Try in the background from now on, until it is stored."""
        thread = threading.Thread(target=self._keep_trying, name="storing", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left; Reset tries too
            log.exception("nothing tries to store the inspection in the background")
        else:
            self._thread = thread

    def try_again(self) -> bool:
        """Store what waits, if it can be stored now; returns whether nothing waits any more."""
        with self._lock:
            waiting = self._waiting
            if waiting is None:
                return True
            if waiting.is_reported:
                return False
            try:
                folder = str(self._archive.record(waiting.inspection, waiting.frames))
            except Exception as error:
                log.warning("inspection %s still cannot be stored: %s", waiting.inspection.inspection_id, _text(error))
                return False
            waiting.is_reported = True
            self._archive.drop_aside(waiting.inspection)
        try:
            self._on_stored(waiting.inspection, folder)
        except Exception:
            log.exception("%s is stored, but its verdict was not reported whole", waiting.inspection.inspection_id)
        finally:
            self._waiting = None
        self._on_free()
        return True

    def give_up_lasting(self) -> str:
        """Let go of an inspection that no archive will take; returns what was lost, or an empty text.

        Without this a station would never start again after a record that cannot be written at all.
        """
        with self._lock:
            waiting = self._waiting
            if waiting is None or not waiting.is_lasting or waiting.is_reported:
                return ""
            self._waiting = None
        name = waiting.inspection.inspection_id
        log.error("inspection %s was given up: %s", name, waiting.problem)
        return f"inspection {name} cannot be stored at all and was given up: {waiting.problem}"

    def close(self) -> None:
        """Try for the last time, and end trying. What waits still is logged with where it was kept."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if not self.try_again():
            log.critical("an inspection is not stored while the station closes: %s", self.problem)

    def _kept_aside(self, inspection: Inspection, frames: Sequence[ArchivedFrame], problem: str) -> str:
        """Keep a copy on whatever disk takes it: whole, else the verdict without its pictures; says what was kept."""
        try:
            return f"all of it is kept in {self._archive.keep_aside(inspection, frames)}"
        except BaseException as error:
            log.warning("no disk takes the whole inspection: %s", _text(error))
        bare = not_stored(inspection_without_pictures(inspection), f"{problem}; its frames were lost")
        try:
            return f"its frames are in memory alone, its verdict in {self._archive.keep_aside(bare, ())}"
        except BaseException as error:
            log.warning("no disk takes the verdict: %s", _text(error))
        return "it is in memory alone"

    def _keep_trying(self) -> None:
        wait_s = self._first_wait_s
        while not self._closing.wait(wait_s) and not self.try_again():
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def not_stored(inspection: Inspection, problem: str) -> Inspection:
    """The inspection as it may be shown while it is not stored: a PASS becomes UNDECIDED, a FAIL stays FAIL."""
    reason = Reason(ReasonKind.NOT_STORED, f"the inspection is not stored: {problem}", REMEDY)
    verdict = Verdict.UNDECIDED if inspection.verdict is Verdict.PASS else inspection.verdict
    return replace(inspection, verdict=verdict, reasons=(reason, *inspection.reasons))


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, ArchiveError) else f"{type(error).__name__}: {error}"
