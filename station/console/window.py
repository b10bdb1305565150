"""The run screen: it connects what the engine reports and what the operator presses with what is drawn.

An event goes through the bridge into `Situation` and `Display`, and then everything is redrawn from these two. A press
goes to `OperatorVerbs` or `Display`, which answer with `changed`. No widget is read to learn a state, except the part
id's field.
"""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import QApplication, QMainWindow

from station.console.banner import DETAILS_KEY
from station.console.bridge import Bridge
from station.console.display import Display
from station.console.inspection_engine import InspectionEngine
from station.console.layout import Panels
from station.console.pictures import Mode
from station.console.scan_filter import ScanFilter, ScannerKeys
from station.console.shown import Shown
from station.console.situation import Situation
from station.console.verbs import OperatorVerbs
from station.console.widgets import theme
from station.engine.events import Event, JobStarted, ResultReady, StepDone
from station.inspection.result import HistoryRow

_NO_RECIPE_VIEWS = ("view 1", "view 2", "view 3", "view 4", "view 5")


class ConsoleWindow(QMainWindow):
    """Connects buttons, keys and the engine's events with `verbs` and `display`, and draws what has changed.

    It reaches the engine only through the bridge, so nothing here waits for a device.
    """

    changed = pyqtSignal()  # after anything new is on the window
    closed = pyqtSignal()

    def __init__(
        self, engine: InspectionEngine, station_name: str = "Facet", scanner: ScannerKeys | None = None
    ) -> None:
        super().__init__()
        self.setObjectName("consoleWindow")
        self.setWindowTitle(f"{station_name} console")
        self.setPalette(theme.palette())
        self.setStyleSheet(theme.STYLE_SHEET)
        self._bridge = Bridge(engine, self)
        self.situation = Situation()
        self.verbs = OperatorVerbs(engine, self._bridge, self.situation, self)
        self.display = Display(engine, self._bridge, self.situation, self)
        self.panels = Panels(station_name, _NO_RECIPE_VIEWS)
        self.setCentralWidget(self.panels)
        self._connect_outcomes()
        self._connect_controls()
        self._make_shortcuts()
        self._show_all()
        self.panels.part_id.setFocus()
        self._catch_scans(scanner or ScannerKeys())
        self._bridge.open()
        self.verbs.read_recipe()
        self.display.read_history()

    @property
    def shown(self) -> Shown:
        """What tiles and detail show: the archived inspection if one is open, else the live one."""
        return self.display.shown

    @property
    def is_settled(self) -> bool:
        """Whether the result is on the window, with all its pictures and in the history."""
        return self.display.is_settled

    def start_entered_part(self) -> None:
        """START, or Enter in the part id: start the part whose id stands in the field.

        The id stays there until its inspection has begun. One that is refused is selected, so that the next scan or
        the next key replaces it.
        """
        self._start(is_scan=False)

    def take_scan(self, text: str) -> None:
        """What the scanner has typed replaces what stands in the field, and is started."""
        self.panels.part_id.setText(text)
        self._start(is_scan=True)

    def _refuse_pieces(self) -> None:
        prefix = self._scans.prefix
        without = f", or did not begin with the scanner's prefix {prefix!r}" if prefix else ""
        self.verbs.refuse(
            f"Refused the scan: it came in pieces, or was mixed with typing{without}. Scan the label again."
        )
        self.panels.part_id.selectAll()

    def _start(self, *, is_scan: bool) -> None:
        self.verbs.start(self.panels.part_id.text(), is_scan=is_scan)
        self.panels.part_id.selectAll()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop what runs, wait for every call that has begun, then close."""
        self._leave_keys()
        self.verbs.stop_before_closing()
        self._bridge.close()
        super().closeEvent(event)
        self.closed.emit()

    def _take(self, event: Event) -> None:
        """Enter an event and redraw. A frame changes the banner alone: redrawing the tiles for each would cost time."""
        self.situation.take(event)
        self.display.take(event)
        if isinstance(event, JobStarted):
            self._empty_the_field(self.situation.started_part)
            self.panels.detail.picture.fit()
            self.panels.history.clearSelection()
        elif isinstance(event, ResultReady):
            self.panels.part_id.setFocus()
            self.panels.part_id.selectAll()
        if isinstance(event, StepDone):
            self.panels.show_situation(self.situation)
        else:
            self._show_all()

    def _show_all(self) -> None:
        """Redraw from situation and display. Tiles, large picture and curves are made anew only where they change."""
        display = self.display
        self.panels.show_situation(self.situation)
        past = self.situation.result if self.situation.is_result_past else None
        last_part = "" if past is None else past.inspection_id
        fault = self.situation.fault
        self.panels.show_inspection(display.shown, display.mode, pane=display.pane, last_part=last_part, fault=fault)
        self.changed.emit()

    def _empty_the_field(self, part_id: str) -> None:
        """The id has been taken; one that was scanned or typed meanwhile stays."""
        if self.panels.part_id.text() == part_id:
            self.panels.part_id.clear()

    def _turn_to_the_next(self) -> None:
        """The next id is being typed or scanned: the verdict that stands is that of the last part."""
        if not self.situation.is_result_past:
            self.situation.turn_to_the_next()
            self._show_all()

    def _catch_scans(self, scanner: ScannerKeys) -> None:
        self._scans = ScanFilter(self, self.panels.part_id, scanner)
        self._scans.scanned.connect(self.take_scan)
        self._scans.broken.connect(self._refuse_pieces)
        self._scans.typed.connect(self._turn_to_the_next)
        application = QApplication.instance()
        if application is not None:
            application.installEventFilter(self._scans)

    def _leave_keys(self) -> None:
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self._scans)

    def _show_history(self, rows: list[HistoryRow]) -> None:
        self.panels.history.show_rows(rows)
        self.changed.emit()

    def _back_to_live(self) -> None:
        self.panels.history.clearSelection()
        self.display.back_to_live()

    def _connect_outcomes(self) -> None:
        """What the engine reports and what verbs and display change; call it before the bridge is opened."""
        self._bridge.happened.connect(self._take)
        self.verbs.changed.connect(self._show_all)
        self.display.changed.connect(self._show_all)
        self.display.opened.connect(self.panels.detail.picture.fit)
        self.display.history_read.connect(self._show_history)

    def _connect_controls(self) -> None:
        panels = self.panels
        panels.part_id.returnPressed.connect(self.start_entered_part)
        panels.part_id.textEdited.connect(self._turn_to_the_next)
        panels.start_button.clicked.connect(self.start_entered_part)
        panels.stop_button.clicked.connect(self.verbs.stop)
        panels.reset_button.clicked.connect(self.verbs.reset)
        panels.pause_button.clicked.connect(self.verbs.pause_or_resume)
        panels.retake_button.clicked.connect(self.verbs.retake_view)
        panels.skip_button.clicked.connect(self.verbs.skip_to_verdict)
        panels.live_button.clicked.connect(self._back_to_live)
        panels.tiles.selected.connect(self.display.select_view)
        panels.history.opened.connect(self.display.open_archived)
        panels.faults.acknowledged.connect(self.verbs.acknowledge_fault)
        panels.light_strip.acknowledged.connect(self.verbs.acknowledge_lights)
        panels.faults.asked.connect(self.display.show_reasons)
        panels.light_strip.asked.connect(self.display.show_lights)
        panels.lights_button.clicked.connect(self.display.show_lights)
        for mode, button in panels.mode_buttons.items():
            button.clicked.connect(lambda _checked, mode=mode: self.display.show_mode(mode))

    def _make_shortcuts(self) -> None:
        """F2 to F12 are named by the labels of the buttons; Ctrl+1 to Ctrl+9 select a view by its place."""
        acts: dict[str, Callable[[], None]] = {
            "F2": lambda: self.display.show_mode(Mode.IMAGE),
            "F3": lambda: self.display.show_mode(Mode.NORMALS),
            "F4": lambda: self.display.show_mode(Mode.HEAT),
            "F5": self.panels.detail.picture.fit,
            "F6": self._back_to_live,
            "F7": self.display.show_lights,
            "F8": self.verbs.reset,
            "F9": self.start_entered_part,
            DETAILS_KEY: self.display.show_reasons,
            "F11": self.verbs.pause_or_resume,
            "F12": self.verbs.stop,
        }
        for number in range(9):
            acts[f"Ctrl+{number + 1}"] = lambda number=number: self._select_number(number)  # type: ignore[misc]
        for keys, act in acts.items():
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(act)

    def _select_number(self, number: int) -> None:
        views = list(self.panels.tiles.tiles)
        if number < len(views):
            self.display.select_view(views[number])
