"""The shapes that say the same as the colours: tick, cross, triangle, circle, bars, square, octagon.

Each shape is drawn into the unit square, x right and y down; `draw_symbol` scales it.
"""

from __future__ import annotations

import math

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF

from station.console.banner import BannerKind
from station.console.widgets import theme


def draw_symbol(painter: QPainter, kind: BannerKind, box: QRectF, ink: QColor) -> None:
    """Draw the kind's shape as large as the box allows, centred; the painter is left as it was."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    side = min(box.width(), box.height())
    painter.translate(box.x() + (box.width() - side) / 2, box.y() + (box.height() - side) / 2)
    painter.scale(side, side)
    pen = QPen(ink, 0.11, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap, Qt.PenJoinStyle.MiterJoin)
    painter.setPen(pen)
    _SHAPES[kind](painter, ink)
    painter.restore()


def _tick(painter: QPainter, _ink: QColor) -> None:
    painter.drawPolyline(QPolygonF([QPointF(0.05, 0.55), QPointF(0.37, 0.86), QPointF(0.95, 0.14)]))


def _cross(painter: QPainter, _ink: QColor) -> None:
    painter.drawLine(QPointF(0.06, 0.06), QPointF(0.94, 0.94))
    painter.drawLine(QPointF(0.06, 0.94), QPointF(0.94, 0.06))


def _triangle(painter: QPainter, ink: QColor) -> None:
    painter.drawPolygon(QPolygonF([QPointF(0.5, 0.1), QPointF(0.93, 0.92), QPointF(0.07, 0.92)]))
    _exclamation(painter, ink, 0.4, 0.63, 0.77)


def _octagon(painter: QPainter, ink: QColor) -> None:
    points = [
        (0.5 + 0.46 * math.cos(a), 0.5 + 0.46 * math.sin(a)) for a in (math.pi / 8 + k * math.pi / 4 for k in range(8))
    ]
    painter.setBrush(QBrush(ink))
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in points]))
    painter.setPen(QPen(theme.WHITE, 0.11))
    _exclamation(painter, theme.WHITE, 0.24, 0.58, 0.75)


def _exclamation(painter: QPainter, ink: QColor, top: float, bottom: float, dot: float) -> None:
    painter.drawLine(QPointF(0.5, top), QPointF(0.5, bottom))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QBrush(ink))
    painter.drawEllipse(QPointF(0.5, dot), 0.065, 0.065)


def _circle(painter: QPainter, _ink: QColor) -> None:
    painter.drawEllipse(QPointF(0.5, 0.5), 0.42, 0.42)


def _half_circle(painter: QPainter, ink: QColor) -> None:
    _circle(painter, ink)
    painter.setBrush(QBrush(ink))
    painter.drawPie(QRectF(0.08, 0.08, 0.84, 0.84), 90 * 16, -180 * 16)


def _square(painter: QPainter, ink: QColor) -> None:
    painter.setBrush(QBrush(ink))
    painter.drawRect(QRectF(0.14, 0.14, 0.72, 0.72))


def _bars(painter: QPainter, ink: QColor) -> None:
    painter.fillRect(QRectF(0.16, 0.12, 0.24, 0.76), ink)
    painter.fillRect(QRectF(0.6, 0.12, 0.24, 0.76), ink)


def _dash(painter: QPainter, _ink: QColor) -> None:
    _circle(painter, _ink)
    painter.drawLine(QPointF(0.27, 0.5), QPointF(0.73, 0.5))


_SHAPES = {
    BannerKind.PASS: _tick,
    BannerKind.FAIL: _cross,
    BannerKind.UNDECIDED: _triangle,
    BannerKind.INSPECTING: _half_circle,
    BannerKind.PAUSED: _bars,
    BannerKind.READY: _circle,
    BannerKind.NOT_READY: _dash,
    BannerKind.STOPPED: _square,
    BannerKind.FAULT: _octagon,
}
