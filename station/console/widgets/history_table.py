"""The table of the latest inspections. Touching one opens it below the live verdict, never over it."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QIcon, QPainter, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from station.console.banner import BannerKind
from station.console.widgets import theme
from station.console.widgets.symbols import draw_symbol
from station.inspection.result import HistoryRow, Verdict

_COLUMNS = ("time", "part", "verdict", "highest against limit", "rig")
_DISPENSABLE = (3, 4)
_WIDTH_FOR_ALL_PX = 640
_ROW_PX = 42
_LEAST_PX = 60  # the window fits on 800 px with every strip that it may need
_ICON_PX = 20


class HistoryTable(QTableWidget):
    """Rows newest first, as the archive lists them; one touch or Enter opens an inspection."""

    opened = pyqtSignal(str)  # inspection id

    def __init__(self) -> None:
        super().__init__(0, len(_COLUMNS))
        self.setObjectName("history")
        self.setAccessibleName("History of inspections")
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)  # a long part id ends in dots
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(_LEAST_PX)
        self._size_columns()
        self._icons = {verdict: _icon(verdict) for verdict in Verdict}
        self._ids: list[str] = []
        self.cellClicked.connect(self._open)
        self.cellActivated.connect(self._open)

    def _size_columns(self) -> None:
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is None or columns is None:
            return
        rows.hide()
        rows.setDefaultSectionSize(_ROW_PX)
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(len(_COLUMNS)):
            columns.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        columns.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Hide the last two columns where there is no room for every one."""
        super().resizeEvent(event)
        for column in _DISPENSABLE:
            self.setColumnHidden(column, self.width() < _WIDTH_FOR_ALL_PX)

    def show_rows(self, rows: Sequence[HistoryRow]) -> None:
        """Replace all rows. Times are the station's local ones, and nothing stays selected."""
        self.clearSelection()
        self._ids = [row.inspection_id for row in rows]
        self.setRowCount(len(rows))
        for number, row in enumerate(rows):
            when = row.creation_time.astimezone().strftime("%d %b  %H:%M:%S")
            rig = ("simulated" if row.is_simulated else "real") + (", DRAFT" if row.is_draft else "")
            highest = "" if row.verdict is Verdict.UNDECIDED else row.deciding_view or ""
            for column, text in enumerate((when, row.part_id, row.verdict.value, highest, rig)):
                self.setItem(number, column, QTableWidgetItem(text))
            verdict = self.item(number, 2)
            if verdict is not None:
                verdict.setIcon(self._icons[row.verdict])

    def _open(self, row: int, _column: int) -> None:
        if row < len(self._ids):
            self.opened.emit(self._ids[row])


def _icon(verdict: Verdict) -> QIcon:
    kind = BannerKind(verdict.value)
    fill, ink, _ = theme.BANNER_COLOURS[kind]
    pixmap = QPixmap(_ICON_PX, _ICON_PX)
    pixmap.fill(fill)
    painter = QPainter(pixmap)
    box = pixmap.rect().adjusted(2, 2, -2, -2)
    draw_symbol(painter, kind, box.toRectF(), ink)
    painter.end()
    return QIcon(pixmap)
