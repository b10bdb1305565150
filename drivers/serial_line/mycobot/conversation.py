"""The conversation with a myCobot: a question is answered by the frame that belongs to it; a set is never trusted.

Old firmware acknowledges no set, and an acknowledge may be late: only what is read back afterwards counts. An answer
that a set is refused is believed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from drivers.errors import DeviceLost, DeviceTimeout
from drivers.serial_line.arms.latched_arm import REMEDY, untrusted
from drivers.serial_line.mycobot import protocol as frames
from drivers.serial_line.mycobot.protocol import Frame, FrameReader, Six
from drivers.serial_line.port import Port
from drivers.serial_line.replies import STOPPED, Halted, Replies

log = logging.getLogger(__name__)

BAUD_RATE = 115200  # both models
ASK_ATTEMPTS = 3  # a question changes nothing: a lost or garbled answer is worth another
STOP_REPEAT_S = 0.2
REFUSED = b"\x00"

T = TypeVar("T")


class MyCobotConversation:
    """One thread commands at a time (the arm holds the lock); any may halt.

    `distrust` is called, from whichever thread notices, with the reason why the position may be wrong. The
    constructor opens the port and raises DeviceNotFound; it sends nothing.
    """

    ask_attempts = ASK_ATTEMPTS

    def __init__(self, device: str, port: str, reply_timeout_s: float, distrust: Callable[[str], None]) -> None:
        self.device = device
        self.reply_timeout_s = reply_timeout_s
        self.blocked: str | None = "not homed since the connection was made"  # why nothing that moves may be sent
        self._distrust = distrust
        self.set_answer: int | None = None  # to the latest set: 1 taken, 0 refused, None not (yet) answered
        self._last: tuple[Frame, float] | None = None  # what the arm said last, and when
        self._pending_set: int | None = None
        self._reader = FrameReader()
        self._replies: Replies[Frame | Halted] = Replies()
        self._gate = threading.Lock()  # held only while bytes leave: after a stop no set may follow
        end = bytes([frames.END])
        self.port = Port(device, port, baud_rate=BAUD_RATE, terminator=end, on_piece=self._receive, on_lost=self._lose)

    # -- the reader thread ------------------------------------------------------------------

    def _receive(self, piece: bytes) -> None:
        """Feed the frame reader. The port cuts at every FA, within a frame's data too; the reader joins the pieces."""
        for frame in self._reader.feed(piece + bytes([frames.END])):
            self._last = frame, time.monotonic()
            if frame.command == self._pending_set:
                self.set_answer = 0 if frame.data == REFUSED else 1  # a frame without data is how some firmware agrees
            self._replies.put(frame)

    def _lose(self, loss: DeviceLost) -> None:
        self._distrust("the connection was lost")
        self._replies.put(loss)

    # -- questions --------------------------------------------------------------------------

    def ask(self, command: int, read: Callable[[Frame], T | None], data: bytes = b"") -> T:
        """Ask until `read` accepts an answer, `ASK_ATTEMPTS` times at most.

        Raises DeviceTimeout, PositionUntrusted when stopped meanwhile, DeviceLost.
        """
        for attempt in range(ASK_ATTEMPTS):
            self._drain()
            self.port.write((frames.PADDING if attempt else b"") + frames.encode(Frame(command, data)))
            answer = self._await(command, read, self.reply_timeout_s)
            if answer is not None:
                return answer
        reason = f"no answer to command {command:02X} ({frames.NAMES[command]})"
        self._distrust(reason)
        raise DeviceTimeout(
            self.device,
            f"{reason} in {ASK_ATTEMPTS} attempts of {self.reply_timeout_s:g} s on {self.port.name}; "
            f"{self._last_words()}. {self._diagnosis(command)}",
        )

    def _last_words(self) -> str:
        """What the arm said last, in words."""
        if self._last is None:
            return "it has said nothing yet"
        frame, time_s = self._last
        answer = frame.data.hex(" ").upper() or "no data"
        return f"it said last: {answer} to command {frame.command:02X} ({time.monotonic() - time_s:.1f} s before)"

    def _diagnosis(self, command: int) -> str:
        """A silent arm, one without power, or one that does not know this command: what an operator is to do."""
        powered = None if command == frames.IS_POWERED else self.ask_once(frames.IS_POWERED, frames.flag)
        if powered is None:
            return "Is it the right port, and is the arm powered?"
        if powered:
            return "It answers other commands: does its firmware know this one?"
        return "Its joints have no power: release its emergency stop"

    def ask_once(self, command: int, read: Callable[[Frame], T | None]) -> T | None:
        """Ask what some firmware does not know; None when no answer came."""
        self._drain()
        self.port.write(frames.encode(Frame(command)))
        return self._await(command, read, self.reply_timeout_s)

    def is_powered(self) -> bool:
        """Whether the servos have power. This and the four below raise as `ask`."""
        return bool(self.ask(frames.IS_POWERED, frames.flag))

    def is_moving(self) -> bool:
        """Whether any joint turns."""
        return bool(self.ask(frames.IS_MOVING, frames.flag))

    def angles_deg(self) -> Six:
        """Joints 1 to 6 in degrees."""
        return self.ask(frames.GET_ANGLES, frames.angles)

    def coordinates(self) -> Six:
        """The flange in the arm's base: x, y, z in mm, rx, ry, rz in degrees."""
        return self.ask(frames.GET_COORDINATES, frames.coordinates)

    def planned(self, command: int) -> Six | None:
        """Where the arm says that it was told to go (ANGLES_PLAN or COORDINATES_PLAN); None where no answer comes."""
        read = frames.angles if command == frames.ANGLES_PLAN else frames.coordinates
        return self.ask_once(command, read)

    def own_words(self) -> str:
        """Whether the arm is paused, and its last error, each behind a semicolon; empty where it states neither."""
        paused = self.ask_once(frames.IS_PAUSED, frames.flag)
        error = self.ask_once(frames.ERROR_INFO, frames.error_words)
        words = ["it is paused"] if paused else []
        return "".join(f"; {text}" for text in (*words, error) if text)

    def is_in_position(self, target: bytes, kind: int) -> bool:
        """Whether the arm reports to be at `target`, the data of the set; `kind` is ANGLES or COORDINATES."""
        return bool(self.ask(frames.IS_IN_POSITION, frames.flag, target + bytes([kind])))

    def _await(self, command: int, read: Callable[[Frame], T | None], timeout_s: float) -> T | None:
        deadline_s = time.monotonic() + timeout_s
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Halted):
                raise untrusted(self.device, f"stopped; {self.come_to_rest()}; {REMEDY}")
            if reply.command == command and (answer := read(reply)) is not None:
                return answer
        return None

    # -- sets -------------------------------------------------------------------------------

    def set(self, command: int, data: bytes = b"", *, moves: bool = True) -> None:
        """Send once; it is never repeated here, and its answer is kept in `set_answer`.

        Raises PositionUntrusted when blocked, DeviceLost.
        """
        self._drain()
        with self._gate:
            refusal = self.blocked if moves else None
            if refusal is None:
                self._pending_set, self.set_answer = command, None
                self.port.write(frames.encode(Frame(command, data)))
        if refusal is not None:
            raise untrusted(self.device, f"command {command:02X} not sent: {refusal}")

    def halt(self) -> None:
        """Send a stop now, from any thread; nothing that moves follows it until `allow`. Raises DeviceLost."""
        with self._gate:
            self.blocked = STOPPED
            self.port.write(frames.encode(Frame(frames.STOP)))
        self._replies.put(Halted())

    def block(self, reason: str) -> None:
        """Let nothing that moves be sent, for this reason, until `allow`."""
        with self._gate:
            self.blocked = reason

    def allow(self) -> None:
        """Let sets be sent again: only ever because an operator asked for homing."""
        with self._gate:
            self.blocked = None

    def come_to_rest(self) -> str:
        """Repeat the stop, which may have been lost, until the arm reports rest; returns the outcome in words."""
        deadline_s, confirmed = time.monotonic() + 4 * self.reply_timeout_s, 0
        while time.monotonic() < deadline_s:
            self.port.write(frames.encode(Frame(frames.IS_MOVING)))
            if self._is_at_rest(time.monotonic() + STOP_REPEAT_S):
                confirmed += 1  # the first may answer a question from before the stop
                if confirmed == 2:
                    return "the arm stands"
            else:
                self.port.write(frames.PADDING + frames.encode(Frame(frames.STOP)))
        return "IT DID NOT CONFIRM that it stands: cut its power"

    def _is_at_rest(self, deadline_s: float) -> bool:
        while (reply := self._replies.next(deadline_s)) is not None:
            if isinstance(reply, Frame) and reply.command == frames.IS_MOVING and frames.flag(reply) == 0:
                return True
        return False

    # -- the queue --------------------------------------------------------------------------

    def _drain(self) -> None:
        """Drop what nobody waits for. Raises DeviceLost, and PositionUntrusted for a halt among it."""
        for reply in self._replies.waiting():
            if isinstance(reply, Halted) and self.blocked is not None:
                raise untrusted(self.device, f"stopped; {self.come_to_rest()}; {REMEDY}")
