"""What the controller does with one received line: `$` commands, G-code, jogs, homing."""

from __future__ import annotations

from drivers.simulated.firmware.grbl.dialect import HOMING_ENABLED
from drivers.simulated.firmware.grbl.gcode import GcodeError, GcodeLine, read_gcode
from drivers.simulated.firmware.grbl.motion import Block
from drivers.simulated.firmware.grbl.settings import list_settings, write_setting
from drivers.simulated.firmware.grbl.state import NOT_HOMED, GrblState
from drivers.simulated.firmware.trajectory import Axes

MM_PER_INCH = 25.4
LINEAR = "XYZ"
UNITS_PER_MINUTE = 94
FORBIDS_HOMING = {"E": 50, "M": 51, "D": 13, "R": 18}  # inputs of grblHAL; Grbl 1.1h asks for its door alone


def run_line(state: GrblState, raw: bytes) -> None:
    """Run one line and answer it; a homing command and a dwell are answered at their end, by the main loop."""
    text = raw.decode("ascii", "replace").strip()
    try:
        if not text:
            state.answer()
        elif text.startswith("$"):
            _run_system(state, text.upper())
        elif state.alarm is not None:
            raise GcodeError(9)
        elif state.sticky_error:
            raise GcodeError(state.sticky_error)
        else:
            _run_gcode(state, read_gcode(text, state.letters))
    except GcodeError as error:
        state.answer(error.code)


def _run_system(state: GrblState, text: str) -> None:
    """A `$` command: `$H` homes, `$I` `$$` `$G` report, `$X` unlocks, `$J=` jogs, `$n=value` sets.

    Settings can be written while idle or locked only (`error:8`).
    """
    if text == "$H":
        _begin_homing(state)
        return  # answered at its end
    if text == "$I":
        state.say(state.dialect.identity)
        state.say(f"[AXS:{len(state.axes)}:{state.letters}]\r\n")
    elif text == "$$":
        state.say(list_settings(state.settings, state.garbled_setting))
        state.garbled_setting = None
    elif text == "$G":
        distance = 90 if state.is_absolute else 91
        units = 20 if state.is_in_inches else 21
        more = " G40 G49 G98 G50" if state.dialect.reports_homed else ""
        state.say(
            f"[GC:G{state.motion_mode} G54 G17 G{units} G{distance} G{state.feed_mode}{more} F{state.feed:g} S0]\r\n"
        )
    elif text == "$X":
        _unlock(state)
    elif text.startswith("$J="):
        _run_jog(state, text[3:])
    elif text != "$":
        if state.word != "Idle" and state.alarm is None:
            raise GcodeError(8)
        write_setting(state.settings, text)
    state.answer()


def _unlock(state: GrblState) -> None:
    """`$X`: grblHAL refuses it while an input is active, before the reset that an alarm asks for, or unhomed."""
    if state.dialect.reports_homed:
        for pin, error in (("E", 50), ("R", 18)):
            if pin in state.pins:
                raise GcodeError(error)
        if state.is_critical:
            raise GcodeError(79)
        if state.alarm == NOT_HOMED:
            raise GcodeError(46)
    if state.alarm is not None:
        state.alarm = None
        state.say("[MSG:Caution: Unlocked]\r\n")


def _run_gcode(state: GrblState, line: GcodeLine) -> None:
    """Modes first, then a dwell or a move, as Grbl executes the words of one line."""
    if line.is_in_inches is not None:
        state.is_in_inches = line.is_in_inches
    if line.distance_is_absolute is not None:
        state.is_absolute = line.distance_is_absolute
    if line.feed_mode is not None:
        state.feed_mode = line.feed_mode
    if line.motion is not None:
        state.motion_mode = line.motion
    if line.feed is not None:
        state.feed = line.feed * (MM_PER_INCH if state.is_in_inches else 1.0)
    if line.is_dwell:
        state.sync_dwell_s = line.dwell_s or 0.0
        return  # answered when the planner is empty and the dwell is over
    if line.axes and not _plan(state, line):
        return  # an alarm was the answer
    state.answer()


