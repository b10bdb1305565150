"""A motion controller that speaks Grbl 1.1h or grblHAL with three to six axes, as a state machine in simulated time.

Behaviour beyond the published documents follows what the real firmware was seen to do (`grbl_dialect.py`): `ok`
means planned; a line sent into a hold or an open door waits, and runs on resume.
"""

from __future__ import annotations

import threading
from collections import deque

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.grbl.dialect import DIALECTS, HOMING_ENABLED, HOMING_REQUIRED, DialectName
from drivers.simulated.firmware.grbl.gantry import SIMULATED_GANTRY, SimulatedAxis
from drivers.simulated.firmware.grbl.gcode import GcodeError, GcodeLine, read_gcode
from drivers.simulated.firmware.grbl.motion import Block, GrblMotion
from drivers.simulated.firmware.grbl.settings import default_settings, list_settings, write_setting
from drivers.simulated.firmware.trajectory import Axes
from drivers.simulated.wires.outbox import Outbox

UNLOCK_HINT = "[MSG:'$H'|'$X' to unlock]\r\n"
REALTIME = frozenset(b"?!~\x18\x84\x85")
POWER_UP_LOCK = 0  # locked without an alarm of its own; the code of an alarm otherwise
NOT_HOMED = 11  # grblHAL's alarm for the same
ESTOP = 10
DEFAULT_START = (60.0, -45.0, 250.0, 20.0, 30.0)


