"""A light controller of the `SA0255#` family: one channel on at a time, every level read back.

Its acknowledges are single letters without a checksum, so a level counts once the controller, asked, names it.
The family has no trigger that is the same everywhere: lights are stepped by software.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from drivers.errors import CommandRefused, DeviceError, DeviceTimeout
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line.lights import sa0255_protocol as sa
from drivers.serial_line.lights.conversation import DEVICE, LightLine
from drivers.serial_line.lights.requests import check_request, off_with_one_retry
from drivers.serial_line.lights.sa0255_protocol import AllLetter
from drivers.serial_line.port import Line
from drivers.settings import Channels, DriverSettings, NotNegative, Positive, Text

log = logging.getLogger(__name__)

QUERY_ATTEMPTS = 3
MOST_REPLY_BYTES = 5


class Sa0255Lights:
    """Implements `drivers.protocols.Lights`. Open with `Sa0255Lights.open`; all channels are off then."""

    def __init__(
        self,
        port: str,
        channels: Sequence[int],
        *,
        settle_s: float,
        baud_rate: int,
        reply_timeout_s: float,
        all_letter: AllLetter,
    ) -> None:
        most = sa.MOST_CHANNELS[all_letter]
        if not channels or len(set(channels)) < len(channels) or min(channels) < 1 or max(channels) > most:
            raise ValueError(
                f"light channels are distinct numbers of 1..{most} where {all_letter}H# switches all, "
                f"found {list(channels)}"
            )
        self._channels = tuple(channels)
        self._settle_s = settle_s
        self._all_letter = all_letter
        self._lock = threading.RLock()
        self._maybe_lit = set(self._channels)  # whose level was not read back as 0
        self._is_switched_on = False  # the common switch, acknowledged
        self._line: LightLine[bytes] = LightLine(
            port, baud_rate=baud_rate, terminator=b"", reply_timeout_s=reply_timeout_s, parse=lambda raw: raw
        )
        try:
            self._synchronise()
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
        baud_rate: int = 19200,
        reply_timeout_s: float = 0.5,
        all_letter: AllLetter = "S",
    ) -> Sa0255Lights:
        """Open the port, ask the first channel's level, all channels off.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(
            port,
            channels,
            settle_s=settle_s,
            baud_rate=baud_rate,
            reply_timeout_s=reply_timeout_s,
            all_letter=all_letter,
        )

    @property
    def identity(self) -> DeviceIdentity:
        """The family tells neither maker nor model."""
        return DeviceIdentity("SA0255# family", "", "", "")

    @property
    def channels(self) -> tuple[int, ...]:
        return self._channels

    @property
    def wire(self) -> Line:
        return self._line.wire

    def on(self, channel: int, brightness: float) -> None:
        """All others at 0 and read back, then this one set and read back, the common switch on, then `settle_s`.

        Raises FeatureMissing for a channel or brightness that the controller does not have, CommandRefused,
        DeviceTimeout, DeviceLost; then it counts as possibly on until `off` has succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        with self._lock:
            for other in sorted(self._maybe_lit - {channel}):
                self._set(other, 0)
            self._set(channel, sa.steps_of(brightness))
            if not self._is_switched_on:
                self._switch(is_on=True)
            time.sleep(self._settle_s)

    def off(self) -> None:
        """The common switch, then every level that may not be 0; one retry. Raises LightStateUnknown."""
        with self._lock:
            off_with_one_retry(DEVICE, self._all_off, lambda: self._maybe_lit)

    def check(self) -> None:
        """Raise DeviceLost for a line that is gone; this family reports nothing else by itself."""
        with self._lock:
            self._line.drain()

    def close(self) -> None:
        """Give the port back; it switches nothing (`off` does)."""
        self._line.close()

    def __enter__(self) -> Sa0255Lights:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- the conversation -------------------------------------------------------------------

    def _all_off(self) -> None:
        self._switch(is_on=False)
        for channel in sorted(self._maybe_lit):
            self._set(channel, 0)

    def _switch(self, *, is_on: bool) -> None:
        self._is_switched_on = False
        self._exchange(sa.switch_all(is_on, self._all_letter), re.compile(b"H" if is_on else b"L"))
        self._is_switched_on = is_on

    def _set(self, channel: int, steps: int) -> None:
        """Set, and ask back. Failing that, any channel may be lit."""
        known, self._maybe_lit = self._maybe_lit, set(self._channels)
        acknowledge = sa.letter(channel).lower().encode("ascii")
        self._exchange(sa.set_level(channel, steps), re.compile(acknowledge))
        raw = self._exchange(sa.ask_level(channel), re.compile(acknowledge + rb"\d{4}"))
        if sa.parse_level(raw, channel) != steps:
            raise CommandRefused(DEVICE, f"channel {channel} was set to {steps}, and asked back says {raw!r}")
        self._maybe_lit = known - {channel} if steps == 0 else known | {channel}

    def _exchange(self, command: bytes, reply: re.Pattern[bytes]) -> bytes:
        """Send, and take what matches `reply`, whole and alone. Raises DeviceTimeout, DeviceLost."""
        if not self._line.is_in_step:
            self._line.wait_silent()
            self._synchronise()
        self._line.drain()
        self._line.send(command)
        raw = self._gather(reply)
        if raw is None:
            raise self._line.timeout(command)
        self._line.is_in_step = True
        return raw

    def _gather(self, reply: re.Pattern[bytes]) -> bytes | None:
        """Pieces until they are the reply; None when they cannot become it, or none came in time."""
        deadline_s = time.monotonic() + self._line.reply_timeout_s
        gathered = b""
        while (piece := self._line.next_reply(deadline_s)) is not None:
            gathered += piece
            if reply.fullmatch(gathered):
                return gathered
            if len(gathered) >= MOST_REPLY_BYTES:
                break
        if gathered:
            self._line.rejected += 1
            log.warning("%s: not understood and not counted as an acknowledge: %r", DEVICE, gathered)
        return None

    def _synchronise(self) -> None:
        """Ask the first channel's level until its answer comes, alone; a `#` ends what may be half sent."""
        channel = self._channels[0]
        question = sa.ask_level(channel)
        answer = re.compile(sa.letter(channel).lower().encode("ascii") + rb"\d{4}")
        for attempt in range(QUERY_ATTEMPTS):
            self._line.drain()
            self._line.send((b"#" if attempt else b"") + question)
            if self._gather(answer) is not None:
                self._line.is_in_step = True
                return
        raise DeviceTimeout(
            DEVICE,
            f"no answer to {question!r} on {self.wire.port} in {QUERY_ATTEMPTS} attempts. "
            "Is it the right port and baud rate, and is the controller powered?",
        )


