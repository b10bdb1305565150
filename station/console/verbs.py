"""What the operator asks of the engine, from START to RESET, each called over the bridge, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QApplication

from station.console.banner import banner_of, unstored_lines
from station.console.bridge import Bridge, Lane
from station.console.inspection_engine import InspectionEngine
from station.console.scan_filter import NO_CHARACTER
from station.console.situation import Situation
from station.engine.events import State
from station.errors import BadInput
from station.inspection.part_id import check_part_id
from station.inspection.result import HistoryRow, Verdict

_ATTEMPTS = 100  # of one part id; more are counted as so many


class OperatorVerbs(QObject):
    """Each verb returns at once; its outcome arrives in the Qt thread, is entered in the situation and emits `changed`.

    A press that cannot be obeyed now is refused with a beep and a notice. It is never queued: a part must not start
    minutes after it was scanned.
    """

    changed = pyqtSignal()

    def __init__(self, engine: InspectionEngine, bridge: Bridge, situation: Situation, parent: QObject) -> None:
        super().__init__(parent)
        self._engine = engine
        self._bridge = bridge
        self._situation = situation

    def read_recipe(self) -> None:
        """Have the recipe's files read, so that a refused one is shown before anything moves."""
        self._situation.is_reading_recipe = True
        self._bridge.run(Lane.READ, self._engine.read_recipe, self._recipe_was_read, self._recipe_refused)

    def start(self, part_id: str, *, is_scan: bool = False) -> None:
        """Start the inspection of one part, or say why that cannot be.

        An id that was inspected before is started by a second press of START. A scan does not count as one, because
        scanners read twice.
        """
        situation = self._situation
        situation.turn_to_the_next()
        refusal = self._refusal(part_id)
        if refusal:
            self._refuse(refusal)
        else:
            is_confirmed = part_id == situation.unconfirmed_part and not is_scan
            situation.notice, situation.unconfirmed_part = "", ""
            situation.is_starting, situation.is_stopping = True, False
            situation.started_part = part_id
            self._bridge.run(
                Lane.START,
                lambda: self._engine.history(_ATTEMPTS, part_id),
                lambda rows: self._start_unless_repeated(part_id, rows, is_confirmed),
                self._start_failed,
            )
        self.changed.emit()

    def stop(self) -> None:
        """Stop at the next safe point; abort when pressed again.

        With nothing moving and the cell clear it stops nothing and costs nothing. In every other state the arm may be
        moving, or may not stand as it should: then it is held at once, and RESET leads to a clear cell.
        """
        situation = self._situation
        costs_nothing = situation.is_at_rest and not situation.is_part_kept_in
        at_once = situation.is_stopping if situation.is_busy else not costs_nothing
        verb, name = (self._engine.abort, "abort") if at_once else (self._engine.stop, "stop")
        if situation.is_busy:
            situation.is_stopping = True
        elif not at_once:
            situation.notice = "STOP: nothing was running, and nothing has changed."
        self._bridge.run(Lane.STOP, verb, _outcome_comes_as_event, lambda error: self._failed(name, error))
        self.changed.emit()

    def pause_or_resume(self) -> None:
        """Pause after the view that is being taken, at once when pressed again; while paused, go on."""
        situation = self._situation
        if not situation.can_direct:
            self._refuse("PAUSE: no part is being taken")
        elif situation.is_paused:
            self._direct("resume", self._engine.resume)
        else:
            now = situation.is_pausing
            situation.is_pausing = True
            self._direct("pause", lambda: self._engine.pause(now=now))
        self.changed.emit()

    def retake_view(self) -> None:
        """Take the present view again, whole; while paused, once the part goes on."""
        situation = self._situation
        if not situation.can_direct:
            self._refuse("RETAKE VIEW: no part is being taken")
        else:
            if situation.is_paused:
                situation.notice = f"View {situation.view} is taken again after RESUME (F11)."
            self._direct("retake view", self._engine.retake_view)
        self.changed.emit()

    def skip_to_verdict(self) -> None:
        """Take no further frame; what was seen is judged."""
        if not self._situation.can_direct:
            self._refuse("VERDICT NOW: no part is being taken")
        else:
            self._direct("verdict now", self._engine.skip_to_verdict)
        self.changed.emit()

    def reset(self) -> None:
        """Leave a stop or a fault once a person has looked. A second press during a reset does nothing.

        Whoever presses RESET has read the fault, so it is cleared now; what fails during the reset is shown anew.
        """
        situation = self._situation
        if situation.is_resetting:
            return
        if not situation.can_reset:
            why = "nothing to reset, the station is at work or ready"
            self._refuse(
                f"RESET: {'to take the part out press STOP (F12) first' if situation.is_part_kept_in else why}"
            )
        else:
            situation.turn_to_the_next()
            situation.is_resetting, situation.fault, situation.notice = True, None, ""
            self._bridge.run(Lane.RESET, self._engine.reset, self._was_reset, self._reset_failed)
        self.changed.emit()

    def refuse(self, notice: str) -> None:
        """Say that something that was scanned or pressed is not obeyed, and why."""
        self._refuse(notice)
        self.changed.emit()

    def acknowledge_fault(self) -> None:
        """Clear the fault from the strip; the engine's state stays what it is."""
        self._situation.fault = None
        self.changed.emit()

    def acknowledge_lights(self) -> None:
        """Hide the light warnings that are shown now, until they are over and come back."""
        self._situation.acknowledge_lights()
        self.changed.emit()

    def stop_before_closing(self) -> None:
        """Ask for a stop if a part runs, and abort a homing; closing the bridge afterwards waits for the call."""
        if self._situation.is_resetting:
            self._bridge.run(Lane.STOP, self._engine.abort, _outcome_comes_as_event, _outcome_comes_as_event)
        elif self._situation.is_busy:
            self._bridge.run(Lane.STOP, self._engine.stop, _outcome_comes_as_event, _outcome_comes_as_event)

    def _direct(self, name: str, verb: Callable[[], None]) -> None:
        """A verb that came too late, because the last frame is in, is a notice and no fault."""
        self._bridge.run(Lane.PAUSE, verb, _outcome_comes_as_event, lambda error: self._came_too_late(name, error))

    def _came_too_late(self, name: str, error: Exception) -> None:
        self._situation.is_pausing = False
        self._refuse(f"{name.upper()}: {error}")
        self.changed.emit()

    def _refusal(self, part_id: str) -> str:
        """Why the part cannot be started now; empty if nothing speaks against it here. The engine asks once more."""
        situation = self._situation
        if NO_CHARACTER in part_id:
            return (
                f"Refused the scan {part_id!r}: it holds a key that is no character; set the scanner up for plain text"
            )
        try:
            check_part_id(part_id)
        except BadInput as error:
            return f"Refused: {error}" if part_id else "Enter or scan a part id, then press START"
        return "" if situation.can_start else f"Refused part id {part_id!r}: {self._why_not()}"

    def _start_unless_repeated(self, part_id: str, rows: list[HistoryRow], is_confirmed: bool) -> None:
        """Start, unless the part has a verdict already and nobody has confirmed that it is to get another one."""
        situation = self._situation
        last = rows[0] if rows else None
        if last is not None and last.verdict is not Verdict.UNDECIDED and not is_confirmed:
            situation.is_starting, situation.unconfirmed_part = False, part_id
            when = last.creation_time.astimezone().strftime("%d %b %H:%M")
            self._refuse(
                f"{part_id!r} was inspected before: {last.verdict.value}, {when}. START (F9) does it once more."
            )
        elif not situation.can_start and not situation.is_starting:
            self._refuse(f"Refused part id {part_id!r}: {self._why_not()}")
        else:
            situation.attempt = len(rows) + 1
            self._bridge.run(
                Lane.START, lambda: self._engine.start_single_job(part_id), self._started, self._start_failed
            )
        self.changed.emit()

    def _recipe_was_read(self, _answer: object) -> None:
        self._situation.is_reading_recipe = False
        self.changed.emit()

    def _recipe_refused(self, error: Exception) -> None:
        self._situation.is_reading_recipe = False
        self._situation.report_failure("read the recipe", error, _correct_and_reset(error))
        self.changed.emit()

    def _started(self, _answer: object) -> None:
        self._situation.is_starting = False
        self.changed.emit()

    def _start_failed(self, error: Exception) -> None:
        self._situation.is_starting = False
        self._failed("start", error)

    def _was_reset(self, _answer: object) -> None:
        self._situation.is_resetting = False
        self.changed.emit()

    def _reset_failed(self, error: Exception) -> None:
        self._situation.is_resetting = False
        self._situation.report_failure("reset", error, _correct_and_reset(error))
        self.changed.emit()

    def _failed(self, verb: str, error: Exception) -> None:
        self._situation.report_failure(verb, error)
        self.changed.emit()

    def _refuse(self, notice: str) -> None:
        self._situation.notice = notice
        QApplication.beep()

    def _why_not(self) -> str:
        situation = self._situation
        if situation.is_busy or situation.is_starting:
            return "a part is being inspected; press START after its verdict, or scan again"
        if situation.result is not None and not situation.is_result_stored:
            return f"the last part is not stored. {unstored_lines(situation.result)[1]}"
        word = banner_of(situation).word
        if situation.state is not State.READY and not situation.is_resetting:
            return f"the station is {word}: look at the cell, then press RESET (F8) first"
        return f"the station is {word}"


def _correct_and_reset(error: Exception) -> str:
    """What to do about a call that raised: a file that was refused is read again by RESET."""
    if isinstance(error, BadInput):
        return "correct the file that is named here, then press RESET (F8): it is read again before the arm moves"
    return ""


def _outcome_comes_as_event(_answer: object) -> None:
    """For calls whose outcome the engine reports as an event."""
