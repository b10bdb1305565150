"""A Gardasoft RT light controller over its ASCII protocol: one channel on at a time, every step acknowledged.

Continuous light for software stepping; for strobes, channels that follow the trigger input (`RW`) or answer
it with a pulse (`RT`). Lighting errors come as events, unasked, and stay until `clear_errors`.

The protocol has no checksum: one bit changed on the way makes `RS1,0` light another channel, or this one, and
is acknowledged. So each setting is read back (`STc`) before it counts, unless `read_back` is off.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from drivers.errors import CommandRefused, DeviceError, DeviceLost, DeviceTimeout, FeatureMissing, LightFault
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line.lights import gardasoft_protocol as rt
from drivers.serial_line.lights.gardasoft_protocol import Answer, ChannelStatus, Event, Setting
from drivers.serial_line.lights.requests import check_request, off_not_confirmed
from drivers.serial_line.port import Line
from drivers.serial_line.replies import Replies
from drivers.settings import Channels, DriverSettings, NotNegative, Positive, Text

log = logging.getLogger(__name__)

DEVICE = "lights"
IDENTITY_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Strobe:
    """How an armed channel answers the trigger input; a pulse begins `delay_us` late and ends with the on time."""

    mode: Literal["switched", "pulsed"] = "switched"
    delay_us: float = 20.0  # less than the controller can is answered with Err 5, and refused
    trigger_input: int | None = None  # of all channels; None leaves the controller's own setting


class GardasoftLights:
    """Implements `drivers.protocols.StrobeLights`. Open with `GardasoftLights.open`; all channels are off then."""

    def __init__(
        self,
        port: str,
        channels: Sequence[int],
        *,
        settle_s: float = 0.005,
        baud_rate: int = 115200,
        reply_timeout_s: float = 0.5,
        strobe: Strobe = Strobe(),
        read_back: bool = True,
        keep_alive_s: float | None = None,
    ) -> None:
        if not channels or len(set(channels)) < len(channels) or min(channels) < 1:
            raise ValueError(f"light channels are distinct numbers from 1, found {list(channels)}")
        self._channels = tuple(channels)
        self._settle_s = settle_s
        self._reply_timeout_s = reply_timeout_s
        self._strobe = strobe
        self._read_back = read_back
        self._last_lit = 0
        self._fault: Event | None = None  # the first that was reported and not cleared
        self._lock = threading.RLock()
        self._answers: Replies[bytes] = Replies()
        self._maybe_on = set(self._channels)  # or armed: what was not confirmed to be off since it may have been on
        self._is_in_step = False  # no answer is outstanding: the next prompt belongs to the next command
        self.events: deque[Event] = deque(maxlen=256)
        self.rejected_answers = 0
        self.wire = Line(
            DEVICE, port, baud_rate=baud_rate, terminator=b">", on_line=self._answers.put, on_lost=self._answers.put
        )
        try:
            self._identity = self._synchronise()
            self.clear_errors()
            self._command("GT1")
            if strobe.trigger_input is not None:
                for channel in self._channels:
                    self._command(rt.trigger_input(channel, strobe.trigger_input))
            self.off()
        except DeviceError:
            self.wire.close()
            raise
        self._closing = threading.Event()
        if keep_alive_s is not None:
            threading.Thread(target=self._stay_alive, args=(keep_alive_s,), name="lights alive", daemon=True).start()

    @classmethod
    def open(
        cls,
        port: str,
        *,
        channels: Sequence[int],
        settle_s: float = 0.005,
        baud_rate: int = 115200,
        reply_timeout_s: float = 0.5,
        strobe: Strobe = Strobe(),
        read_back: bool = True,
        keep_alive_s: float | None = None,
    ) -> GardasoftLights:
        """Open the port, ask `VR`, clear errors, events on, all channels off.

        With `keep_alive_s`, `VR` is asked as often while nothing else is: over TCP the controller hangs up when idle.
        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(
            port,
            channels,
            settle_s=settle_s,
            baud_rate=baud_rate,
            reply_timeout_s=reply_timeout_s,
            strobe=strobe,
            read_back=read_back,
            keep_alive_s=keep_alive_s,
        )

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
        DeviceTimeout, DeviceLost, LightFault; then it counts as possibly on until `off` has succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        with self._lock:
            self._only(channel, rt.continuous(channel, brightness))
            time.sleep(self._settle_s)
            self.check()

    def arm(self, channel: int, brightness: float, on_time_us: float) -> None:
        """See StrobeLights. Switched channels follow the input, so `on_time_us` is the input's; pulses last it."""
        check_request(DEVICE, self._channels, channel, brightness)
        setting = self._strobe_setting(channel, brightness, on_time_us)
        with self._lock:
            self._only(channel, setting)
            self._raise_fault()

    def disarm(self) -> None:
        self.off()

    def check(self) -> None:
        """Raise LightFault for an error that the controller reported, until `clear_errors`; or DeviceLost."""
        with self._lock:
            self._drain()
            self._raise_fault()

    def _strobe_setting(self, channel: int, brightness: float, on_time_us: float) -> Setting:
        if self._strobe.mode == "pulsed":
            width_us = on_time_us - self._strobe.delay_us
            if width_us <= 0:
                raise FeatureMissing(DEVICE, f"{on_time_us:g} us of light end before the pulse's delay has passed")
            return rt.pulsed(channel, width_us, self._strobe.delay_us, brightness)
        if not 0 < on_time_us <= rt.LONGEST_SWITCHED_US:
            raise FeatureMissing(
                DEVICE,
                f"{on_time_us:g} us is outside 0..{rt.LONGEST_SWITCHED_US:g} us of switched light; "
                "use stepping by software",
            )
        return rt.switched(channel, brightness)

    def _only(self, channel: int, setting: Setting) -> None:
        self.check()
        for other in sorted(self._maybe_on - {channel}):
            self._switch_off(other)
        self._last_lit = channel
        self._set(channel, setting)

    def _set(self, channel: int, setting: Setting) -> None:
        """Command, acknowledge, and the setting read back. Failing that, any channel may be lit."""
        known, self._maybe_on = self._maybe_on, set(self._channels)
        self._command(setting.command)
        if self._read_back:
            self._prove(channel, setting)
        self._maybe_on = known | {channel}

    def _prove(self, channel: int, setting: Setting) -> None:
        difference = setting.difference(self.status(channel))
        if difference is not None:
            raise CommandRefused(
                DEVICE, f"after {setting.command!r} channel {channel} is {difference}: it was changed on the way"
            )

    def off(self) -> None:
        """Every channel that may be on; one retry. Raises LightStateUnknown naming what is left.

        What was confirmed to be dark, and not touched since, is not asked again; after any fault, all are.
        """
        with self._lock:
            left, _ = self._try_off()
            if left:
                left, problem = self._try_off()
                if left:
                    raise off_not_confirmed(DEVICE, left, problem) from problem

    def close(self) -> None:
        """Give the port back; it switches nothing (`off` does)."""
        self._closing.set()
        self.wire.close()

    # -- what this controller can besides ---------------------------------------------------

    def fire(self, channel: int) -> None:
        """`TRc`: one pulse of an armed channel in pulsed mode, without a trigger input. Acknowledged."""
        check_request(DEVICE, self._channels, channel, 0.0)
        with self._lock:
            self._command(f"TR{channel}")

    def status(self, channel: int) -> ChannelStatus:
        """`STc`. Raises CommandRefused for an answer that is none."""
        check_request(DEVICE, self._channels, channel, 0.0)
        with self._lock:
            answer = self._ask(f"ST{channel}")
        found = rt.parse_status(answer.lines[0]) if len(answer.lines) == 1 else None
        if found is None or found.channel != channel:
            raise CommandRefused(DEVICE, f"'ST{channel}' answered with {answer.lines!r}, error {answer.error}")
        return found

    def clear_errors(self) -> None:
        """`GR`: the controller forgets its errors and tells the last one; `check` is quiet then."""
        with self._lock:
            answer = self._ask("GR", may_be_event=True)
            if answer.error is not None or answer.lines:
                raise CommandRefused(DEVICE, f"'GR' answered with {answer.lines!r}, error {answer.error}")
            # an event that came unasked looks like the answer: find out where the conversation stands
            self._is_in_step = not answer.events
            self._fault = None

    def __enter__(self) -> GardasoftLights:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- switching --------------------------------------------------------------------------

    def _try_off(self) -> tuple[list[int], DeviceError | None]:
        """Those whose off was not confirmed, and why; after a dead line none of the rest is tried."""
        problem: DeviceError | None = None
        for channel in self._suspects():
            try:
                self._switch_off(channel)
            except CommandRefused as error:
                problem = error
            except DeviceError as error:
                return self._suspects(), error
        return self._suspects(), problem

    def _suspects(self) -> list[int]:
        """What may be lit, the likeliest first."""
        return sorted(self._maybe_on, key=lambda c: (c != self._last_lit, c))

    def _switch_off(self, channel: int) -> None:
        self._set(channel, rt.continuous(channel, 0.0))
        self._maybe_on.discard(channel)

    # -- the conversation -------------------------------------------------------------------

    def _stay_alive(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            if time.monotonic() - self.wire.written[-1].time_s < every_s:
                continue
            try:
                with self._lock:
                    self._ask("VR")
            except DeviceError as error:  # whoever uses the lights next meets it too
                log.warning("%s: not kept alive: %s", DEVICE, error)
                if isinstance(error, DeviceLost):
                    return

    def _command(self, text: str) -> None:
        """Send, and take a bare prompt for yes. An adjusted value (Err 5) is a no: the light would be another."""
        answer = self._ask(text)
        if answer.error is not None:
            raise CommandRefused(DEVICE, f"{text!r} answered with {rt.error_text(answer.error)}")
        if answer.lines:
            self._is_in_step = False
            raise CommandRefused(DEVICE, f"{text!r} answered with {answer.lines!r} in place of an acknowledge")

    def _ask(self, text: str, *, may_be_event: bool = False) -> Answer:
        """Raises DeviceTimeout when no understandable answer came; the next command resynchronises first."""
        self._drain()
        if not self._is_in_step:
            self._synchronise()
        self._is_in_step = False
        self.wire.write(text.encode("ascii") + b"\r")
        answer = self._next_answer(text, time.monotonic() + self._reply_timeout_s, may_be_event=may_be_event)
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

    def _next_answer(self, command: str, deadline_s: float, *, may_be_event: bool = False) -> Answer | None:
        """The next prompt that answers something; events are kept aside, noise is counted and ignored."""
        while (raw := self._answers.next(deadline_s)) is not None:
            answer = rt.parse_answer(raw, command)
            if answer is None:
                self.rejected_answers += 1
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

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise LightFault(DEVICE, f"the controller reports {self._fault}. Check that light, then open it again")

    def _drain(self) -> None:
        """Take in events that came meanwhile; any other prompt nobody asked for puts us out of step."""
        while not self._answers.empty():
            if self._next_answer("", time.monotonic()) is not None:
                log.warning("%s: an answer came unasked and was dropped", DEVICE)
                self._is_in_step = False


def _identity(lines: tuple[str, ...]) -> DeviceIdentity:
    model, _, rest = lines[0].partition(" ")
    return DeviceIdentity("Gardasoft", model, "", rest.strip())


class GardasoftSettings(DriverSettings):
    """What a rig file says of this controller."""

    port: Text
    channels: Channels
    settle_s: NotNegative = 0.005  # from acknowledge to stable light
    reply_timeout_s: Positive = 0.5
    baud_rate: Annotated[int, Field(ge=300, le=921600)] = 115200
    strobe: Literal["switched", "pulsed"] = "switched"  # for stepping by strobe; see Strobe
    strobe_delay_us: NotNegative = 20.0  # from the trigger to the pulse
    trigger_input: Annotated[int, Field(ge=1, le=255)] | None = None  # where the camera's line arrives
    read_back: bool = True  # each setting is asked back (`STc`) before it counts: the protocol has no checksum
    keep_alive_s: Positive | None = None  # over TCP: the controller hangs up after 10 s without a word


def _open(settings: GardasoftSettings) -> GardasoftLights:
    return GardasoftLights.open(
        settings.port,
        channels=settings.channels,
        settle_s=settings.settle_s,
        baud_rate=settings.baud_rate,
        reply_timeout_s=settings.reply_timeout_s,
        strobe=Strobe(settings.strobe, settings.strobe_delay_us, settings.trigger_input),
        read_back=settings.read_back,
        keep_alive_s=settings.keep_alive_s,
    )


EXAMPLE = """\
driver: gardasoft
port: /dev/serial/by-id/usb-FTDI_Lights_0001-if00-port0
channels: [1, 2, 3, 4, 5, 6, 7, 8, 9]
settle_s: 0.005          # from acknowledge to stable light
reply_timeout_s: 0.5
baud_rate: 115200
strobe: switched         # for stepping by strobe: lit while the trigger input is high; or `pulsed`
strobe_delay_us: 20      # of a pulse after the trigger; the pulse ends with the exposure
trigger_input: 1         # where the camera's exposure line arrives; may be left out
read_back: true          # each setting is asked back before it counts: the protocol has no checksum
"""

DRIVER = DriverKind(GardasoftSettings, _open, EXAMPLE)
