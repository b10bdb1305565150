"""What the reader thread hands to the command that waits, in order; a loss of the line is heard by every caller."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

from drivers.errors import DeviceLost

STOPPED = "the arm was stopped"

Reply = TypeVar("Reply")


class Halted:
    """Put before a waiting command of an arm by its `halt`."""


class Replies(Generic[Reply]):
    """A queue that ends waiting for good once a DeviceLost was put into it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Reply | DeviceLost] = queue.SimpleQueue()

    def put(self, reply: Reply | DeviceLost) -> None:
        """From any thread."""
        self._queue.put(reply)

    def empty(self) -> bool:
        return self._queue.empty()

    def next(self, deadline_s: float) -> Reply | None:
        """None when nothing came by `deadline_s` (`time.monotonic`). Raises DeviceLost."""
        try:
            reply = self._queue.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            return None
        if isinstance(reply, DeviceLost):
            self._queue.put(reply)  # the next caller is to hear it too
            raise DeviceLost(reply.device, reply.message)
        return reply

    def waiting(self) -> Iterator[Reply]:
        """What is there by now, taken out one by one. Raises DeviceLost."""
        while (reply := self.next(0.0)) is not None:
            yield reply
