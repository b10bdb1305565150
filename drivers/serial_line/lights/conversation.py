"""A conversation with a light controller: one command at a time, and each reply belongs to the last command."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from drivers.errors import DeviceTimeout
from drivers.serial_line.port import Port
from drivers.serial_line.replies import Replies

log = logging.getLogger(__name__)

DEVICE = "lights"
SYNCHRONISING_ATTEMPTS = 3
AT_REST_ATTEMPTS = 2
Reply = TypeVar("Reply")


def no_acknowledge(command: str | bytes, timeout_s: float, port: Port) -> DeviceTimeout:
    """The fault to raise when a command was not answered in time."""
    return DeviceTimeout(
        DEVICE,
        f"no acknowledge of {command!r} within {timeout_s:g} s on {port.name}. Check power and cable",
    )


def nobody_there(question: str, port: Port, attempts: int = SYNCHRONISING_ATTEMPTS) -> DeviceTimeout:
    """The fault to raise when the question that finds the controller was never answered."""
    return DeviceTimeout(
        DEVICE,
        f"no answer to {question} on {port.name} in {attempts} attempts. "
        "Is it the right port and baud rate, and is the controller powered?",
    )


class LightConversation(Generic[Reply]):
    """The port, and what came from it, parsed. `parse` returns None for what is no reply: logged, and ignored.

    `is_in_step`: no reply is outstanding. It falls with each command; the driver raises it once it has judged the
    reply. Not thread-safe: the driver's lock is held around every call. The constructor raises DeviceNotFound.
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
        self.reply_timeout_s = reply_timeout_s
        self._parse = parse
        self._arrived: Replies[bytes] = Replies()
        arrived = self._arrived.put
        self.port = Port(DEVICE, port, baud_rate=baud_rate, terminator=terminator, on_piece=arrived, on_lost=arrived)

    def ask(self, command: bytes) -> Reply:
        """Send, and return the reply. Raises DeviceTimeout, DeviceLost. The caller was in step, or has synchronised."""
        self.drain()
        self.send(command)
        reply = self.next_reply()
        if reply is None:
            raise self.timeout(command)
        return reply

    def send(self, command: bytes) -> None:
        """Write, and count as out of step until the reply was judged. Raises DeviceLost."""
        self.is_in_step = False
        self.port.write(command)

    def timeout(self, command: bytes) -> DeviceTimeout:
        """The fault to raise when this command was not answered."""
        return no_acknowledge(command, self.reply_timeout_s, self.port)

    def next_reply(self, deadline_s: float | None = None) -> Reply | None:
        """None when none came by `deadline_s` (`time.monotonic`; the reply timeout from now). Raises DeviceLost."""
        if deadline_s is None:
            deadline_s = time.monotonic() + self.reply_timeout_s
        while (raw := self._arrived.next(deadline_s)) is not None:
            reply = self._parse(raw)
            if reply is not None:
                return reply
            log.warning("%s: not understood and not counted as an acknowledge: %r", DEVICE, raw)
        return None

    def wait_silent(self) -> None:
        """Return once nothing has come for a reply timeout: a repeated question may be answered more than once."""
        while self.next_reply() is not None:
            continue

    def drain(self) -> None:
        """Log and drop what came unasked. Raises DeviceLost."""
        while not self._arrived.empty():
            if (reply := self.next_reply(time.monotonic())) is not None:
                log.warning("%s: came unasked and was dropped: %r", DEVICE, reply)
