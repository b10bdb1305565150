"""What every light controller on a serial port shares: its channels, its lock, how it is opened and closed."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from drivers.errors import DeviceError, LightStateUnknown
from drivers.protocols import DeviceIdentity
from drivers.serial_line.port import Port


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

    @abstractmethod
    def off(self) -> None:
        """Every channel dark, acknowledged; one retry. Raises LightStateUnknown naming what is left."""

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

    def _start(self) -> None:
        """Greet the controller and darken all channels; where that fails, the port is given back."""
        try:
            self._greet()
            self.off()
        except DeviceError:
            self._port.close()
            raise
