"""A CCS light controller over `@` frames with checksum: one channel on at a time, every step acknowledged.

A unit shines steadily or, by a switch of its own, in strobes that its trigger input fires; the rig file
tells which (`strobe_mode`), since no command does.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from drivers.errors import CommandRefused, DeviceError, DeviceTimeout, FeatureMissing
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line.lights import ccs_protocol as ccs
from drivers.serial_line.lights.ccs_protocol import CcsDialect, Reply, Settings
from drivers.serial_line.lights.conversation import DEVICE, LightLine
from drivers.serial_line.lights.requests import check_request, off_with_one_retry
from drivers.serial_line.port import Line
from drivers.settings import Channels, DriverSettings, NotNegative, Positive, Text

log = logging.getLogger(__name__)

QUERY_ATTEMPTS = 3


class CcsLights:
    """Implements `drivers.protocols.StrobeLights`. Open with `CcsLights.open`; all channels are off then."""

    def __init__(
        self,
        port: str,
        channels: Sequence[int],
        *,
        settle_s: float,
        baud_rate: int,
        reply_timeout_s: float,
        dialect: CcsDialect,
        strobe_mode: bool,
    ) -> None:
        if not channels or len(set(channels)) < len(channels) or min(channels) < 1 or max(channels) > 98:
            raise ValueError(f"light channels are distinct numbers of 1..98, found {list(channels)}")
        self._channels = tuple(channels)
        self._settle_s = settle_s
        self._dialect = dialect
        self._strobe_mode = strobe_mode
        self._lock = threading.RLock()
        self._maybe_on = set(self._channels)
        self._widths_us: dict[int, int] = {}  # acknowledged; one lost in a restart leaves the picture dark
        self._line = LightLine(
            port, baud_rate=baud_rate, terminator=b"\n", reply_timeout_s=reply_timeout_s, parse=ccs.parse_reply
        )
        try:
            self._synchronise()
            self._identity = self._read_identity()
            self.off()
        except DeviceError:
            self._line.close()
            raise

    @classmethod
    def open(
        cls,
        port: str,
        *,
        channels: Sequence[int],
        settle_s: float = 0.005,
        baud_rate: int = 9600,
        reply_timeout_s: float = 0.5,
        dialect: CcsDialect = CcsDialect(),  # noqa: B008 - frozen
        strobe_mode: bool = False,
    ) -> CcsLights:
        """Open the port, query the first channel, ask the version, all channels off.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(
            port,
            channels,
            settle_s=settle_s,
            baud_rate=baud_rate,
            reply_timeout_s=reply_timeout_s,
            dialect=dialect,
            strobe_mode=strobe_mode,
        )

    @property
    def identity(self) -> DeviceIdentity:
        return self._identity

    @property
    def channels(self) -> tuple[int, ...]:
        return self._channels

    @property
    def wire(self) -> Line:
        return self._line.wire

    def on(self, channel: int, brightness: float) -> None:
        """All others off, acknowledged, then this one set and on, acknowledged, then `settle_s`.

        Raises FeatureMissing for a channel or brightness that the controller does not have, and for a unit in
        strobe mode; CommandRefused, DeviceTimeout, DeviceLost: then it counts as possibly on until `off` has
        succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        if self._strobe_mode:
            raise FeatureMissing(DEVICE, "the unit is in strobe mode, so it cannot shine steadily: step by strobe")
        with self._lock:
            self._only(channel, brightness)
            time.sleep(self._settle_s)

    def arm(self, channel: int, brightness: float, on_time_us: float) -> None:
        """See StrobeLights. The unit rounds the width as its manual tells; it shines from the trigger on."""
        check_request(DEVICE, self._channels, channel, brightness)
        if not self._strobe_mode:
            raise FeatureMissing(DEVICE, "the unit shines steadily (strobe_mode: false): step by software")
        low_us, high_us = ccs.STROBE_WIDTHS_US
        if not low_us <= on_time_us <= high_us:
            raise FeatureMissing(DEVICE, f"{on_time_us:g} us of light are outside {low_us}..{high_us} us of a strobe")
        width_us = math.floor(on_time_us)
        with self._lock:
            if self._widths_us.get(channel) != width_us:
                self._widths_us.pop(channel, None)
                self._command(ccs.strobe_width(self._number(channel), width_us, self._dialect))
                self._widths_us[channel] = width_us
            self._only(channel, brightness)

    def _only(self, channel: int, brightness: float) -> None:
        if self._maybe_on - {channel}:
            self._all_off()
        self._maybe_on.add(channel)
        number = self._number(channel)
        self._command(ccs.intensity(number, brightness, self._dialect))
        self._command(ccs.switch(number, is_on=True))

    def disarm(self) -> None:
        self.off()

    def off(self) -> None:
        """Every channel, in one frame where the dialect allows; one retry. Raises LightStateUnknown."""
        with self._lock:
            self._maybe_on.update(self._channels)
            off_with_one_retry(DEVICE, self._all_off, lambda: self._maybe_on)

    def check(self) -> None:
        """Raise DeviceLost for a line that is gone; this controller reports nothing else by itself."""
        with self._lock:
            self._line.drain()

    def settings(self, channel: int) -> Settings:
        """`Q`: what the unit holds of this channel. Raises CommandRefused for an answer that is none."""
        check_request(DEVICE, self._channels, channel, 0.0)
        with self._lock:
            reply = self._ask(ccs.frame(self._number(channel), "Q"))
        found = ccs.parse_settings(reply)
        if found is None:
            raise CommandRefused(DEVICE, f"a query of channel {channel} was answered with {reply}")
        return found

    def set_delay(self, channel: int, delay_us: int) -> None:
        """`D`: from the trigger to the strobe. Raises FeatureMissing outside 0..10000 us."""
        check_request(DEVICE, self._channels, channel, 0.0)
        low_us, high_us = ccs.STROBE_DELAYS_US
        if not low_us <= delay_us <= high_us:
            raise FeatureMissing(DEVICE, f"a delay of {delay_us} us is outside {low_us}..{high_us} us")
        with self._lock:
            self._command(ccs.strobe_delay(self._number(channel), delay_us, self._dialect))

    def reset(self) -> None:
        """`R`, which is not answered: settled by a query, and all channels off again."""
        with self._lock:
            self._line.send(ccs.frame(self._number(self._channels[0]), "R"))
            self._widths_us.clear()
            self._synchronise()
            self.off()

    def close(self) -> None:
        """Give the port back; it switches nothing (`off` does)."""
        self._line.close()

    def __enter__(self) -> CcsLights:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- the conversation -------------------------------------------------------------------

    def _number(self, channel: int) -> int:
        return self._dialect.first_number + channel - 1

    def _all_off(self) -> None:
        if self._dialect.all_number is not None:
            self._command(ccs.switch(self._dialect.all_number, is_on=False))
            self._maybe_on.clear()
            return
        for channel in sorted(self._maybe_on):
            self._command(ccs.switch(self._number(channel), is_on=False))
            self._maybe_on.discard(channel)

    def _command(self, frame: bytes) -> None:
        """Send, and take `O` from the same channel for yes."""
        reply = self._ask(frame)
        if not reply.is_acknowledge:
            raise CommandRefused(DEVICE, f"{frame!r} answered with {reply} in place of an acknowledge")

    def _ask(self, frame: bytes) -> Reply:
        """The reply from the same channel; a refusal raises. Anything else leaves us out of step."""
        if not self._line.is_in_step:
            self._synchronise()
        reply = self._line.ask(frame)
        if reply.number != int(frame[1:3]):
            raise CommandRefused(DEVICE, f"{frame!r} answered with {reply}, which is of another channel")
        if reply.header == "N":
            self._line.is_in_step = True
            raise CommandRefused(DEVICE, f"{frame!r} answered with NAK {reply.text}")
        self._line.is_in_step = reply.is_acknowledge or reply.header == "A"
        return reply

    def _synchronise(self) -> None:
        """`Q` until its own answer `A` comes back: replies from before are behind us then."""
        self._line.drain()
        number = self._number(self._channels[0])
        for attempt in range(QUERY_ATTEMPTS):
            self._line.send((b"\r\n" if attempt else b"") + ccs.frame(number, "Q"))
            deadline_s = time.monotonic() + self._line.reply_timeout_s
            while (reply := self._line.next_reply(deadline_s)) is not None:
                if reply.header == "A" and reply.number == number and ccs.parse_settings(reply) is not None:
                    if attempt:
                        self._line.wait_silent()
                    self._line.is_in_step = True
                    return
        raise DeviceTimeout(
            DEVICE,
            f"no answer to a query on {self.wire.port} in {QUERY_ATTEMPTS} attempts. "
            "Is it the right port and baud rate, and is the controller powered?",
        )

    def _read_identity(self) -> DeviceIdentity:
        """`V`; a model that does not know it is told by its protocol alone."""
        try:
            reply = self._ask(ccs.frame(self._number(self._channels[0]), "V"))
        except CommandRefused as refusal:
            log.info("%s: tells no version: %s", DEVICE, refusal)
            return DeviceIdentity("CCS", "@ protocol", "", "")
        model, _, version = reply.text.strip().partition(" ")
        return DeviceIdentity("CCS", model or "@ protocol", "", version.strip())


class CcsSettings(DriverSettings):
    """What a rig file says of this controller; numbering and trailing digits differ between models."""

    port: Text
    channels: Channels
    settle_s: NotNegative = 0.005  # from acknowledge to stable light
    reply_timeout_s: Positive = 0.5
    baud_rate: Annotated[int, Field(ge=300, le=921600)] = 9600
    first_number: Annotated[int, Field(ge=0, le=99)] = 1  # of channel 1 on the wire; 0 on PDS
    all_number: Annotated[int, Field(ge=0, le=99)] | None = None  # where one number means all channels
    intensity_suffix: Annotated[str, Field(pattern=r"^[0-9]{0,4}$")] = "00"
    strobe_mode: bool = False  # what the unit's own switch says


def _open(settings: CcsSettings) -> CcsLights:
    dialect = CcsDialect(settings.first_number, settings.all_number, settings.intensity_suffix)
    return CcsLights.open(
        settings.port,
        channels=settings.channels,
        settle_s=settings.settle_s,
        baud_rate=settings.baud_rate,
        reply_timeout_s=settings.reply_timeout_s,
        dialect=dialect,
        strobe_mode=settings.strobe_mode,
    )


EXAMPLE = """\
driver: ccs
port: /dev/serial/by-id/usb-FTDI_Lights_0001-if00-port0
channels: [1, 2, 3, 4, 5, 6, 7, 8, 9]
settle_s: 0.005          # from acknowledge to stable light
reply_timeout_s: 0.5
baud_rate: 9600
first_number: 1          # of channel 1 on the wire; 0 on PDS units
all_number: 0            # where one number means all channels; leave it out where there is none
intensity_suffix: '00'   # the digits after a value; some models have none
strobe_mode: false       # true where the unit's own switch is at strobe: then step by strobe
"""

DRIVER = DriverKind(CcsSettings, _open, EXAMPLE)
