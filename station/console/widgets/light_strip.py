"""A light that drifts: which, since when, what to do; it stays until that is over or seen, and hides no verdict."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from station.console.situation import BannerKind
from station.console.widgets import theme
from station.console.widgets.symbols import draw_symbol
from station.lights.warning import LightWarning

_SIGN_PX = 60


class LightStrip(QWidget):
    """Absent while there is nothing to say."""

    acknowledged = pyqtSignal()
    asked = pyqtSignal()  # for the figures

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lightStrip")
        self.setFixedHeight(theme.TOUCH_PX + 8)
        self.text = QLabel()
        self.text.setObjectName("lightText")
        self.text.setWordWrap(True)
        self.text.setStyleSheet("font-size: 18px;")
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(_SIGN_PX + 12, 4, 4, 4)
        layout.addWidget(self.text, 1)
        for name, text, spoken, told in (
            ("showLights", "SHOW LIGHTS", "Show how the lights did", self.asked),
            ("acknowledgeLights", "ACKNOWLEDGE", "Acknowledge the light warning", self.acknowledged),
        ):
            button = QPushButton(text)
            button.setObjectName(name)
            button.setAccessibleName(spoken)
            button.setFixedHeight(theme.TOUCH_PX)
            button.setMinimumWidth(170)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(told)
            layout.addWidget(button)
        self.hide()

    def show_warnings(self, warnings: Sequence[LightWarning]) -> None:
        """The first in full, how many more there are, or nothing."""
        self.setVisible(bool(warnings))
        if not warnings:
            return
        text = warning_text(warnings[0])
        if len(warnings) > 1:
            text = f"{text}   ({len(warnings) - 1} more: SHOW LIGHTS)"
        self.text.setText(text)
        self.text.setAccessibleName(text)
        self.text.setToolTip("\n".join(map(warning_text, warnings)))

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.PANEL)
        painter.fillRect(QRectF(0, 0, _SIGN_PX, self.height()), theme.AMBER)
        draw_symbol(painter, BannerKind.UNDECIDED, QRectF(10, self.height() / 2 - 20, 40, 40), theme.INK)
        painter.end()


def warning_text(warning: LightWarning) -> str:
    """One warning in the operator's words and the station's local time."""
    since = "" if warning.since is None else f", since {warning.since.astimezone():%d %b %H:%M}"
    return f"{warning.text}{since}. What to do: {warning.action}."
