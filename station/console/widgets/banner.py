"""The verdict, readable from across the cell: a word, a symbol, a colour, and the reasons beside it.

No meaning rests on colour alone: each word has a symbol of its own.
"""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from station.console.banner import DETAILS_KEY, KEEP_OUT, BannerContent, BannerKind
from station.console.widgets import theme
from station.console.widgets.controls import plain_tool_tip
from station.console.widgets.fitted_text import draw_fitted, height_of, shortened
from station.console.widgets.symbols import draw_symbol

_MARGIN_PX = 24
_SIGN_PX = 112  # the width of KEEP OUT
_SIZES_PX = (24, 20, 17, 15, 14)
_MUTED_PX = 16


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
        sign = (KEEP_OUT,) if content.keep_out else ()
        self.setAccessibleDescription(". ".join((*sign, *content.lines, *content.muted)))
        self.setToolTip(plain_tool_tip("\n".join((*content.lines, *content.muted))))
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
        right = float(self.width() - _MARGIN_PX)
        if self._content.keep_out:
            right -= self._draw_sign(painter)
        self._draw_lines(painter, word_left + width + _MARGIN_PX * 2, right, ink)
        if self._content.progress is not None:
            painter.fillRect(QRectF(0, self.height() - 10, self.width() * self._content.progress, 10), theme.SELECTED)
        painter.end()

    def _draw_sign(self, painter: QPainter) -> float:
        """KEEP OUT in yellow on black, legible from as far as the word; returns the room that it takes."""
        box = QRectF(self.width() - _SIGN_PX - 14, 14, _SIGN_PX, self.height() - 28)
        painter.fillRect(box, theme.INK)
        painter.setPen(theme.SIMULATION[0])
        painter.setFont(theme.font(34, bold=True))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, KEEP_OUT.replace(" ", "\n"))
        return float(_SIGN_PX)

    def _draw_lines(self, painter: QPainter, left: float, right: float, ink: QColor) -> None:
        """Draw the lines in the largest type in which all of them have room, and below them what is past."""
        box = QRectF(left, 8, right - left, self.height() - 16.0)
        if self._content.muted:
            box.setBottom(self._draw_muted(painter, box))
        painter.setPen(ink)
        draw_fitted(painter, box, "\n".join(self._content.lines), _SIZES_PX, f" ... ({DETAILS_KEY})")

    def _draw_muted(self, painter: QPainter, box: QRectF) -> float:
        """Draw what is past at the bottom, in a third of the height at most; returns where it begins."""
        lowest = QRectF(box.left(), 0, box.width(), box.height() / 3)
        text = shortened(painter, lowest, "\n".join(self._content.muted), _MUTED_PX)
        height = height_of(painter, box.width(), text, _MUTED_PX)
        painter.setPen(theme.FAINT)
        draw_fitted(painter, QRectF(box.left(), box.bottom() - height, box.width(), height), text, (_MUTED_PX,))
        return box.bottom() - height
