"""The stand-in for controllers of the `SA0255#` family, in simulated time: levels per channel behind one switch.

`SA0255#` sets channel A and answers `a`; `SA#` asks and is answered `a0255`; `SH#` and `SL#` (`TH#` and `TL#`
on units with eight channels or more) switch everything and answer `H` and `L`. What is wrong is not answered.
"""

from __future__ import annotations

import re
import string
import threading
from typing import Literal

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction, inject_fault
from drivers.simulated.firmware.lights.lamps import RISE_S, LampBank
from drivers.simulated.wires.outbox import Outbox

BITS_PER_BYTE = 10
FULL = 255

_COMMAND = re.compile(r"S([A-Z])([0-9]{4})?")


class Sa0255Firmware:
    """The controller and its lamps: channels 1..n on letters A, B ...; it has no trigger input.

    `all_letter` begins the commands that switch everything: `S` on units of up to seven channels, `T` on larger ones.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        channels: int = 9,
        *,
        baud_rate: int = 19200,
        all_letter: Literal["S", "T"] = "T",
    ) -> None:
        if all_letter == "S" and channels > 7:
            raise ValueError(
                f"with SH# for all there are letters for 7 channels, asked {channels}: set all_letter to T"
            )
        self.clock = clock
        self.outbox = Outbox()
        self._byte_s = BITS_PER_BYTE / baud_rate
        self._all_letter = all_letter
        self._lock = threading.RLock()
        self.lamps = LampBank(clock, channels, self._lock)
        self._letters = {string.ascii_uppercase[c - 1]: c for c in self.lamps.channels}
        self._levels = dict.fromkeys(self.lamps.channels, 0)
        self._is_on = True
        self._ignore = False
        self._rx = bytearray()
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            **self.lamps.faults(),
            "reset": self.power_cycle,
            "refuse": self._fault_refuse,
        }

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Per lamp, the mean brightness over t0..t1: 0..1 as commanded, times what the lamp makes of it."""
        return self.lamps.mean_levels(t0_s, t1_s)

    def exposure_line(self, t0_s: float, t1_s: float) -> None:
        """It reaches nothing: there is no trigger input."""

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("lights", self.faults, name, args)

    def receive(self, data: bytes) -> None:
        """Commands end with `#`."""
        with self._lock:
            for byte in data:
                if byte == ord("#"):
                    self._run(self._rx.decode("ascii", "replace"))
                    self._rx.clear()
                elif len(self._rx) < 16:
                    self._rx.append(byte)

    def advance(self) -> float | None:
        """Always None: nothing is due."""
        return None  # nothing happens here without a command

    def _run(self, command: str) -> None:
        at_s = self.clock.now_s() + self._byte_s * (len(command) + 1)  # its last byte arrives then
        answer = self._obey(command, at_s)
        if answer:
            self.outbox.send(answer.encode("ascii"), at_s + self._byte_s * len(answer), is_response=True)

    def _obey(self, command: str, at_s: float) -> str:
        if self._ignore:
            self._ignore = False
            return ""
        if command in (f"{self._all_letter}H", f"{self._all_letter}L"):
            self._is_on = command[1] == "H"
            self._relight(at_s)
            return command[1]
        match = _COMMAND.fullmatch(command)
        if match is None or match[1] not in self._letters:
            return ""
        channel = self._letters[match[1]]
        if match[2] is None:
            return f"{match[1].lower()}{self._levels[channel]:04d}"
        if int(match[2]) > FULL:
            return ""
        self._levels[channel] = int(match[2])
        self._relight(at_s)
        return match[1].lower()

    def _relight(self, at_s: float) -> None:
        for channel, level in self._levels.items():
            self.lamps.light(channel, level / FULL if self._is_on else 0.0, at_s + RISE_S)

    # -- faults -----------------------------------------------------------------------------

    def power_cycle(self) -> str:
        """The controller restarts: all levels 0, switched on; it sends nothing about it."""
        with self._lock:
            self._rx.clear()
            self._levels = dict.fromkeys(self._levels, 0)
            self._is_on = True
            for channel in self._levels:
                self.lamps.light(channel, 0.0, self.clock.now_s())
        return "controller restarted, all channels off"

    def _fault_refuse(self) -> str:
        self._ignore = True
        return "the next command will be ignored: this family has no way to say no"
