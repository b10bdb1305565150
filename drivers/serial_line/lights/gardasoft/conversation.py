"""The conversation with a Gardasoft RT controller: commands, their prompts, and lighting errors that come unasked.

Every answer ends with a prompt, and so does every event: `drivers/serial_line/lights/conversation.py`, where each
piece is one reply, does not fit here.
"""

from __future__ import annotations

import logging
import time
from collections import deque

from drivers.errors import CommandRefused, LightFault
from drivers.protocols import DeviceIdentity
from drivers.serial_line.lights.conversation import DEVICE, SYNCHRONISING_ATTEMPTS, no_acknowledge, nobody_there
from drivers.serial_line.lights.gardasoft import protocol as rt
from drivers.serial_line.lights.gardasoft.protocol import Answer, Event
from drivers.serial_line.port import Port
from drivers.serial_line.replies import Replies

log = logging.getLogger(__name__)


class GardasoftConversation:
    """One command at a time; not thread-safe: the driver's lock is held around every call.

    The constructor opens the port and raises DeviceNotFound; it sends nothing.
    """

    def __init__(self, port: str, baud_rate: int, reply_timeout_s: float) -> None:
        self.reply_timeout_s = reply_timeout_s
        self.events: deque[Event] = deque(maxlen=256)  # all that came, the newest last
        self._fault: Event | None = None  # the first that was reported and not cleared
        self._answers: Replies[bytes] = Replies()
        self._is_in_step = False  # no answer is outstanding: the next prompt belongs to the next command
        arrived = self._answers.put
        self.port = Port(DEVICE, port, baud_rate=baud_rate, terminator=b">", on_piece=arrived, on_lost=arrived)

    def command(self, text: str) -> None:
        """Send, and take a bare prompt for yes. An adjusted value (Err 5) is a no: the light would be another.

        Raises CommandRefused, DeviceTimeout, DeviceLost.
        """
        answer = self.ask(text)
        if answer.error is not None:
            raise CommandRefused(DEVICE, f"{text!r} answered with {rt.error_text(answer.error)}")
        if answer.lines:
            self._is_in_step = False
            raise CommandRefused(DEVICE, f"{text!r} answered with {answer.lines!r} in place of an acknowledge")

    def ask(self, text: str, *, may_be_event: bool = False) -> Answer:
        """Send, and return the answer; an event counts as one only where it `may_be_event`.

        Raises DeviceTimeout when no understandable answer came (the next command resynchronises first), DeviceLost.
        """
        if not self.is_in_step():
            self.synchronise()
        self._is_in_step = False
        self.port.write(text.encode("ascii") + b"\r")
        answer = self._next_answer(text, time.monotonic() + self.reply_timeout_s, may_be_event=may_be_event)
        if answer is None:
            raise no_acknowledge(text, self.reply_timeout_s, self.port)
        self._is_in_step = True
        return answer

    def is_in_step(self) -> bool:
        """Whether no answer is outstanding, once what came meanwhile is taken in. Raises DeviceLost."""
        self._drain()
        return self._is_in_step

    def send(self, data: bytes) -> None:
        """Write, and wait for no answer: those that come are dropped by the next command. Raises DeviceLost."""
        self._is_in_step = False
        self.port.write(data)

    def synchronise(self, attempts: int = SYNCHRONISING_ATTEMPTS) -> DeviceIdentity:
        """Repeat `VR` until its own text comes back: prompts left over from before are behind us then.

        Raises DeviceTimeout after so many attempts, DeviceLost.
        """
        self._drain()
        self._is_in_step = False  # until its answer comes
        for attempt in range(attempts):
            if attempt:  # end whatever half a command may stand in the controller's buffer
                self.port.write(b"\r")
            self.port.write(b"VR\r")
            deadline_s = time.monotonic() + self.reply_timeout_s
            while (answer := self._next_answer("VR", deadline_s)) is not None:
                if answer.lines:
                    self._finish_synchronising(attempt)
                    model, _, rest = answer.lines[0].partition(" ")
                    return DeviceIdentity("Gardasoft", model, "", rest.strip())
        raise nobody_there("VR", self.port, attempts)

    def _finish_synchronising(self, repeats: int) -> None:
        """A repeated `VR` may be answered once more: wait until the port is silent before the next command."""
        if repeats:
            deadline_s = time.monotonic() + self.reply_timeout_s
            while self._next_answer("VR", deadline_s) is not None:
                continue
        self._is_in_step = True

    # -- lighting errors --------------------------------------------------------------------

    def check(self) -> None:
        """Take in what came meanwhile, and raise LightFault for an error that was not cleared; or DeviceLost."""
        self._drain()
        self.raise_fault()

    def raise_fault(self) -> None:
        """Raise LightFault for the first lighting error since the last `clear_errors`."""
        if self._fault is not None:
            raise LightFault(DEVICE, f"the controller reports {self._fault}. Check that light, then open it again")

    def clear_errors(self) -> None:
        """`GR`: the controller forgets its errors and reports the last one; `check` is quiet then.

        Raises CommandRefused, DeviceTimeout, DeviceLost.
        """
        answer = self.ask("GR", may_be_event=True)
        if answer.error is not None or answer.lines:
            raise CommandRefused(DEVICE, f"'GR' answered with {answer.lines!r}, error {answer.error}")
        # an event that came unasked looks like the answer: find out where the conversation stands
        self._is_in_step = not answer.events
        self._fault = None

    # -- what arrives -----------------------------------------------------------------------

    def _next_answer(self, command: str, deadline_s: float, *, may_be_event: bool = False) -> Answer | None:
        """The next prompt that answers something; events are kept aside, noise is logged and ignored."""
        while (raw := self._answers.next(deadline_s)) is not None:
            answer = rt.parse_answer(raw, command)
            if answer is None:
                log.warning("%s: not understood and not counted as an acknowledge: %r", DEVICE, raw)
                continue
            self._note_events(answer)
            if may_be_event or not answer.is_only_events:
                return answer
        return None

    def _note_events(self, answer: Answer) -> None:
        for event in answer.events:
            self.events.append(event)
            log.warning("%s: %s", DEVICE, event)
            if event.is_fault and self._fault is None:
                self._fault = event

    def _drain(self) -> None:
        """Take in events that came meanwhile; any other prompt that nobody asked for puts us out of step."""
        while not self._answers.empty():
            if self._next_answer("", time.monotonic()) is not None:
                log.warning("%s: an answer came unasked and was dropped", DEVICE)
                self._is_in_step = False
