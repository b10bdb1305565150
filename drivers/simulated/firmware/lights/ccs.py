"""The stand-in for a CCS controller with its `@` frames over a slow wire, in simulated time (PDS-30 manual p. 15-18).

`lamps.py` is what the lamps do. Steady light or strobes is a switch on the unit, not a command.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction, inject_fault
from drivers.simulated.firmware.lights.lamps import RISE_S, LampBank
from drivers.simulated.wires.outbox import Outbox

BITS_PER_BYTE = 10
BAD_COMMAND, BAD_SUM, BAD_VALUE = 1, 2, 3
VERSION = "PDSSIM V1.00"
LEVELS = 255

_FRAME = re.compile(rb"@(\d\d)([A-Z])([0-9]*)([0-9A-F]{2})")


@dataclass(slots=True)
class Output:
    """What the unit holds of one channel; fresh from the factory, or after a reset."""

    steps: int = LEVELS
    is_on: bool = False
    strobe_width_us: int = 20
    strobe_delay_us: int = 0
    trigger_delay_us: int = 0


class CcsFirmware:
    """The controller and its lamps: channels 1..n under the numbers from `first_number` on; `all_number` is all.

    It understands `F` (level), `L` (on, off), `S` `D` `T` (strobe width, strobe delay, trigger delay), `V` `Q` `R`
    (version, query, reset). `suffix_digits`: how many digits follow a value (the write flag; some models have none).
    """

    def __init__(
        self,
        clock: SimulatedClock,
        channels: int = 9,
        *,
        baud_rate: int = 9600,
        first_number: int = 1,
        all_number: int | None = 0,
        suffix_digits: int = 2,
        strobe_mode: bool = False,
    ) -> None:
        self.clock = clock
        self.outbox = Outbox()
        self._byte_s = BITS_PER_BYTE / baud_rate
        self._first_number, self._all_number, self._suffix_digits = first_number, all_number, suffix_digits
        self._strobe_mode = strobe_mode
        self._lock = threading.RLock()
        self.lamps = LampBank(clock, channels, self._lock)
        self._outputs = {c: Output() for c in self.lamps.channels}
        self._refuse = False
        self._is_line_cut = False
        self._rx = bytearray()
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            **self.lamps.faults(),
            "reset": self.power_cycle,
            "refuse": self._fault_refuse,
            "strobe_line_cut": self._fault_line_cut,
            "strobe_line_mended": self._fault_line_mended,
        }

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Per lamp, the mean brightness over t0..t1: 0..1 as commanded, times what the lamp makes of it."""
        return self.lamps.mean_levels(t0_s, t1_s)

    def exposure_line(self, t0_s: float, t1_s: float) -> None:  # noqa: ARG002 - the strobe's own width counts
        """The camera's ExposureActive output rises at t0 and falls at t1. Called when it rises."""
        with self._lock:
            if self._is_line_cut or not self._strobe_mode:
                return
            for channel, output in self._outputs.items():
                if output.is_on:
                    start_s = t0_s + output.strobe_delay_us * 1e-6
                    self.lamps.flash(channel, start_s, output.strobe_width_us * 1e-6, self._level(output))

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("lights", self.faults, name, args)

    # -- the wire ---------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Frames end with a line feed; a carriage return before it is ignored."""
        with self._lock:
            for byte in data:
                if byte == 0x0A:
                    self._run_line(bytes(self._rx).removesuffix(b"\r"))
                    self._rx.clear()
                elif len(self._rx) < 64:
                    self._rx.append(byte)

    def advance(self) -> float | None:
        """Always None: nothing is due."""
        return None  # nothing happens here without a command or a trigger

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
        if sum(match[0][:-2]) % 256 != int(match[4], 16):
            return f"@{number}N{BAD_SUM}"
        channels = self._channels_at(int(number))
        if self._refuse or not channels:
            self._refuse = False
            return f"@{number}N{BAD_VALUE}"
        if header == "R":
            self.power_cycle()
            return ""
        if header == "Q":
            o = self._outputs[channels[0]]
            return f"@{number}A{o.steps:03d}{o.strobe_width_us:05d}{o.strobe_delay_us:05d}{o.trigger_delay_us:05d}"
        if header == "V":
            return f"@{number}A{VERSION}"
        code = self._obey(header, data, channels, at_s)
        return f"@{number}N{code}" if code else f"@{number}O"

    def _channels_at(self, number: int) -> list[int]:
        if number == self._all_number:
            return list(self._outputs)
        channel = number - self._first_number + 1
        return [channel] if channel in self._outputs else []

    def _obey(self, header: str, data: str, channels: list[int], at_s: float) -> int:
        """0 or the code of a NAK."""
        if header == "L":
            if data not in ("0", "1"):
                return BAD_VALUE
            for channel in channels:
                self._outputs[channel].is_on = data == "1"
            self._relight(channels, at_s + RISE_S)
            return 0
        digits = 3 if header == "F" else 5
        if header not in "FSDT" or len(data) != digits + self._suffix_digits:
            return BAD_COMMAND
        return self._set(header, int(data[:digits]), channels, at_s)

    def _set(self, header: str, value: int, channels: list[int], at_s: float) -> int:
        """Ranges after the manual: levels to 255, strobes of 20 us to 33 ms, delays to 10 ms."""
        low, high = {"F": (0, LEVELS), "S": (20, 33_000), "D": (0, 10_000), "T": (0, 10_000)}[header]
        if not low <= value <= high:
            return BAD_VALUE
        name = {"F": "steps", "S": "strobe_width_us", "D": "strobe_delay_us", "T": "trigger_delay_us"}[header]
        for channel in channels:
            setattr(self._outputs[channel], name, value)
        if header == "F":
            self._relight(channels, at_s + RISE_S)
        return 0

    def _level(self, output: Output) -> float:
        """In strobe mode there are half as many steps: 0, 1, 3, 5 .. 255."""
        steps = output.steps
        if self._strobe_mode and steps and steps % 2 == 0:
            steps -= 1
        return steps / LEVELS

    def _relight(self, channels: list[int], at_s: float) -> None:
        """Steady light as commanded; in strobe mode only a trigger lights."""
        for c in channels:
            output = self._outputs[c]
            shines = output.is_on and not self._strobe_mode
            self.lamps.light(c, self._level(output) if shines else 0.0, at_s)

    # -- faults -----------------------------------------------------------------------------

    def power_cycle(self) -> str:
        """The controller restarts: factory settings, all channels off; it sends nothing about it."""
        with self._lock:
            self._rx.clear()
            self._outputs.update({c: Output() for c in self._outputs})
            self._relight(list(self._outputs), self.clock.now_s())
        return "controller restarted, all channels off"

    def _fault_refuse(self) -> str:
        self._refuse = True
        return "the next command will be answered with NAK"

    def _fault_line_cut(self) -> str:
        self._is_line_cut = True
        return "the camera's exposure line no longer reaches the trigger input"

    def _fault_line_mended(self) -> str:
        self._is_line_cut = False
        return "the camera's exposure line reaches the trigger input again"
