"""The conversation with a myCobot: questions answered by the frame that belongs to them, sets never taken on trust."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from drivers.errors import DeviceLost, DeviceTimeout, PositionUntrusted
from drivers.serial_line.mycobot import protocol as frames
from drivers.serial_line.mycobot.protocol import Frame, FrameReader, Six
from drivers.serial_line.port import Line
from drivers.serial_line.replies import STOPPED, Halted, Replies

log = logging.getLogger(__name__)

ASK_ATTEMPTS = 3  # a question changes nothing: a lost or garbled answer is worth another
STOP_REPEAT_S = 0.2

T = TypeVar("T")


class MyCobotLink:
    """One thread commands at a time (the arm holds the lock); any may halt.

    An acknowledge of a set proves nothing (old firmware sends none, and it may be late): only what is read back
    afterwards counts. `distrust` is called, from whichever thread notices, with the reason.
    """

    def __init__(
        self, device: str, port: str, baud_rate: int, reply_timeout_s: float, distrust: Callable[[str], None]
    ) -> None:
        self.device = device
        self.reply_timeout_s = reply_timeout_s
        self.blocked: str | None = "not homed since the connection was made"  # why nothing that moves may be sent
        self.acknowledged: set[int] = set()  # sets that this firmware was seen to acknowledge
        self._distrust = distrust
        self._reader = FrameReader()
        self._replies: Replies[Frame | Halted] = Replies()
        self._gate = threading.Lock()  # held only while bytes leave: after a stop no set may follow
        self.line = Line(
            device, port, baud_rate=baud_rate, terminator=bytes([frames.END]), on_line=self._receive, on_lost=self._lose
        )

    @property
    def rejected_bytes(self) -> int:
        return self._reader.rejected_bytes

    # -- the reader thread ------------------------------------------------------------------

    def _receive(self, piece: bytes) -> None:
        """The port cuts at every FA, those within a frame's data too: the reader joins them again."""
        for frame in self._reader.feed(piece + bytes([frames.END])):
            self._replies.put(frame)

    def _lose(self, loss: DeviceLost) -> None:
        self._distrust("the connection was lost")
        self._replies.put(loss)

    # -- questions --------------------------------------------------------------------------

    def ask(self, command: int, read: Callable[[Frame], T | None], data: bytes = b"") -> T:
        """Ask until a plausible answer came, `ASK_ATTEMPTS` times at most.

        Raises DeviceTimeout, PositionUntrusted when stopped meanwhile, DeviceLost.
        """
        for _ in range(ASK_ATTEMPTS):
            self._drain()
            self.line.write(frames.encode(Frame(command, data)))
            answer = self._await(command, read, self.reply_timeout_s)
            if answer is not None:
                return answer
        reason = f"no answer to command {command:02X}"
        self._distrust(reason)
        raise DeviceTimeout(
            self.device,
            f"{reason} in {ASK_ATTEMPTS} attempts of {self.reply_timeout_s:g} s on {self.line.port}. "
            "Is it the right port, and is the arm powered?",
        )

    def ask_once(self, command: int, read: Callable[[Frame], T | None]) -> T | None:
        """For what some firmware does not know."""
        self._drain()
        self.line.write(frames.encode(Frame(command)))
        return self._await(command, read, self.reply_timeout_s)

    def is_powered(self) -> bool:
        return bool(self.ask(frames.IS_POWERED, frames.flag))

    def is_moving(self) -> bool:
        return bool(self.ask(frames.IS_MOVING, frames.flag))

    def angles_deg(self) -> Six:
        return self.ask(frames.GET_ANGLES, frames.angles)

    def coordinates(self) -> Six:
        return self.ask(frames.GET_COORDINATES, frames.coordinates)

    def is_in_position(self, target: bytes, kind: int) -> bool:
        return bool(self.ask(frames.IS_IN_POSITION, frames.flag, target + bytes([kind])))

    def _await(self, command: int, read: Callable[[Frame], T | None], timeout_s: float) -> T | None:
        deadline_s = time.monotonic() + timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Halted):
                raise PositionUntrusted(self.device, f"stopped; {self.come_to_rest()}; home the arm")
            if reply.command == command and (answer := read(reply)) is not None:
                return answer
        return None

    # -- sets -------------------------------------------------------------------------------

    def set(self, command: int, data: bytes = b"", *, moves: bool = True) -> None:
        """Send once, and never again by itself. Raises PositionUntrusted when blocked, DeviceLost."""
        self._drain()
        with self._gate:
            refusal = self.blocked if moves else None
            if refusal is None:
                self.line.write(frames.encode(Frame(command, data)))
        if refusal is not None:
            raise PositionUntrusted(self.device, f"command {command:02X} not sent: {refusal}; home the arm first")

    def halt(self) -> None:
        """Stop now, from any thread; nothing that moves is sent after it until `allow`. Raises DeviceLost."""
        with self._gate:
            self.blocked = STOPPED
            self.line.write(frames.encode(Frame(frames.STOP)))
        self._replies.put(Halted())

    def block(self, reason: str) -> None:
        with self._gate:
            self.blocked = reason

    def allow(self) -> None:
        """Only ever because an operator asked for homing."""
        with self._gate:
            self.blocked = None

    def come_to_rest(self) -> str:
        """Repeat the stop, which may have been lost, until the arm says that it does not move; the outcome in words."""
        deadline_s, confirmed = time.monotonic() + 4 * self.reply_timeout_s, 0
        while time.monotonic() < deadline_s:
            self.line.write(frames.encode(Frame(frames.IS_MOVING)))
            if self._is_at_rest(time.monotonic() + STOP_REPEAT_S):
                confirmed += 1  # the first may answer a question from before the stop
                if confirmed == 2:
                    return "the arm stands"
            else:
                self.line.write(frames.encode(Frame(frames.STOP)))
        return "IT DID NOT CONFIRM that it stands: cut its power"

    def _is_at_rest(self, deadline_s: float) -> bool:
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Frame) and reply.command == frames.IS_MOVING and frames.flag(reply) == 0:
                return True
        return False

    # -- the queue --------------------------------------------------------------------------

    def _drain(self) -> None:
        """Drop what nobody waits for; a loss and a halt are heard."""
        for reply in self._replies.waiting():
            if isinstance(reply, Frame) and not reply.data:
                self.acknowledged.add(reply.command)
            if isinstance(reply, Halted) and self.blocked is not None:
                raise PositionUntrusted(self.device, f"stopped; {self.come_to_rest()}; home the arm")
