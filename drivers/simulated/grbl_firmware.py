"""A motion controller that speaks the Grbl 1.1h dialect with five axes, as a state machine in simulated time.

Behaviour beyond the published documents follows what real Grbl 1.1h was seen to do: `ok` means planned,
silence while homing, `?` unanswered after a limit alarm, a stale `ok` before the banner of a reset.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.gantry import PULL_OFF, SIMULATED_GANTRY, SimulatedAxis
from drivers.simulated.grbl_gcode import GcodeError, GcodeLine, read_gcode
from drivers.simulated.trajectory import Axes, Leg, Track, jump, straight_leg
from drivers.simulated.wire import FaultAction, Outbox, inject_fault

BANNER = "\r\nGrbl 1.1h ['$' for help]\r\n"
UNLOCK_HINT = "[MSG:'$H'|'$X' to unlock]\r\n"
PLANNER_BLOCKS = 15
RX_BUFFER_BYTES = 128
REALTIME = frozenset(b"?!~\x18\x84\x85")
POWER_UP_LOCK = 0  # locked without an alarm of its own; the code of an alarm otherwise
COAST_S = 0.01  # a reset in motion stops the steps at once; the masses run on
DEFAULT_START = (60.0, -45.0, 250.0, 20.0, 30.0)


@dataclass(frozen=True, slots=True)
class Block:
    """A planned straight move, in reported machine coordinates."""

    target: Axes
    rate_per_s: float | None  # None = as fast as the axes allow
    is_jog: bool = False


class GrblFirmware:
    """The controller and its axes. `axes_at` is where they physically are, whatever it reports.

    The position survives every reset; the reported one is wrong from power-up until homed.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        axes: tuple[SimulatedAxis, ...] = SIMULATED_GANTRY,
        start: Axes | None = None,
    ) -> None:
        self.clock = clock
        self.axes = axes
        self.outbox = Outbox()
        self.settings = default_settings(axes)
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            "reset": self.power_cycle,
            "alarm": self._fault_alarm,
            "silent_alarm": self._fault_silent_alarm,
            "wrong_position": self._fault_wrong_position,
            "lost_steps": self._fault_lost_steps,
            "homing_switch_dead": self._fault_homing_switch,
            "pins": self._fault_pins,
        }
        self._lock = threading.RLock()
        self._letters = "".join(a.machine_axis for a in axes)
        station = DEFAULT_START[: len(axes)] if start is None else start
        self._track = Track(tuple(p + a.offset for p, a in zip(station, axes, strict=True)))
        self._homing_switch_is_dead = False
        self._short_by_mm = 0.0
        self._lost_mm = 0.0
        self._pins = ""
        self._boot()

    # -- what the world asks ----------------------------------------------------------------

    def axes_at(self, t_s: float) -> Axes:
        """Where the axes physically are at simulated time `t_s`, in station coordinates, in the order of `axes`."""
        return tuple(p - a.offset for p, a in zip(self.machine_at(t_s), self.axes, strict=True))

    def machine_at(self, t_s: float) -> Axes:
        """The same from the homing switches: machine coordinates as a homed controller would report them."""
        with self._lock:
            return self._track.at(t_s)

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool:
        """Whether any axis moves at any moment of t0..t1."""
        with self._lock:
            return self._track.is_moving_between(t0_s, t1_s)

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("gantry", self.faults, name, args)

    # -- the wire ---------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Realtime bytes act at once; the rest waits in the receive buffer, which overflows silently."""
        with self._lock:
            for byte in data:
                if byte in REALTIME or byte >= 0x80:
                    self.advance()
                    self._realtime(byte)
                elif len(self._rx) + sum(len(line) + 1 for line in self._lines) >= RX_BUFFER_BYTES:
                    continue
                elif byte in b"\r\n":
                    self._lines.append(bytes(self._rx))
                    self._rx.clear()
                else:
                    self._rx.append(byte)
            self.advance()

    def advance(self) -> float | None:
        """Do all that is due; returns the time of the next event."""
        with self._lock:
            if self.outbox.is_frozen:
                return None
            now_s = self.clock.now_s()
            while self._step(now_s):
                continue
            leg_end_s = None if self._leg is None else self._leg.end_s
            due = [t for t in (self._home_until_s, leg_end_s, self._dwell_until_s) if t is not None]
            return min(due, default=None)

    def _step(self, now_s: float) -> bool:
        """One thing that is due; False when there is none."""
        if self._is_critical:
            return False
        if self._home_until_s is not None:
            return self._home_until_s <= now_s and self._finish_homing(now_s)
        if self._leg is not None:
            if self._leg.end_s <= now_s:
                return self._finish_leg()
        elif self._blocks and not self._is_held:
            return self._begin_leg(self._blocks.popleft(), now_s)
        if self._is_held:
            return False
        if self._dwell_until_s is not None:
            return self._dwell_until_s <= now_s and self._finish_dwell(now_s)
        if self._sync_dwell_s is not None:
            return self._begin_dwell(now_s)
        if self._lines and len(self._blocks) < PLANNER_BLOCKS:
            self._run_line(self._lines.popleft())
            return True
        return False

    def _say(self, text: str, *, is_response: bool = False) -> None:
        self.outbox.send(text.encode("ascii"), self.clock.now_s(), is_response=is_response)

    def _answer(self, error: int = 0) -> None:
        self._say(f"error:{error}\r\n" if error else "ok\r\n", is_response=True)

    # -- state ------------------------------------------------------------------------------

    def _boot(self) -> None:
        """Power-up: steps are counted from wherever the axes stand."""
        self._clear_volatile()
        self._shift = self._track.at(self.clock.now_s())  # physical minus reported
        self._alarm: int | None = POWER_UP_LOCK if self.settings[22] else None
        self._greet()

    def _clear_volatile(self) -> None:
        self._rx = bytearray()
        self._lines: deque[bytes] = deque()
        self._blocks: deque[Block] = deque()
        self._leg: Leg | None = None
        self._block: Block | None = None
        self._is_held = False
        self._is_critical = False
        self._home_until_s: float | None = None
        self._sync_dwell_s: float | None = None
        self._dwell_until_s: float | None = None
        self._feed = 0.0
        self._motion = 0
        self._is_absolute = True
        self._reports = 0

    def _greet(self) -> None:
        self._say(BANNER + (UNLOCK_HINT if self._alarm is not None else ""))

    @property
    def state(self) -> str:
        """As reported between `<` and `|`."""
        if self._alarm is not None:
            return "Alarm"
        if self._home_until_s is not None:
            return "Home"
        if self._is_held:
            return "Hold:0" if self._leg is None else "Hold:1"
        if self._leg is not None or self._blocks:
            return "Jog" if self._block is not None and self._block.is_jog else "Run"
        return "Run" if self._dwell_until_s is not None else "Idle"

    def _reported(self, t_s: float) -> Axes:
        return tuple(p - s for p, s in zip(self._track.at(t_s), self._shift, strict=True))

    def _planned_end(self) -> Axes:
        if self._blocks:
            return self._blocks[-1].target
        if self._block is not None:
            return self._block.target
        return self._reported(self.clock.now_s())

    # -- realtime bytes ---------------------------------------------------------------------

    def _realtime(self, byte: int) -> None:
        if byte == 0x18:
            self._soft_reset()
        elif self._is_critical or self._home_until_s is not None:
            return
        elif byte == ord("?"):
            self._report()
        elif byte == ord("!") and self._alarm is None:
            self._hold()
        elif byte == ord("~"):
            self._is_held = False
        elif byte == 0x85 and self.state == "Jog":
            self._hold()
            self._is_held = False
            self._blocks.clear()

    def _report(self) -> None:
        now_s = self.clock.now_s()
        speed = 0.0 if self._leg is None else self._leg.speed(now_s) * 60.0
        fields = [self.state, "MPos:" + ",".join(f"{p:.3f}" for p in self._reported(now_s))]
        if int(self.settings[10]) & 2:
            fields.append(f"Bf:{PLANNER_BLOCKS - len(self._blocks)},{RX_BUFFER_BYTES - len(self._rx)}")
        fields.append(f"FS:{speed:.0f},0")
        if self._pins:
            fields.append(f"Pn:{self._pins}")
        if self._reports % 10 == 0:
            fields.append("WCO:" + ",".join("0.000" for _ in self.axes))
        elif self._reports % 10 == 1:
            fields.append("Ov:100,100,100")
        self._reports += 1
        self._say("<" + "|".join(fields) + ">\r\n")

    def _hold(self) -> None:
        self._is_held = True
        if self._leg is not None:
            self._leg = self._track.stop_at(self.clock.now_s())

    def _soft_reset(self) -> None:
        was_homing, was_critical = self._home_until_s is not None, self._is_critical
        moved = was_homing or self._leg is not None
        if moved:
            self._stop_dead()
            self._alarm = 6 if was_homing else 3
        elif self._alarm == POWER_UP_LOCK:
            self._alarm = None
        if was_critical:
            self._answer()
        self._clear_volatile()
        if moved:
            self._say(f"ALARM:{self._alarm}\r\n")
        self._greet()

    def _stop_dead(self) -> None:
        """Steps cease now, the masses run on: from here on the reported position is wrong."""
        now_s = self.clock.now_s()
        reported = self._reported(now_s)
        leg = self._track.stop_at(now_s, max(self._track.speed(now_s) / COAST_S, 1.0))
        self._shift = tuple(p - r for p, r in zip(leg.end, reported, strict=True))
        self._leg = None
        self._blocks.clear()

    # -- lines ------------------------------------------------------------------------------

    def _run_line(self, raw: bytes) -> None:
        text = raw.decode("ascii", "replace").strip()
        try:
            if not text:
                self._answer()
            elif text.startswith("$"):
                self._run_system(text.upper())
            elif self._alarm is not None:
                raise GcodeError(9)
            else:
                self._run_gcode(read_gcode(text, self._letters))
        except GcodeError as error:
            self._answer(error.code)

    def _run_system(self, text: str) -> None:
        if text == "$I":
            self._say(f"[VER:1.1h.20190830:SIM]\r\n[OPT:V,{PLANNER_BLOCKS},{RX_BUFFER_BYTES}]\r\n")
            self._say(f"[AXS:{len(self.axes)}:{self._letters}]\r\n")
        elif text == "$$":
            self._say("".join(f"${n}={_setting_text(v)}\r\n" for n, v in sorted(self.settings.items())))
        elif text == "$G":
            self._say(f"[GC:G{self._motion} G54 G17 G21 G{90 if self._is_absolute else 91} G94 F{self._feed:g}]\r\n")
        elif text == "$X":
            if self._alarm is not None:
                self._alarm = None
                self._say("[MSG:Caution: Unlocked]\r\n")
        elif text == "$H":
            self._begin_homing()
            return
        elif text.startswith("$J="):
            self._run_jog(text[3:])
        elif text != "$":
            self._write_setting(text)
        self._answer()

    def _write_setting(self, text: str) -> None:
        name, separator, value = text[1:].partition("=")
        if not separator or not name.isdigit() or int(name) not in self.settings:
            raise GcodeError(3)
        if self.state not in ("Idle", "Alarm"):
            raise GcodeError(8)
        try:
            number = float(value)
        except ValueError:
            raise GcodeError(2) from None
        if number < 0:
            raise GcodeError(4)
        if int(name) == 20 and number and not self.settings[22]:
            raise GcodeError(10)
        self.settings[int(name)] = number
        if int(name) == 22 and not number:
            self.settings[20] = 0.0

    def _run_gcode(self, line: GcodeLine) -> None:
        if line.distance_is_absolute is not None:
            self._is_absolute = line.distance_is_absolute
        if line.motion is not None:
            self._motion = line.motion
        if line.feed is not None:
            self._feed = line.feed
        if line.is_dwell:
            self._sync_dwell_s = line.dwell_s or 0.0
            return  # answered when the planner is empty and the dwell is over
        if line.axes:
            if self._motion == 1 and self._feed == 0.0:
                raise GcodeError(22)
            target = self._target(line.axes, is_absolute=self._is_absolute or line.in_machine_coordinates)
            if self.settings[20] and not self._is_within_travel(target):
                self._raise_alarm(2)
                return
            self._blocks.append(Block(target, self._feed / 60.0 if self._motion == 1 else None))
        self._answer()

    def _run_jog(self, text: str) -> None:
        if self.state not in ("Idle", "Jog"):
            raise GcodeError(9 if self._alarm is not None else 8)
        line = read_gcode(text, self._letters)
        if not line.axes or not line.feed:
            raise GcodeError(22 if line.axes else 26)
        target = self._target(line.axes, is_absolute=line.distance_is_absolute is not False)
        if self.settings[20] and not self._is_within_travel(target):
            raise GcodeError(15)
        self._blocks.append(Block(target, line.feed / 60.0, is_jog=True))

    def _target(self, axes: dict[str, float], *, is_absolute: bool) -> Axes:
        target = list(self._planned_end())
        for letter, value in axes.items():
            i = self._letters.index(letter)
            target[i] = value if is_absolute else target[i] + value
        return tuple(target)

    def _is_within_travel(self, target: Axes) -> bool:
        return all(-self.settings[130 + i] <= p <= 0.0 for i, p in enumerate(target))

    # -- motion -----------------------------------------------------------------------------

    def _begin_leg(self, block: Block, now_s: float) -> bool:
        start = self._track.at(now_s)
        target = tuple(p + s for p, s in zip(block.target, self._shift, strict=True))
        if self._short_by_mm:
            target = (target[0] - self._short_by_mm, *target[1:])
            self._short_by_mm = 0.0
        if self._lost_mm:
            target = (target[0] + self._lost_mm, *target[1:])
        self._block = block
        self._leg = self._leg_between(now_s, start, target, block.rate_per_s)
        self._track.append(self._leg)
        return True

    def _leg_between(self, start_s: float, start: Axes, target: Axes, rate_per_s: float | None) -> Leg:
        """All axes together, none faster or harder than its own $110.. and $120.. allow."""
        steps = [abs(b - a) for a, b in zip(start, target, strict=True)]
        length = sum(s * s for s in steps) ** 0.5
        shares = [(i, s / length) for i, s in enumerate(steps) if s > 0]
        rate = min((self.settings[110 + i] / 60.0 / share for i, share in shares), default=1.0)
        acceleration = min((self.settings[120 + i] / share for i, share in shares), default=1.0)
        return straight_leg(start_s, start, target, rate if rate_per_s is None else min(rate, rate_per_s), acceleration)

    def _finish_leg(self) -> bool:
        """At its end, or at a stand on the way to it: then the rest waits for `~`."""
        leg, block = self._leg, self._block
        self._leg = self._block = None
        if self._lost_mm:
            self._shift = (self._shift[0] + self._lost_mm, *self._shift[1:])
            self._lost_mm = 0.0
        if leg is not None and block is not None and self._is_held:
            left = [abs(t - p) for t, p in zip(block.target, self._reported(leg.end_s), strict=True)]
            if max(left) > 1e-6:
                self._blocks.appendleft(block)
        return True

    def _begin_dwell(self, now_s: float) -> bool:
        if self._leg is not None or self._blocks:
            return False
        self._dwell_until_s = now_s + (self._sync_dwell_s or 0.0)
        self._sync_dwell_s = None
        return True

    def _finish_dwell(self, _now_s: float) -> bool:
        self._dwell_until_s = None
        self._answer()
        return True

    # -- homing -----------------------------------------------------------------------------

    def _begin_homing(self) -> None:
        if not self.settings[22]:
            raise GcodeError(5)
        if self.state not in ("Idle", "Alarm"):
            raise GcodeError(8)
        self._alarm = None
        at_s = self.clock.now_s()
        for group in _homing_groups(self._letters):
            at_s = self._home_group(group, at_s)
        self._home_until_s = at_s

    def _home_group(self, group: tuple[int, ...], at_s: float) -> float:
        """Seek the switches (machine 0), back off, approach slowly, pull off; returns when that is over."""
        seek, feed = self.settings[25] / 60.0, self.settings[24] / 60.0
        for goal, rate in ((0.0, seek), (-PULL_OFF, seek), (0.0, feed), (-self.settings[27], seek)):
            start = self._track.at(at_s)
            target = tuple(goal if i in group else p for i, p in enumerate(start))
            leg = self._leg_between(at_s, start, target, rate)
            if leg.pieces:
                self._track.append(leg)
            at_s = leg.end_s
        return at_s

    def _finish_homing(self, now_s: float) -> bool:
        self._home_until_s = None
        if self._homing_switch_is_dead:
            self._clear_volatile()
            self._alarm = 9
            self._say("ALARM:9\r\n")
            self._answer()
            self._greet()
        else:
            self._shift = tuple(0.0 for _ in self.axes)
            self._track.append(jump(now_s, self._track.at(now_s), tuple(-self.settings[27] for _ in self.axes)))
            self._answer()
        return True

    # -- faults -----------------------------------------------------------------------------

    def _raise_alarm(self, code: int, *, is_silent: bool = False) -> None:
        if self._leg is not None or self._home_until_s is not None:
            self._stop_dead()
        self._home_until_s = None
        self._alarm = code
        self._is_critical = code in (1, 2)
        self._sync_dwell_s = self._dwell_until_s = None
        self._is_held = False
        if not is_silent:
            self._say(f"ALARM:{code}\r\n" + ("[MSG:Reset to continue]\r\n" if self._is_critical else ""))

    def power_cycle(self) -> str:
        """The controller restarts, in mid-move if need be; the axes stay where they come to rest."""
        with self._lock:
            if self._leg is not None or self._home_until_s is not None:
                self._stop_dead()
            self._boot()
        return "controller restarted"

    def _fault_alarm(self, code: str = "1") -> str:
        with self._lock:
            self.advance()
            self._raise_alarm(int(code))
        return f"alarm {code} raised"

    def _fault_silent_alarm(self, code: str = "1") -> str:
        with self._lock:
            self.advance()
            self._raise_alarm(int(code), is_silent=True)
        return f"alarm {code} raised, and its line lost"

    def _fault_wrong_position(self, short_by_mm: str = "2.0") -> str:
        self._short_by_mm = float(short_by_mm)
        return f"the next move will end {self._short_by_mm:g} mm short in {self._letters[0]}"

    def _fault_lost_steps(self, lost_mm: str = "2.0") -> str:
        """The controller counts steps that the axis did not make: only the picture can show it."""
        self._lost_mm = float(lost_mm)
        return f"the next move will end {self._lost_mm:g} mm off in {self._letters[0]}, unnoticed by the controller"

    def _fault_homing_switch(self, is_dead: str = "yes") -> str:
        self._homing_switch_is_dead = is_dead not in ("no", "0", "false")
        return "homing switch dead" if self._homing_switch_is_dead else "homing switch works"

    def _fault_pins(self, letters: str = "") -> str:
        self._pins = letters
        return f"inputs active: {letters or 'none'}"


