"""A conversation with a light controller: one command at a time, and each reply belongs to the last one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from drivers.errors import DeviceTimeout
from drivers.serial_line.port import Line
from drivers.serial_line.replies import Replies

log = logging.getLogger(__name__)

DEVICE = "lights"
Reply = TypeVar("Reply")


class LightLine(Generic[Reply]):
    """The port, and what came from it, parsed. `parse` returns None for what is no reply: counted, and ignored.

    `is_in_step` tells that no reply is outstanding; it falls with each command and is raised by the driver,
    once it has judged the reply. Not thread-safe: the driver's lock is held around every call.
    """

    def __init__(
        self,
        port: str,
        *,
        baud_rate: int,
        terminator: bytes,
        reply_timeout_s: float,
        parse: Callable[[bytes], Reply | None],
    ) -> None:
        self.is_in_step = False
        self.rejected = 0
        self.reply_timeout_s = reply_timeout_s
        self._parse = parse
        self._arrived: Replies[bytes] = Replies()
        self.wire = Line(
            DEVICE,
            port,
            baud_rate=baud_rate,
            terminator=terminator,
            on_line=self._arrived.put,
            on_lost=self._arrived.put,
        )

    def ask(self, command: bytes) -> Reply:
        """Raises DeviceTimeout when no reply came, DeviceLost. The caller was in step, or has synchronised."""
        self.drain()
        self.send(command)
        reply = self.next_reply()
        if reply is None:
            raise self.timeout(command)
        return reply

    def send(self, command: bytes) -> None:
        self.is_in_step = False
        self.wire.write(command)

    def timeout(self, command: bytes) -> DeviceTimeout:
        return DeviceTimeout(
            DEVICE, f"no acknowledge of {command!r} within {self.reply_timeout_s:g} s on {self.wire.port}"
        )

    def next_reply(self, deadline_s: float | None = None) -> Reply | None:
        """None when none came by `deadline_s` (`time.monotonic`; the reply timeout from now). Raises DeviceLost."""
        if deadline_s is None:
            deadline_s = time.monotonic() + self.reply_timeout_s
        while (raw := self._arrived.next(deadline_s)) is not None:
            reply = self._parse(raw)
            if reply is not None:
                return reply
            self.rejected += 1
            log.warning("%s: not understood and not counted as an acknowledge: %r", DEVICE, raw)
        return None

    def wait_silent(self) -> None:
        """Until nothing has come for a reply timeout: what was repeated may be answered more than once."""
        while self.next_reply() is not None:
            continue

    def drain(self) -> None:
        """What came unasked is told in the log and dropped. Raises DeviceLost."""
        while not self._arrived.empty():
            if (reply := self.next_reply(time.monotonic())) is not None:
                log.warning("%s: came unasked and was dropped: %r", DEVICE, reply)

    def close(self) -> None:
        self.wire.close()
