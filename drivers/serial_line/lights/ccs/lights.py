"""A CCS light controller over `@` frames with checksum: one channel on at a time, every step acknowledged.

A unit shines steadily or, by a switch of its own, in strobes that its trigger input fires. No command reads that
switch, so the rig file states it (`strobe_mode`).
"""

from __future__ import annotations

import logging
import math
import time

from drivers.errors import CommandRefused, FeatureMissing
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line.lights.ccs import protocol as ccs
from drivers.serial_line.lights.ccs.protocol import Reply
from drivers.serial_line.lights.ccs.settings import EXAMPLE, CcsSettings
from drivers.serial_line.lights.conversation import (
    AT_REST_ATTEMPTS,
    DEVICE,
    SYNCHRONISING_ATTEMPTS,
    LightConversation,
    nobody_there,
)
from drivers.serial_line.lights.requests import check_request
from drivers.serial_line.lights.serial_lights import SerialLights
from drivers.serial_line.replies import shortened

log = logging.getLogger(__name__)


class CcsLights(SerialLights):
    """Implements `drivers.protocols.StrobeLights`. Open with `CcsLights.open`; all channels are off then."""

    def __init__(self, settings: CcsSettings) -> None:
        self._settings = settings
        self._dialect = settings.dialect()
        self._widths_us: dict[int, int] = {}  # acknowledged; one lost in a restart leaves the picture dark
        self._conversation = LightConversation(
            settings.port,
            baud_rate=settings.baud_rate,
            terminator=b"\n",
            reply_timeout_s=settings.reply_timeout_s,
            parse=ccs.parse_reply,
        )
        super().__init__(settings.channels, self._conversation.port)
        self._start()

    @classmethod
    def open(cls, settings: CcsSettings) -> CcsLights:
        """Open the port, query the first channel, ask the version, all channels off.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(settings)

    def _greet(self) -> None:
        self._synchronise()
        self._identity = self._read_identity()

    # -- the contract -----------------------------------------------------------------------

    @property
    def identity(self) -> DeviceIdentity:
        """As the unit answers `V`; without model and version where it does not know that command."""
        return self._identity

    def on(self, channel: int, brightness: float) -> None:
        """All others off, acknowledged, then this one set and on, acknowledged, then `settle_s`.

        Raises FeatureMissing for a channel or brightness that the controller does not have, and for a unit in
        strobe mode; CommandRefused, DeviceTimeout, DeviceLost: then it counts as possibly on until `off` has
        succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        if self._settings.strobe_mode:
            raise FeatureMissing(DEVICE, "the unit is in strobe mode, so it cannot shine steadily: step by strobe")
        with self._lock:
            self._only(channel, brightness)
            time.sleep(self._settings.settle_s)

    def arm(self, channel: int, brightness: float, on_time_us: float) -> None:
        """See StrobeLights. The unit rounds the width as its manual states; it shines from the trigger on.

        Raises as `on`, and FeatureMissing for a unit that shines steadily or a width outside 20..33000 us.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        if not self._settings.strobe_mode:
            raise FeatureMissing(DEVICE, "the unit shines steadily (strobe_mode: false): step by software")
        low_us, high_us = ccs.STROBE_WIDTHS_US
        if not low_us <= on_time_us <= high_us:
            raise FeatureMissing(
                DEVICE,
                f"{on_time_us:g} us of light on channel {channel} are outside {low_us}..{high_us} us of a strobe: "
                "change the exposure",
            )
        width_us = math.floor(on_time_us)
        with self._lock:
            if self._widths_us.get(channel) != width_us:
                self._widths_us.pop(channel, None)
                self._command(ccs.strobe_width(self._number(channel), width_us, self._dialect))
                self._widths_us[channel] = width_us
            self._only(channel, brightness)

    def disarm(self) -> None:
        """As `off`."""
        self.off()

    def off(self) -> None:
        """Every channel, in one frame where the dialect allows; as `SerialLights.off` besides."""
        with self._lock:
            self._maybe_on.update(self._channels)
            super().off()

    def check(self) -> None:
        """Raise DeviceLost for a port that is gone; this controller reports nothing else by itself."""
        with self._lock:
            self._conversation.drain()

    def _ask_at_rest(self, silence_s: float | None) -> None:
        with shortened(self._conversation, silence_s, AT_REST_ATTEMPTS):
            self._synchronise(AT_REST_ATTEMPTS)

    # -- switching --------------------------------------------------------------------------

    def _only(self, channel: int, brightness: float) -> None:
        if self._maybe_on - {channel}:
            self._all_off()
        self._maybe_on.add(channel)
        number = self._number(channel)
        self._command(ccs.intensity(number, brightness, self._dialect))
        self._command(ccs.switch(number, is_on=True))

    def _all_off(self) -> None:
        if self._dialect.all_number is not None:
            self._command(ccs.switch(self._dialect.all_number, is_on=False))
            self._maybe_on.clear()
            return
        for channel in sorted(self._maybe_on):
            self._command(ccs.switch(self._number(channel), is_on=False))
            self._maybe_on.discard(channel)

    def _is_in_step(self) -> bool:
        self._conversation.drain()
        return self._conversation.is_in_step

    def _send(self, frames: bytes) -> None:
        self._conversation.send(frames)

    def _off_frames(self) -> bytes:
        number = self._dialect.all_number
        numbers = [self._number(c) for c in self._channels] if number is None else [number]
        return b"\r\n" + b"".join(ccs.switch(n, is_on=False) for n in numbers)

    def _number(self, channel: int) -> int:
        """Of a channel, in a frame."""
        return self._dialect.first_number + channel - 1

    # -- the conversation -------------------------------------------------------------------

    def _command(self, frame: bytes) -> None:
        """Send, and take `O` from the same channel for yes."""
        reply = self._ask(frame)
        if not reply.is_acknowledge:
            raise CommandRefused(DEVICE, f"{frame!r} answered with {reply} in place of an acknowledge")

    def _ask(self, frame: bytes) -> Reply:
        """The reply from the same channel; a refusal raises. Anything else leaves us out of step."""
        if not self._conversation.is_in_step:
            self._synchronise()
        reply = self._conversation.ask(frame)
        if reply.number != int(frame[1:3]):
            raise CommandRefused(DEVICE, f"{frame!r} answered with {reply}, which is of another channel")
        if reply.header == "N":
            self._conversation.is_in_step = True
            raise CommandRefused(
                DEVICE,
                f"{frame!r} answered with NAK {reply.text}: compare first_number, all_number and intensity_suffix in "
                "the rig file with the unit's manual",
            )
        self._conversation.is_in_step = reply.is_acknowledge or reply.header == "A"
        return reply

    def _synchronise(self, attempts: int = SYNCHRONISING_ATTEMPTS) -> None:
        """Repeat `Q` until its own answer `A` comes back: replies from before are behind us then."""
        self._conversation.drain()
        number = self._number(self._channels[0])
        for attempt in range(attempts):
            self._conversation.send((b"\r\n" if attempt else b"") + ccs.frame(number, "Q"))
            deadline_s = time.monotonic() + self._conversation.reply_timeout_s
            while (reply := self._conversation.next_reply(deadline_s)) is not None:
                if reply.number == number and ccs.parse_settings(reply) is not None:
                    if attempt:
                        self._conversation.wait_silent()
                    self._conversation.is_in_step = True
                    return
        raise nobody_there("a query", self._port, attempts)

    def _read_identity(self) -> DeviceIdentity:
        try:
            reply = self._ask(ccs.frame(self._number(self._channels[0]), "V"))
        except CommandRefused as refusal:
            log.info("%s: reports no version: %s", DEVICE, refusal)
            return DeviceIdentity("CCS", "@ protocol", "", "")
        model, _, version = reply.text.strip().partition(" ")
        return DeviceIdentity("CCS", model or "@ protocol", "", version.strip())


DRIVER = DriverKind(CcsSettings, CcsLights.open, EXAMPLE)
