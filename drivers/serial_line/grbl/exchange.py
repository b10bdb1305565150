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
from drivers.serial_line.grbl.agreement import agreed
from drivers.serial_line.grbl.last_words import LastWords
from drivers.serial_line.grbl.protocol import Alarm, Banner, Info, Ok, Refusal, Reply, Setting, Status
from drivers.serial_line.port import Port
from drivers.serial_line.replies import Halted, Replies

log = logging.getLogger(__name__)

POLL_S = 0.2  # of a move under way: Grbl's documents ask for 5 Hz at most
HOLD_POLL_S = 0.1
RESET_REPEAT_S = 0.25
SWALLOWED_S = 0.5  # Grbl 1.1h drops a reset for as long behind ALARM:1 and 2, grblHAL for 0.1 s
IDENTITY_ATTEMPTS = 3
READINGS = 6  # of identity and settings, until two agree: the protocol has no checksum
LONGEST_BRAKE_S = 60.0  # while the reports show that the axes still run
STANDING = ("Hold:0", "Door:0", "Door:1", "Idle", "Sleep")  # and Alarm with any substate
MOVING = ("Run", "Run:1", "Jog", "Home", "Hold:1", "Door:2", "Door:3")

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

    def __init__(
        self, port: Port, replies: Replies[Reply | Halted], reply_timeout_s: float, last_words: LastWords
    ) -> None:
        self.braking_s = 0.0  # from full rate to a stand, v/a of the slowest axis, once its settings are known
        self._port = port
        self._replies = replies
        self._reply_timeout_s = reply_timeout_s
        self._last_words = last_words
        self._device = port.device

    def drain(self) -> None:
        """Drop what nobody waited for. A loss of the port is kept, and a stray answer to a line is logged."""
        for reply in self._replies.waiting():
            if isinstance(reply, Ok | Refusal):
                log.warning("%s: %s came unasked and was dropped", self._device, reply)

    def restart(self, timeout_s: float) -> Status | None:
        """Reset, and drop everything up to the controller's greeting.

        A reset that is not answered is repeated. A controller that forbids it by a safety input is not waited for:
        its report is returned. Raises DeviceTimeout, DeviceLost.
        """
        started_s = time.monotonic()
        is_repeat = False
        while (now_s := time.monotonic()) < started_s + timeout_s:
            self._port.write(grbl.SOFT_RESET + (grbl.STATUS_QUERY if is_repeat else b""))
            while (reply := self._replies.next(min(now_s + RESET_REPEAT_S, started_s + timeout_s))) is not None:
                if isinstance(reply, Banner):
                    return None
                if is_repeat and isinstance(reply, Status) and grbl.safety_trouble(reply):
                    return reply
            is_repeat = True
        raise DeviceTimeout(
            self._device,
            f"no Grbl banner within {timeout_s:g} s of a reset on {self._port.name}; {self._last_words.in_words()}. "
            + self._question(),
        )

    def _question(self) -> str:
        if self._last_words.is_silent:
            return "Is it the right port and baud rate, and is the controller powered?"
        return "Check its cable, and what it waits for"

    def await_ok(self) -> bool:
        """Whether an `ok` came within the reply timeout; everything else is dropped. Raises DeviceLost."""
        deadline_s = time.monotonic() + self._reply_timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Ok):
                return True
        return False

    def await_stand(self) -> None:
        """Ask `?` until the axes stand, or the controller restarts or locks itself.

        Without an answer: until axes at full rate would have come to a stand. Axes that are reported to run are
        waited for, `LONGEST_BRAKE_S` at most: a reset while they brake loses steps.
        """
        patience_s = max(self._reply_timeout_s, 1.1 * self.braking_s)
        started_s = time.monotonic()
        deadline_s = started_s + patience_s
        while time.monotonic() < min(deadline_s, started_s + max(LONGEST_BRAKE_S, patience_s)):
            self._port.write(grbl.STATUS_QUERY)
            poll_end_s = time.monotonic() + HOLD_POLL_S
            while (reply := self._replies.next(poll_end_s)) is not None:
                if isinstance(reply, Banner | Alarm):
                    return
                if isinstance(reply, Status) and (reply.state == "Alarm" or reply.name in STANDING):
                    return
                if isinstance(reply, Status) and reply.name in MOVING:
                    deadline_s = max(deadline_s, time.monotonic() + self._reply_timeout_s)

    def read_identity(self, between_attempts: Callable[[], None]) -> dict[str, str]:
        """An empty line to clear a sticky error, then `$I`, until it is answered: its keys and texts.

        Raises DeviceTimeout after `IDENTITY_ATTEMPTS`, DeviceLost, and what `between_attempts` raises.
        """
        for _ in range(IDENTITY_ATTEMPTS):
            self._port.write(b"\n$I\n")
            about, is_answered = self._collect(Info, lambda found: any(i.key == "VER" for i in found))
            if is_answered:
                return {i.key: i.text for i in about}
            between_attempts()
        raise DeviceTimeout(
            self._device,
            f"a banner came on {self._port.name}, but no answer to $I in {IDENTITY_ATTEMPTS} attempts; "
            f"{self._last_words.in_words()}. Is it Grbl 1.1 or grblHAL?",
        )

    def synchronise(self, between_attempts: Callable[[], None]) -> None:
        """Be in step: every line sent so far is answered. Raises as `read_identity`.

        `$I` may have been repeated, and a second answer be on its way: `$G` is asked once, and its `ok` counts only
        behind its own text.
        """
        self.read_identity(between_attempts)
        self._port.write(b"$G\n")
        _, is_answered = self._collect(Info, lambda found: any(i.key == "GC" for i in found))
        if not is_answered:
            raise DeviceTimeout(
                self._device,
                f"$I was answered on {self._port.name}, but $G was not; {self._last_words.in_words()}: check the cable",
            )

    def read_itself(self, between_attempts: Callable[[], None]) -> tuple[dict[str, str], dict[int, float]]:
        """What the controller states of itself: `$I` by key, `$$` by number. Raises as `read_identity`.

        Both are read until two readings agree in each entry, as a garbled digit looks like a digit. `$$` is asked once
        behind each answered `$I`, and its `ok` counts only behind its own text: so an `ok` that was left over can
        never be taken for the answer to a later line.
        """
        identities, lists = list[dict[str, str]](), list[dict[int, float]]()
        for _ in range(READINGS):
            identities.append(self.read_identity(between_attempts))
            self._port.write(b"$$\n")
            found, is_answered = self._collect(Setting, bool)
            lists.append({s.number: s.value for s in found})
            about, settings = agreed(identities), agreed(lists)
            if is_answered and about is not None and settings is not None:
                return about, settings
        raise DeviceTimeout(
            self._device,
            f"no two readings of its settings ($I, $$) on {self._port.name} agree, in {READINGS}: bytes are lost or "
            f"changed on the way; {self._last_words.in_words()}. Check cable, shield and baud rate, then open it again",
        )

    def _collect(self, kind: type[T], is_complete: Callable[[list[T]], bool]) -> tuple[list[T], bool]:
        """Replies of this kind up to the `ok` behind them, and whether that came in time."""
        found: list[T] = []
        deadline_s = time.monotonic() + self._reply_timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Banner):  # a second one: some firmware greets twice, or the first was an old one
                found.clear()
            elif isinstance(reply, kind):
                found.append(reply)
            elif isinstance(reply, Ok) and is_complete(found):
                return found, True
        return found, False
