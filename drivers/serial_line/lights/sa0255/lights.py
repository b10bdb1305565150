"""A light controller of the `SA0255#` family: one channel on at a time, every level read back.

Its acknowledges are single letters without a checksum, so a level counts once the controller, asked, names it.
The family has no trigger that is the same everywhere: lights are stepped by software.
"""

from __future__ import annotations

import logging
import re
import time

from drivers.errors import CommandRefused
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line.lights.conversation import (
    AT_REST_ATTEMPTS,
    DEVICE,
    SYNCHRONISING_ATTEMPTS,
    LightConversation,
    nobody_there,
)
from drivers.serial_line.lights.requests import check_request
from drivers.serial_line.lights.sa0255 import protocol as sa
from drivers.serial_line.lights.sa0255.settings import EXAMPLE, Sa0255Settings
from drivers.serial_line.lights.serial_lights import SerialLights
from drivers.serial_line.replies import shortened

log = logging.getLogger(__name__)

MOST_REPLY_BYTES = 5


class Sa0255Lights(SerialLights):
    """Implements `drivers.protocols.Lights`. Open with `Sa0255Lights.open`; all channels are off then.

    A channel counts as possibly on until its level was read back as 0.
    """

    def __init__(self, settings: Sa0255Settings) -> None:
        self._settings = settings
        self._is_switched_on = False  # the common switch, acknowledged
        self._conversation: LightConversation[bytes] = LightConversation(
            settings.port,
            baud_rate=settings.baud_rate,
            terminator=b"",
            reply_timeout_s=settings.reply_timeout_s,
            parse=lambda raw: raw,
        )
        super().__init__(settings.channels, self._conversation.port)
        self._start()

    @classmethod
    def open(cls, settings: Sa0255Settings) -> Sa0255Lights:
        """Open the port, ask the first channel's level, all channels off.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as the controller does, LightStateUnknown.
        """
        return cls(settings)

    def _greet(self) -> None:
        self._synchronise()

    # -- the contract -----------------------------------------------------------------------

    @property
    def identity(self) -> DeviceIdentity:
        """The family reports neither maker nor model."""
        return DeviceIdentity("SA0255# family", "", "", "")

    def on(self, channel: int, brightness: float) -> None:
        """All others at 0 and read back, then this one set and read back, the common switch on, then `settle_s`.

        Raises FeatureMissing for a channel or brightness that the controller does not have, CommandRefused,
        DeviceTimeout, DeviceLost; then it counts as possibly on until `off` has succeeded.
        """
        check_request(DEVICE, self._channels, channel, brightness)
        with self._lock:
            for other in sorted(self._maybe_on - {channel}):
                self._set(other, 0)
            self._set(channel, sa.steps_of(brightness))
            if not self._is_switched_on:
                self._switch(is_on=True)
            time.sleep(self._settings.settle_s)

    def check(self) -> None:
        """Raise DeviceLost for a port that is gone; this family reports nothing else by itself."""
        with self._lock:
            self._conversation.drain()

    def _ask_at_rest(self, silence_s: float | None) -> None:
        with shortened(self._conversation, silence_s, AT_REST_ATTEMPTS):
            self._synchronise(AT_REST_ATTEMPTS)

    # -- switching --------------------------------------------------------------------------

    def _is_in_step(self) -> bool:
        self._conversation.drain()
        return self._conversation.is_in_step

    def _send(self, frames: bytes) -> None:
        self._conversation.send(frames)

    def _off_frames(self) -> bytes:
        levels = b"".join(sa.set_level(channel, 0) for channel in self._channels)
        return b"#" + sa.switch_all(False, self._settings.all_letter) + levels

    def _all_off(self) -> None:
        """The common switch, then every level that may not be 0."""
        self._switch(is_on=False)
        for channel in sorted(self._maybe_on):
            self._set(channel, 0)

    def _switch(self, *, is_on: bool) -> None:
        self._is_switched_on = False
        self._exchange(sa.switch_all(is_on, self._settings.all_letter), re.compile(b"H" if is_on else b"L"))
        self._is_switched_on = is_on

    def _set(self, channel: int, steps: int) -> None:
        """Set, and ask back. Failing that, any channel may be lit."""
        known, self._maybe_on = self._maybe_on, set(self._channels)
        acknowledge = sa.letter(channel).lower().encode("ascii")
        self._exchange(sa.set_level(channel, steps), re.compile(acknowledge))
        raw = self._exchange(sa.ask_level(channel), re.compile(acknowledge + rb"\d{4}"))
        if sa.parse_level(raw, channel) != steps:
            raise CommandRefused(
                DEVICE, f"channel {channel} was set to {steps}, and asked back says {raw!r}: check the cable"
            )
        self._maybe_on = known - {channel} if steps == 0 else known | {channel}

    # -- the conversation -------------------------------------------------------------------

    def _exchange(self, command: bytes, reply: re.Pattern[bytes]) -> bytes:
        """Send, and take what matches `reply`, whole and alone. Raises DeviceTimeout, DeviceLost."""
        if not self._conversation.is_in_step:
            self._conversation.wait_silent()
            self._synchronise()
        self._conversation.drain()
        self._conversation.send(command)
        raw = self._gather(reply)
        if raw is None:
            raise self._conversation.timeout(command)
        self._conversation.is_in_step = True
        return raw

    def _gather(self, reply: re.Pattern[bytes]) -> bytes | None:
        """Join pieces until they are the reply; None when they cannot become it, or none came in time."""
        deadline_s = time.monotonic() + self._conversation.reply_timeout_s
        gathered = b""
        while (piece := self._conversation.next_reply(deadline_s)) is not None:
            gathered += piece
            if reply.fullmatch(gathered):
                return gathered
            if len(gathered) >= MOST_REPLY_BYTES:
                break
        if gathered:
            log.warning("%s: not understood and not counted as an acknowledge: %r", DEVICE, gathered)
        return None

    def _synchronise(self, attempts: int = SYNCHRONISING_ATTEMPTS) -> None:
        """Ask the first channel's level until its answer comes, alone; a `#` ends what may be half sent."""
        channel = self._channels[0]
        question = sa.ask_level(channel)
        answer = re.compile(sa.letter(channel).lower().encode("ascii") + rb"\d{4}")
        for attempt in range(attempts):
            self._conversation.drain()
            self._conversation.send((b"#" if attempt else b"") + question)
            if self._gather(answer) is not None:
                self._conversation.is_in_step = True
                return
        raise nobody_there(repr(question), self._port, attempts)


DRIVER = DriverKind(Sa0255Settings, Sa0255Lights.open, EXAMPLE)
