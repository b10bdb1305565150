"""The thread on which a part is inspected, and which threads belong to it.

A listener is called on a thread of the job. A verb that it gives there must not wait for the job, which waits for it.
"""

from __future__ import annotations

import threading


class JobThread:
    """Of the job that began last, whether it runs or has ended. Any thread may ask."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._here = threading.local()

    def start(self, thread: threading.Thread) -> None:
        """Start a job's thread; it is known here only once it runs. Raises what `Thread.start` raises."""
        thread.start()
        self._thread = thread

    def belongs_here(self) -> None:
        """The calling thread is one of a job: the one that acquires, or the one that judges."""
        self._here.is_of_job = True

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is one of a job."""
        return getattr(self._here, "is_of_job", False)

    @property
    def runs(self) -> bool:
        """Whether the job has not ended."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def runs_elsewhere(self) -> bool:
        """Whether a job runs that the calling thread is no part of."""
        return self.runs and not self.is_here

    def join(self) -> None:
        """Wait for the job's end; on one of its own threads, return at once."""
        self.has_ended_within(None)

    def has_ended_within(self, seconds: float | None) -> bool:
        """Whether the job has ended by then; None waits as long as it takes. True at once on one of its own threads."""
        thread = self._thread
        if thread is None or self.is_here:
            return True
        thread.join(seconds)
        return not thread.is_alive()
