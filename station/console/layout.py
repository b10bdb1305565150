"""Where everything stands on the run screen, and how it is filled. It decides nothing.

    header: station, recipe, product, model, state
    SIMULATION, only where the rig or the result is simulated
    banner: the live part's verdict
    LIVE or ARCHIVE and which part | IMAGE NORMALS HEAT LIGHTS | map opacity, zoom
    a tile for each view of the recipe
    one view large, or the lights' curves       | part id
                                                | START   STOP   RESET
                                                | history
    light strip, only while a light needs attention
    fault strip: fault and remedy, a notice, or "No fault"

All of it fits on 1280 x 800 px.
"""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from station.console.pictures import Mode
from station.console.shown import Shown
from station.console.situation import Situation
from station.console.widgets import theme
from station.console.widgets.banner import VerdictBanner
from station.console.widgets.controls import touch_button, wrapping_label
from station.console.widgets.detail_view import DetailView
from station.console.widgets.fault_strip import FaultStrip
from station.console.widgets.header import Header, SimulationStrip
from station.console.widgets.history_table import HistoryTable
from station.console.widgets.light_strip import LightStrip
from station.console.widgets.lights_view import LightsView
from station.console.widgets.tile_row import TileRow
from station.engine.events import State

_MODE_LABELS = {Mode.IMAGE: "IMAGE  F2", Mode.NORMALS: "NORMALS  F3", Mode.HEAT: "HEAT MAP  F4"}
_WANTED = f"font-size: 22px; font-weight: bold; background: {theme.SELECTED.name()}; color: white;"
_LIGHTS_LABEL = "LIGHTS  F7"
_BANNER_SHARE = 0.137  # of the window's height
_BANNER_PX = (100, 160)


