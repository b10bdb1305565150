"""Files of a record that are written while the part is still being taken, one view after the other.

They lie in the folder that the record is built in, so that `write_record` only adds what is missing. The thread that
writes stands back behind every other one of the station. Whoever brings views waits while more of them are not
written than memory has room for, so memory stays bounded and nothing is dropped. Where the disk refuses a file,
nothing more is written ahead, and all that was not written is still in memory.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue

from station.archive.file_jobs import ArchivedFrame, FileJob, Owner, frame_jobs, has_time_for, view_jobs
from station.archive.pixels import Buffer
from station.archive.records import StoredFile
from station.documents.atomic import write_synced
from station.inspection.result import ViewResult

log = logging.getLogger(__name__)

PARTIAL_PREFIX = ".partial-"
NICENESS = 10  # of the thread: the judge's threads come first


@dataclass(slots=True, eq=False)
class ViewToWrite:
    """A judged view with its frames, and who is called, on the writing thread, once they are on the disk.

    The frames leave it one by one as they are written: then nothing here keeps their pixels.
    """

    result: ViewResult
    frames: list[ArchivedFrame]
    frame_written: Callable[[str], None]  # with the light's name
    view_written: Callable[[], None]
    timed: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def size(self) -> int:
        """Bytes of its arrays, as far as they are the largest."""
        image, found = self.result.image, self.result.normal_map
        of_map = 0 if found is None else found.normals.nbytes + found.albedo.nbytes + found.residual.nbytes
        of_image = 0 if image is None else image.nbytes if image.strides[0] else image[0].nbytes
        return sum(frame.frame.pixels.nbytes for frame in self.frames) + of_map + of_image


class Ahead:
    """Of one inspection. `put` comes from one thread at a time; `finish` from any, and `written` after it."""

    def __init__(self, root: Path, owner: Owner) -> None:
        """`root` is the archive's. Nothing is created yet."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        self.folder = root / day / f"{PARTIAL_PREFIX}{owner.inspection_id}"
        self._owner = owner
        self._queue: Queue[ViewToWrite | None] = Queue()  # bounded by `wait_for_room`
        self._waiting_bytes = self._waiting_views = 0
        self._less_waits = threading.Condition()
        self._files: dict[str, tuple[str, StoredFile]] = {}  # by name: identity, and what was written
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def names(self) -> frozenset[str]:
        """The files that are whole and synced."""
        return frozenset(self._files)

    def put(self, view: ViewToWrite) -> None:
        """Hand over a view; does nothing once writing has ended. `wait_for_room` comes before the next one is made."""
        if self._ending.is_set():
            return
        if self._thread is None and not self._began():
            return
        with self._less_waits:
            self._waiting_bytes += view.size
            self._waiting_views += 1
        self._queue.put(view)

    @property
    def is_busy(self) -> bool:
        """Whether something waits to be written, and is not given up."""
        return self._waiting_views > 0 and not self._ending.is_set()

    def wait_for_room(self, most_views: int) -> None:
        """Return once no more than `most_views` are not wholly written, or nothing is written ahead any more."""
        with self._less_waits:
            self._less_waits.wait_for(lambda: self._waiting_views <= most_views or self._ending.is_set())

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
        self._end()
        if self._thread is not None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def written(self, job: FileJob) -> StoredFile | None:
        """What was written for this very job; None where it is still to be done."""
        identity, stored = self._files.get(job.name, ("", None))
        return stored if identity == job.identity else None

    def _run(self) -> None:
        stand_back()
        while self._writes_one():
            self._less(0, views=1)  # nothing here refers to its arrays any more: their memory serves the next view

    def _writes_one(self) -> bool:
        """Write the next view, and keep nothing of it; False at the end."""
        view = self._queue.get()
        if view is None:
            return False
        try:
            self._write(view)
        except Exception as error:  # whatever it is: the record is written at the end, as far as it is not yet
            log.warning("view %s is not written ahead: %s", view.result.view, error)
            self._end()
        return True

    def _end(self) -> None:
        with self._less_waits:
            self._ending.set()
            self._less_waits.notify_all()

    def _less(self, size: int, *, views: int = 0) -> None:
        with self._less_waits:
            self._waiting_bytes -= size
            self._waiting_views -= views
            self._less_waits.notify_all()

    def _write(self, view: ViewToWrite) -> None:
        _, of_view = view_jobs(self._owner, view.result)
        compressed = has_time_for(self._waiting_bytes)
        while view.frames:
            if self._ending.is_set():
                return
            self._write_frame(view, compressed=compressed)
        for job in of_view:
            if self._ending.is_set():
                return
            with view.timed():
                self._store(job, compressed=compressed)
        view.view_written()
        self._less(view.size)

    def _write_frame(self, view: ViewToWrite, *, compressed: bool) -> None:
        """The first of the view's frames; its own record tells it from others of that light, if there are any."""
        _, (job,) = frame_jobs(self._owner, view.frames[:1])
        before = view.size
        with view.timed():
            self._store(job, compressed=compressed)
        frame = view.frames.pop(0)
        view.frame_written(frame.light)
        self._less(before - view.size)

    def _store(self, job: FileJob, *, compressed: bool) -> None:
        path = self.folder / job.name
        self._files.pop(job.name, None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # of a take that was thrown away
        self._files[job.name] = (job.identity, store_file(path, job, compressed=compressed))


def store_file(path: Path, job: FileJob, *, compressed: bool) -> StoredFile:
    """Make the file part by part, each hashed and written from the same bytes, and sync it.

    Raises OSError, and what `make` raises.
    """
    digest, size = hashlib.sha256(), 0

    def hashed() -> Iterator[Buffer]:
        nonlocal size
        for part in job.make(compressed):
            digest.update(part)
            size += len(part)
            yield part

    try:
        write_synced(path, hashed())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return StoredFile(sha256=digest.hexdigest(), bytes=size)


def stand_back() -> None:
    """Give this thread what processor time the others leave, where the system has priorities for threads (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
