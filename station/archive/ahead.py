"""Files of a record that are written while the part is still being taken, one view after the other.

They lie in the folder that the record is built in, so that `write_record` only adds what is missing. The thread that
writes stands back behind every other one of the station, and few views wait for it: whoever brings the next one then
waits too, so memory stays bounded and nothing is dropped. Where the disk refuses a file, nothing more is written ahead,
and all that was not written is still in memory.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Queue

from station.archive.file_jobs import ArchivedFrame, FileJob, Owner, frame_jobs, view_jobs
from station.archive.records import StoredFile
from station.documents.atomic import write_synced
from station.inspection.result import ViewResult

log = logging.getLogger(__name__)

PARTIAL_PREFIX = ".partial-"
VIEWS_THAT_WAIT = 1  # beside the one that is being written
NICENESS = 10  # of the thread: the judge's threads come first


@dataclass(frozen=True, slots=True)
class ViewToWrite:
    """A judged view with its frames, and who is called, on the writing thread, once they are on the disk."""

    result: ViewResult
    frames: tuple[ArchivedFrame, ...]
    frame_written: Callable[[str], None]  # with the light's name
    view_written: Callable[[], None]
    timed: Callable[[], AbstractContextManager[None]] = nullcontext


class Ahead:
    """Of one inspection. `put` comes from one thread at a time; `finish` from any, and `written` after it."""

    def __init__(self, root: Path, owner: Owner) -> None:
        """`root` is the archive's. Nothing is created yet."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        self.folder = root / day / f"{PARTIAL_PREFIX}{owner.inspection_id}"
        self._owner = owner
        self._queue: Queue[ViewToWrite | None] = Queue(VIEWS_THAT_WAIT)
        self._files: dict[str, tuple[str, StoredFile]] = {}  # by name: identity, and what was written
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def names(self) -> frozenset[str]:
        """The files that are whole and synced."""
        return frozenset(self._files)

    def put(self, view: ViewToWrite) -> None:
        """Hand over a view. Blocks while others wait; does nothing once writing has ended."""
        if self._ending.is_set():
            return
        if self._thread is None and not self._began():
            return
        self._queue.put(view)

    def _began(self) -> bool:
        thread = threading.Thread(target=self._run, name="archive-ahead", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no thread left: all is written at the end
            log.warning("nothing is written ahead: %s", error)
            self._ending.set()
            return False
        self._thread = thread
        return True

    def finish(self) -> None:
        """Begin no further file; return once the one that is being written is whole. Safe to call twice."""
        self._ending.set()
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def written(self, job: FileJob) -> StoredFile | None:
        """What was written for this very job; None where it is still to be done."""
        identity, stored = self._files.get(job.name, ("", None))
        return stored if identity == job.identity else None

    def _run(self) -> None:
        stand_back()
        while (view := self._queue.get()) is not None:
            try:
                self._write(view)
            except Exception as error:  # whatever it is: the record is written at the end, as far as it is not yet
                log.warning("view %s is not written ahead: %s", view.result.view, error)
                self._ending.set()
        self._drain()

    def _drain(self) -> None:
        """Nobody who puts a view may wait for ever."""
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            return

    def _write(self, view: ViewToWrite) -> None:
        _, of_frames = frame_jobs(self._owner, view.frames)
        _, of_view = view_jobs(self._owner, view.result)
        lights: Sequence[str | None] = [frame.light for frame in view.frames]
        for job, light in zip([*of_frames, *of_view], [*lights, *[None] * len(of_view)], strict=True):
            if self._ending.is_set():
                return
            with view.timed():
                self._store(job)
            if light is not None:
                view.frame_written(light)
        view.view_written()

    def _store(self, job: FileJob) -> None:
        path = self.folder / job.name
        self._files.pop(job.name, None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # of a take that was thrown away
        self._files[job.name] = (job.identity, store_file(path, job))


def store_file(path: Path, job: FileJob) -> StoredFile:
    """Make the bytes and write them, synced. Raises OSError, and what `make` raises."""
    data = job.make()
    try:
        write_synced(path, data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return StoredFile(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def stand_back() -> None:
    """Give this thread what processor time the others leave, where the system has priorities for threads (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
