"""What every touched or read control of the window has in common: large enough for gloves, named for screen readers."""

from __future__ import annotations

import html

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QPushButton, QSizePolicy

from station.console.widgets import theme


def plain_tool_tip(text: str) -> str:
    """A tool tip that shows the text as it is: Qt would take foreign text with tags in it for markup."""
    return f"<p style='white-space: pre-wrap'>{html.escape(text)}</p>" if text else ""


def touch_button(name: str, text: str, spoken: str) -> QPushButton:
    """A button that a gloved finger hits; `spoken` says in words what it does.

    It takes the keyboard's focus from Tab alone: a touch must not take it from the part id, where the scanner types.
    """
    button = QPushButton(text)
    button.setObjectName(name)
    button.setAccessibleName(spoken)
    button.setMinimumHeight(theme.TOUCH_PX)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def wrapping_label(name: str, size_px: int | None = None) -> QLabel:
    """A label that breaks its text into lines and never widens the window for a long one."""
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    if size_px is not None:
        label.setStyleSheet(f"font-size: {size_px}px;")
    return label
