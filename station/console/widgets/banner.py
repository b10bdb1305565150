"""The verdict, readable from across the cell: a word, a symbol, a colour, and the reasons beside it.

No meaning rests on colour alone: each word has a symbol of its own.
"""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from station.console.situation import BannerContent, BannerKind
from station.console.widgets import theme
from station.console.widgets.symbols import draw_symbol

_MARGIN_PX = 24


class VerdictBanner(QWidget):
    """Shows the live part always. An inspection that is opened from the history never comes here."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("verdictBanner")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._content = BannerContent(BannerKind.NOT_READY)
        self.show_content(self._content)

    @property
    def content(self) -> BannerContent:
        """What it shows now."""
        return self._content

    def sizeHint(self) -> QSize:
        return QSize(900, 148)

    def show_content(self, content: BannerContent) -> None:
        """Show a word with its lines; screen readers get both, the tool tip every line in full."""
        self._content = content
        self.setAccessibleName(content.word)
        self.setAccessibleDescription(". ".join(content.lines))
        self.setToolTip("\n".join(content.lines))
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        fill, ink, edge = theme.BANNER_COLOURS[self._content.kind]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge_px = 8 if self._content.kind in (BannerKind.FAULT, BannerKind.STOPPED) else 1
        inset = edge_px / 2
        painter.setPen(QPen(edge, edge_px))
        painter.setBrush(fill)
        painter.drawRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset))
        symbol_px = self.height() * 0.58
        draw_symbol(
            painter, self._content.kind, QRectF(_MARGIN_PX, (self.height() - symbol_px) / 2, symbol_px, symbol_px), ink
        )
        word_left = _MARGIN_PX * 2 + symbol_px
        painter.setPen(ink)
        word_font = theme.font(round(self.height() * 0.62), bold=True)
        painter.setFont(word_font)
        width = QFontMetricsF(word_font).horizontalAdvance(self._content.word)
        painter.drawText(
            QRectF(word_left, 0, width + 4, self.height()), Qt.AlignmentFlag.AlignVCenter, self._content.word
        )
        self._draw_lines(painter, word_left + width + _MARGIN_PX * 2)
        if self._content.progress is not None:
            painter.fillRect(QRectF(0, self.height() - 10, self.width() * self._content.progress, 10), theme.SELECTED)
        painter.end()

    def _draw_lines(self, painter: QPainter, left: float) -> None:
        """Draw the lines in the largest type in which all of them have room, from 24 px down to 14 px."""
        width = self.width() - left - _MARGIN_PX
        room = self.height() - 16.0
        for size_px in (24, 20, 17, 15, 14):
            painter.setFont(theme.font(size_px))
            box = QRectF(left, 8, width, room)
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap
            text = "\n".join(self._content.lines)
            if painter.boundingRect(QRectF(0, 0, width, 10000), flags, text).height() <= room:
                painter.drawText(box, flags, text)
                return
        painter.drawText(box, Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap, text)
