"""The stand-in for a gantry's controller and drives: its wire, where its axes physically are, and its faults."""

from __future__ import annotations

import threading

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction, inject_fault
from drivers.simulated.firmware.grbl.controller import GrblController
from drivers.simulated.firmware.grbl.dialect import DialectName
from drivers.simulated.firmware.grbl.gantry import SIMULATED_GANTRY, SimulatedAxis
from drivers.simulated.firmware.grbl.lines import run_line
from drivers.simulated.firmware.grbl.state import ESTOP, GrblState
from drivers.simulated.firmware.trajectory import Axes


class GrblFirmware:
    """The controller and its axes. `axes_at` is where they physically are, whatever it reports, through every reset.

    `start` is where the axes stand at power-up, in station coordinates.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        axes: tuple[SimulatedAxis, ...] = SIMULATED_GANTRY,
        start: Axes | None = None,
        dialect: DialectName = "grbl",
    ) -> None:
        self.clock = clock
        self._state = GrblState(clock, axes, start, dialect)
        self._controller = GrblController(self._state)
        self._lock = threading.RLock()
        self.axes = axes
        self.dialect = self._state.dialect
        self.outbox = self._state.outbox
        self.settings = self._state.settings
        self._state.boot()
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            "reset": self.power_cycle,
            "alarm": self._fault_alarm,
            "silent_alarm": self._fault_silent_alarm,
            "wrong_position": self._fault_wrong_position,
            "lost_steps": self._fault_lost_steps,
            "homing_switch_dead": self._fault_homing_switch,
            "pins": self._fault_pins,
            "door": self._fault_door,
            "hold": self._fault_hold,
            "limit": self._fault_limit,
            "estop": self._fault_estop,
            "empty_memory": self._fault_empty_memory,
            "foreign": self._fault_foreign,
            "garble_setting": self._fault_garble_setting,
        }

    # -- the wire ---------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Realtime bytes act at once; the rest waits in the receive buffer, which overflows silently."""
        with self._lock:
            self._controller.receive(data)

    def advance(self) -> float | None:
        """Do all that is due; returns the simulated time of the next event."""
        with self._lock:
            return self._controller.advance()

    # -- what the world asks ----------------------------------------------------------------

    def axes_at(self, t_s: float) -> Axes:
        """Where the axes physically are at simulated time `t_s`, in station coordinates, in the order of `axes`."""
        return tuple(p - a.offset for p, a in zip(self.machine_at(t_s), self.axes, strict=True))

    def machine_at(self, t_s: float) -> Axes:
        """The same from the homing switches: machine coordinates as a homed controller would report them."""
        with self._lock:
            return self._state.motion.track.at(t_s)

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool:
        """Whether any axis moves at any moment of t0..t1."""
        with self._lock:
            return self._state.motion.track.is_moving_between(t0_s, t1_s)

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("gantry", self.faults, name, args)

    # -- faults ----------------------------------------------------------------------------

    def power_cycle(self) -> str:
        """The controller restarts, in mid-move if need be; the axes stay where they come to rest."""
        with self._lock:
            if self._state.motion.leg is not None or self._state.home_until_s is not None:
                self._state.motion.stop_dead(self.clock.now_s())
            self._state.boot()
        return "controller restarted"

    def _fault_alarm(self, code: str = "1") -> str:
        with self._lock:
            self.advance()
            self._state.raise_alarm(int(code))
        return f"alarm {code} raised"

    def _fault_silent_alarm(self, code: str = "1") -> str:
        with self._lock:
            self.advance()
            self._state.raise_alarm(int(code), is_silent=True)
        return f"alarm {code} raised, and its line lost"

    def _fault_wrong_position(self, short_by_mm: str = "2.0") -> str:
        self._state.motion.short_by_mm = float(short_by_mm)
        return f"the next move will end {float(short_by_mm):g} mm short in {self._state.letters[0]}"

    def _fault_lost_steps(self, lost_mm: str = "2.0") -> str:
        """The controller counts steps that the axis did not make: only the picture can show it."""
        self._state.motion.lost_mm = float(lost_mm)
        return (
            f"the next move will end {float(lost_mm):g} mm off in {self._state.letters[0]}, unnoticed by the controller"
        )

    def _fault_homing_switch(self, is_dead: str = "yes") -> str:
        self._state.homing_switch_is_dead = is_dead not in ("no", "0", "false")
        return "homing switch dead" if self._state.homing_switch_is_dead else "homing switch works"

    def _fault_pins(self, letters: str = "") -> str:
        """The letters are only reported, as inputs were seen to be that change no state."""
        self._state.pins = letters
        return f"inputs active: {letters or 'none'}"

    def _fault_door(self, position: str = "open") -> str:
        """The door input; opening it holds whatever moves."""
        if position not in ("open", "closed"):
            raise ValueError("say open or closed")
        with self._lock:
            self.advance()
            self._set_pin("D", is_active=position == "open")
            if position == "open" and self._state.home_until_s is not None:
                self._state.raise_alarm(7)
            elif position == "open" and self._state.alarm is None:
                self._state.enter_door_state()
        return f"door {position}"

    def _fault_hold(self) -> str:
        """Somebody presses the feed-hold button of the controller."""
        with self._lock:
            self.advance()
            if self._state.alarm is None and self._state.home_until_s is None:
                self._state.motion.hold(self.clock.now_s())
        return "feed hold pressed"

    def _fault_limit(self, letter: str = "X") -> str:
        """A limit switch is hit, and stays so until homing leaves it."""
        if letter not in self._state.letters or len(letter) != 1:
            raise ValueError(f"say one of {', '.join(self._state.letters)}")
        with self._lock:
            self.advance()
            self._set_pin(letter, is_active=True)
            self._state.raise_alarm(1)
        return f"limit switch of {letter} hit"

    def _fault_estop(self, position: str = "pressed") -> str:
        """The emergency stop cuts the drives' power; grblHAL has an input for it, Grbl sees its reset input."""
        if position not in ("pressed", "released"):
            raise ValueError("say pressed or released")
        with self._lock:
            self.advance()
            self._set_pin("E" if self._state.dialect.reports_homed else "R", is_active=position == "pressed")
            if position == "pressed" and self._state.dialect.reports_homed:
                self._state.raise_alarm(ESTOP)
            elif position == "pressed":
                self._controller.soft_reset()
        return f"emergency stop {position}"

    def _fault_empty_memory(self) -> str:
        """The next restart finds no settings: `error:7` unasked, two banners, factory settings without limits."""
        self.settings.update({20: 0.0, 21: 0.0, 22: 0.0})
        self._state.memory_is_empty = True
        return "settings lost at the next restart"

    def _fault_foreign(self, *words: str) -> str:
        """Another host (a pendant, a second port) sends a line; its answer goes there, what it does shows here."""
        line = " ".join(words)
        with self._lock:
            self.advance()
            self._state.is_foreign = True
            try:
                run_line(self._state, line.encode("ascii"))
            finally:
                self._state.is_foreign = False
            self.advance()
        return f"another host sent {line!r}"

    def _fault_garble_setting(self, number: str = "110", how: str = "digit") -> str:
        """One line of the next answer to `$$` arrives with a wrong digit (`digit`) or unreadable (`line`)."""
        if how not in ("digit", "line"):
            raise ValueError("say digit or line")
        self._state.garbled_setting = (int(number), how)
        return f"${number} will arrive garbled, once ({how})"

    def _set_pin(self, letter: str, *, is_active: bool) -> None:
        self._state.pins = self._state.pins.replace(letter, "") + (letter if is_active else "")