class Sa0255Settings(DriverSettings):
    """What a rig file says of this controller."""

    port: Text
    channels: Channels
    settle_s: NotNegative = 0.005  # from acknowledge to stable light
    reply_timeout_s: Positive = 0.5
    baud_rate: Annotated[int, Field(ge=300, le=921600)] = 19200
    all_letter: AllLetter = "S"  # SH# and SL# switch all, up to seven channels; TH# and TL# on larger units


def _open(settings: Sa0255Settings) -> Sa0255Lights:
    return Sa0255Lights.open(
        settings.port,
        channels=settings.channels,
        settle_s=settings.settle_s,
        baud_rate=settings.baud_rate,
        reply_timeout_s=settings.reply_timeout_s,
        all_letter=settings.all_letter,
    )


EXAMPLE = """\
driver: sa0255
port: '0403:6001:LIGHTS7'   # USB identity VID:PID:SERIAL; or a path such as one of /dev/serial/by-id
channels: [1, 2, 3, 4]
settle_s: 0.005          # from acknowledge to stable light
reply_timeout_s: 0.5
baud_rate: 19200         # 9600 on many
all_letter: S            # SH# and SL# switch all, up to seven channels; T on units with TH# and TL#
"""

DRIVER = DriverKind(Sa0255Settings, _open, EXAMPLE)
