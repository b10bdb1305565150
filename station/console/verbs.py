"""What the operator asks of the engine: START, STOP and RESET, each called over the bridge, and what came of it."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QApplication

from station.console.bridge import Bridge, Lane
from station.console.inspection_engine import InspectionEngine
from station.console.situation import Situation
from station.engine.events import State


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

    def start(self, part_id: str) -> None:
        """Start the inspection of one part, or say why that cannot be."""
        situation = self._situation
        if not situation.can_start:
            self._refuse(f"Refused part id {part_id!r}: {self._why_not()}")
        elif not part_id:
            self._refuse("Enter or scan a part id, then press START")
        else:
            situation.notice, situation.is_starting, situation.is_stopping = "", True, False
            self._bridge.run(
                Lane.START, lambda: self._engine.start_single_job(part_id), self._started, self._start_failed
            )
        self.changed.emit()

    def stop(self) -> None:
        """Stop at the next safe point. Abort when pressed again, or while no part runs: the arm may be homing."""
        situation = self._situation
        at_once = situation.is_stopping or not situation.is_busy
        verb, name = (self._engine.abort, "abort") if at_once else (self._engine.stop, "stop")
        if situation.is_busy:
            situation.is_stopping = True
            situation.notice = "Stopping at the next safe point. Press STOP again to abort at once."
        self._bridge.run(Lane.STOP, verb, _outcome_comes_as_event, lambda error: self._failed(name, error))
        self.changed.emit()

    def reset(self) -> None:
        """Leave a stop or a fault once a person has looked. A second press during a reset does nothing.

        Whoever presses RESET has read the fault, so it is cleared now; what fails during the reset is shown anew.
        """
        situation = self._situation
        if not situation.is_resetting:
            situation.is_resetting, situation.fault, situation.notice = True, None, ""
            self._bridge.run(Lane.RESET, self._engine.reset, self._was_reset, self._reset_failed)
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
        """Ask for a stop if a part runs; closing the bridge afterwards waits for the call."""
        if self._situation.is_busy:
            self._bridge.run(Lane.STOP, self._engine.stop, _outcome_comes_as_event, _outcome_comes_as_event)

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
        self._failed("reset", error)

    def _failed(self, verb: str, error: Exception) -> None:
        self._situation.report_failure(verb, error)
        self.changed.emit()

    def _refuse(self, notice: str) -> None:
        self._situation.notice = notice
        QApplication.beep()

    def _why_not(self) -> str:
        situation = self._situation
        if situation.is_busy or situation.is_starting:
            return "a part is being inspected"
        word = situation.banner().word
        if situation.state in (State.HALTED, State.ERROR) and not situation.is_resetting:
            return f"the station is {word}: look at the cell, then press RESET (F8) first"
        return f"the station is {word}"


def _outcome_comes_as_event(_answer: object) -> None:
    """For calls whose outcome the engine reports as an event."""