class GrblController:
    """What reads and writes bytes. The reported position is wrong from power-up until homed."""

    _last_end: int  # the byte that ended the latest line
    _alarm: int | None
    _is_critical: bool  # after a limit alarm only a reset helps
    _home_until_s: float | None
    _sync_dwell_s: float | None  # a dwell that waits for the planner
    _dwell_until_s: float | None

    def __init__(
        self,
        clock: SimulatedClock,
        axes: tuple[SimulatedAxis, ...] = SIMULATED_GANTRY,
        start: Axes | None = None,
        dialect: DialectName = "grbl",
    ) -> None:
        self.clock = clock
        self.dialect = DIALECTS[dialect]
        self.axes = axes
        self.outbox = Outbox()
        self.settings = {**default_settings(axes, self.dialect.homing), **self.dialect.more_settings}
        self._lock = threading.RLock()
        self._letters = "".join(a.machine_axis for a in axes)
        station = DEFAULT_START[: len(axes)] if start is None else start
        machine = tuple(p + a.offset for p, a in zip(station, axes, strict=True))
        self._motion = GrblMotion(axes, self.settings, machine)
        self._homing_switch_is_dead = False
        self._pins = ""
        self._memory_is_empty = False
        self._boot()

    # -- the wire ---------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Realtime bytes act at once; the rest waits in the receive buffer, which overflows silently."""
        with self._lock:
            for byte in data:
                if byte in REALTIME or byte >= 0x80:
                    self.advance()
                    self._realtime(byte)
                elif len(self._rx) + sum(len(line) + 1 for line in self._lines) >= self.dialect.rx_buffer_bytes:
                    continue
                elif byte in b"\r\n":
                    self._end_line(byte)
                else:
                    self._rx.append(byte)
            self.advance()

    def _end_line(self, byte: int) -> None:
        """Both line ends count; grblHAL takes a pair as one, but not behind a refused line."""
        self.advance()  # the line before is run by now, and known to be refused or not
        is_pair = byte == ord("\n") and self._last_end == ord("\r") and not self._rx
        self._last_end = byte
        if is_pair and self.dialect.errors_stick and not self._sticky_error:
            return
        self._lines.append(bytes(self._rx))
        self._rx.clear()

    def advance(self) -> float | None:
        """Do all that is due; returns the time of the next event."""
        with self._lock:
            if self.outbox.is_frozen:
                return None
            now_s = self.clock.now_s()
            while self._step(now_s):
                continue
            leg_end_s = None if self._motion.leg is None else self._motion.leg.end_s
            due = [t for t in (self._home_until_s, leg_end_s, self._dwell_until_s) if t is not None]
            return min(due, default=None)

    def _step(self, now_s: float) -> bool:
        """One thing that is due; False when there is none."""
        if self._is_critical and self.dialect.is_deaf_after_limit:
            return False
        if self._home_until_s is not None:
            return self._home_until_s <= now_s and self._finish_homing(now_s)
        return self._step_motion(now_s) or (not self._motion.is_held and self._step_lines(now_s))

    def _step_motion(self, now_s: float) -> bool:
        if self._motion.leg is not None:
            is_over = self._motion.leg.end_s <= now_s
            if is_over:
                self._motion.finish_leg()
            return is_over
        if self._motion.blocks and not self._motion.is_held:
            self._motion.begin_leg(now_s)
            return True
        return False

    def _step_lines(self, now_s: float) -> bool:
        """The main loop: it stands still in a dwell, and the dwell begins when the planner is empty."""
        if self._dwell_until_s is not None:
            is_over = self._dwell_until_s <= now_s
            if is_over:
                self._dwell_until_s = None
                self._answer()
            return is_over
        if self._sync_dwell_s is not None:
            if self._motion.is_busy:
                return False
            self._dwell_until_s = now_s + self._sync_dwell_s
            self._sync_dwell_s = None
            return True
        if self._lines and len(self._motion.blocks) < self.dialect.planner_blocks:
            self._run_line(self._lines.popleft())
            return True
        return False

    def _say(self, text: str, *, is_response: bool = False) -> None:
        if self.outbox.is_silent:  # reports and messages as well
            return
        self.outbox.send(text.encode("ascii"), self.clock.now_s(), is_response=is_response)

    def _answer(self, error: int = 0) -> None:
        self._sticky_error = error if self.dialect.errors_stick else 0
        self._say(f"error:{error}\r\n" if error else "ok\r\n", is_response=True)

    # -- state ------------------------------------------------------------------------------

    def _boot(self) -> None:
        self._clear_volatile()
        self._motion.count_from_here(self.clock.now_s())
        self._is_homed = False
        self._alarm = self._lock_until_homed()
        if self._memory_is_empty:
            self._memory_is_empty = False
            self._say("error:7\r\n")  # unasked, and before the banner
            self._greet()
        self._greet()

    def _lock_until_homed(self) -> int | None:
        """Whether the settings forbid motion now: Grbl's lock at power-up, or grblHAL's ALARM:11."""
        if "E" in self._pins and self.dialect.reports_homed:
            return ESTOP
        if self._is_homed or not self.settings[22]:
            return None
        if self.dialect.reset_lifts_power_up_lock:
            return POWER_UP_LOCK
        return NOT_HOMED if int(self.settings[22]) & HOMING_REQUIRED else None

    def _clear_volatile(self) -> None:
        self._motion.clear()
        self._rx = bytearray()
        self._last_end = 0
        self._lines: deque[bytes] = deque()
        self._is_critical = False
        self._is_door_state = False
        self._sticky_error = 0
        self._home_until_s = None
        self._sync_dwell_s = None
        self._dwell_until_s = None
        self._feed = 0.0
        self._motion_mode = 0
        self._is_absolute = True
        self._reports = 0

    def _greet(self) -> None:
        self._say(self.dialect.banner + (UNLOCK_HINT if self._alarm is not None else ""))
        if self._alarm in (NOT_HOMED, ESTOP) and self.dialect.reports_homed:
            self._say(f"ALARM:{self._alarm}\r\n")
        if "D" in self._pins and self._alarm is None:
            self._enter_door_state()

    @property
    def state(self) -> str:
        """As reported between `<` and `|`."""
        if self._alarm is not None:
            return f"Alarm:{self._alarm}" if self.dialect.reports_homed and self._alarm else "Alarm"
        if self._home_until_s is not None:
            return "Home"
        if self._is_door_state:
            if self._motion.leg is not None:
                return "Door:2"
            return "Door:1" if "D" in self._pins else "Door:0"
        if self._motion.is_held:
            return "Hold:0" if self._motion.leg is None else "Hold:1"
        if self._motion.is_busy:
            return "Jog" if self._motion.is_jogging else "Run"
        return "Run" if self._dwell_until_s is not None else "Idle"

    # -- realtime bytes ---------------------------------------------------------------------

    def _realtime(self, byte: int) -> None:
        if byte == 0x18:
            self._soft_reset()
        elif self._is_critical and self.dialect.is_deaf_after_limit:
            return
        elif self._home_until_s is not None:
            if byte == ord("?") and not self.dialect.is_silent_while_homing:
                self._report()
        elif byte == ord("?"):
            self._report()
        elif byte == ord("!") and self._alarm is None:
            self._motion.hold(self.clock.now_s())
        elif byte == ord("~"):
            self._resume()
        elif byte == 0x84 and self._alarm is None:
            self._enter_door_state()
        elif byte == 0x85 and self.state == "Jog":
            self._motion.cancel_jog(self.clock.now_s())

    def _resume(self) -> None:
        """What waits since a hold or a door runs now, unless the door is still open."""
        if not (self._is_door_state and "D" in self._pins):
            self._is_door_state = False
            self._motion.is_held = False

    def _enter_door_state(self) -> None:
        self._is_door_state = True
        self._motion.hold(self.clock.now_s())
        self._say("[MSG:Check Door]\r\n")

    def _report(self) -> None:
        now_s = self.clock.now_s()
        leg = self._motion.leg
        fields = [self.state, "MPos:" + ",".join(f"{p:.3f}" for p in self._motion.reported(now_s))]
        if int(self.settings[10]) & 2:
            blocks, rx = self.dialect.planner_blocks, self.dialect.rx_buffer_bytes
            fields.append(f"Bf:{blocks - len(self._motion.blocks)},{rx - len(self._rx)}")
        fields.append(f"FS:{0.0 if leg is None else leg.speed(now_s) * 60.0:.0f},0")
        if self._pins:
            fields.append(f"Pn:{self._pins}")
        if self.dialect.reports_homed:
            fields.append(f"H:{int(self._is_homed)}")
        if self._reports % 10 == 0:
            fields.append("WCO:" + ",".join("0.000" for _ in self.axes))
        elif self._reports % 10 == 1:
            fields.append("Ov:100,100,100")
        self._reports += 1
        self._say("<" + "|".join(fields) + ">\r\n")

    def _soft_reset(self) -> None:
        was_homing, was_critical = self._home_until_s is not None, self._is_critical
        moved = was_homing or self._motion.leg is not None
        if moved:
            self._motion.stop_dead(self.clock.now_s())
            self._alarm = 6 if was_homing else 3
            self._is_homed = False
        elif self._alarm == POWER_UP_LOCK:
            self._alarm = None
        elif self._alarm == ESTOP and "E" not in self._pins:
            self._alarm = self._lock_until_homed()
        if was_critical and self.dialect.is_deaf_after_limit:
            self._answer()
        self._clear_volatile()
        if moved:
            self._say(f"ALARM:{self._alarm}\r\n")
            if not self.dialect.reset_lifts_power_up_lock:
                self._alarm = self._lock_until_homed() or self._alarm
        self._greet()

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
            elif self._sticky_error:
                raise GcodeError(self._sticky_error)
            else:
                self._run_gcode(read_gcode(text, self._letters))
        except GcodeError as error:
            self._answer(error.code)

    def _run_system(self, text: str) -> None:
        if text == "$H":
            self._begin_homing()
            return  # answered at its end
        if text == "$I":
            self._say(self.dialect.identity)
            self._say(f"[AXS:{len(self.axes)}:{self._letters}]\r\n")
        elif text == "$$":
            self._say(list_settings(self.settings))
        elif text == "$G":
            distance = 90 if self._is_absolute else 91
            self._say(f"[GC:G{self._motion_mode} G54 G17 G21 G{distance} G94 F{self._feed:g}]\r\n")
        elif text == "$X":
            self._unlock()
        elif text.startswith("$J="):
            self._run_jog(text[3:])
        elif text != "$":
            if self.state != "Idle" and self._alarm is None:
                raise GcodeError(8)
            write_setting(self.settings, text)
        self._answer()

    def _unlock(self) -> None:
        """`$X`: grblHAL refuses it while an input is active, before the reset that an alarm asks for, or unhomed."""
        if self.dialect.reports_homed:
            for pin, error in (("E", 50), ("R", 18)):
                if pin in self._pins:
                    raise GcodeError(error)
            if self._is_critical:
                raise GcodeError(79)
            if self._alarm == NOT_HOMED:
                raise GcodeError(46)
        if self._alarm is not None:
            self._alarm = None
            self._say("[MSG:Caution: Unlocked]\r\n")

    def _run_gcode(self, line: GcodeLine) -> None:
        if line.distance_is_absolute is not None:
            self._is_absolute = line.distance_is_absolute
        if line.motion is not None:
            self._motion_mode = line.motion
        if line.feed is not None:
            self._feed = line.feed
        if line.is_dwell:
            self._sync_dwell_s = line.dwell_s or 0.0
            return  # answered when the planner is empty and the dwell is over
        if line.axes and not self._plan(line):
            return  # an alarm was the answer
        self._answer()

    def _plan(self, line: GcodeLine) -> bool:
        is_feed_move = self._motion_mode == 1
        if is_feed_move and self._feed == 0.0:
            raise GcodeError(22)
        target = self._target(line.axes, is_absolute=self._is_absolute or line.in_machine_coordinates)
        if self._is_beyond_soft_limits(target):
            self._raise_alarm(2)
            return False
        self._motion.blocks.append(Block(target, self._feed / 60.0 if is_feed_move else None))
        return True

    def _run_jog(self, text: str) -> None:
        if self.state not in ("Idle", "Jog"):
            raise GcodeError(9 if self._alarm is not None else 8)
        line = read_gcode(text, self._letters)
        if not line.axes or not line.feed:
            raise GcodeError(22 if line.axes else 26)
        target = self._target(line.axes, is_absolute=line.distance_is_absolute is not False)
        if self._is_beyond_soft_limits(target):
            raise GcodeError(15)
        self._motion.blocks.append(Block(target, line.feed / 60.0, is_jog=True))

    def _is_beyond_soft_limits(self, target: Axes) -> bool:
        if not self.settings[20] or (self.dialect.limits_need_homed_axes and not self._is_homed):
            return False
        return not self._motion.is_within_travel(target)

    def _target(self, axes: dict[str, float], *, is_absolute: bool) -> Axes:
        target = list(self._motion.planned_end(self.clock.now_s()))
        for letter, value in axes.items():
            i = self._letters.index(letter)
            target[i] = value if is_absolute else target[i] + value
        return tuple(target)

    # -- homing -----------------------------------------------------------------------------

    def _begin_homing(self) -> None:
        if not int(self.settings[22]) & HOMING_ENABLED:
            raise GcodeError(5)
        if self.state != "Idle" and self._alarm is None:
            raise GcodeError(8)
        if self._is_critical:
            raise GcodeError(79)
        if self.dialect.reports_homed and "E" in self._pins:
            raise GcodeError(50)
        self._alarm = None
        self._pins = "".join(p for p in self._pins if p not in self._letters)  # the axes leave their limit switches
        self._home_until_s = self._motion.plan_homing(self.clock.now_s())
        if not self.dialect.is_silent_while_homing:
            self._report()

    def _finish_homing(self, now_s: float) -> bool:
        self._home_until_s = None
        if self._homing_switch_is_dead:
            self._clear_volatile()
            self._alarm = 9
            self._say("ALARM:9\r\n")
            self._answer()  # seen on real firmware: the failure is followed by ok
            self._greet()
        else:
            self._motion.count_from_switches(now_s)
            self._is_homed = True
            self._answer()
        return True

    def _raise_alarm(self, code: int, *, is_silent: bool = False) -> None:
        if self._motion.leg is not None or self._home_until_s is not None:
            self._motion.stop_dead(self.clock.now_s())
        self._motion.is_held = self._is_door_state = False
        if code != 2:
            self._is_homed = False
        self._alarm = code
        self._is_critical = code in (1, 2)
        self._home_until_s = self._sync_dwell_s = self._dwell_until_s = None
        if not is_silent:
            self._say(f"ALARM:{code}\r\n" + ("[MSG:Reset to continue]\r\n" if self._is_critical else ""))
