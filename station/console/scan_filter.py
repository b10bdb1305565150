"""Catches what a scanner types, wherever the keyboard's focus is.

A scanner is a keyboard: it types the label within some ten milliseconds a key, and Enter. Keys that come so fast are no
person's. They never press a button and never trigger a function key, and the whole burst is the part id, whatever
stood in the field before. What a person types goes to the part id's field too, from wherever the focus is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QAbstractButton, QLineEdit, QWidget

_GAP_MS = 50.0  # scanners send a key every 1 to 30 ms; people type three keys in a row no faster than every 60 ms
_LEAST_KEYS = 3  # fewer may come so fast from a person
_MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_AltGr, Qt.Key.Key_Meta)
_COMMANDS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
_ALT_GR = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
NO_CHARACTER = "�"  # stands in the scan for a key such as F8, so that the part id is refused
_ENDS = {"enter": (Qt.Key.Key_Return, Qt.Key.Key_Enter), "tab": (Qt.Key.Key_Tab,)}


@dataclass(frozen=True, slots=True)
class ScannerKeys:
    """What the scanner is set up to send around the label: `prefix` before it, and `suffix`, enter or tab, after it."""

    prefix: str = ""
    suffix: str = "enter"


class ScanFilter(QObject):
    """An event filter of the application for one window; `scanned` brings each whole scan without prefix and suffix."""

    scanned = pyqtSignal(str)
    typed = pyqtSignal()  # a first key of a scan, or of a person, went into the field from elsewhere

    def __init__(self, window: QWidget, field: QLineEdit, keys: ScannerKeys) -> None:
        super().__init__(window)
        self._window = window
        self._field = field
        self._prefix = keys.prefix
        self._ends = _ENDS[keys.suffix]
        self._burst = ""
        self._last_stamp_ms, self._last_seen_ms = 0, 0.0
        self._held: QAbstractButton | None = None  # it has the focus, and Space came: a press, or the start of a scan
        self._hold = QTimer(self)
        self._hold.setSingleShot(True)
        self._hold.setInterval(round(2 * _GAP_MS))
        self._hold.timeout.connect(self._press_held)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if not isinstance(event, QKeyEvent) or not isinstance(watched, QWidget) or watched.window() is not self._window:
            return False
        if event.type() == QEvent.Type.KeyPress:
            return self._take(watched, event)
        if event.type() == QEvent.Type.ShortcutOverride and self._is_scan_running(event):
            event.accept()  # F8 inside of a scan is no RESET: the key comes as a KeyPress instead
            return True
        return False

    def _take(self, watched: QWidget, event: QKeyEvent) -> bool:
        """Enter one key; returns whether the widget that has the focus must not see it."""
        if event.key() in _MODIFIERS:
            return False
        if event.isAutoRepeat():
            self._burst = ""
            return False
        if event.key() in self._ends:
            return self._end(event)
        if not _is_plain(event):
            return self._take_other(event)
        if not self._is_running(event):
            self._burst = ""
        is_first_blank = event.text() == " " and not self._burst
        self._append(event, event.text())
        if is_first_blank and isinstance(watched, QAbstractButton):
            self._held = watched
            self._hold.start()
            return True
        return self._redirect(watched, event.text())

    def _take_other(self, event: QKeyEvent) -> bool:
        """A key that is no character: within a scan it stays in the scan, so that the part id is refused."""
        is_scan = self._is_scan_running(event)
        if self._is_running(event):
            self._append(event, event.text() or NO_CHARACTER)
        else:
            self._burst = ""
        return is_scan

    def _redirect(self, watched: QWidget, text: str) -> bool:
        """A key that went elsewhere goes into the field, and the keys after it do by themselves."""
        text = f" {text}" if self._held is not None else text
        self._let_go()
        if watched is self._field:
            return False
        self._field.setFocus(Qt.FocusReason.OtherFocusReason)
        self._field.insert(text)
        self.typed.emit()
        return True

    def _append(self, event: QKeyEvent, text: str) -> None:
        self._burst += text
        self._last_stamp_ms, self._last_seen_ms = event.timestamp(), now_ms()

    def _let_go(self) -> None:
        self._hold.stop()
        self._held = None

    def _end(self, event: QKeyEvent) -> bool:
        """Enter, or the suffix that was chosen: it ends a scan, or it is a person's key."""
        text, is_scan = self._burst, self._is_scan_running(event)
        self._burst = ""
        if is_scan:
            self._let_go()
            self.scanned.emit(text.removeprefix(self._prefix))
        return is_scan

    def _is_scan_running(self, event: QKeyEvent) -> bool:
        return len(self._burst) >= _LEAST_KEYS and self._is_running(event)

    def _is_running(self, event: QKeyEvent) -> bool:
        """Whether this key follows the last one as fast as a scanner's do, by the system's own times if it has any.

        Those stay right where the window was held up for a moment and the keys had to wait.
        """
        if not self._burst:
            return False
        if event.timestamp() and self._last_stamp_ms:
            return event.timestamp() - self._last_stamp_ms <= _GAP_MS
        return now_ms() - self._last_seen_ms <= _GAP_MS

    def _press_held(self) -> None:
        """No key followed the Space: a person has pressed the button that has the focus."""
        held, self._held, self._burst = self._held, None, ""
        if held is not None and held.isEnabled() and held.hasFocus():
            held.click()


def _is_plain(event: QKeyEvent) -> bool:
    """Whether the key is a character of a line of text. Ctrl and Alt together are AltGr on some systems."""
    text, commands = event.text(), event.modifiers() & _COMMANDS
    return len(text) > 0 and text.isprintable() and (not commands or commands == _ALT_GR)


def now_ms() -> float:
    """When a key was seen, for systems that give their keys no time."""
    return time.monotonic() * 1e3
