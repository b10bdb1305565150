"""A light controller that speaks CCS `@` frames over a slow link, and the lamps behind it, in simulated time."""

from __future__ import annotations

import re
import threading

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.lamps import RISE_S, Lamp
from drivers.simulated.wire import FaultAction, Outbox, inject_fault

BITS_PER_BYTE = 10
BAD_COMMAND, BAD_SUM, BAD_VALUE = 1, 2, 3

_FRAME = re.compile(rb"@(\d\d)([A-Z])([0-9]*)([0-9A-F]{2})")


class CcsFirmware:
    """Channels 1..n on numbers 01..n, number 00 is all; `F` intensity, `L` switch, `Q` query, `R` reset."""

    def __init__(self, clock: SimulatedClock, channels: int = 9, *, baud_rate: int = 9600) -> None:
        self.clock = clock
        self.outbox = Outbox()
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            "reset": self.power_cycle,
            "refuse": self._fault_refuse,
        }
        self._byte_s = BITS_PER_BYTE / baud_rate
        self._lock = threading.RLock()
        self._lamps = {c: Lamp() for c in range(1, channels + 1)}
        self._steps = dict.fromkeys(self._lamps, 0)
        self._is_on = dict.fromkeys(self._lamps, False)
        self._refuse = False
        self._rx = bytearray()

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Per lamp, the mean brightness over t0..t1: 0..1 as commanded, times what the lamp makes of it."""
        with self._lock:
            return {c: lamp.mean(t0_s, t1_s) for c, lamp in self._lamps.items()}

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("lights", self.faults, name, args)

    def receive(self, data: bytes) -> None:
        with self._lock:
            for byte in data:
                if byte == 0x0A:
                    self._run_line(bytes(self._rx).removesuffix(b"\r"))
                    self._rx.clear()
                elif len(self._rx) < 64:
                    self._rx.append(byte)

    def advance(self) -> float | None:
        return None  # nothing happens here without a command

    def _run_line(self, line: bytes) -> None:
        at_s = self.clock.now_s() + self._byte_s * (len(line) + 2)  # its last byte arrives then
        match = _FRAME.fullmatch(line)
        if match is None:
            return  # noise between frames
        body = self._answer(match, at_s)
        if body:
            text = body.encode("ascii")
            reply = text + f"{sum(text) % 256:02X}\r\n".encode("ascii")
            self.outbox.send(reply, at_s + self._byte_s * len(reply), is_response=True)

    def _answer(self, match: re.Match[bytes], at_s: float) -> str:
        """The reply without its checksum; empty for a reset, which is not answered."""
        number, header, data = (part.decode("ascii") for part in match.groups()[:3])
        channels = list(self._lamps) if number == "00" else [int(number)]
        if sum(match[0][:-2]) % 256 != int(match[4], 16):
            return f"@{number}N{BAD_SUM}"
        if self._refuse or channels[0] not in self._lamps:
            self._refuse = False
            return f"@{number}N{BAD_VALUE}"
        if header == "R":
            self.power_cycle()
            return ""
        if header == "Q":
            return f"@{number}A{self._steps[channels[0]]:03d}{int(self._is_on[channels[0]])}"
        code = self._obey(header, data, channels, at_s)
        return f"@{number}N{code}" if code else f"@{number}O"

    def _obey(self, header: str, data: str, channels: list[int], at_s: float) -> int:
        """0 or the code of a NAK."""
        if header == "F" and len(data) == 5:
            if int(data[:3]) > 255:
                return BAD_VALUE
            self._steps.update(dict.fromkeys(channels, int(data[:3])))
        elif header == "L" and data in ("0", "1"):
            self._is_on.update(dict.fromkeys(channels, data == "1"))
        else:
            return BAD_COMMAND
        self._relight(channels, at_s + RISE_S)
        return 0

    def _relight(self, channels: list[int], at_s: float) -> None:
        for c in channels:
            self._lamps[c].set(self._steps[c] / 255 if self._is_on[c] else 0.0, at_s)

    # -- faults -----------------------------------------------------------------------------

    def power_cycle(self) -> str:
        """Restarted: all channels off, no word about it."""
        with self._lock:
            self._rx.clear()
            self._steps.update(dict.fromkeys(self._lamps, 0))
            self._is_on.update(dict.fromkeys(self._lamps, False))
            self._relight(list(self._lamps), self.clock.now_s())
        return "controller restarted, all channels off"

    def _fault_refuse(self) -> str:
        self._refuse = True
        return "the next command will be answered with NAK"