def _plan(state: GrblState, line: GcodeLine) -> bool:
    """Plan a move; False when the target lies beyond the soft limits, which is ALARM:2. `error:22`: no feed."""
    is_feed_move = state.motion_mode == 1
    if is_feed_move and state.feed == 0.0:
        raise GcodeError(22)
    axes = _in_mm(line.axes, is_in_inches=state.is_in_inches)
    target = _target(state, axes, is_absolute=state.is_absolute or line.in_machine_coordinates)
    if _is_beyond_soft_limits(state, target):
        state.raise_alarm(2)
        return False
    has_rate = is_feed_move and state.feed_mode == UNITS_PER_MINUTE
    state.motion.blocks.append(Block(target, state.feed / 60.0 if has_rate else None))
    return True


def _run_jog(state: GrblState, text: str) -> None:
    """`$J=`: refused beyond the soft limits (`error:15`) instead of an alarm, and only idle or jogging."""
    if state.word not in ("Idle", "Jog"):
        raise GcodeError(9 if state.alarm is not None else 8)
    line = read_gcode(text, state.letters)
    if not line.axes or not line.feed:
        raise GcodeError(22 if line.axes else 26)
    is_in_inches = state.is_in_inches if line.is_in_inches is None else line.is_in_inches
    is_absolute = state.is_absolute if line.distance_is_absolute is None else line.distance_is_absolute
    target = _target(state, _in_mm(line.axes, is_in_inches=is_in_inches), is_absolute=is_absolute)
    if _is_beyond_soft_limits(state, target):
        raise GcodeError(15)
    rate = line.feed * (MM_PER_INCH if is_in_inches else 1.0) / 60.0
    state.motion.blocks.append(Block(target, rate, is_jog=True))


def _in_mm(axes: dict[str, float], *, is_in_inches: bool) -> dict[str, float]:
    """Linear axes scaled; those that turn count in degrees whatever the units."""
    factor = MM_PER_INCH if is_in_inches else 1.0
    return {letter: value * (factor if letter in LINEAR else 1.0) for letter, value in axes.items()}


def _is_beyond_soft_limits(state: GrblState, target: Axes) -> bool:
    """By $20 and the travels; grblHAL does not enforce them before homing."""
    if not state.settings[20] or (state.dialect.limits_need_homed_axes and not state.is_homed):
        return False
    return not state.motion.is_within_travel(target)


def _target(state: GrblState, axes: dict[str, float], *, is_absolute: bool) -> Axes:
    """Machine coordinates of a move, from where all that is planned will have led."""
    target = list(state.motion.planned_end(state.clock.now_s()))
    for letter, value in axes.items():
        i = state.letters.index(letter)
        target[i] = value if is_absolute else target[i] + value
    return tuple(target)


def _begin_homing(state: GrblState) -> None:
    """`$H`: `error:5` with homing disabled, 8 while moving, 79 before a reset, and those of FORBIDS_HOMING."""
    if not int(state.settings[22]) & HOMING_ENABLED:
        raise GcodeError(5)
    if state.word != "Idle" and state.alarm is None:
        raise GcodeError(8)
    if state.is_critical:
        raise GcodeError(79)
    for pin, error in FORBIDS_HOMING.items() if state.dialect.reports_homed else (("D", 13),):
        if pin in state.pins:
            raise GcodeError(error)
    state.alarm = None
    state.pins = "".join(p for p in state.pins if p not in state.letters)  # the axes leave their limit switches
    state.home_until_s = state.motion.plan_homing(state.clock.now_s())
    if not state.dialect.is_silent_while_homing:
        state.report()


def finish_homing(state: GrblState, now_s: float) -> bool:
    """The end of a homing run: the counters are right, or ALARM:9 where the switch is dead. Returns True."""
    state.home_until_s = None
    if state.homing_switch_is_dead:
        state.clear_volatile()
        state.alarm = 9
        state.say("ALARM:9\r\n")
        state.answer()  # seen on real firmware: the failure is followed by ok
        state.greet()
    else:
        state.motion.count_from_switches(now_s)
        state.is_homed = True
        state.answer()
    return True
