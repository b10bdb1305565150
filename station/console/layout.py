"""Where everything stands on the run screen, and how it is filled. It decides nothing.

    header: station, recipe, product, model, state
    SIMULATION, only where the rig or the result is simulated
    banner: the live part's verdict
    LIVE or ARCHIVE and which part | IMAGE NORMALS HEAT LIGHTS | map opacity, zoom
    a tile for each view of the recipe
    one view large, the lights' curves,         | part id
    or every finding about the part             | a notice, such as a refused scan
                                                | START   STOP   RESET
                                                | PAUSE   RETAKE VIEW   VERDICT NOW, while a part is taken
                                                | history
    light strip, only while a light needs attention
    fault strip: fault and remedy, what spoiled the last part, or "No fault"; DETAILS

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
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from station.console.banner import banner_of
from station.console.pictures import Mode
from station.console.shown import Pane, Shown
from station.console.situation import Situation
from station.console.strip import strip_of
from station.console.widgets import theme
from station.console.widgets.banner import VerdictBanner
from station.console.widgets.controls import touch_button
from station.console.widgets.detail_view import DetailView
from station.console.widgets.fault_strip import FaultStrip
from station.console.widgets.fitted_text import FittedText
from station.console.widgets.header import Header, SimulationStrip
from station.console.widgets.history_table import HistoryTable
from station.console.widgets.light_strip import LightStrip
from station.console.widgets.lights_view import LightsView
from station.console.widgets.reasons_view import ReasonsView
from station.console.widgets.tile_row import TileRow
from station.engine.events import Fault
from station.inspection.causes import causes_of
from station.inspection.reasons import Reason

_MODE_LABELS = {Mode.IMAGE: "IMAGE  F2", Mode.NORMALS: "NORMALS  F3", Mode.HEAT: "HEAT MAP  F4"}
_WANTED = f"font-size: 22px; font-weight: bold; background: {theme.SELECTED.name()}; color: white;"
_WANTED_BESIDE = _WANTED.replace("22px", "17px")  # in a row of three
_LIGHTS_LABEL = "LIGHTS  F7"
_BANNER_SHARE = 0.137  # of the window's height
_BANNER_PX = (100, 160)
_NOTICE_PX = 40  # two lines
_ROOM_FOR_HISTORY_PX = 900  # of the window's height: below, the history gives way while a part is taken


class Panels(QWidget):
    """Everything in the window, top to bottom. It is filled by `show_situation` and `show_inspection` alone."""

    def __init__(self, station_name: str, views: Sequence[str]) -> None:
        super().__init__()
        self.setObjectName("ground")
        self.header = Header(station_name)
        self.simulation = SimulationStrip()
        self.banner = VerdictBanner()
        self.viewing = FittedText("viewing", (16, 15, 14))
        self.mode_buttons = self._make_mode_buttons()
        self.lights_button = touch_button("showLightTrends", _LIGHTS_LABEL, "Show the lights over the last parts")
        self.lights_button.setCheckable(True)
        self._modes.addButton(self.lights_button)
        self.live_button = touch_button("backToLive", "BACK TO LIVE  F6", "Leave the archived inspection")
        self.tiles = TileRow(views)
        self.detail = DetailView()
        self.lights = LightsView()
        self.reasons = ReasonsView()
        self.pane = QStackedWidget()
        self.part_id = QLineEdit()
        self.notice = FittedText("notice")
        self.start_button = touch_button("startButton", "START  F9", "Start the inspection")
        self.stop_button = touch_button("stopButton", "STOP  F12", "Stop the inspection")
        self.reset_button = touch_button("resetButton", "RESET  F8", "Reset after a stop or a fault")
        self.pause_button = touch_button("pauseButton", "PAUSE  F11", "Pause after this view, or go on")
        self.retake_button = touch_button("retakeButton", "RETAKE VIEW", "Take the present view again")
        self.skip_button = touch_button("skipButton", "VERDICT NOW", "Judge what has been seen")
        self.directing = QWidget()
        self.history = HistoryTable()
        self.light_strip = LightStrip()
        self.faults = FaultStrip()
        self._prepare_part_id()
        self._lay_out()

    def show_situation(self, situation: Situation) -> None:
        """Draw all that is about the station and its live part."""
        self.header.show_situation(situation)
        self.simulation.setVisible(situation.is_simulated)
        self.banner.show_content(banner_of(situation))
        self.start_button.setEnabled(situation.can_start)
        self._show_reset(situation)
        self._show_directing(situation)
        self.faults.show_content(strip_of(situation))
        self._show_notice(situation.notice)
        self._show_lights(situation)

    def _show_notice(self, notice: str) -> None:
        """A hint stands below the field that it is about, whatever fault there may be; it keeps its room."""
        self.notice.setText(notice)
        self.notice.set_mark((theme.WHITE, theme.SELECTED) if notice else None)

    def _show_reset(self, situation: Situation) -> None:
        """RESET stands out while it is the one button that leads on, and rests while a reset runs."""
        self.reset_button.setEnabled(situation.can_reset)
        self.reset_button.setText("RESETTING" if situation.is_resetting else "RESET  F8")
        self.reset_button.setStyleSheet(_WANTED if situation.can_reset else "")

    def _show_directing(self, situation: Situation) -> None:
        """What directs a part that is being taken; RESUME stands out while the part waits for it."""
        self.directing.setVisible(situation.is_busy)
        self.history.setVisible(not situation.is_busy or self.height() >= _ROOM_FOR_HISTORY_PX)
        for button in (self.pause_button, self.retake_button, self.skip_button):
            button.setEnabled(situation.can_direct)
        word = "RESUME" if situation.is_paused else "PAUSE NOW" if situation.is_pausing else "PAUSE"
        self.pause_button.setText(f"{word}  F11")
        self.pause_button.setStyleSheet(_WANTED_BESIDE if situation.is_paused and situation.can_direct else "")

    def _show_lights(self, situation: Situation) -> None:
        """The strip shows what nobody has acknowledged; curves and the button's number show all that holds."""
        watched = situation.lights
        holding = () if watched is None else watched.warnings
        self.light_strip.show_warnings(situation.light_warnings)
        causes = tuple(cause for cause in situation.causes if cause.is_of_lights)
        views = 0 if situation.result is None else len(situation.result.expected_views)
        self.lights.show_lights(() if watched is None else watched.histories, holding, causes, views)
        standing_out = {warning.light for warning in holding} | {cause.light for cause in causes}
        self.lights_button.setText(f"{_LIGHTS_LABEL} ({len(standing_out)})" if standing_out else _LIGHTS_LABEL)

    def show_inspection(
        self, shown: Shown, mode: Mode, *, pane: Pane = Pane.VIEW, last_part: str = "", fault: Fault | None = None
    ) -> None:
        """Fill tiles and detail from a live or an archived inspection.

        `pane` may put the lights' curves or the findings in the place of tiles and detail. `last_part` is the id of
        the inspection that is past, though its pictures still stand; `fault` is listed with the findings.
        """
        is_past = bool(last_part) and shown.inspection_id == last_part and not shown.is_archived
        self.viewing.setText(_viewing_text(shown, is_past=is_past))
        self.live_button.setVisible(shown.is_archived)
        self.pane.setCurrentWidget({Pane.LIGHTS: self.lights, Pane.REASONS: self.reasons}.get(pane, self.detail))
        self.tiles.setVisible(pane is Pane.VIEW)  # curves and findings need their room
        self.reasons.show_inspection(shown.inspection, fault)
        (self.lights_button if pane is Pane.LIGHTS else self.mode_buttons[mode]).setChecked(True)
        if shown.views:
            self.tiles.set_views(shown.views)
        for view, tile in self.tiles.tiles.items():
            pictures = shown.pictures.get(view)
            tile.show_result(shown.results.get(view), shown.note(view), is_deciding=view == shown.deciding_view)
            tile.show_past(is_past)
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
            title = f"{title}   ({result.verdict.value}: {_causes_text(result.reasons)})"
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
        self.notice.setFixedHeight(_NOTICE_PX)

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
        self.pane.addWidget(self.reasons)
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

    def _directing_row(self) -> QWidget:
        row = QHBoxLayout(self.directing)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.pause_button, self.retake_button, self.skip_button):
            row.addWidget(button, 1)
            button.setFixedHeight(theme.TOUCH_PX)
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # it never widens the column
        return self.directing

    def _control_column(self) -> QVBoxLayout:
        column = QVBoxLayout()
        buttons = QHBoxLayout()
        for button in (self.start_button, self.stop_button, self.reset_button):
            buttons.addWidget(button, 2 if button is not self.reset_button else 1)
            button.setFixedHeight(theme.TOUCH_PX + 6)
        column.addWidget(self.part_id)
        column.addWidget(self.notice)
        column.addLayout(buttons)
        column.addWidget(self._directing_row())
        column.addWidget(self.history, 1)
        column.addStretch(0)  # the buttons stay in their place while the history is hidden
        return column


def _causes_text(reasons: Sequence[Reason]) -> str:
    return "; ".join(cause.text for cause in causes_of(reasons))


def _viewing_text(shown: Shown, *, is_past: bool) -> str:
    """Which part the pictures below belong to; LIVE, LAST or ARCHIVE stands first, so that nobody mistakes one."""
    if shown.is_archived and shown.inspection is not None:
        when = shown.inspection.creation_time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        verdict = shown.inspection.verdict.value
        rig = ", SIMULATED" if shown.inspection.is_simulated else ""
        draft = ", DRAFT" if shown.inspection.is_draft else ""
        alone = f", {shown.inspection.judged_alone}" if shown.inspection.judged_alone else ""
        return f"ARCHIVE: part {shown.part_id}, {when}, {verdict}{draft}{rig}{alone}"
    if is_past and shown.inspection is not None:
        when = shown.inspection.creation_time.astimezone().strftime("%H:%M")
        return f"LAST: part {shown.part_id}, {shown.inspection.verdict.value} at {when}"
    if shown.part_id:
        return f"LIVE: part {shown.part_id}"
    return "LIVE: no part"
