"""Opens the window on a screen, or draws it offscreen into a file. Importing this module loads Qt.

There is one QApplication a process. It is made by whichever of the two comes first and is never ended, because Qt
cannot be started a second time.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
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
from station.console.scan_filter import ScannerKeys
from station.console.window import ConsoleWindow
from station.documents.atomic import write_atomic
from station.engine.events import State

_log = logging.getLogger(__name__)
SCREENSHOT_SIZE = (1920, 1080)
_DONE, _RIG_FAULT = 0, 3
_AFTER_RESULT_MS = 1000
_AFTER_FAULT_MS = 2000  # a result usually follows a fault; wait this long for it
_SIGNAL_POLL_MS = 200
_UNNAMED_PART = "UNNAMED"
_held: list[QApplication] = []  # Qt needs its application until the process ends


def open_window(
    engine: InspectionEngine, *, station_name: str, scanner: ScannerKeys | None = None, presses_reset: bool = False
) -> int:
    """Show the window until the operator closes it, or Ctrl-C in the terminal does; returns 0.

    Nothing moves before RESET is pressed; `presses_reset` does that once the window is shown, for a rig that is
    simulated. A part that runs at the end is stopped first, see `ConsoleWindow.closeEvent`.
    """
    _application()
    window = ConsoleWindow(engine, station_name, scanner)
    loop = QEventLoop()
    window.closed.connect(loop.quit)
    window.showMaximized()
    if presses_reset:
        QTimer.singleShot(0, window.panels.reset_button.click)
    with _closing_on_interrupt(window):
        loop.exec()
    window.deleteLater()
    return _DONE


def write_screenshot(engine: InspectionEngine, path: Path, *, part_id: str, timeout_s: float, station_name: str) -> int:
    """Inspect one part offscreen and write the window as it then stands, 1920 x 1080 px, whatever the outcome.

    Returns 0 if a result is on the picture, 3 if not: the exit codes of `station console`.
    """
    _application()
    window = ConsoleWindow(engine, station_name)
    window.resize(*SCREENSHOT_SIZE)
    window.show()
    QApplication.processEvents()  # the engine has said where it stands
    _inspect_and_wait(window, part_id or _UNNAMED_PART, timeout_s)
    _grab(window, path)
    is_result = window.situation.result is not None
    window.close()
    window.deleteLater()
    return _DONE if is_result else _RIG_FAULT


def _inspect_and_wait(window: ConsoleWindow, part_id: str, timeout_s: float) -> None:
    """Press RESET, then START, as an operator would; return once the result is drawn, or none is to be expected."""
    loop = QEventLoop()
    after_fault = _single_shot(window, lambda: loop.quit() if window.situation.result is None else None)
    after_result = _single_shot(window, loop.quit)  # the light warnings come a moment after the result
    situation, panels = window.situation, window.panels
    steps: list[tuple[Callable[[], bool], Callable[[], None]]] = [
        (lambda: situation.can_reset and situation.fault is None, panels.reset_button.click),
        (lambda: situation.can_start, lambda: _enter(window, part_id)),
        (lambda: bool(situation.unconfirmed_part), panels.start_button.click),  # the picture is wanted of this very id
    ]

    def look() -> None:
        if len(steps) == 3 and situation.state is State.READY:
            steps.pop(0)  # nothing to home
        if steps and steps[0][0]():
            steps.pop(0)[1]()
        elif window.is_settled:
            if situation.knows_the_lights:
                loop.quit()
            elif not after_result.isActive():
                after_result.start(_AFTER_RESULT_MS)
        elif situation.has_failed and not after_fault.isActive():
            after_fault.start(_AFTER_FAULT_MS)

    window.changed.connect(look)
    _single_shot(window, loop.quit).start(round(timeout_s * 1000))
    look()
    loop.exec()


def _enter(window: ConsoleWindow, part_id: str) -> None:
    """Type the part id and press START."""
    window.panels.part_id.setText(part_id)
    window.panels.start_button.click()


def _single_shot(window: ConsoleWindow, act: Callable[[], None]) -> QTimer:
    timer = QTimer(window)
    timer.setSingleShot(True)
    timer.timeout.connect(act)
    return timer


def _application() -> QApplication:
    """The one QApplication of the process, in the style that the sheets of `theme` are written for.

    Raises ConsoleUnavailable where no font is installed: Qt would draw every text as empty boxes.
    """
    application = QApplication.instance()
    if not isinstance(application, QApplication):
        qInstallMessageHandler(_log_message)
        application = QApplication(["station"])
        application.setStyle("Fusion")
        _held.append(application)
    if not QFontDatabase.families():
        raise ConsoleUnavailable(
            f"console: no font is installed; on Debian 12 run: apt-get install --no-install-recommends {FONT_PACKAGE}"
        )
    return application


def _log_message(kind: QtMsgType, _context: QMessageLogContext, text: str | None) -> None:
    """Qt's own messages go to the log: critical ones as errors, which are seen unasked, all others for debugging."""
    is_grave = kind in (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)
    _log.log(logging.ERROR if is_grave else logging.DEBUG, "Qt: %s", text)


def _grab(window: ConsoleWindow, path: Path) -> None:
    """Write the window as a PNG in one step: nobody finds half a file."""
    encoded, buffer = QByteArray(), QBuffer()
    buffer.setBuffer(encoded)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    window.grab().save(buffer, "PNG")
    buffer.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encoded.data())


@contextmanager
def _closing_on_interrupt(window: ConsoleWindow) -> Iterator[None]:
    """Let Ctrl-C close the window as its own cross does.

    The timer wakes the interpreter: while Qt waits for events in C, Python handles no signal.
    """

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
