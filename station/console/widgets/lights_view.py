"""For the engineer: each light over the last inspections, its level and its residual, the limits as lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from station.console.widgets import theme
from station.console.widgets.light_strip import warning_text
from station.lights.trend import LEVEL_DRIFT, LightHistory
from station.lights.warning import LightWarning

_LEAST_LEVEL_SPAN = 2 * LEVEL_DRIFT
_ROOM_OVER_LIMIT = 1.25
_CAPTION_PX, _LABEL_PX, _AXIS_PX = 20, 13, 52
_MOST_COLUMNS = 6
_LEGEND = (
    "Upper curve: the light's level against the other lights, in % of what it was at first. Lower curve: its residual "
    "left out of the solution, over {basis}. Dashed: the limits, held against the median of the last parts. "
    "`station lights-trend` prints the figures."
)


class LightsView(QWidget):
    """One chart per light; what is wrong stands above them in words."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lightsView")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.charts: dict[str, LightChart] = {}
        self.words = _label("lightWords", 16)
        self.legend = _label("lightLegend", 13)
        self._grid = QGridLayout()
        self._grid.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addLayout(self._grid, 1)
        layout.addWidget(self.legend)
        self._shown: tuple[object, object] = (None, None)
        self.show_lights((), ())

    def show_lights(self, histories: Sequence[LightHistory], warnings: Sequence[LightWarning]) -> None:
        """Every light of the recipe; warnings that were acknowledged stand here as long as they hold."""
        if self._shown == (histories, warnings):
            return  # told anew at every step of an inspection
        self._shown = (histories, warnings)
        self._make_charts([history.light for history in histories])
        flagged = {warning.light for warning in warnings}
        for history in histories:
            self.charts[history.light].show_history(history, is_flagged=history.light in flagged)
        self.words.setText("\n".join(map(warning_text, warnings)) or _span_text(histories))
        basis = next((history.residual_basis for history in histories if history.residual_basis), "")
        self.legend.setText(_LEGEND.format(basis=basis))
        self.legend.setVisible(bool(basis))

    def _make_charts(self, lights: Sequence[str]) -> None:
        if list(self.charts) == list(lights):
            return
        for chart in self.charts.values():
            self._grid.removeWidget(chart)
            chart.deleteLater()
        self.charts = {light: LightChart(light) for light in lights}
        rows = ceil(len(lights) / _MOST_COLUMNS)
        columns = ceil(len(lights) / rows) if rows else 1
        for number, chart in enumerate(self.charts.values()):
            self._grid.addWidget(chart, number // columns, number % columns)


@dataclass(frozen=True, slots=True)
class Curve:
    """One figure over the inspections, in its own unit, with what is drawn around it."""

    values: tuple[float | None, ...]
    low: float
    high: float
    limits: tuple[float, ...]
    labels: tuple[tuple[float, str], ...]

    def is_beyond(self, value: float) -> bool:
        return value > max(self.limits, default=value) or (len(self.limits) > 1 and value < min(self.limits))


class LightChart(QWidget):
    """Level above, residual below, oldest left."""

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
        self._history, self._is_flagged = history, is_flagged
        self.setAccessibleName(chart_text(history, is_flagged=is_flagged))
        self.setToolTip(self.accessibleName())
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


def level_curve(history: LightHistory) -> Curve:
    """Limits at LEVEL_DRIFT on either side."""
    known = [value for value in history.levels if value is not None]
    span = max([_LEAST_LEVEL_SPAN, *(abs(value - 1) * 1.1 for value in known)])
    limits = (1 - LEVEL_DRIFT, 1 + LEVEL_DRIFT)
    labels = tuple((value, f"{100 * value:.0f} %") for value in (limits[0], 1.0, limits[1]))
    return Curve(history.levels, 1 - span, 1 + span, limits, labels)


def residual_curve(history: LightHistory) -> Curve | None:
    limit = history.residual_limit
    if limit is None:
        return None
    known = [value for value in history.residuals if value is not None]
    high = max([limit * _ROOM_OVER_LIMIT, *(value * 1.1 for value in known)])
    return Curve(history.residuals, 0.0, high, (limit,), ((0.0, "0"), (1.0, "1 x"), (limit, f"{limit:g} x")))


def chart_text(history: LightHistory, *, is_flagged: bool) -> str:
    """What the chart shows at its right end, in words."""
    level = next((value for value in reversed(history.levels) if value is not None), None)
    residual = next((value for value in reversed(history.residuals) if value is not None), None)
    parts = [f"light {history.light}"]
    if level is not None:
        parts.append(f"level {level:.1%} of what it was")
    if residual is not None:
        parts.append(f"residual {residual:.2f}, limit {history.residual_limit:g}")
    return ", ".join([*parts, *(["stands out"] if is_flagged else [])])


def _draw_curve(painter: QPainter, box: QRectF, curve: Curve) -> None:
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


def _span_text(histories: Sequence[LightHistory]) -> str:
    times = histories[0].times if histories else ()
    if not times:
        return "No part of this recipe has told of its lights yet."
    first, last = (f"{when.astimezone():%d %b %H:%M}" for when in (times[0], times[-1]))
    return f"No light stands out. The last {len(times)} parts, {first} to {last}."


def _label(name: str, size_px: int) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setStyleSheet(f"font-size: {size_px}px;")
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
