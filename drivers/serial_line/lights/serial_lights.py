"""What every light controller on a serial port shares: its channels, its lock, how it is opened and closed."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from drivers.errors import DeviceError, DeviceLost, LightStateUnknown
from drivers.protocols import DeviceIdentity
from drivers.serial_line.lights.conversation import DEVICE
from drivers.serial_line.lights.requests import off_not_confirmed
from drivers.serial_line.port import Port

log = logging.getLogger(__name__)

BLIND_OFFS = 3  # on a bad line one of them arrives


class SerialLights(ABC):
    """One controller with numbered channels behind one port. Every exchange is made under `_lock`.

    A subclass opens its port, calls this constructor, and `_start` as the last step of its own.
    """

    def __init__(self, channels: Sequence[int], port: Port) -> None:
        self._channels = tuple(channels)
        self._port = port
        self._lock = threading.RLock()
        self._maybe_on = set(self._channels)  # or armed: not confirmed to be off since it may have been on

    @property
    def port(self) -> Port:
        """The port, with the log of every byte that left."""
        return self._port

    @property
    @abstractmethod
    def identity(self) -> DeviceIdentity:
        """As the controller reports it."""

    @property
    def channels(self) -> tuple[int, ...]:
        """As the rig file numbers them."""
        return self._channels

    def off(self) -> None:
        """Every channel that may be on dark, acknowledged; one retry. Raises LightStateUnknown naming what is left.

        After any doubt (a command without its answer), and before the retry, off for every channel is sent
        `BLIND_OFFS` times, before anything is asked: a controller that obeys and does not answer goes dark.
        """
        with self._lock:
            try:
                if not self._is_in_step():
                    self._send_blind_off()
                self._all_off()
            except DeviceError as first:
                log.warning("%s: off is tried once more: %s", DEVICE, first)
                try:
                    self._send_blind_off()
                    self._all_off()
                except DeviceError as error:
                    raise off_not_confirmed(DEVICE, self._suspects(), error) from error

    @abstractmethod
    def check(self) -> None:
        """Raise what the controller has reported unasked: LightFault, DeviceLost. Sends nothing."""

    def check_at_rest(self, silence_s: float | None = None) -> None:
        """See `drivers.protocols.AsksAtRest`. Raises LightStateUnknown, LightFault, DeviceTimeout, DeviceLost."""
        with self._lock:
            if self._maybe_on:
                names = ", ".join(map(str, sorted(self._maybe_on)))
                raise LightStateUnknown(
                    self._port.device, f"off was not confirmed for channel {names}. If in doubt, cut the lights' power"
                )
            self._ask_at_rest(silence_s)
            self.check()

    @abstractmethod
    def _ask_at_rest(self, silence_s: float | None) -> None:
        """Ask what changes nothing, and give up after `silence_s` at most. Raises DeviceTimeout, DeviceLost."""

    def close(self) -> None:
        """Give the port back; it switches nothing (`off` does)."""
        self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abstractmethod
    def _greet(self) -> None:
        """Find out that the right controller listens, and set it up. Raises DeviceError."""

    @abstractmethod
    def _is_in_step(self) -> bool:
        """Whether no answer is outstanding, so that an off can be sent and acknowledged at once. Raises DeviceLost."""

    @abstractmethod
    def _send(self, frames: bytes) -> None:
        """Write, and wait for nothing; the conversation is out of step then. Raises DeviceLost."""

    @abstractmethod
    def _off_frames(self) -> bytes:
        """Off for every channel, whatever is believed of it; first the end of what may be half sent."""

    @abstractmethod
    def _all_off(self) -> None:
        """Off for every channel that may be on, acknowledged. Raises DeviceError."""

    def _suspects(self) -> list[int]:
        """What may be lit, the likeliest first."""
        return sorted(self._maybe_on)

    def _send_blind_off(self) -> None:
        for _ in range(BLIND_OFFS):
            self._send(self._off_frames())

    def _start(self) -> None:
        """Greet the controller and darken all channels. Where that fails, the port is given back, after a blind off:
        an earlier run may have left a light on."""
        try:
            self._greet()
            self.off()
        except DeviceError:
            self._leave_dark()
            raise

    def _leave_dark(self) -> None:
        try:
            self._send_blind_off()
        except DeviceLost as lost:
            log.warning("%s: no off could be sent: %s", DEVICE, lost)
        self._port.close()
