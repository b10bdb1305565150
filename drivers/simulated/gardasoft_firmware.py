"""A light controller that speaks Gardasoft RT ASCII, and the lamps behind it, in simulated time.

The timeline is what the lamps do; what the controller believes and answers is another matter.
"""

from __future__ import annotations

import bisect
import re
import threading
from collections import deque

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.wire import FaultAction, Outbox, inject_fault

RISE_S = 0.0005  # from the command's execution to the light
RECORDED_CHANGES = 8192
VERSION = "RT820SIM V1.00"

BAD_VALUE, UNKNOWN_COMMAND, BAD_NUMBER, BAD_COUNT, ADJUSTED = 1, 2, 3, 4, 5

_COMMAND = re.compile(r"([A-Z]{2})(.*)")


class CommandError(Exception):
    """Answered as `Err n`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Err {code}")
        self.code = code


class Lamp:
    """One channel's commanded level over time (a step function), and what is physically wrong with it."""

    def __init__(self) -> None:
        self.gain = 1.0
        self.stuck_level: float | None = None
        self._times_s = [0.0]
        self._levels = [0.0]

    def set(self, level: float, at_s: float) -> None:
        at_s = max(at_s, self._times_s[-1])
        self._times_s.append(at_s)
        self._levels.append(level)
        if len(self._times_s) > 2 * RECORDED_CHANGES:
            del self._times_s[:RECORDED_CHANGES], self._levels[:RECORDED_CHANGES]

    def mean(self, t0_s: float, t1_s: float) -> float:
        """Mean level of t0..t1, 0..1 times the physical gain; the level at t0 when they are equal."""
        if self.stuck_level is not None:
            return self.stuck_level
        i = max(0, bisect.bisect_right(self._times_s, t0_s) - 1)
        if t1_s <= t0_s:
            return self.gain * self._levels[i]
        area, at_s = 0.0, t0_s
        while at_s < t1_s:
            until_s = min(t1_s, self._times_s[i + 1]) if i + 1 < len(self._times_s) else t1_s
            area += self._levels[i] * max(0.0, until_s - at_s)
            at_s, i = max(at_s, until_s), i + 1
        return self.gain * area / (t1_s - t0_s)


