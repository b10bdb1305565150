"""The stand-in for a Gardasoft RT controller: modes, trigger inputs, errors and events, in simulated time.

After the RT-20 series manual, p. 56-65. `rt_ascii.py` reads the numbers, `lamps.py` is what the lamps do.
"""

from __future__ import annotations

import math
import re
import threading
from collections import deque

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction, inject_fault
from drivers.simulated.firmware.lights.gardasoft_output import CONTINUOUS, PULSED, SELECTED, SWITCHED, Output
from drivers.simulated.firmware.lights.lamps import RISE_S, LampBank
from drivers.simulated.firmware.lights.rt_ascii import (
    ADJUSTED,
    BAD_COUNT,
    BAD_VALUE,
    UNKNOWN_COMMAND,
    CommandError,
    read_duration_s,
    read_level,
    read_number,
    read_numbers,
)
from drivers.simulated.wires.outbox import Outbox

VERSION = "RT820SIM V1.00"
LEAST_PULSE_S, LEAST_DELAY_S = 20e-6, 20e-6  # what is shorter is lengthened, and answered with Err 5


_COMMAND = re.compile(r"([A-Z]{2})(.*)")


class GardasoftFirmware:
    """The controller and its lamps: continuous, switched, pulsed and selected channels.

    `mean_levels` is what the scene sees, whatever the controller answers. `echoes`: it repeats each line before the
    answer.
    """

    def __init__(self, clock: SimulatedClock, channels: int = 9, *, echoes: bool = False) -> None:
        self.clock = clock
        self.outbox = Outbox()
        self._echoes = echoes
        self._lock = threading.RLock()
        self.lamps = LampBank(clock, channels, self._lock)
        self._outputs = {c: Output(trigger_input=c) for c in self.lamps.channels}
        self._settle_s = RISE_S
        self._refuse_code = 0
        self._rx = bytearray()
        self._has_events = False
        self._unsent: deque[str] = deque(maxlen=1)  # the last event, for GR
        self._is_line_cut = False
        self._high_until_s = -math.inf  # of all trigger inputs: the camera's line goes to each
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            **self.lamps.faults(),
            "reset": self.power_cycle,
            "slow_settle": self._fault_slow_settle,
            "refuse": self._fault_refuse,
            "event": self._fault_event,
            "lighting_error": self._fault_lighting_error,
            "strobe_line_cut": self._fault_line_cut,
            "strobe_line_mended": self._fault_line_mended,
        }

    # -- what the world asks ----------------------------------------------------------------

    def mean_levels(self, t0_s: float, t1_s: float) -> dict[int, float]:
        """Per lamp, the mean brightness over t0..t1: 0..1 as commanded, times what the lamp makes of it."""
        return self.lamps.mean_levels(t0_s, t1_s)

    def exposure_line(self, t0_s: float, t1_s: float) -> None:
        """The camera's ExposureActive output is high from t0 to t1. Called when it rises."""
        with self._lock:
            if self._is_line_cut:
                return
            self._high_until_s = t1_s
            for channel in self._outputs:
                self._triggered(channel, t0_s, t1_s - t0_s)

    def trigger(self, channel: int, high_s: float, at_s: float | None = None) -> None:
        """The channel's trigger input alone goes high for `high_s`."""
        with self._lock:
            self._triggered(channel, self.clock.now_s() if at_s is None else at_s, high_s)

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("lights", self.faults, name, args)

    def _triggered(self, channel: int, start_s: float, high_s: float) -> None:
        """What the channel's mode makes of a trigger; too early a one is ignored, and so is any after an error."""
        output = self._outputs[channel]
        if output.error or start_s < output.last_trigger_s + output.retrigger_s:
            return
        if output.mode == PULSED:
            output.last_trigger_s = start_s
            self.lamps.flash(channel, start_s + output.delay_s, output.width_s, output.level)
        elif output.mode == SWITCHED and high_s > 0:
            self.lamps.flash(channel, start_s, high_s, output.level)
        elif output.mode == SELECTED and high_s > 0:
            self.lamps.light(channel, output.other_level, start_s)
            self.lamps.light(channel, output.level, start_s + high_s)

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
        """Always None: nothing is due."""
        return None  # nothing happens here without a command or a trigger

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
        """The answer to one command, empty for a bare acknowledge. Raises CommandError."""
        match name:
            case "VR":
                return VERSION
            case "RS":
                return self._set_continuous(read_numbers(parameters, 2, 2))
            case "RW":
                return self._set_switched(parameters)
            case "RT":
                return self._set_pulsed(parameters)
            case "RU":
                return self._set_selected(read_numbers(parameters, 3, 3))
            case "RP":
                return self._set_input(read_numbers(parameters, 2, 2))
            case "TR":
                self.trigger(self._channel(read_numbers(parameters, 1, 1)[0]), high_s=0.0)
                return ""
            case "ST":
                return self._status(self._channel(read_numbers(parameters, 1, 1)[0]))
            case "GT":
                self._has_events = read_numbers(parameters, 1, 1)[0] != 0
                return ""
            case "GR":
                return self._clear_error()
            case "AW":
                return ""
        raise CommandError(UNKNOWN_COMMAND)

    def _channel(self, number: float) -> int:
        if number not in self._outputs:
            raise CommandError(BAD_VALUE)
        return int(number)

    def _set_continuous(self, numbers: list[float]) -> str:
        """`RSc,s`: at once, and slower by the fault `slow_settle`."""
        channel, level = self._channel(numbers[0]), read_level(numbers[1])
        self._become(channel, CONTINUOUS, level)
        self._light(channel, level, self.clock.now_s() + (self._settle_s if level else RISE_S))
        return ""

    def _set_switched(self, parameters: str) -> str:
        """`RWc,s[,w,r]`: on while the trigger input is high, and at once if it is high already."""
        words = parameters.split(",")
        if len(words) not in (2, 4):
            raise CommandError(BAD_COUNT)
        channel, level = self._channel(read_number(words[0])), read_level(read_number(words[1]))
        for word in words[2:]:
            read_duration_s(word)
        self._become(channel, SWITCHED, level)
        now_s = self.clock.now_s()
        if now_s < self._high_until_s and not self._outputs[channel].error:
            self.lamps.flash(channel, now_s, self._high_until_s - now_s, level)
        return ""

    def _set_pulsed(self, parameters: str) -> str:
        """`RTc,p,d,s[,r]`: width, delay and least distance of triggers in ms unless they say us, ms or s."""
        words = parameters.split(",")
        if not 4 <= len(words) <= 5:
            raise CommandError(BAD_COUNT)
        channel, level = self._channel(read_number(words[0])), read_level(read_number(words[3]))
        width_s, delay_s = read_duration_s(words[1]), read_duration_s(words[2])
        output = self._become(channel, PULSED, level)
        output.width_s, output.delay_s = max(width_s, LEAST_PULSE_S), max(delay_s, LEAST_DELAY_S)
        output.retrigger_s = read_duration_s(words[4]) if len(words) == 5 else 0.0
        if (width_s, delay_s) != (output.width_s, output.delay_s):
            raise CommandError(ADJUSTED)
        return ""

    def _set_selected(self, numbers: list[float]) -> str:
        """`RUc,s,t`: one level while the trigger input is low, another while it is high."""
        channel, low, high = self._channel(numbers[0]), read_level(numbers[1]), read_level(numbers[2])
        self._become(channel, SELECTED, low).other_level = high
        self._light(channel, low, self.clock.now_s() + RISE_S)
        return ""

    def _set_input(self, numbers: list[float]) -> str:
        channel = self._channel(numbers[0])
        self._outputs[channel].trigger_input = self._channel(numbers[1])
        return ""

    def _become(self, channel: int, mode: int, level: float) -> Output:
        """A new mode begins dark."""
        output = self._outputs[channel]
        if output.mode != mode or mode != CONTINUOUS:
            self.lamps.light(channel, 0.0, self.clock.now_s())
        output.mode, output.level = mode, level
        output.retrigger_s, output.last_trigger_s = 0.0, -math.inf
        return output

    def _light(self, channel: int, level: float, at_s: float) -> None:
        self.lamps.light(channel, 0.0 if self._outputs[channel].error else level, at_s)

    def _status(self, channel: int) -> str:
        return self._outputs[channel].status(channel)

    def _clear_error(self) -> str:
        """The last event that was not sent, if any; outputs that an error darkened work again, and stay dark."""
        for output in self._outputs.values():
            output.error = 0
        return self._unsent.pop() if self._unsent else ""

    def _report(self, channel: int, event: int) -> None:
        """`Evtc,n`, unasked after `GT1`; else kept for `GR`."""
        text = f"Evt{channel},{event}"
        if self._has_events:
            self._say(f"{text}\r\n>")
        else:
            self._unsent.append(text)

    # -- faults -----------------------------------------------------------------------------

    def power_cycle(self) -> str:
        """The controller restarts: all channels off, events off; it sends nothing about it."""
        with self._lock:
            self._rx.clear()
            self._has_events = False
            self._unsent.clear()
            for channel in self._outputs:
                self._outputs[channel] = Output(trigger_input=channel)
                self.lamps.light(channel, 0.0, self.clock.now_s())
        return "controller restarted, all channels off"

    def _fault_slow_settle(self, seconds: str = "0.2") -> str:
        self._settle_s = float(seconds)
        return f"lights come on {self._settle_s:g} s after the acknowledge"

    def _fault_refuse(self, code: str = "1") -> str:
        self._refuse_code = int(code)
        return f"the next command will be answered with Err {code}"

    def _fault_event(self, channel: str = "0", event: str = "33") -> str:
        with self._lock:
            self._report(int(channel), int(event))
        return f"event {event} {'sent' if self._has_events else 'kept for GR'}"

    def _fault_lighting_error(self, channel: str, event: str = "45") -> str:
        """As for a short circuit: the output goes dark until GR, and the event is sent."""
        with self._lock:
            known = self.lamps.known(channel)
            self._outputs[known].error = int(event)
            self.lamps.light(known, 0.0, self.clock.now_s())
            self._report(known, int(event))
        return f"light {channel} was switched off by the controller (error {event})"

    def _fault_line_cut(self) -> str:
        self._is_line_cut = True
        return "the camera's exposure line no longer reaches the trigger inputs"

    def _fault_line_mended(self) -> str:
        self._is_line_cut = False
        return "the camera's exposure line reaches the trigger inputs again"
