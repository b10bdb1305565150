"""The main loop of a motion controller that speaks Grbl 1.1h or grblHAL with three to six axes, in simulated time.

Behaviour beyond the published documents follows what the real firmware was seen to do (`dialect.py`): `ok` means
planned; a line sent into a hold or an open door waits, and runs on resume.
"""

from __future__ import annotations

from drivers.simulated.firmware.grbl.lines import finish_homing, run_line
from drivers.simulated.firmware.grbl.state import ESTOP, POWER_UP_LOCK, GrblState

REALTIME = frozenset(b"?!~\x18\x84\x85")


class GrblController:
    """Takes bytes in, and does what is due. Not thread-safe: its firmware holds a lock around each call."""

    def __init__(self, state: GrblState) -> None:
        self._state = state

    def receive(self, data: bytes) -> None:
        """Realtime bytes act at once; the rest waits in the receive buffer, which overflows silently."""
        state = self._state
        for byte in data:
            if byte in REALTIME or byte >= 0x80:
                self.advance()
                self._realtime(byte)
            elif len(state.rx) + sum(len(line) + 1 for line in state.lines) >= state.dialect.rx_buffer_bytes:
                continue
            elif byte in b"\r\n":
                self._end_line(byte)
            else:
                state.rx.append(byte)
        self.advance()

    def _end_line(self, byte: int) -> None:
        """Both line ends count; grblHAL takes a pair as one, but not behind a refused line."""
        state = self._state
        self.advance()  # the line before is run by now, and known to be refused or not
        is_pair = byte == ord("\n") and state.last_end == ord("\r") and not state.rx
        state.last_end = byte
        if is_pair and state.dialect.errors_stick and not state.sticky_error:
            return
        state.lines.append(bytes(state.rx))
        state.rx.clear()

    def advance(self) -> float | None:
        """Do all that is due; returns the time of the next event."""
        state = self._state
        if state.outbox.is_frozen:
            return None
        now_s = state.clock.now_s()
        while self._step(now_s):
            continue
        leg_end_s = None if state.motion.leg is None else state.motion.leg.end_s
        times_s = (state.home_until_s, leg_end_s, state.dwell_until_s, state.pause_until_s)
        due = [t for t in times_s if t is not None]
        return min(due, default=None)

    def _step(self, now_s: float) -> bool:
        """One thing that is due; False when there is none."""
        state = self._state
        if state.pause_until_s is not None:
            is_over = state.pause_until_s <= now_s
            if is_over:
                state.end_pause()
            return is_over
        if state.is_critical and state.dialect.is_deaf_after_limit:
            return False
        if state.home_until_s is not None:
            return state.home_until_s <= now_s and finish_homing(state, now_s)
        return self._step_motion(now_s) or (not state.motion.is_held and self._step_lines(now_s))

    def _step_motion(self, now_s: float) -> bool:
        """The planner: end the leg that is over, begin the next block unless held."""
        state = self._state
        if state.motion.leg is not None:
            is_over = state.motion.leg.end_s <= now_s
            if is_over:
                state.motion.finish_leg()
            return is_over
        if state.motion.blocks and not state.motion.is_held:
            state.motion.begin_leg(now_s)
            return True
        return False

    def _step_lines(self, now_s: float) -> bool:
        """The main loop: it stands still in a dwell, and the dwell begins when the planner is empty."""
        state = self._state
        if state.dwell_until_s is not None:
            is_over = state.dwell_until_s <= now_s
            if is_over:
                state.dwell_until_s = None
                state.answer()
            return is_over
        if state.sync_dwell_s is not None:
            if state.motion.is_busy:
                return False
            state.dwell_until_s = now_s + state.sync_dwell_s
            state.sync_dwell_s = None
            return True
        if state.lines and len(state.motion.blocks) < state.dialect.planner_blocks:
            run_line(state, state.lines.popleft())
            return True
        return False

    # -- realtime bytes ---------------------------------------------------------------------

    def _realtime(self, byte: int) -> None:
        """Reset 0x18, `?`, `!`, `~`, safety door 0x84, jog cancel 0x85; others are ignored."""
        state = self._state
        if byte == 0x18:
            self.soft_reset()
        elif state.pause_until_s is not None:
            state.is_report_due |= byte == ord("?")
        elif state.is_critical and state.dialect.is_deaf_after_limit:
            return
        elif state.home_until_s is not None:
            if byte == ord("?") and not state.dialect.is_silent_while_homing:
                state.report()
        elif byte == ord("?"):
            state.report()
        elif byte == ord("!") and state.alarm is None:
            state.motion.hold(state.clock.now_s())
        elif byte == ord("~"):
            self._resume()
        elif byte == 0x84 and state.alarm is None:
            state.enter_door_state()
        elif byte == 0x85 and state.word == "Jog":
            state.motion.cancel_jog(state.clock.now_s())

    def _resume(self) -> None:
        """What waits since a hold or a door runs now, unless the door is still open."""
        state = self._state
        if not (state.is_door_state and "D" in state.pins):
            state.is_door_state = False
            state.motion.is_held = False

    def soft_reset(self) -> None:
        """The byte 0x18, or the reset input: in motion it stops dead and loses the position.

        It is swallowed right behind an alarm, and grblHAL has no ears for it while its emergency stop is pressed.
        """
        state = self._state
        if state.pause_until_s is not None or ("E" in state.pins and state.dialect.reports_homed):
            return
        was_homing, was_critical = state.home_until_s is not None, state.is_critical
        moved = was_homing or state.motion.leg is not None
        if moved:
            state.motion.stop_dead(state.clock.now_s())
            state.alarm = 6 if was_homing else 3
            state.is_homed = False
        elif state.alarm == POWER_UP_LOCK:
            state.alarm = None
        elif state.alarm == ESTOP:
            state.alarm = state.lock_until_homed()
        if was_critical and state.dialect.is_deaf_after_limit:
            state.answer()
        state.clear_volatile()
        if moved:
            state.say(f"ALARM:{state.alarm}\r\n")
            if not state.dialect.reset_lifts_power_up_lock:
                state.alarm = state.lock_until_homed() or state.alarm
        state.greet()