class Panels(QWidget):
    """Everything in the window, top to bottom. It is filled by `show_situation` and `show_inspection` alone."""

    def __init__(self, station_name: str, views: Sequence[str]) -> None:
        super().__init__()
        self.setObjectName("ground")
        self.header = Header(station_name)
        self.simulation = SimulationStrip()
        self.banner = VerdictBanner()
        self.viewing = wrapping_label("viewing")
        self.mode_buttons = self._make_mode_buttons()
        self.lights_button = touch_button("showLightTrends", _LIGHTS_LABEL, "Show the lights over the last parts")
        self.lights_button.setCheckable(True)
        self._modes.addButton(self.lights_button)
        self.live_button = touch_button("backToLive", "BACK TO LIVE  F6", "Leave the archived inspection")
        self.tiles = TileRow(views)
        self.detail = DetailView()
        self.lights = LightsView()
        self.pane = QStackedWidget()
        self.part_id = QLineEdit()
        self.start_button = touch_button("startButton", "START  F9", "Start the inspection")
        self.stop_button = touch_button("stopButton", "STOP  F12", "Stop the inspection")
        self.reset_button = touch_button("resetButton", "RESET  F8", "Reset after a stop or a fault")
        self.history = HistoryTable()
        self.light_strip = LightStrip()
        self.faults = FaultStrip()
        self._prepare_part_id()
        self._lay_out()

    def show_situation(self, situation: Situation) -> None:
        """Draw all that is about the station and its live part."""
        self.header.show_situation(situation)
        self.simulation.setVisible(situation.is_simulated)
        self.banner.show_content(situation.banner())
        self.start_button.setEnabled(situation.can_start)
        self._show_reset(situation)
        self.faults.show_fault(situation.fault, situation.notice)
        self._show_lights(situation)

    def _show_reset(self, situation: Situation) -> None:
        """RESET stands out while it is the one button that leads on, and rests while a reset runs."""
        can_reset = situation.state in (State.HALTED, State.ERROR, State.PREOPERATIONAL)
        is_wanted = situation.state in (State.HALTED, State.ERROR)
        self.reset_button.setEnabled(can_reset and not situation.is_resetting)
        self.reset_button.setText("RESETTING" if situation.is_resetting else "RESET  F8")
        self.reset_button.setStyleSheet(_WANTED if is_wanted and not situation.is_resetting else "")

    def _show_lights(self, situation: Situation) -> None:
        """The strip shows what nobody has acknowledged; curves and the button's number show all that holds."""
        watched = situation.lights
        holding = () if watched is None else watched.warnings
        self.light_strip.show_warnings(situation.light_warnings)
        self.lights.show_lights(() if watched is None else watched.histories, holding)
        self.lights_button.setText(f"{_LIGHTS_LABEL} ({len(holding)})" if holding else _LIGHTS_LABEL)

    def show_inspection(self, shown: Shown, mode: Mode, *, with_lights: bool = False) -> None:
        """Fill tiles and detail from a live or an archived inspection.

        `with_lights` puts the lights' curves in the place of tiles and detail.
        """
        self.viewing.setText(_viewing_text(shown))
        self.viewing.setToolTip("The verdict above is the live part's." if shown.is_archived else "")
        self.live_button.setVisible(shown.is_archived)
        self.pane.setCurrentWidget(self.lights if with_lights else self.detail)
        self.tiles.setVisible(not with_lights)  # the curves need their room
        (self.lights_button if with_lights else self.mode_buttons[mode]).setChecked(True)
        if shown.views:
            self.tiles.set_views(shown.views)
        for view, tile in self.tiles.tiles.items():
            pictures = shown.pictures.get(view)
            tile.show_result(shown.results.get(view), shown.note(view), is_deciding=view == shown.deciding_view)
            tile.show_thumbnail(None if pictures is None else pictures.thumbnails.get(mode))
        self.tiles.select(shown.selected)
        self._show_detail(shown, mode)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.banner.setFixedHeight(min(max(round(self.height() * _BANNER_SHARE), _BANNER_PX[0]), _BANNER_PX[1]))

    def _show_detail(self, shown: Shown, mode: Mode) -> None:
        """Show the selected view large, with its reasons beside the title where it is UNDECIDED."""
        view = shown.selected
        result = shown.results.get(view)
        title = "no view selected" if not view else f"{view}: {_MODE_LABELS[mode].split('  ')[0].lower()}"
        if result is not None and result.reasons:
            title = f"{title}   ({'; '.join(reason.text for reason in result.reasons)})"
        limit = None if result is None or result.limit <= 0 else result.limit
        self.detail.show_view(title, shown.pictures.get(view), mode, limit)

    def _make_mode_buttons(self) -> dict[Mode, QPushButton]:
        self._modes = QButtonGroup(self)
        buttons = {}
        for mode, label in _MODE_LABELS.items():
            buttons[mode] = touch_button(f"mode_{mode.value}", label, f"Show {mode.value}")
            buttons[mode].setCheckable(True)
            self._modes.addButton(buttons[mode])
        return buttons

    def _prepare_part_id(self) -> None:
        self.part_id.setObjectName("partId")
        self.part_id.setAccessibleName("Part id")
        self.part_id.setPlaceholderText("Scan or type a part id")
        self.part_id.setFixedHeight(theme.TOUCH_PX)
        self.part_id.setMaxLength(80)

    def _lay_out(self) -> None:
        """Header, banner, tiles; below them the large view on the left and the operator's controls on the right."""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 8)
        layout.setSpacing(6)
        layout.addWidget(self.header)
        layout.addWidget(self.simulation)
        layout.addWidget(self.banner)
        layout.addLayout(self._viewing_row())
        layout.addWidget(self.tiles, 6)
        lower = QHBoxLayout()
        self.pane.addWidget(self.detail)
        self.pane.addWidget(self.lights)
        lower.addWidget(self.pane, 3)
        lower.addLayout(self._control_column(), 2)
        layout.addLayout(lower, 8)
        layout.addWidget(self.light_strip)
        layout.addWidget(self.faults)

    def _viewing_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self.viewing, 1)
        row.addWidget(self.live_button)
        for button in self.mode_buttons.values():
            row.addWidget(button)
        row.addWidget(self.lights_button)
        row.addSpacing(16)
        row.addLayout(self.detail.controls())
        return row

    def _control_column(self) -> QVBoxLayout:
        column = QVBoxLayout()
        buttons = QHBoxLayout()
        for button in (self.start_button, self.stop_button, self.reset_button):
            buttons.addWidget(button, 2 if button is not self.reset_button else 1)
            button.setFixedHeight(theme.TOUCH_PX + 12)
        column.addWidget(self.part_id)
        column.addLayout(buttons)
        column.addWidget(self.history, 1)
        return column


def _viewing_text(shown: Shown) -> str:
    """Which part the pictures below belong to; LIVE or ARCHIVE stands first, so that nobody mistakes one."""
    if shown.is_archived and shown.inspection is not None:
        when = shown.inspection.creation_time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        verdict = shown.inspection.verdict.value
        rig = ", SIMULATED" if shown.inspection.is_simulated else ""
        return f"ARCHIVE: part {shown.part_id}, {when}, {verdict}{rig}"
    if shown.part_id:
        return f"LIVE: part {shown.part_id}, inspection {shown.inspection_id}"
    return "LIVE: no part yet"
