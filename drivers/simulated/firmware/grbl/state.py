"""What a Grbl controller remembers, how it reports it, and how it falls into an alarm.

The firmware's other parts (`lines.py`, `controller.py`) act on this one state; it knows none of them.
"""

from __future__ import annotations

from collections import deque

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.grbl.dialect import DIALECTS, HOMING_REQUIRED, DialectName
from drivers.simulated.firmware.grbl.gantry import SimulatedAxis
from drivers.simulated.firmware.grbl.motion import GrblMotion
from drivers.simulated.firmware.grbl.settings import default_settings
from drivers.simulated.firmware.trajectory import Axes
from drivers.simulated.wires.outbox import Outbox

UNLOCK_HINT = "[MSG:'$H'|'$X' to unlock]\r\n"
POWER_UP_LOCK = 0  # locked without an alarm of its own; the code of an alarm otherwise
HOMING_HINT = "[MSG:Homing cycle required]\r\n"
RESET_HINT = "[MSG:Reset to continue]\r\n"
ESTOP_HINT = "[MSG:Emergency stop - clear, then reset to continue]\r\n"
NOT_HOMED = 11  # grblHAL's alarm for the same
ESTOP = 10
ALARM_AS_SUBSTATE = 512  # of grblHAL's $10
DEFAULT_START = (60.0, -45.0, 250.0, 20.0, 30.0)


