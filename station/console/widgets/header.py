"""The top of the window: station, recipe, product, model and state; below it, whether the rig is simulated."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPolygonF
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from station.console.situation import Situation
from station.console.widgets import theme
from station.console.widgets.controls import plain_tool_tip


class Header(QWidget):
    """One line of captions and values. It shows the engine's state by its name in OPC 40100-1."""

    def __init__(self, station_name: str) -> None:
        super().__init__()
        self.setObjectName("header")
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(4, 4, 4, 4)
        self.station = self._field("station", "station")
        self.recipe = self._field("recipe", "recipe")
        self.product = self._field("product", "product")
        self.model = self._field("model", "model")
        self._layout.addStretch(1)
        self.state = self._field("state", "state")
        self.station.setText(station_name)

    def _field(self, name: str, caption: str) -> QLabel:
        label = QLabel(caption)
        label.setObjectName("caption")
        value = QLabel("none")
        value.setObjectName(f"header_{name}")
        value.setTextFormat(Qt.TextFormat.PlainText)
        value.setAccessibleName(caption)
        value.setFont(theme.font(18, bold=True))
        value.setStyleSheet("font-size: 18px; font-weight: bold; margin-right: 28px;")
        self._layout.addWidget(label)
        self._layout.addWidget(value)
        return value

    def show_situation(self, situation: Situation) -> None:
        recipe = situation.recipe
        self.recipe.setText(_short(recipe.recipe_id) if recipe else "none")
        self.product.setText(_short(recipe.product) if recipe else "none")
        self.model.setText(_short(recipe.model_id) if recipe else "none")
        self.model.setToolTip(plain_tool_tip(recipe.model_id if recipe else ""))
        self.state.setText(situation.state.value)


class SimulationStrip(QWidget):
    """A hatched strip across the window while the rig or the last result is simulated.

    It has no switch: a simulated verdict must never be taken for a real one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("simulationStrip")
        self.setAccessibleName("SIMULATION: no real part is inspected")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    def sizeHint(self) -> QSize:
        return QSize(600, 30)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        light, dark = theme.SIMULATION
        painter.fillRect(self.rect(), light)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(dark)
        height = float(self.height())
        for left in range(-40, self.width(), 40):
            points = [(left, height), (left + 20, height), (left + 20 + height, 0.0), (left + height, 0.0)]
            painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in points]))
        painter.setFont(theme.font(19, bold=True))
        text = "SIMULATION: no real part is inspected"
        width = painter.fontMetrics().horizontalAdvance(text) + 40
        box = QRectF((self.width() - width) / 2, 0, width, height)
        painter.fillRect(box, light)
        painter.setPen(theme.INK)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.end()


def _short(text: str) -> str:
    """An id cut to 28 characters at most; the tool tip has the whole of it."""
    return text if len(text) <= 28 else f"{text[:24]}..."