def default_settings(axes: tuple[SimulatedAxis, ...]) -> dict[int, float]:
    """`$n` as a commissioned gantry has them: homing, soft and hard limits on; rates per minute."""
    settings = {0: 10.0, 1: 255.0, 2: 0.0, 3: 0.0, 4: 0.0, 5: 0.0, 6: 0.0, 10: 1.0, 11: 0.01, 12: 0.002, 13: 0.0}
    settings |= {20: 1.0, 21: 1.0, 22: 1.0, 23: 0.0, 24: 1200.0, 25: 15000.0, 26: 25.0, 27: PULL_OFF}
    settings |= {30: 1000.0, 31: 0.0, 32: 0.0}
    for i, axis in enumerate(axes):
        settings |= {
            100 + i: 160.0,
            110 + i: axis.rate_per_s * 60.0,
            120 + i: axis.acceleration_per_s2,
            130 + i: axis.travel,
        }
    return settings


def _setting_text(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and value < 1000 else f"{value:.3f}"


def _homing_groups(letters: str) -> list[tuple[int, ...]]:
    """Z first, out of the way; then X and Y together; then one after the other."""
    first = [tuple(letters.index(c) for c in group if c in letters) for group in ("Z", "XY")]
    rest = [(i,) for i, c in enumerate(letters) if c not in "XYZ"]
    return [g for g in first if g] + rest
