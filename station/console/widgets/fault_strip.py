"""The strip at the bottom: what needs a person, what to do about it, and its acknowledgement."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from station.console.situation import BannerKind
from station.console.widgets import theme
from station.console.widgets.symbols import draw_symbol
from station.engine.events import Fault


class FaultStrip(QWidget):
    """Quiet when nothing is wrong; a notice (a refused scan) is shown without the sign of a fault."""

    acknowledged = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("faultStrip")
        self.setFixedHeight(theme.TOUCH_PX + 8)
        self._is_fault = False
        self.text = QLabel()
        self.text.setObjectName("faultText")
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = QPushButton("ACKNOWLEDGE")
        self.button.setObjectName("acknowledge")
        self.button.setAccessibleName("Acknowledge the fault")
        self.button.setFixedHeight(theme.TOUCH_PX)
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.clicked.connect(self.acknowledged)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(64, 4, 4, 4)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.show_fault(None, "")

    def show_fault(self, fault: Fault | None, notice: str) -> None:
        """The fault with its action, or else the notice, or else that there is none."""
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
