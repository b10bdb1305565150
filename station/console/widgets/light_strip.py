"""The strip for a light that drifts: which light, since when, what to do.

It stays until the light is well again or someone acknowledges it, and it never hides the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QRectF, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QWidget

from station.console.banner import BannerKind
from station.console.widgets import theme
from station.console.widgets.controls import plain_tool_tip, touch_button
from station.console.widgets.fitted_text import FittedText
from station.console.widgets.symbols import draw_symbol
from station.lights.warning import LightWarning

_SIGN_PX = 60


class LightStrip(QWidget):
    """Hidden while no light needs attention."""

    acknowledged = pyqtSignal()
    asked = pyqtSignal()  # SHOW LIGHTS was pressed

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lightStrip")
        self.setFixedHeight(theme.TOUCH_PX + 8)
        self.text = FittedText("lightText")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(_SIGN_PX + 12, 4, 4, 4)
        layout.addWidget(self.text, 1)
        for name, text, spoken, pressed in (
            ("showLights", "SHOW LIGHTS", "Show the curves of the lights", self.asked),
            ("acknowledgeLights", "ACKNOWLEDGE", "Acknowledge the light warning", self.acknowledged),
        ):
            button = touch_button(name, text, spoken)
            button.setFixedHeight(theme.TOUCH_PX)
            button.setMinimumWidth(170)
            button.clicked.connect(pressed)
            layout.addWidget(button)
        self.hide()

    def show_warnings(self, warnings: Sequence[LightWarning]) -> None:
        """Show the first warning in full and how many more there are; hide the strip where there is none."""
        self.setVisible(bool(warnings))
        if not warnings:
            return
        text = warning_text(warnings[0])
        if len(warnings) > 1:
            text = f"{text}   ({len(warnings) - 1} more: SHOW LIGHTS)"
        self.text.setText(text)
        self.text.setToolTip(plain_tool_tip("\n".join(map(warning_text, warnings))))

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.PANEL)
        painter.fillRect(QRectF(0, 0, _SIGN_PX, self.height()), theme.AMBER)
        draw_symbol(painter, BannerKind.UNDECIDED, QRectF(10, self.height() / 2 - 20, 40, 40), theme.INK)
        painter.end()


def warning_text(warning: LightWarning) -> str:
    """One warning as a sentence with its remedy; times are the station's local ones."""
    since = "" if warning.since is None else f", since {warning.since.astimezone():%d %b %H:%M}"
    return f"{warning.text}{since}. What to do: {warning.action}."
