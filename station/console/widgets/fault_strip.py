"""The strip at the bottom: what needs a person, what to do about it, and the button that acknowledges it."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QWidget

from station.console.banner import DETAILS_KEY, BannerKind
from station.console.strip import StripContent, StripKind
from station.console.widgets import theme
from station.console.widgets.controls import touch_button
from station.console.widgets.fitted_text import FittedText
from station.console.widgets.symbols import draw_symbol

_QUIET = StripContent(StripKind.QUIET, "")
# symbol, its ground, its ink
_SIGNS = {
    StripKind.FAULT: (BannerKind.FAULT, theme.WHITE, theme.RED),
    StripKind.CAUSE: (BannerKind.UNDECIDED, theme.AMBER, theme.INK),
}


class FaultStrip(QWidget):
    """Grey while nothing is wrong, red for a fault of the station, amber for what spoiled the last part.

    It is always there, so that nothing moves under a finger when a fault appears.
    """

    acknowledged = pyqtSignal()
    asked = pyqtSignal()  # DETAILS was pressed

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("faultStrip")
        self.setFixedHeight(theme.TOUCH_PX + 8)
        self._content = _QUIET
        self.text = FittedText("faultText")
        self.details = touch_button("showReasons", f"DETAILS  {DETAILS_KEY}", "Show every finding about the part")
        self.button = touch_button("acknowledge", "ACKNOWLEDGE", "Acknowledge the fault")
        self.details.clicked.connect(self.asked)
        self.button.clicked.connect(self.acknowledged)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(64, 4, 4, 4)
        layout.addWidget(self.text, 1)
        for button in (self.details, self.button):
            button.setFixedHeight(theme.TOUCH_PX)
            layout.addWidget(button)
        self.show_content(_QUIET)

    def show_content(self, content: StripContent) -> None:
        """Show a text with its sign; the buttons are there for what they can do something about."""
        self._content = content
        self.text.setText(content.text)
        self.button.setVisible(content.can_acknowledge)
        self.details.setVisible(content.has_details)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        sign = _SIGNS.get(self._content.kind)
        painter.fillRect(self.rect(), theme.WHITE if self._content.kind is StripKind.FAULT else theme.PANEL)
        if sign is not None:
            symbol, ground, ink = sign
            painter.fillRect(QRectF(0, 0, 60, self.height()), ground)
            painter.fillRect(QRectF(0, 0, 8, self.height()), ink)
            draw_symbol(painter, symbol, QRectF(18, self.height() / 2 - 18, 36, 36), ink)
        painter.end()
