"""A Gardasoft RT light controller over its ASCII protocol: one channel on at a time, every step acknowledged."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence

from drivers.errors import (
    CommandRefused,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
)
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line import gardasoft_protocol as rt
from drivers.serial_line.gardasoft_protocol import Answer, Event
from drivers.serial_line.light_requests import check_request, off_not_confirmed
from drivers.serial_line.port import Line
from drivers.settings import Channels, DriverSettings, NotNegative, Positive, Text

log = logging.getLogger(__name__)

DEVICE = "lights"
IDENTITY_ATTEMPTS = 3


class GardasoftLights:
    """Implements `drivers.protocols.Lights`. Open with `GardasoftLights.open`; all channels are off then."""

    def __init__(
        self,
        port: str,
        channels: Sequence[int],
        *,
        settle_s: float = 0.005,
        baud_rate: int = 115200,
        reply_timeout_s: float = 0.5,
    ) -> None:
        if not channels or len(set(channels)) < len(channels) or min(channels) < 1:
            raise ValueError(f"light channels are distinct numbers from 1, found {list(channels)}")
        self._channels = tuple(channels)
        self._settle_s = settle_s
        self._reply_timeout_s = reply_timeout_s
        self._lock = threading.RLock()
        self._answers: queue.SimpleQueue[bytes | DeviceLost] = queue.SimpleQueue()
        self._maybe_on = set(self._channels)  # what was not confirmed to be off since it may have been on
        self._is_in_step = False  # no answer is outstanding: the next prompt belongs to the next command
        self.events: deque[Event] = deque(maxlen=256)
        self.rejected_answers = 0
        self.wire = Line(
            DEVICE, port, baud_rate=baud_rate, terminator=b">", on_line=self._answers.put, on_lost=self._answers.put
        )
        try:
            self._identity = self._synchronise()
            self._command("GR")
            self.off()
        except DeviceError:
            self.wire.close()
            raise

    @classmethod
    def open(
        cls,
        port: str,
        *,
        channels: Sequence[int],
        settle_s: float = 0.005,
        baud_rate: int = 115200,
        reply_timeout_s: float = 0.5,
    ) -> GardasoftLights:
        """Open the port, ask `VR`, clear errors, all channels off.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(port, channels, settle_s=settle_s, baud_rate=baud_rate, reply_timeout_s=reply_timeout_s)

    # -- the contract -----------------------------------------------------------------------

    @property
    def identity(self) -> DeviceIdentity:
        return self._identity

    @property
    def channels(self) -> tuple[int, ...]:
        return self._channels

    def on(self, channel: int, brightness: float) -> None:
        """All others off, acknowledged, then this one on, acknowledged, then `settle_s`.

        Raises FeatureMissing for a channel or brightness that the controller does not have, CommandRefused,
        DeviceTimeout, DeviceLost; then it counts as possibly on until `off` has succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        with self._lock:
            for other in sorted(self._maybe_on - {channel}):
                self._switch_off(other)
            self._maybe_on.add(channel)
            self._command(rt.continuous(channel, brightness))
            time.sleep(self._settle_s)

    def off(self) -> None:
        """Every channel, those that may be on first; one retry. Raises LightStateUnknown naming what is left."""
        with self._lock:
            order = sorted(self._channels, key=lambda c: (c not in self._maybe_on, c))
            left, _ = self._try_off(order)
            if left:
                left, problem = self._try_off(left)
                if left:
                    raise off_not_confirmed(DEVICE, left, problem) from problem

    def close(self) -> None:
        """Give the port back; it switches nothing (`off` does)."""
        self.wire.close()

    def __enter__(self) -> GardasoftLights:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- switching --------------------------------------------------------------------------

    def _try_off(self, channels: Sequence[int]) -> tuple[list[int], DeviceError | None]:
        """Those whose off was not acknowledged, and why; after a dead line none of the rest is tried."""
        left: list[int] = []
        problem: DeviceError | None = None
        for i, channel in enumerate(channels):
            self._maybe_on.add(channel)
            try:
                self._switch_off(channel)
            except CommandRefused as error:
                left.append(channel)
                problem = error
            except DeviceError as error:
                return [*left, *channels[i:]], error
        return left, problem

    def _switch_off(self, channel: int) -> None:
        self._command(rt.continuous(channel, 0.0))
        self._maybe_on.discard(channel)

    # -- the conversation -------------------------------------------------------------------

    def _command(self, text: str) -> None:
        """Send, and take a bare prompt for yes. An adjusted value (Err 5) is a no: the light would be another."""
        answer = self._ask(text)
        if answer.error is not None:
            raise CommandRefused(DEVICE, f"{text!r} answered with {rt.error_text(answer.error)}")
        if answer.lines:
            self._is_in_step = False
            raise CommandRefused(DEVICE, f"{text!r} answered with {answer.lines!r} in place of an acknowledge")

    def _ask(self, text: str) -> Answer:
        """Raises DeviceTimeout when no understandable answer came; the next command resynchronises first."""
        if not self._is_in_step:
            self._synchronise()
        self._drain()
        self._is_in_step = False
        self.wire.write(text.encode("ascii") + b"\r")
        answer = self._next_answer(text, time.monotonic() + self._reply_timeout_s)
        if answer is None:
            raise DeviceTimeout(
                DEVICE, f"no acknowledge of {text!r} within {self._reply_timeout_s:g} s on {self.wire.port}"
            )
        self._is_in_step = True
        return answer

    def _synchronise(self) -> DeviceIdentity:
        """`VR` until its own text comes back: prompts left over from before are behind us then."""
        self._drain()
        for attempt in range(IDENTITY_ATTEMPTS):
            if attempt:  # end whatever half a command may stand in the controller's buffer
                self.wire.write(b"\r")
            self.wire.write(b"VR\r")
            deadline_s = time.monotonic() + self._reply_timeout_s
            while (answer := self._next_answer("VR", deadline_s)) is not None:
                if answer.lines:
                    self._finish_synchronising(attempt)
                    return _identity(answer.lines)
        raise DeviceTimeout(
            DEVICE,
            f"no answer to VR on {self.wire.port} in {IDENTITY_ATTEMPTS} attempts. "
            "Is it the right port and baud rate, and is the controller powered?",
        )

    def _finish_synchronising(self, repeats: int) -> None:
        """A repeated `VR` may be answered once more: let the line fall silent before the next command."""
        if repeats:
            deadline_s = time.monotonic() + self._reply_timeout_s
            while self._next_answer("VR", deadline_s) is not None:
                continue
        self._is_in_step = True

    def _next_answer(self, command: str, deadline_s: float) -> Answer | None:
        """The next prompt that answers something; events are kept aside, noise is counted and ignored."""
        while True:
            try:
                raw = self._answers.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                return None
            if isinstance(raw, DeviceLost):
                self._answers.put(raw)  # the next caller is to hear it too
                raise DeviceLost(raw.device, raw.message)
            answer = rt.parse_answer(raw, command)
            if answer is None:
                self.rejected_answers += 1
                log.warning("%s: not understood and not counted as an acknowledge: %r", DEVICE, raw)
                continue
            self._note_events(answer)
            if not answer.is_only_events:
                return answer

    def _note_events(self, answer: Answer) -> None:
        for event in answer.events:
            self.events.append(event)
            log.warning("%s: event %d on channel %d", DEVICE, event.code, event.channel)

    def _drain(self) -> None:
        """Take in events that came meanwhile; any other prompt nobody asked for puts us out of step."""
        while not self._answers.empty():
            if self._next_answer("", time.monotonic()) is not None:
                log.warning("%s: an answer came unasked and was dropped", DEVICE)


def _identity(lines: tuple[str, ...]) -> DeviceIdentity:
    model, _, rest = lines[0].partition(" ")
    return DeviceIdentity("Gardasoft", model, "", rest.strip())


class GardasoftSettings(DriverSettings):
    """What a rig file says of this controller."""

    port: Text
    channels: Channels
    settle_s: NotNegative = 0.005  # from acknowledge to stable light
    reply_timeout_s: Positive = 0.5


def _open(settings: GardasoftSettings) -> GardasoftLights:
    return GardasoftLights.open(
        settings.port,
        channels=settings.channels,
        settle_s=settings.settle_s,
        reply_timeout_s=settings.reply_timeout_s,
    )


EXAMPLE = """\
driver: gardasoft
port: /dev/serial/by-id/usb-FTDI_Lights_0001-if00-port0
channels: [1, 2, 3, 4, 5, 6, 7, 8, 9]
settle_s: 0.005          # from acknowledge to stable light
reply_timeout_s: 0.5
"""

DRIVER = DriverKind(GardasoftSettings, _open, EXAMPLE)
