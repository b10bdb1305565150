"""What the reader thread hands, in order, to the command that waits. Every caller hears of a lost port."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from drivers.errors import DeviceLost

STOPPED = "the arm was stopped"

Reply = TypeVar("Reply")


class Halted:
    """Put into an arm's replies by `halt`, so that the waiting command ends."""


class Replies(Generic[Reply]):
    """A queue from the reader thread to one waiting command. Once it holds a DeviceLost, every wait raises it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Reply | DeviceLost] = queue.SimpleQueue()

    def put(self, reply: Reply | DeviceLost) -> None:
        """Append a reply, or the loss of the port; from any thread."""
        self._queue.put(reply)

    def empty(self) -> bool:
        """Whether nothing waits to be taken now."""
        return self._queue.empty()

    def next(self, deadline_s: float) -> Reply | None:
        """The oldest reply; None when nothing came by `deadline_s` (`time.monotonic`). Raises DeviceLost."""
        try:
            reply = self._queue.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            return None
        if isinstance(reply, DeviceLost):
            self._queue.put(reply)  # the next caller is to hear it too
            raise DeviceLost(reply.device, reply.message)
        return reply

    def waiting(self) -> Iterator[Reply]:
        """Take out, one by one, what has arrived by now. Raises DeviceLost."""
        while (reply := self.next(0.0)) is not None:
            yield reply


class Patient(Protocol):
    """A conversation, by how long it waits for a reply."""

    reply_timeout_s: float


@contextmanager
def shortened(conversation: Patient, silence_s: float | None, attempts: int) -> Iterator[None]:
    """Within the block so many unanswered attempts take no longer than this; None: as long as they ever do.

    The caller holds the conversation's lock.
    """
    usual_s = conversation.reply_timeout_s
    if silence_s is not None:
        conversation.reply_timeout_s = min(usual_s, silence_s / attempts)
    try:
        yield
    finally:
        conversation.reply_timeout_s = usual_s
