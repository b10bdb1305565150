"""A Gardasoft RT light controller over its ASCII protocol: one channel on at a time, every step acknowledged.

Light is continuous for stepping by software; for strobes, a channel follows the trigger input (`RW`) or answers it
with a pulse (`RT`). Lighting errors come as events, unasked, and stay until `clear_errors`.

The protocol has no checksum: one bit changed on the way makes `RS1,0` light another channel, or this one, and
is acknowledged. So each setting is read back (`STc`) before it counts, unless `read_back` is off.
"""

from __future__ import annotations

import logging
import threading
import time

from drivers.errors import CommandRefused, DeviceError, DeviceLost, FeatureMissing
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line.lights.conversation import AT_REST_ATTEMPTS, DEVICE
from drivers.serial_line.lights.gardasoft import protocol as rt
from drivers.serial_line.lights.gardasoft.conversation import GardasoftConversation
from drivers.serial_line.lights.gardasoft.protocol import ChannelStatus, Event, Setting
from drivers.serial_line.lights.gardasoft.settings import EXAMPLE, GardasoftSettings
from drivers.serial_line.lights.requests import check_request
from drivers.serial_line.lights.serial_lights import SerialLights
from drivers.serial_line.replies import shortened

log = logging.getLogger(__name__)


class GardasoftLights(SerialLights):
    """Implements `drivers.protocols.StrobeLights`. Open with `GardasoftLights.open`; all channels are off then."""

    def __init__(self, settings: GardasoftSettings) -> None:
        self._settings = settings
        self._last_lit = 0
        self._closing = threading.Event()
        self._conversation = GardasoftConversation(settings.port, settings.baud_rate, settings.reply_timeout_s)
        super().__init__(settings.channels, self._conversation.port)
        self._start()
        if settings.keep_alive_s is not None:
            every_s = settings.keep_alive_s
            threading.Thread(target=self._stay_alive, args=(every_s,), name="lights alive", daemon=True).start()

    @classmethod
    def open(cls, settings: GardasoftSettings) -> GardasoftLights:
        """Open the port, ask `VR`, clear errors, events on, all channels off.

        With `keep_alive_s`, `VR` is asked as often while nothing else is: over TCP the controller hangs up when idle.
        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(settings)

    def _greet(self) -> None:
        self._identity = self._conversation.synchronise()
        self._conversation.clear_errors()
        self._conversation.command("GT1")
        if self._settings.trigger_input is not None:
            for channel in self._channels:
                self._conversation.command(rt.trigger_input(channel, self._settings.trigger_input))

    def close(self) -> None:
        """Give the port back; it switches nothing (`off` does)."""
        self._closing.set()
        super().close()

    # -- the contract -----------------------------------------------------------------------

    @property
    def identity(self) -> DeviceIdentity:
        """Model and firmware as the controller answers `VR`."""
        return self._identity

    def on(self, channel: int, brightness: float) -> None:
        """All others off, acknowledged, then this one on, acknowledged, then `settle_s`.

        Raises FeatureMissing for a channel or brightness that the controller does not have, CommandRefused,
        DeviceTimeout, DeviceLost, LightFault; then it counts as possibly on until `off` has succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        with self._lock:
            self._only(channel, rt.continuous(channel, brightness))
            time.sleep(self._settings.settle_s)
            self._conversation.check()

    def arm(self, channel: int, brightness: float, on_time_us: float) -> None:
        """See StrobeLights. A switched channel follows the input, so `on_time_us` is the input's; a pulse lasts it.

        Raises as `on`, and FeatureMissing for an on time that the strobe mode cannot give.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        setting = self._strobe_setting(channel, brightness, on_time_us)
        with self._lock:
            self._only(channel, setting)
            self._conversation.raise_fault()

    def disarm(self) -> None:
        """As `off`."""
        self.off()

    def check(self) -> None:
        """Raise LightFault for an error that the controller reported, until `clear_errors`; or DeviceLost."""
        with self._lock:
            self._conversation.check()

    def _ask_at_rest(self, silence_s: float | None) -> None:
        with shortened(self._conversation, silence_s, AT_REST_ATTEMPTS):
            self._conversation.synchronise(AT_REST_ATTEMPTS)

    # -- what this controller can besides ---------------------------------------------------

    @property
    def events(self) -> tuple[Event, ...]:
        """The last 256 events that came unasked, the newest last."""
        return tuple(self._conversation.events)

    def status(self, channel: int) -> ChannelStatus:
        """`STc`. Raises CommandRefused for an answer that is none, DeviceTimeout, DeviceLost."""
        check_request(DEVICE, self._channels, channel, 0.0)
        with self._lock:
            answer = self._conversation.ask(f"ST{channel}")
        found = rt.parse_status(answer.lines[0]) if len(answer.lines) == 1 else None
        if found is None or found.channel != channel:
            raise CommandRefused(DEVICE, f"'ST{channel}' answered with {answer.lines!r}, error {answer.error}")
        return found

    def clear_errors(self) -> None:
        """Let the controller forget its errors, once an operator has mended the light; `check` is quiet then."""
        with self._lock:
            self._conversation.clear_errors()

    # -- switching --------------------------------------------------------------------------

    def _strobe_setting(self, channel: int, brightness: float, on_time_us: float) -> Setting:
        if self._settings.strobe == "pulsed":
            delay_us = self._settings.strobe_delay_us
            width_us = on_time_us - delay_us
            if width_us <= 0:
                raise FeatureMissing(
                    DEVICE,
                    f"{on_time_us:g} us of light on channel {channel} end before the pulse's delay of {delay_us:g} us "
                    "has passed: expose longer, or shorten strobe_delay_us in the rig file",
                )
            return rt.pulsed(channel, width_us, delay_us, brightness)
        if not 0 < on_time_us <= rt.LONGEST_SWITCHED_US:
            raise FeatureMissing(
                DEVICE,
                f"{on_time_us:g} us of light on channel {channel} is outside 0..{rt.LONGEST_SWITCHED_US:g} us of "
                "switched light: step by software",
            )
        return rt.switched(channel, brightness)

    def _only(self, channel: int, setting: Setting) -> None:
        self._conversation.check()
        for other in sorted(self._maybe_on - {channel}):
            self._switch_off(other)
        self._last_lit = channel
        self._set(channel, setting)

    def _set(self, channel: int, setting: Setting) -> None:
        """Command, acknowledge, and the setting read back. Failing that, any channel may be lit."""
        known, self._maybe_on = self._maybe_on, set(self._channels)
        self._conversation.command(setting.command)
        if self._settings.read_back:
            self._prove(channel, setting)
        self._maybe_on = known | {channel}

    def _prove(self, channel: int, setting: Setting) -> None:
        difference = setting.difference(self.status(channel))
        if difference is not None:
            raise CommandRefused(
                DEVICE,
                f"after {setting.command!r} channel {channel} is {difference}: it was changed on the way. "
                "Check the cable and its shield",
            )

    def _is_in_step(self) -> bool:
        return self._conversation.is_in_step()

    def _send(self, frames: bytes) -> None:
        self._conversation.send(frames)

    def _off_frames(self) -> bytes:
        commands = [rt.continuous(channel, 0.0).command for channel in self._channels]
        return "".join(f"{text}\r" for text in ("", *commands)).encode("ascii")

    def _all_off(self) -> None:
        """What was confirmed to be dark, and not touched since, is not asked again; after any fault, all are.

        A refusal does not keep the rest from being tried; silence does.
        """
        problem: CommandRefused | None = None
        for channel in self._suspects():
            try:
                self._switch_off(channel)
            except CommandRefused as error:
                problem = error
        if problem is not None:
            raise problem

    def _suspects(self) -> list[int]:
        """What may be lit, the likeliest first."""
        return sorted(self._maybe_on, key=lambda c: (c != self._last_lit, c))

    def _switch_off(self, channel: int) -> None:
        self._set(channel, rt.continuous(channel, 0.0))
        self._maybe_on.discard(channel)

    def _stay_alive(self, every_s: float) -> None:
        while not self._closing.wait(every_s):
            if time.monotonic() - self._port.written[-1].time_s < every_s:
                continue
            try:
                with self._lock:
                    self._conversation.ask("VR")
            except DeviceError as error:  # whoever uses the lights next meets it too
                log.warning("%s: not kept alive: %s", DEVICE, error)
                if isinstance(error, DeviceLost):
                    return


DRIVER = DriverKind(GardasoftSettings, GardasoftLights.open, EXAMPLE)
