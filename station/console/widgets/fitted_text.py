"""Text that is never cut silently: in the largest type in which all of it has room, or with its end marked as missing.

It is drawn as plain text, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from station.console.widgets import theme
from station.console.widgets.controls import plain_tool_tip

SMALLEST_PX = 14
MISSING = " ..."
_LONG_WORD = 40  # characters


def draw_fitted(painter: QPainter, box: QRectF, text: str, sizes_px: Sequence[int], missing: str = MISSING) -> None:
    """Draw the text, wrapped, in the first of these sizes in which it fits into the box.

    Where it does not even fit in the last one, its words end with `missing`.
    """
    for size_px in sizes_px:
        if height_of(painter, box.width(), text, size_px) <= box.height():
            break
    else:
        text = shortened(painter, box, text, sizes_px[-1], missing)
    painter.drawText(box, _flags(text), text)


def height_of(painter: QPainter, width: float, text: str, size_px: int) -> float:
    """The height in px that the text takes; leaves the painter with this type."""
    painter.setFont(theme.font(size_px))
    return painter.boundingRect(QRectF(0, 0, width, 1e6), _flags(text), text).height()


def shortened(painter: QPainter, box: QRectF, text: str, size_px: int, missing: str = MISSING) -> str:
    """The longest beginning of the text that fits into the box with `missing` after it; the text itself if it fits."""
    if height_of(painter, box.width(), text, size_px) <= box.height():
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if height_of(painter, box.width(), text[:middle].rstrip() + missing, size_px) <= box.height():
            fits = middle
        else:
            too_long = middle
    return text[:fits].rstrip() + missing


def _flags(text: str) -> int:
    """Lines break between words; a word longer than any line, such as a long part id, breaks anywhere."""
    longest = max(map(len, text.split()), default=0)
    wrap = Qt.TextFlag.TextWrapAnywhere if longest > _LONG_WORD else Qt.TextFlag.TextWordWrap
    return int(Qt.AlignmentFlag.AlignVCenter) | int(wrap.value)


class FittedText(QWidget):
    """A label of a height that its place gives it; the tool tip has the whole text."""

    def __init__(self, name: str, sizes_px: Sequence[int] = (18, 16, 15, SMALLEST_PX)) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self._sizes_px = sizes_px
        self._text = ""
        self._mark: tuple[QColor, QColor] | None = None

    def text(self) -> str:
        """The whole text, drawn or not."""
        return self._text

    def setText(self, text: str) -> None:
        """Show another text."""
        self._text = text
        self.setToolTip(plain_tool_tip(text))
        self.setAccessibleName(text)
        self.update()

    def set_mark(self, mark: tuple[QColor, QColor] | None) -> None:
        """A ground and the colour of a bar on the left, or neither."""
        self._mark = mark
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        box = QRectF(self.rect())
        if self._mark is not None:
            ground, bar = self._mark
            painter.fillRect(box, ground)
            painter.fillRect(QRectF(0, 0, 6, box.height()), bar)
            box.adjust(12, 1, -6, -1)
        painter.setPen(theme.INK)
        draw_fitted(painter, box, self._text, self._sizes_px)
        painter.end()
