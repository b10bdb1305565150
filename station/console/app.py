"""Opens the window, or draws it into a file."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from PyQt6.QtCore import (
    QBuffer,
    QByteArray,
    QEventLoop,
    QIODevice,
    QMessageLogContext,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PyQt6.QtGui import QFontDatabase
from PyQt6.QtWidgets import QApplication

from station.console.inspection_engine import InspectionEngine
from station.console.requirements import FONT_PACKAGE, ConsoleUnavailable
from station.console.window import ConsoleWindow
from station.documents.atomic import write_atomic

_log = logging.getLogger(__name__)
SCREENSHOT_SIZE = (1920, 1080)
_DONE, _RIG_FAULT = 0, 3
_AFTER_RESULT_MS = 1000
_AFTER_FAULT_MS = 2000  # a result usually follows a fault; this long it is waited for
_SIGNAL_POLL_MS = 200
_UNNAMED_PART = "UNNAMED"
_held: list[QApplication] = []  # Qt needs its application until the process ends


def open_window(engine: InspectionEngine, *, part_id: str, station_name: str) -> int:
    """Show the window until it is closed, by the operator or by Ctrl-C in the terminal."""
    _application()
    window = ConsoleWindow(engine, station_name)
    window.panels.part_id.setText(part_id)
    loop = QEventLoop()
    window.closed.connect(loop.quit)
    window.showMaximized()
    with _closing_on_interrupt(window):
        loop.exec()
    window.deleteLater()
    return _DONE


def write_screenshot(engine: InspectionEngine, path: Path, *, part_id: str, timeout_s: float, station_name: str) -> int:
    """Inspect one part and write the window as it then stands; the file is written whatever the outcome."""
    _application()
    window = ConsoleWindow(engine, station_name)
    window.resize(*SCREENSHOT_SIZE)
    window.show()
    loop = QEventLoop()
    after_fault = QTimer(window)
    after_fault.setSingleShot(True)
    after_fault.timeout.connect(lambda: loop.quit() if window.situation.result is None else None)

    after_result = QTimer(window)  # the lights are told of a moment after the result
    after_result.setSingleShot(True)
    after_result.timeout.connect(loop.quit)

    waiting_to_start = [part_id or _UNNAMED_PART]

    def look() -> None:
        if waiting_to_start and window.situation.can_start:
            window.verbs.start(waiting_to_start.pop())
        elif window.is_settled:
            if window.situation.knows_the_lights:
                loop.quit()
            elif not after_result.isActive():
                after_result.start(_AFTER_RESULT_MS)
        elif window.situation.has_failed and not after_fault.isActive():
            after_fault.start(_AFTER_FAULT_MS)

    window.changed.connect(look)
    deadline = QTimer(window)
    deadline.setSingleShot(True)
    deadline.timeout.connect(loop.quit)
    deadline.start(round(timeout_s * 1000))
    look()
    loop.exec()
    _grab(window, path)
    is_result = window.situation.result is not None
    window.close()
    window.deleteLater()
    return _DONE if is_result else _RIG_FAULT


def _application() -> QApplication:
    """The one QApplication of the process, with the look set; raises ConsoleUnavailable where no font is found."""
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        qInstallMessageHandler(_log_message)
        application = QApplication(["station"])
        application.setStyle("Fusion")
        _held.append(application)
    if not QFontDatabase.families():
        raise ConsoleUnavailable(
            f"console: no font is installed; on Debian 12: apt-get install --no-install-recommends {FONT_PACKAGE}"
        )
    return application


def _log_message(kind: QtMsgType, _context: QMessageLogContext, text: str | None) -> None:
    """Qt's own remarks go to the log, where only the grave ones are seen unasked."""
    grave = kind in (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)
    _log.log(logging.ERROR if grave else logging.DEBUG, "Qt: %s", text)


def _grab(window: ConsoleWindow, path: Path) -> None:
    encoded, buffer = QByteArray(), QBuffer()
    buffer.setBuffer(encoded)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    window.grab().save(buffer, "PNG")
    buffer.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encoded.data())


@contextmanager
def _closing_on_interrupt(window: ConsoleWindow) -> Iterator[None]:
    """Ctrl-C closes the window as its own cross does; the timer lets Python see the signal while Qt waits."""

    def close(_number: int, _frame: FrameType | None) -> None:
        window.close()

    timer = QTimer(window)
    timer.timeout.connect(lambda: None)
    timer.start(_SIGNAL_POLL_MS)
    before = signal.signal(signal.SIGINT, close)
    try:
        yield
    finally:
        timer.stop()
        signal.signal(signal.SIGINT, before)
