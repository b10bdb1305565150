"""What the controller does with one received line: `$` commands, G-code, jogs, homing."""

from __future__ import annotations

from drivers.simulated.firmware.grbl.dialect import HOMING_ENABLED
from drivers.simulated.firmware.grbl.gcode import GcodeError, GcodeLine, read_gcode
from drivers.simulated.firmware.grbl.motion import Block
from drivers.simulated.firmware.grbl.settings import list_settings, write_setting
from drivers.simulated.firmware.grbl.state import NOT_HOMED, GrblState
from drivers.simulated.firmware.trajectory import Axes


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
        state.say(list_settings(state.settings))
    elif text == "$G":
        distance = 90 if state.is_absolute else 91
        state.say(f"[GC:G{state.motion_mode} G54 G17 G21 G{distance} G94 F{state.feed:g}]\r\n")
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
    if line.distance_is_absolute is not None:
        state.is_absolute = line.distance_is_absolute
    if line.motion is not None:
        state.motion_mode = line.motion
    if line.feed is not None:
        state.feed = line.feed
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
    target = _target(state, line.axes, is_absolute=state.is_absolute or line.in_machine_coordinates)
    if _is_beyond_soft_limits(state, target):
        state.raise_alarm(2)
        return False
    state.motion.blocks.append(Block(target, state.feed / 60.0 if is_feed_move else None))
    return True


def _run_jog(state: GrblState, text: str) -> None:
    """`$J=`: refused beyond the soft limits (`error:15`) instead of an alarm, and only idle or jogging."""
    if state.word not in ("Idle", "Jog"):
        raise GcodeError(9 if state.alarm is not None else 8)
    line = read_gcode(text, state.letters)
    if not line.axes or not line.feed:
        raise GcodeError(22 if line.axes else 26)
    target = _target(state, line.axes, is_absolute=line.distance_is_absolute is not False)
    if _is_beyond_soft_limits(state, target):
        raise GcodeError(15)
    state.motion.blocks.append(Block(target, line.feed / 60.0, is_jog=True))


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
    """`$H`: `error:5` with homing disabled, 8 while moving, 79 before a reset, 50 with the emergency stop pressed."""
    if not int(state.settings[22]) & HOMING_ENABLED:
        raise GcodeError(5)
    if state.word != "Idle" and state.alarm is None:
        raise GcodeError(8)
    if state.is_critical:
        raise GcodeError(79)
    if state.dialect.reports_homed and "E" in state.pins:
        raise GcodeError(50)
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
