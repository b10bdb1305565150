"""The chart of one light: its level above, its residual below, the oldest inspection on the left."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from station.console.widgets import theme
from station.console.widgets.controls import plain_tool_tip
from station.console.widgets.light_curves import Curve, chart_text, level_curve, residual_curve
from station.lights.trend import LightHistory

_CAPTION_PX, _LABEL_PX, _AXIS_PX = 20, 14, 56


class LightChart(QWidget):
    """Draws one light's history; flagged, it gets an amber frame."""

    def __init__(self, light: str) -> None:
        super().__init__()
        self.setObjectName(f"lightChart_{light}")
        self._light = light
        self._history: LightHistory | None = None
        self._is_flagged = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(180, 150)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 60)

    def show_history(self, history: LightHistory, *, is_flagged: bool) -> None:
        """Show the light's curves; `is_flagged` while a warning of this light holds."""
        self._history, self._is_flagged = history, is_flagged
        self.setAccessibleName(chart_text(history, is_flagged=is_flagged))
        self.setToolTip(plain_tool_tip(self.accessibleName()))
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), theme.PANEL)
        painter.setPen(QPen(theme.AMBER if self._is_flagged else theme.LINE, 4 if self._is_flagged else 1))
        painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.setPen(theme.INK)
        painter.setFont(theme.font(15, bold=True))
        caption = QRectF(8, 4, self.width() - 16, _CAPTION_PX)
        painter.drawText(caption, Qt.AlignmentFlag.AlignVCenter, self._light)
        if self._history is not None:
            self._draw(painter, self._history)
        painter.end()

    def _draw(self, painter: QPainter, history: LightHistory) -> None:
        """Both curves, each in half of the room under the caption; where there is no residual, that is said."""
        height = (self.height() - _CAPTION_PX - 16) / 2
        for row, curve in enumerate((level_curve(history), residual_curve(history))):
            box = QRectF(_AXIS_PX, _CAPTION_PX + 8 + row * height, self.width() - _AXIS_PX - 10, height - 8)
            if curve is None:
                painter.setFont(theme.font(_LABEL_PX))
                painter.setPen(theme.FAINT)
                flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
                painter.drawText(box, flags, "no residual")
            else:
                _draw_curve(painter, box, curve)


def _draw_curve(painter: QPainter, box: QRectF, curve: Curve) -> None:
    """Draw lines at the labelled values, then the points; those beyond a limit are larger and amber."""

    def height_of(value: float) -> float:
        return box.bottom() - box.height() * (value - curve.low) / (curve.high - curve.low)

    painter.fillRect(box, theme.WHITE)
    painter.setFont(theme.font(_LABEL_PX))
    labelled: list[float] = []
    for value, text in sorted(curve.labels, key=lambda label: label[0] not in curve.limits):
        is_limit = value in curve.limits
        style = Qt.PenStyle.DashLine if is_limit else Qt.PenStyle.SolidLine
        painter.setPen(QPen(theme.INK if is_limit else theme.LINE, 1.5 if is_limit else 1, style))
        painter.drawLine(QPointF(box.left(), height_of(value)), QPointF(box.right(), height_of(value)))
        if any(abs(height_of(value) - other) < _LABEL_PX for other in labelled):
            continue
        labelled.append(height_of(value))
        painter.setPen(theme.INK)
        label = QRectF(0, height_of(value) - 10, box.left() - 5, 20)
        painter.drawText(label, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
    step = box.width() / max(len(curve.values), 1)
    points = [
        (QPointF(box.left() + (k + 0.5) * step, height_of(value)), curve.is_beyond(value))
        for k, value in enumerate(curve.values)
        if value is not None
    ]
    painter.setPen(QPen(theme.SELECTED, 2))
    painter.drawPolyline(QPolygonF([point for point, _ in points]))
    radius = min(4.0, max(1.5, step / 3))
    for point, is_beyond in points:
        painter.setPen(QPen(theme.INK if is_beyond else theme.SELECTED, 1))
        painter.setBrush(theme.AMBER if is_beyond else theme.SELECTED)
        size = radius * (1.6 if is_beyond else 1.0)
        painter.drawEllipse(point, size, size)
