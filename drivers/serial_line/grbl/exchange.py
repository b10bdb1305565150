"""The steps of a conversation with a Grbl-dialect controller that judge nothing: write, wait for one kind of reply.

What a reply means for the trust in the position is decided in `conversation.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from drivers.errors import DeviceTimeout
from drivers.serial_line.grbl import protocol as grbl
from drivers.serial_line.grbl.protocol import Alarm, Banner, Info, Ok, Refusal, Reply, Setting, Status
from drivers.serial_line.port import Port
from drivers.serial_line.replies import Halted, Replies

log = logging.getLogger(__name__)

POLL_S = 0.2  # of a move under way: Grbl's documents ask for 5 Hz at most
HOLD_POLL_S = 0.1
IDENTITY_ATTEMPTS = 3
STANDING = ("Hold:0", "Door:0", "Door:1", "Idle", "Sleep")  # and Alarm with any substate

T = TypeVar("T")


class MoveWatch:
    """When to ask `?` during a move, and whether the answers keep coming."""

    def __init__(self, port: Port, patience_s: float) -> None:
        self.patience_s = patience_s
        self._port = port
        self._heard_s = time.monotonic()
        self.due_s = self._heard_s + POLL_S

    def ask(self) -> bool:
        """Send `?`; False, and nothing is sent, when no report came for longer than `patience_s`."""
        now_s = time.monotonic()
        if now_s - self._heard_s > self.patience_s + POLL_S:
            return False
        self.due_s = now_s + POLL_S
        self._port.write(grbl.STATUS_QUERY)
        return True

    def answered(self) -> None:
        """A report came."""
        self._heard_s = time.monotonic()


class GrblExchange:
    """Waits on `replies`, which the port's reader thread fills; used by the commanding thread alone."""

    def __init__(self, port: Port, replies: Replies[Reply | Halted], reply_timeout_s: float) -> None:
        self._port = port
        self._replies = replies
        self._reply_timeout_s = reply_timeout_s
        self._device = port.device

    def drain(self) -> None:
        """Drop what nobody waited for. A loss of the port is kept, and a stray answer to a line is logged."""
        for reply in self._replies.waiting():
            if isinstance(reply, Ok | Refusal):
                log.warning("%s: %s came unasked and was dropped", self._device, reply)

    def await_banner(self, timeout_s: float) -> None:
        """Drop everything up to the controller's greeting. Raises DeviceTimeout, DeviceLost."""
        deadline_s = time.monotonic() + timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Banner):
                return
        raise DeviceTimeout(
            self._device,
            f"no Grbl banner within {timeout_s:g} s of a reset on {self._port.name}. "
            "Is it the right port and baud rate, and is the controller powered?",
        )

    def await_ok(self) -> bool:
        """Whether an `ok` came within the reply timeout; everything else is dropped. Raises DeviceLost."""
        deadline_s = time.monotonic() + self._reply_timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Ok):
                return True
        return False

    def await_stand(self) -> None:
        """Ask `?` until the axes stand, the controller restarts or locks itself, or the reply timeout is over."""
        deadline_s = time.monotonic() + self._reply_timeout_s
        while time.monotonic() < deadline_s:
            self._port.write(grbl.STATUS_QUERY)
            poll_end_s = time.monotonic() + HOLD_POLL_S
            while (reply := self._replies.next(poll_end_s)) is not None:
                if isinstance(reply, Banner | Alarm):
                    return
                if isinstance(reply, Status) and (reply.state == "Alarm" or reply.name in STANDING):
                    return

    def read_identity(self, between_attempts: Callable[[], None]) -> dict[str, str]:
        """An empty line to clear a sticky error, then `$I`, until it is answered: its keys and texts.

        Raises DeviceTimeout after `IDENTITY_ATTEMPTS`, DeviceLost, and what `between_attempts` raises.
        """
        for _ in range(IDENTITY_ATTEMPTS):
            self._port.write(b"\n$I\n")
            about = self._await_text(Info, lambda found: any(i.key == "VER" for i in found))
            if about is not None:
                return {i.key: i.text for i in about}
            between_attempts()
        raise DeviceTimeout(
            self._device,
            f"a banner came on {self._port.name}, but no answer to $I in {IDENTITY_ATTEMPTS} attempts. "
            "Is it Grbl 1.1 or grblHAL?",
        )

    def read_settings(self) -> dict[int, float]:
        """`$$`, asked once: number -> value. Raises DeviceTimeout, DeviceLost."""
        self._port.write(b"$$\n")
        settings = self._await_text(Setting, bool)
        if settings is None:
            raise DeviceTimeout(
                self._device,
                f"$I was answered on {self._port.name}, but $$ was not: check the cable, then open it again",
            )
        return {s.number: s.value for s in settings}

    def _await_text(self, kind: type[T], is_complete: Callable[[list[T]], bool]) -> list[T] | None:
        """Replies of this kind up to the `ok` behind them; None when that did not come in time."""
        found: list[T] = []
        deadline_s = time.monotonic() + self._reply_timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Banner):  # a second one: some firmware greets twice, or the first was an old one
                found.clear()
            elif isinstance(reply, kind):
                found.append(reply)
            elif isinstance(reply, Ok) and is_complete(found):
                return found
        return None
