"""Catches what a scanner types, wherever the keyboard's focus is.

A scanner is a keyboard: it types the label within some ten milliseconds a key, and Enter. Keys that come so fast are no
person's. They never press a button and never trigger a function key, and the whole of them is the part id, whatever
stood in the field before. What a person types goes to the part id's field too, from wherever the focus is.

A scan may be held up once on its way, for less than 400 ms, and its Enter may be as late: all of it still belongs
together. It may be half typed and half scanned, and is refused, with more than one pause between its keys, with fewer
keys before the pause than only a scanner types so fast, and where it does not begin with the prefix.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QAbstractButton, QLineEdit, QWidget

_GAP_MS = 50.0  # scanners send a key every 1 to 30 ms; people type three keys in a row no faster than every 60 ms
_PAUSE_MS = 400.0  # after a longer one something new begins
_LEAST_KEYS = 3  # fewer may come so fast from a person
_MODIFIERS = (Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_AltGr, Qt.Key.Key_Meta)
_COMMANDS = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
_ALT_GR = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
NO_CHARACTER = "�"  # stands in the scan for a key such as F8, so that the part id is refused
_ENDS = {"enter": (Qt.Key.Key_Return, Qt.Key.Key_Enter), "tab": (Qt.Key.Key_Tab,)}


@dataclass(frozen=True, slots=True)
class ScannerKeys:
    """What the scanner is set up to send around the label: `prefix` before it, and `suffix`, enter or tab, after it.

    With a prefix, a scan that does not begin with it is refused.
    """

    prefix: str = ""
    suffix: str = "enter"


class ScanFilter(QObject):
    """An event filter of the application for one window; `scanned` brings each whole scan without prefix and suffix."""

    scanned = pyqtSignal(str)
    broken = pyqtSignal()  # a scan came in pieces, or without its prefix: what it says cannot be known
    typed = pyqtSignal()  # a first key of a scan, or of a person, went into the field from elsewhere

    def __init__(self, window: QWidget, field: QLineEdit, keys: ScannerKeys) -> None:
        super().__init__(window)
        self._window = window
        self._field = field
        self._keys = keys
        self._entry = ""  # what came without a long pause
        self._fast_keys = 0  # of them, at the end
        self._pauses = 0  # short ones, within it
        self._has_scan = False  # keys came in it that only a scanner types so fast
        self._has_typing = False  # before a pause, fewer keys came than such
        self._last_stamp_ms, self._last_seen_ms = 0, 0.0
        self._held: QAbstractButton | None = None  # it has the focus, and Space came: a press, or the start of a scan
        self._hold = QTimer(self)
        self._hold.setSingleShot(True)
        self._hold.setInterval(round(2 * _GAP_MS))
        self._hold.timeout.connect(self._press_held)

    @property
    def prefix(self) -> str:
        """What each scan has to begin with; may be empty."""
        return self._keys.prefix

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
            self._forget()
            return False
        if self._is_end(event):
            return self._end(event)
        if not _is_plain(event):
            return self._take_other(event)
        self._append(event, event.text())
        if self._entry == " " and isinstance(watched, QAbstractButton):
            self._held = watched
            self._hold.start()
            return True
        return self._redirect(watched, event.text())

    def _take_other(self, event: QKeyEvent) -> bool:
        """A key that is no character: within a scan it stays in the scan, so that the part id is refused."""
        is_scan = self._is_scan_running(event)
        if self._is_fast(event):
            self._append(event, event.text() or NO_CHARACTER)
        else:
            self._forget()
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
        """Count the key as fast, as held up for a moment, or as the beginning of something new."""
        if self._is_fast(event):
            self._fast_keys += 1
        elif self._gap_ms(event) <= _PAUSE_MS and self._entry:
            self._has_typing = self._has_typing or self._fast_keys < _LEAST_KEYS
            self._fast_keys, self._pauses = 1, self._pauses + 1
        else:
            self._forget()
            self._fast_keys = 1
        self._has_scan = self._has_scan or self._fast_keys >= _LEAST_KEYS
        self._entry += text
        self._last_stamp_ms, self._last_seen_ms = event.timestamp(), now_ms()

    def _end(self, event: QKeyEvent) -> bool:
        """Enter, or the suffix that was chosen: it ends a scan, or it is a person's key."""
        text, is_scan = self._entry, self._has_scan and self._gap_ms(event) <= _PAUSE_MS
        is_whole = self._pauses <= 1 and not self._has_typing and text.startswith(self._keys.prefix)
        self._forget()
        if is_scan:
            self._let_go()
            if is_whole:
                self.scanned.emit(text.removeprefix(self._keys.prefix))
            else:
                self.broken.emit()
        return is_scan

    def _is_end(self, event: QKeyEvent) -> bool:
        """The key that was chosen; a line feed, which some scanners send as Ctrl+J, counts as Enter."""
        is_line_end = self._keys.suffix == "enter" and event.text() in ("\r", "\n")
        return is_line_end or event.key() in _ENDS[self._keys.suffix]

    def _is_scan_running(self, event: QKeyEvent) -> bool:
        return self._fast_keys >= _LEAST_KEYS and self._is_fast(event)

    def _is_fast(self, event: QKeyEvent) -> bool:
        return bool(self._entry) and self._gap_ms(event) <= _GAP_MS

    def _gap_ms(self, event: QKeyEvent) -> float:
        """The time since the last key, by the system's own times if it gives its keys any.

        Those stay right where the window was held up for a moment and the keys had to wait.
        """
        if event.timestamp() and self._last_stamp_ms:
            return float(event.timestamp() - self._last_stamp_ms)
        return now_ms() - self._last_seen_ms

    def _forget(self) -> None:
        self._entry, self._fast_keys, self._pauses = "", 0, 0
        self._has_scan, self._has_typing = False, False

    def _let_go(self) -> None:
        self._hold.stop()
        self._held = None

    def _press_held(self) -> None:
        """No key followed the Space: a person has pressed the button that has the focus."""
        held, self._held = self._held, None
        self._forget()
        if held is not None and held.isEnabled() and held.hasFocus():
            held.click()


def _is_plain(event: QKeyEvent) -> bool:
    """Whether the key is a character of a line of text. Ctrl and Alt together are AltGr on some systems."""
    text, commands = event.text(), event.modifiers() & _COMMANDS
    return len(text) > 0 and text.isprintable() and (not commands or commands == _ALT_GR)


def now_ms() -> float:
    """When a key was seen, for systems that give their keys no time."""
    return time.monotonic() * 1e3
