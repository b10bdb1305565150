"""The strip at the bottom: what needs a person, what to do about it, and the button that acknowledges it."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QWidget

from station.console.situation import BannerKind
from station.console.widgets import theme
from station.console.widgets.controls import touch_button, wrapping_label
from station.console.widgets.symbols import draw_symbol
from station.engine.events import Fault


class FaultStrip(QWidget):
    """Grey while nothing is wrong. A notice, such as a refused scan, is shown without the sign of a fault.

    It is always there, so that nothing moves under a finger when a fault appears.
    """

    acknowledged = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("faultStrip")
        self.setFixedHeight(theme.TOUCH_PX + 8)
        self._is_fault = False
        self.text = wrapping_label("faultText")
        self.button = touch_button("acknowledge", "ACKNOWLEDGE", "Acknowledge the fault")
        self.button.setFixedHeight(theme.TOUCH_PX)
        self.button.clicked.connect(self.acknowledged)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(64, 4, 4, 4)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.show_fault(None, "")

    def show_fault(self, fault: Fault | None, notice: str) -> None:
        """Show the fault with what to do about it; without a fault the notice, and without a notice "No fault"."""
        self._is_fault = fault is not None
        text = notice or "No fault"
        if fault is not None:
            text = f"{fault.text}   What to do: {fault.action}"
        self.text.setText(text)
        self.text.setToolTip(text)
        self.text.setAccessibleName(text)
        self.button.setVisible(self._is_fault)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.WHITE if self._is_fault else theme.PANEL)
        if self._is_fault:
            painter.fillRect(QRectF(0, 0, 8, self.height()), theme.RED)
            draw_symbol(painter, BannerKind.FAULT, QRectF(18, self.height() / 2 - 18, 36, 36), theme.RED)
        painter.end()