class GrblState:
    """Settings, inputs, planner and modes of one controller, and the outbox into which it speaks.

    `start` is where the axes stand at power-up, in station coordinates; the reported position is wrong until homed.
    """

    rx: bytearray  # of the line that is still being received
    lines: deque[bytes]  # received and not yet run
    last_end: int  # the byte that ended the latest line
    alarm: int | None  # POWER_UP_LOCK or the code; None: none
    is_critical: bool  # after a limit alarm, or the emergency stop of grblHAL, only a reset helps
    pause_until_s: float | None  # behind the line of such an alarm: a reset within is swallowed
    is_report_due: bool  # `?` came in that pause
    is_door_state: bool
    sticky_error: int  # grblHAL repeats it for every G-code line
    home_until_s: float | None  # the end of a homing run
    sync_dwell_s: float | None  # a dwell that waits for the planner
    dwell_until_s: float | None
    feed: float  # units per minute
    motion_mode: int  # G0 or G1
    is_absolute: bool  # G90 or G91
    is_in_inches: bool  # G20 or G21
    feed_mode: int  # G93 or G94

    def __init__(
        self,
        clock: SimulatedClock,
        axes: tuple[SimulatedAxis, ...],
        start: Axes | None,
        dialect: DialectName,
    ) -> None:
        self.clock = clock
        self.dialect = DIALECTS[dialect]
        self.axes = axes
        self.letters = "".join(a.machine_axis for a in axes)
        self.outbox = Outbox()
        self.settings = {**default_settings(axes, self.dialect.homing), **self.dialect.more_settings}
        station = DEFAULT_START[: len(axes)] if start is None else start
        machine = tuple(p + a.offset for p, a in zip(station, axes, strict=True))
        self.motion = GrblMotion(axes, self.settings, machine)
        self.homing_switch_is_dead = False
        self.pins = ""  # letters of the active inputs
        self.memory_is_empty = False
        self.is_homed = False
        self.is_foreign = False  # the line that runs came from another host: its answer goes there
        self.garbled_setting: tuple[int, str] | None = None  # in the next answer to `$$`: its number, and how
        self._reports = 0
        self._told_homed: bool | None = None

    # -- modes ------------------------------------------------------------------------------

    def boot(self) -> None:
        """Power-up: counters at 0 wherever the axes stand, locked as the settings say."""
        self.clear_volatile()
        self.motion.count_from_here(self.clock.now_s())
        self.is_homed = False
        self.alarm = self.lock_until_homed()
        if self.memory_is_empty:
            self.memory_is_empty = False
            self.say("error:7\r\n")  # unasked, and before the banner
            self.greet()
        self.greet()

    def lock_until_homed(self) -> int | None:
        """Whether the settings forbid motion now: Grbl's lock at power-up, or grblHAL's ALARM:11."""
        if "E" in self.pins and self.dialect.reports_homed:
            return ESTOP
        if self.is_homed or not self.settings[22]:
            return None
        if self.dialect.reset_lifts_power_up_lock:
            return POWER_UP_LOCK
        return NOT_HOMED if int(self.settings[22]) & HOMING_REQUIRED else None

    def clear_volatile(self) -> None:
        """What a reset forgets: received lines, planned moves, modes."""
        self.motion.clear()
        self.rx = bytearray()
        self.last_end = 0
        self.lines = deque()
        self.is_critical = False
        self.pause_until_s = None
        self.is_report_due = False
        self.is_door_state = False
        self.sticky_error = 0
        self.home_until_s = None
        self.sync_dwell_s = None
        self.dwell_until_s = None
        self.feed = 0.0
        self.motion_mode = 0
        self.is_absolute = True
        self.is_in_inches = False
        self.feed_mode = 94
        self._reports = 0
        self._told_homed = None

    def enter_door_state(self) -> None:
        """Hold whatever moves, as with an open safety door."""
        self.is_door_state = True
        self.motion.hold(self.clock.now_s())
        self.say("[MSG:Check Door]\r\n")

    def raise_alarm(self, code: int, *, is_silent: bool = False) -> None:
        """Stop dead and lock; an alarm loses the position, but 2 (beyond the soft limits) and 10 at rest do not."""
        was_moving = self.motion.leg is not None or self.home_until_s is not None
        if was_moving:
            self.motion.stop_dead(self.clock.now_s())
        self.motion.is_held = self.is_door_state = False
        if code != 2 and (was_moving or code != ESTOP):
            self.is_homed = False
        self.alarm = code
        self.is_critical = code in (1, 2) or (code == ESTOP and self.dialect.reports_homed)
        self.pause_until_s = self.clock.now_s() + self.dialect.alarm_pause_s if self.is_critical else None
        self.home_until_s = self.sync_dwell_s = self.dwell_until_s = None
        if not is_silent:
            self.say(f"ALARM:{code}\r\n")

    def end_pause(self) -> None:
        """The controller has written its alarm out: it drops what came meanwhile, and states what it waits for."""
        self.pause_until_s = None
        if self.dialect.reports_homed:
            self.rx.clear()
            self.lines.clear()
            if self.is_report_due:
                self.report()
        self.is_report_due = False
        self.say(ESTOP_HINT if self.alarm == ESTOP else RESET_HINT)

    # -- what it sends ----------------------------------------------------------------------

    def say(self, text: str, *, is_response: bool = False) -> None:
        """Send `text`, unless a fault has silenced the controller."""
        if self.outbox.is_silent:  # reports and messages as well
            return
        self.outbox.send(text.encode("ascii"), self.clock.now_s(), is_response=is_response)

    def answer(self, error: int = 0) -> None:
        """The one answer to a line: `ok`, or `error:n`."""
        self.sticky_error = error if self.dialect.errors_stick else 0
        if self.is_foreign:
            return
        self.say(f"error:{error}\r\n" if error else "ok\r\n", is_response=True)

    def greet(self) -> None:
        """The banner, and what follows it at power-up and after a reset."""
        self.say(self.dialect.banner)
        if self.alarm == NOT_HOMED:
            self.say(f"ALARM:{NOT_HOMED}\r\n{HOMING_HINT}")
        elif self.alarm == ESTOP:
            self.say(f"ALARM:{ESTOP}\r\n{ESTOP_HINT}")
        elif self.alarm is not None:
            limits = set(self.pins) & set(self.letters) and not self.dialect.reports_homed
            self.say(("[MSG:Check Limits]\r\n" if limits else "") + UNLOCK_HINT)
        if "D" in self.pins and self.alarm is None:
            self.enter_door_state()

    @property
    def word(self) -> str:
        """The state as reported between `<` and `|`: Idle, Run, Hold:0, Door:1, Alarm ..."""
        if self.alarm is not None:
            return f"Alarm:{self.alarm}" if int(self.settings[10]) & ALARM_AS_SUBSTATE and self.alarm else "Alarm"
        if self.home_until_s is not None:
            return "Home"
        if self.is_door_state:
            if self.motion.leg is not None:
                return "Door:2"
            return "Door:1" if "D" in self.pins else "Door:0"
        if self.motion.is_held:
            return "Hold:0" if self.motion.leg is None else "Hold:1"
        if self.motion.is_busy:
            return "Jog" if self.motion.is_jogging else "Run"
        return "Run" if self.dwell_until_s is not None else "Idle"

    def report(self) -> None:
        """The answer to `?`; WCO in every tenth report, Ov in the one after it."""
        now_s = self.clock.now_s()
        leg = self.motion.leg
        fields = [self.word, "MPos:" + ",".join(self._coordinate(*p) for p in enumerate(self.motion.reported(now_s)))]
        if int(self.settings[10]) & 2:
            blocks, rx = self.dialect.planner_blocks, self.dialect.rx_buffer_bytes
            fields.append(f"Bf:{blocks - len(self.motion.blocks)},{rx - len(self.rx)}")
        fields.append(f"FS:{0.0 if leg is None else leg.speed(now_s) * 60.0:.0f},0")
        if self.pins:
            fields.append(f"Pn:{self.pins}")
        if self.dialect.reports_homed and self._told_homed != self.is_homed:
            self._told_homed = self.is_homed
            fields.append(f"H:{int(self.is_homed)}")
        if self._reports % 10 == 0:
            fields.append("WCO:" + ",".join("0.000" for _ in self.axes))
        elif self._reports % 10 == 1:
            fields.append("Ov:100,100,100")
        self._reports += 1
        self.say("<" + "|".join(fields) + ">\r\n")

    def _coordinate(self, index: int, position: float) -> str:
        """In mm or degrees; with $13 linear axes are reported in inches."""
        is_in_inches = self.settings[13] and self.letters[index] in "XYZ"
        return f"{position / 25.4:.4f}" if is_in_inches else f"{position:.3f}"
