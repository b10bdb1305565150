"""The run screen: verdict on top, five views, one of them large, part id, START, STOP, history, fault strip."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import QApplication, QMainWindow

from station.console import theme
from station.console.bridge import Bridge, Lane
from station.console.engine_port import EnginePort
from station.console.layout import Panels
from station.console.pictures import Mode, ViewPictures, make_pictures
from station.console.shown import Shown
from station.console.situation import Situation
from station.engine.events import Event, Fault, JobStarted, RecipePrepared, ResultReady, State, StepDone, ViewJudged
from station.inspection.result import HistoryRow, Inspection, ViewResult, without_pictures

_HISTORY_ROWS = 200
_NO_RECIPE_VIEWS = ("view 1", "view 2", "view 3", "view 4", "view 5")


class ConsoleWindow(QMainWindow):
    """Speaks to the engine only through the bridge: events in, verbs out, nothing that blocks."""

    changed = pyqtSignal()  # after anything new is on the window
    closed = pyqtSignal()

    def __init__(self, engine: EnginePort, station_name: str = "Facet") -> None:
        super().__init__()
        self.setObjectName("consoleWindow")
        self.setWindowTitle(f"{station_name} console")
        self.setPalette(theme.palette())
        self.setStyleSheet(theme.STYLE_SHEET)
        self._engine = engine
        self._bridge = Bridge(engine, self)
        self._situation = Situation()
        self._live = Shown()
        self._archived: Shown | None = None
        self._mode = Mode.HEAT
        self._with_lights = False
        self._start_pending = self._stop_pressed = False
        self._notice = ""
        self._history_asked = 0  # requests not answered yet
        self.panels = Panels(station_name, _NO_RECIPE_VIEWS)
        self.setCentralWidget(self.panels)
        self._connect()
        self._make_shortcuts()
        self._show_all()
        self.panels.part_id.setFocus()
        self._bridge.open()
        self._read_history()

    # What others may ask.

    @property
    def situation(self) -> Situation:
        return self._situation

    @property
    def shown(self) -> Shown:
        """What tiles and detail show: the archived inspection if one is open, else the live one."""
        return self._archived or self._live

    @property
    def is_settled(self) -> bool:
        """The result is on the window, with all its pictures and in the history."""
        return self._live.inspection is not None and not self._live.awaits_pictures and not self._history_asked

    @property
    def knows_the_lights(self) -> bool:
        """What came of the lights with the last part is on the window too."""
        lights, result = self._situation.lights, self._situation.result
        return lights is not None and result is not None and lights.inspection_id == result.inspection_id

    @property
    def has_failed(self) -> bool:
        """A person is needed, and no result has come."""
        situation = self._situation
        in_error = situation.fault is not None or situation.state is State.ERROR
        return in_error and not situation.is_busy and situation.result is None

    @property
    def can_start(self) -> bool:
        return self._situation.can_start and not self._start_pending

    # The operator's side.

    def start(self) -> None:
        """START, Enter in the part id, or a scanner: refused while busy, never queued."""
        part_id = self.panels.part_id.text().strip()
        self.panels.part_id.clear()
        self.start_part(part_id)

    def start_part(self, part_id: str) -> None:
        """Start one inspection, or say why not."""
        if not self.can_start:
            self._refuse(f"Refused part id {part_id!r}: {self._why_not()}")
        elif not part_id:
            self._refuse("Enter or scan a part id before START")
        else:
            self._notice, self._start_pending, self._stop_pressed = "", True, False
            self._bridge.run(Lane.START, lambda: self._engine.start_single_job(part_id), self._started, self._no_start)
        self._show_all()

    def stop(self) -> None:
        """STOP: at the next safe point; pressed again, or while no part runs but the arm may home: abort."""
        at_once = self._stop_pressed or not self._situation.is_busy
        verb, name = (self._engine.abort, "abort") if at_once else (self._engine.stop, "stop")
        if self._situation.is_busy:
            self._stop_pressed = True
            self._notice = "Stopping at the next safe point. Press STOP again to abort at once."
        self._bridge.run(Lane.STOP, verb, _nothing, lambda error: self._verb_failed(name, error))
        self._show_all()

    def reset(self) -> None:
        """RESET: leave a stop or a fault, once a person has looked; pressed again before it is over: nothing.

        Whoever presses it has read the fault; what comes up during the reset is shown anew.
        """
        if not self._situation.is_resetting:
            self._situation.is_resetting, self._situation.fault, self._notice = True, None, ""
            self._bridge.run(Lane.RESET, self._engine.reset, self._was_reset, self._no_reset)
            self._show_all()

    def show_mode(self, mode: Mode) -> None:
        """Image, normals or score map, in tiles and detail alike."""
        self._mode, self._with_lights = mode, False
        self._show_all()

    def show_lights(self) -> None:
        """How the lights did over the last parts, where else one view is large."""
        self._with_lights = True
        self._show_all()

    def select_view(self, view: str) -> None:
        """Show one view large."""
        self._with_lights = False
        self.shown.selected = view
        self._show_all()

    def open_archived(self, inspection_id: str) -> None:
        """Open an earlier inspection below the live verdict."""
        self._notice, self._with_lights = "Loading from the archive ...", False
        self._bridge.run(
            Lane.READ,
            lambda: self._engine.load(inspection_id),
            self._archive_loaded,
            lambda error: self._verb_failed("open", error),
        )
        self._show_all()

    def back_to_live(self) -> None:
        """Leave the archived inspection."""
        self._archived = None
        self.panels.history.clearSelection()
        self._show_all()

    # The engine's side.

    def _take(self, event: Event) -> None:
        self._situation.take(event)
        if isinstance(event, RecipePrepared):
            self._live = Shown(views=event.views)
        elif isinstance(event, JobStarted):
            self._begin(event)
        elif isinstance(event, ViewJudged) and event.inspection_id == self._live.inspection_id:
            self._take_view(event.result)
        elif isinstance(event, ResultReady):
            self._take_result(event.inspection)
        if self._situation.is_busy:
            self._start_pending = False
        if isinstance(event, StepDone):
            self._show_situation()
        else:
            self._show_all()

    def _begin(self, job: JobStarted) -> None:
        recipe = self._situation.recipe
        self._live = Shown(job.inspection_id, job.part_id, recipe.views if recipe else self._live.views)
        self._archived, self._notice, self._stop_pressed = None, "", False
        self.panels.detail.picture.fit()
        self.panels.history.clearSelection()

    def _take_view(self, result: ViewResult) -> None:
        self._live.results[result.view] = without_pictures(result)
        self._live.selected = result.view
        self._make_pictures(self._live, result)

    def _take_result(self, inspection: Inspection) -> None:
        if inspection.inspection_id != self._live.inspection_id:
            self._live = Shown()
        asked = set(self._live.results)
        self._live.take_inspection(inspection)
        for result in inspection.views:
            if result.view not in asked:
                self._make_pictures(self._live, result)
        self._notice = ""
        self._read_history()
        self.panels.part_id.setFocus()

    def _make_pictures(self, shown: Shown, result: ViewResult) -> None:
        def take(pictures: ViewPictures) -> None:
            shown.pictures[pictures.view] = pictures
            self._show_all()

        self._bridge.run(
            Lane.PICTURES, lambda: make_pictures(result), take, lambda error: self._verb_failed("draw", error)
        )

    def _archive_loaded(self, inspection: Inspection) -> None:
        self._notice = ""
        if self._situation.is_busy:
            self._notice = "Not opened: an inspection is running"
        else:
            archived = Shown(is_archived=True)
            archived.take_inspection(inspection)
            for result in inspection.views:
                self._make_pictures(archived, result)
            self._archived = archived
            self.panels.detail.picture.fit()
        self._show_all()

    def _read_history(self) -> None:
        self._history_asked += 1
        self._bridge.run(
            Lane.READ, lambda: self._engine.history(_HISTORY_ROWS), self._history_read, self._history_failed
        )

    def _history_read(self, rows: Sequence[HistoryRow]) -> None:
        self._history_asked -= 1
        self.panels.history.show_rows(rows)
        self.changed.emit()

    def _history_failed(self, error: Exception) -> None:
        self._history_asked -= 1
        self._verb_failed("history", error)

    # Answers of verbs.

    def _started(self, _answer: object) -> None:
        self._start_pending = False
        self._show_all()

    def _no_start(self, error: Exception) -> None:
        self._start_pending = False
        self._verb_failed("start", error)

    def _was_reset(self, _answer: object) -> None:
        self._situation.is_resetting = False
        self._show_all()

    def _no_reset(self, error: Exception) -> None:
        self._situation.is_resetting = False
        self._verb_failed("reset", error)

    def _verb_failed(self, verb: str, error: Exception) -> None:
        action = "mend the cause that is named here, then try again; RESET if the station stands still"
        self._notice = ""
        self._situation.take(Fault(f"{verb.upper()} failed: {error}", action))
        self._show_all()

    def _acknowledge(self) -> None:
        self._situation.fault = None
        self._show_all()

    def _acknowledge_lights(self) -> None:
        self._situation.acknowledge_lights()
        self._show_all()

    def _why_not(self) -> str:
        if self._situation.is_busy or self._start_pending:
            return "a part is being inspected"
        word = self._situation.banner().word
        if self._situation.state in (State.HALTED, State.ERROR) and not self._situation.is_resetting:
            return f"the station is {word}: look at the cell, then press RESET (F8) first"
        return f"the station is {word}"

    def _refuse(self, notice: str) -> None:
        self._notice = notice
        QApplication.beep()

    # The window itself.

    def _show_situation(self) -> None:
        self.panels.show_situation(self._situation, self.can_start, self._notice)

    def _show_all(self) -> None:
        self._show_situation()
        self.panels.show_inspection(self.shown, self._mode, with_lights=self._with_lights)
        self.changed.emit()

    def _connect(self) -> None:
        panels = self.panels
        self._bridge.happened.connect(self._take)
        panels.part_id.returnPressed.connect(self.start)
        panels.start_button.clicked.connect(self.start)
        panels.stop_button.clicked.connect(self.stop)
        panels.reset_button.clicked.connect(self.reset)
        panels.live_button.clicked.connect(self.back_to_live)
        panels.tiles.selected.connect(self.select_view)
        panels.history.opened.connect(self.open_archived)
        panels.faults.acknowledged.connect(self._acknowledge)
        panels.light_strip.acknowledged.connect(self._acknowledge_lights)
        panels.light_strip.asked.connect(self.show_lights)
        panels.lights_button.clicked.connect(self.show_lights)
        for mode, button in panels.mode_buttons.items():
            button.clicked.connect(lambda _checked, mode=mode: self.show_mode(mode))

    def _make_shortcuts(self) -> None:
        acts: dict[str, Callable[[], None]] = {
            "F2": lambda: self.show_mode(Mode.IMAGE),
            "F3": lambda: self.show_mode(Mode.NORMALS),
            "F4": lambda: self.show_mode(Mode.HEAT),
            "F5": self.panels.detail.picture.fit,
            "F6": self.back_to_live,
            "F7": self.show_lights,
            "F8": self.reset,
            "F9": self.start,
            "F12": self.stop,
        }
        for number in range(9):
            acts[f"Ctrl+{number + 1}"] = lambda number=number: self._select_number(number)  # type: ignore[misc]
        for keys, act in acts.items():
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(act)

    def _select_number(self, number: int) -> None:
        views = list(self.panels.tiles.tiles)
        if number < len(views):
            self.select_view(views[number])

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop a running part, wait for every call that has begun, then close."""
        if self._situation.is_busy:
            self._bridge.run(Lane.STOP, self._engine.stop, _nothing, _nothing)
        self._bridge.close()
        super().closeEvent(event)
        self.closed.emit()


def _nothing(_answer: object) -> None:
    """For verbs whose outcome comes as an event."""