class GardasoftFirmware:
    """The controller: continuous, switched and pulsed channels; `mean_levels` is what the scene sees."""

    def __init__(self, clock: SimulatedClock, channels: int = 9, *, echoes: bool = False) -> None:
        self.clock = clock
        self.outbox = Outbox()
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            "reset": self.power_cycle,
            "light_dead": self._fault_dead,
            "light_weak": self._fault_weak,
            "light_stuck_on": self._fault_stuck,
            "light_repaired": self._fault_repaired,
            "lights_swapped": self._fault_swapped,
            "slow_settle": self._fault_slow_settle,
            "refuse": self._fault_refuse,
            "event": self._fault_event,
        }
        self._echoes = echoes
        self._lock = threading.RLock()
        self._lamps = {c: Lamp() for c in range(1, channels + 1)}
        self._wiring = {c: c for c in self._lamps}  # output -> lamp
        self._pulses: dict[int, tuple[float, float, float]] = {}  # channel -> delay_s, width_s, level
        self._switched: dict[int, float] = {}
        self._settle_s = RISE_S
        self._refuse_code = 0
        self._rx = bytearray()
        self._lines: deque[str] = deque()
        self._has_events = False

    # -- what the world asks ----------------------------------------------------------------

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Per lamp, the mean brightness over t0..t1: 0..1 as commanded, times what the lamp makes of it."""
        with self._lock:
            return {c: lamp.mean(t0_s, t1_s) for c, lamp in self._lamps.items()}

    def set_physical_gain(self, channel: int, gain: float) -> None:
        """0 = the lamp is dead, 0.6 = weak; the controller knows nothing of it."""
        with self._lock:
            self._lamps[channel].gain = gain

    def stuck_on(self, channel: int, level: float = 1.0) -> None:
        """The lamp burns whatever is commanded."""
        with self._lock:
            self._lamps[channel].stuck_level = level

    def trigger(self, channel: int, high_s: float, at_s: float | None = None) -> None:
        """The channel's trigger input goes high for `high_s`: pulse and switched modes answer to it."""
        with self._lock:
            start_s = self.clock.now_s() if at_s is None else at_s
            if channel in self._pulses:
                delay_s, width_s, level = self._pulses[channel]
                self._flash(channel, start_s + delay_s, width_s, level)
            elif channel in self._switched:
                self._flash(channel, start_s, high_s, self._switched[channel])

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("lights", self.faults, name, args)

    # -- the wire ---------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Commands end with a carriage return; a line feed is ignored."""
        with self._lock:
            for byte in data:
                if byte == 0x0D:
                    self._run_line(self._rx.decode("ascii", "replace"))
                    self._rx.clear()
                elif byte != 0x0A and len(self._rx) < 256:
                    self._rx.append(byte)

    def advance(self) -> float | None:
        return None  # nothing happens here without a command

    def _run_line(self, line: str) -> None:
        answers: list[str] = []
        try:
            answers.extend(self._run(c.replace(" ", "").upper()) for c in line.split(";"))
        except CommandError as error:
            answers.append(f"Err {error.code}")
        text = "".join(f"{a}\r\n" for a in answers if a)
        self._say((f"{line}\r\n" if self._echoes else "") + text + ">", is_response=True)

    def _say(self, text: str, *, is_response: bool = False) -> None:
        self.outbox.send(text.encode("ascii", "replace"), self.clock.now_s(), is_response=is_response)

    def _run(self, command: str) -> str:
        if not command:
            return ""
        if self._refuse_code:
            code, self._refuse_code = self._refuse_code, 0
            raise CommandError(code)
        match = _COMMAND.fullmatch(command)
        if match is None:
            raise CommandError(UNKNOWN_COMMAND)
        return self._obey(match[1], match[2])

    def _obey(self, name: str, parameters: str) -> str:
        match name:
            case "VR":
                return VERSION
            case "RS":
                return self._set_continuous(_numbers(parameters, 2, 2))
            case "RW":
                return self._set_switched(_numbers(parameters, 2, 4))
            case "RT":
                return self._set_pulsed(parameters)
            case "TR":
                return self._fire(_numbers(parameters, 1, 1))
            case "ST":
                channel = self._channel(_numbers(parameters, 1, 1)[0])
                now_s = self.clock.now_s()
                return f"CH{channel},MD{self._mode(channel)},S{100 * self._lamps[channel].mean(now_s, now_s):.1f}"
            case "GT":
                self._has_events = _numbers(parameters, 1, 1)[0] != 0
                return ""
            case "GR" | "AW":
                return ""
        raise CommandError(UNKNOWN_COMMAND)

    def _mode(self, channel: int) -> int:
        return 2 if channel in self._pulses else 3 if channel in self._switched else 0

    def _channel(self, number: float) -> int:
        if number not in self._lamps:
            raise CommandError(BAD_VALUE)
        return int(number)

    def _set_continuous(self, numbers: list[float]) -> str:
        channel, level = self._channel(numbers[0]), _level(numbers[1])
        self._pulses.pop(channel, None)
        self._switched.pop(channel, None)
        self._light(channel, level, self.clock.now_s() + (self._settle_s if level else RISE_S))
        return ""

    def _set_switched(self, numbers: list[float]) -> str:
        channel, level = self._channel(numbers[0]), _level(numbers[1])
        self._light(channel, 0.0, self.clock.now_s())
        self._pulses.pop(channel, None)
        self._switched[channel] = level
        return ""

    def _set_pulsed(self, parameters: str) -> str:
        """`RTc,p,d,s[,r]`: width and delay in ms unless they say us, ms or s."""
        words = parameters.split(",")
        if not 4 <= len(words) <= 5:
            raise CommandError(BAD_COUNT)
        channel, level = self._channel(_number(words[0])), _level(_number(words[3]))
        width_s, delay_s = _duration_s(words[1]), _duration_s(words[2])
        self._light(channel, 0.0, self.clock.now_s())
        self._switched.pop(channel, None)
        self._pulses[channel] = (delay_s, width_s, level)
        return ""

    def _fire(self, numbers: list[float]) -> str:
        self.trigger(self._channel(numbers[0]), high_s=0.0)
        return ""

    # -- the lamps --------------------------------------------------------------------------

    def _light(self, channel: int, level: float, at_s: float) -> None:
        self._lamps[self._wiring[channel]].set(level, at_s)

    def _flash(self, channel: int, start_s: float, width_s: float, level: float) -> None:
        self._light(channel, level, start_s)
        self._light(channel, 0.0, start_s + width_s)

    # -- faults -----------------------------------------------------------------------------

    def power_cycle(self) -> str:
        """Restarted: all channels off, no word about it until the next command."""
        with self._lock:
            self._pulses.clear()
            self._switched.clear()
            self._rx.clear()
            for channel in self._lamps:
                self._light(channel, 0.0, self.clock.now_s())
        return "controller restarted, all channels off"

    def _fault_dead(self, channel: str) -> str:
        self.set_physical_gain(self._known(channel), 0.0)
        return f"light {channel} is dead"

    def _fault_weak(self, channel: str, gain: str = "0.6") -> str:
        self.set_physical_gain(self._known(channel), float(gain))
        return f"light {channel} gives {float(gain):g} of its level"

    def _fault_stuck(self, channel: str, level: str = "1.0") -> str:
        self.stuck_on(self._known(channel), float(level))
        return f"light {channel} is stuck at {float(level):g}"

    def _fault_repaired(self, channel: str) -> str:
        with self._lock:
            lamp = self._lamps[self._known(channel)]
            lamp.gain, lamp.stuck_level = 1.0, None
        return f"light {channel} works again"

    def _fault_swapped(self, first: str, second: str) -> str:
        with self._lock:
            a, b = self._known(first), self._known(second)
            self._wiring[a], self._wiring[b] = self._wiring[b], self._wiring[a]
        return f"cables of lights {first} and {second} swapped"

    def _fault_slow_settle(self, seconds: str = "0.2") -> str:
        self._settle_s = float(seconds)
        return f"lights come on {self._settle_s:g} s after the acknowledge"

    def _fault_refuse(self, code: str = "1") -> str:
        self._refuse_code = int(code)
        return f"the next command will be answered with Err {code}"

    def _fault_event(self, channel: str = "0", event: str = "33") -> str:
        with self._lock:
            self._say(f"Evt{int(channel)},{int(event)}\r\n>")
        return f"event {event} sent"

    def _known(self, channel: str) -> int:
        if not channel.isdigit() or int(channel) not in self._lamps:
            raise ValueError(f"no channel {channel!r}; there are 1..{len(self._lamps)}")
        return int(channel)


def _numbers(parameters: str, least: int, most: int) -> list[float]:
    words = parameters.split(",")
    if not least <= len(words) <= most:
        raise CommandError(BAD_COUNT)
    return [_number(w) for w in words]


def _number(word: str) -> float:
    try:
        return float(word.removesuffix("%"))
    except ValueError:
        raise CommandError(BAD_NUMBER) from None


def _level(percent: float) -> float:
    if not 0.0 <= percent <= 100.0:
        raise CommandError(BAD_VALUE)
    return percent / 100.0


def _duration_s(word: str) -> float:
    for suffix, factor in (("US", 1e-6), ("MS", 1e-3), ("S", 1.0)):
        if word.endswith(suffix):
            return _number(word.removesuffix(suffix)) * factor
    return _number(word) * 1e-3
