"""A CCS light controller over `@` frames with checksum: one channel on at a time, every step acknowledged."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from drivers.errors import CommandRefused, DeviceError, DeviceLost, DeviceTimeout
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line import ccs_protocol as ccs
from drivers.serial_line.ccs_protocol import CcsDialect, Reply
from drivers.serial_line.light_requests import check_request, off_not_confirmed
from drivers.serial_line.port import Line
from drivers.settings import Channels, DriverSettings, NotNegative, Positive, Text

log = logging.getLogger(__name__)

DEVICE = "lights"
QUERY_ATTEMPTS = 3


class CcsLights:
    """Implements `drivers.protocols.Lights`. Open with `CcsLights.open`; all channels are off then."""

    def __init__(
        self,
        port: str,
        channels: Sequence[int],
        *,
        settle_s: float,
        baud_rate: int,
        reply_timeout_s: float,
        dialect: CcsDialect,
    ) -> None:
        if not channels or len(set(channels)) < len(channels) or min(channels) < 1 or max(channels) > 98:
            raise ValueError(f"light channels are distinct numbers of 1..98, found {list(channels)}")
        self._channels = tuple(channels)
        self._settle_s = settle_s
        self._reply_timeout_s = reply_timeout_s
        self._dialect = dialect
        self._lock = threading.RLock()
        self._replies: queue.SimpleQueue[bytes | DeviceLost] = queue.SimpleQueue()
        self._maybe_on = set(self._channels)
        self._is_in_step = False  # no reply is outstanding: the next one belongs to the next command
        self.rejected_replies = 0
        self.wire = Line(
            DEVICE, port, baud_rate=baud_rate, terminator=b"\n", on_line=self._replies.put, on_lost=self._replies.put
        )
        try:
            self._synchronise()
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
        baud_rate: int = 9600,
        reply_timeout_s: float = 0.5,
        dialect: CcsDialect = CcsDialect(),  # noqa: B008 - frozen
    ) -> CcsLights:
        """Open the port, query the first channel, all channels off.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(
            port,
            channels,
            settle_s=settle_s,
            baud_rate=baud_rate,
            reply_timeout_s=reply_timeout_s,
            dialect=dialect,
        )

    @property
    def identity(self) -> DeviceIdentity:
        """The frames' documents tell no model name; the dialect's query answered is all that is known."""
        return DeviceIdentity("CCS", "@ protocol", "", "")

    @property
    def channels(self) -> tuple[int, ...]:
        return self._channels

    def on(self, channel: int, brightness: float) -> None:
        """All others off, acknowledged, then this one set and on, acknowledged, then `settle_s`.

        Raises FeatureMissing for a channel or brightness that the controller does not have, CommandRefused,
        DeviceTimeout, DeviceLost; then it counts as possibly on until `off` has succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        with self._lock:
            if self._maybe_on - {channel}:
                self._all_off()
            self._maybe_on.add(channel)
            number = self._number(channel)
            self._command(ccs.intensity(number, brightness, self._dialect))
            self._command(ccs.switch(number, is_on=True))
            time.sleep(self._settle_s)

    def off(self) -> None:
        """Every channel, in one frame where the dialect allows; one retry. Raises LightStateUnknown."""
        with self._lock:
            self._maybe_on.update(self._channels)
            try:
                self._all_off()
            except DeviceError as first:
                log.warning("%s: off is tried once more: %s", DEVICE, first)
                self._retry_off()

    def _retry_off(self) -> None:
        try:
            self._all_off()
        except DeviceError as error:
            raise off_not_confirmed(DEVICE, sorted(self._maybe_on), error) from error

    def check(self) -> None:
        """Raise DeviceLost for a line that is gone; this controller reports nothing else by itself."""
        with self._lock:
            self._drain()

    def close(self) -> None:
        """Give the port back; it switches nothing (`off` does)."""
        self.wire.close()

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
        """Send, and take `O` from the same channel for yes. Anything else leaves us out of step."""
        if not self._is_in_step:
            self._synchronise()
        self._drain()
        self._is_in_step = False
        self.wire.write(frame)
        reply = self._next_reply(time.monotonic() + self._reply_timeout_s)
        if reply is None:
            raise DeviceTimeout(
                DEVICE, f"no acknowledge of {frame!r} within {self._reply_timeout_s:g} s on {self.wire.port}"
            )
        if reply.header == "N" and reply.number == int(frame[1:3]):
            self._is_in_step = True
            raise CommandRefused(DEVICE, f"{frame!r} answered with NAK {reply.text}")
        if not reply.is_acknowledge or reply.number != int(frame[1:3]):
            raise CommandRefused(DEVICE, f"{frame!r} answered with {reply} in place of an acknowledge")
        self._is_in_step = True

    def _synchronise(self) -> None:
        """`Q` until its own answer `A` comes back and the line is silent: replies from before are behind us then."""
        self._drain()
        for attempt in range(QUERY_ATTEMPTS):
            self.wire.write((b"\r\n" if attempt else b"") + ccs.frame(self._number(self._channels[0]), "Q"))
            deadline_s = time.monotonic() + self._reply_timeout_s
            while (reply := self._next_reply(deadline_s)) is not None:
                if reply.header == "A":
                    self._finish_synchronising(attempt)
                    return
        raise DeviceTimeout(
            DEVICE,
            f"no answer to a query on {self.wire.port} in {QUERY_ATTEMPTS} attempts. "
            "Is it the right port and baud rate, and is the controller powered?",
        )

    def _finish_synchronising(self, repeats: int) -> None:
        """A repeated query may be answered once more: let the line fall silent before the next command."""
        if repeats:
            deadline_s = time.monotonic() + self._reply_timeout_s
            while self._next_reply(deadline_s) is not None:
                continue
        self._is_in_step = True

    def _next_reply(self, deadline_s: float) -> Reply | None:
        while True:
            try:
                raw = self._replies.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                return None
            if isinstance(raw, DeviceLost):
                self._replies.put(raw)  # the next caller is to hear it too
                raise DeviceLost(raw.device, raw.message)
            reply = ccs.parse_reply(raw)
            if reply is not None:
                return reply
            self.rejected_replies += 1
            log.warning("%s: not understood and not counted as an acknowledge: %r", DEVICE, raw)

    def _drain(self) -> None:
        while not self._replies.empty():
            if self._next_reply(time.monotonic()) is not None:
                log.warning("%s: a reply came unasked and was dropped", DEVICE)


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


def _open(settings: CcsSettings) -> CcsLights:
    dialect = CcsDialect(settings.first_number, settings.all_number, settings.intensity_suffix)
    return CcsLights.open(
        settings.port,
        channels=settings.channels,
        settle_s=settings.settle_s,
        baud_rate=settings.baud_rate,
        reply_timeout_s=settings.reply_timeout_s,
        dialect=dialect,
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
intensity_suffix: '00'   # the digits after an intensity; some models have none
"""

DRIVER = DriverKind(CcsSettings, _open, EXAMPLE)
