"""A picture of 20 megapixels in a scene, repainted in milliseconds at every zoom.

A QGraphicsPixmapItem would scale the full picture at every repaint; this draws from a pyramid of halved pictures.
"""

from __future__ import annotations

import math

from PyQt6.QtCore import QRectF
from PyQt6.QtGui import QPainter
from PyQt6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from station.console.pictures import Mips

_SMOOTH_UP_TO = 2.0  # screen pixels per picture pixel; beyond this single pixels are what one wants to see


class MipItem(QGraphicsItem):
    """Draws the part that the screen shows, from the smallest level that is not coarser than the screen."""

    def __init__(self) -> None:
        super().__init__()
        self._mips: Mips | None = None
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)

    def show_mips(self, mips: Mips | None) -> None:
        """Show another picture, or none. The scene learns of a change of size."""
        self.prepareGeometryChange()
        self._mips = mips
        self.update()

    def boundingRect(self) -> QRectF:
        if self._mips is None:
            return QRectF()
        full = self._mips.levels[0]
        return QRectF(0, 0, full.width(), full.height())

    def paint(
        self, painter: QPainter | None, option: QStyleOptionGraphicsItem | None, _widget: QWidget | None = None
    ) -> None:
        if self._mips is None or painter is None or option is None:
            return
        detail = option.levelOfDetailFromTransform(painter.worldTransform())
        level = self._level(detail)
        image, full = self._mips.levels[level], self._mips.levels[0]
        exposed = option.exposedRect.intersected(self.boundingRect())
        across, down = image.width() / full.width(), image.height() / full.height()
        source = QRectF(exposed.x() * across, exposed.y() * down, exposed.width() * across, exposed.height() * down)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, detail < _SMOOTH_UP_TO)
        painter.drawImage(exposed, image, source)

    def _level(self, detail: float) -> int:
        """The level to draw from; `detail` is screen pixels per pixel of the full picture."""
        levels = len(self._mips.levels) if self._mips else 1
        wanted = math.floor(math.log2(1.0 / detail)) if 0 < detail < 1 else 0
        return min(max(wanted, 0), levels - 1)
