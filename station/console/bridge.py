"""The one crossing between threads: the engine's events go to the Qt thread, the console's calls leave it.

Both ways use queued Qt signals. An event may be emitted by any thread of the engine; its receivers run in the Qt
thread, in the order in which the events were emitted. Receivers therefore need no locks.

A call that raises is no crash: what it raised is logged and handed to the caller's `failed`, for the operator to read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TypeVar

from PyQt6.QtCore import QObject, pyqtSignal, pyqtSlot

from station.console.inspection_engine import InspectionEngine
from station.engine.events import Event

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Lane(StrEnum):
    """A thread of its own for each kind of call: calls in one lane wait for each other, lanes do not.

    So STOP leaves at once while a reset homes the arm, or while pictures of 20 megapixels are being made.
    """

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESET = "reset"
    READ = "read"
    PICTURES = "pictures"


class Bridge(QObject):
    """Emits `happened` for each event of the engine and runs blocking calls in threads of its own.

    Make and use it in the Qt thread. `close` joins the threads; a call that hangs keeps the window from closing.
    """

    happened = pyqtSignal(object)  # Event
    _answered = pyqtSignal(object, object)  # what takes the answer in the Qt thread, the answer

    def __init__(self, engine: InspectionEngine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._lanes = {lane: ThreadPoolExecutor(1, thread_name_prefix=f"console-{lane}") for lane in Lane}
        self._is_closed = False
        self._answered.connect(self._deliver)  # emitted by another thread than this object's, so queued
        self._unsubscribe: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Subscribe to the engine. Connect `happened` first: the engine reports at once where it stands."""
        self._unsubscribe = self._engine.subscribe(self._listen)

    def run(
        self,
        lane: Lane,
        call: Callable[[], Answer],
        then: Callable[[Answer], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run the call in its lane, then call `then` with its answer, or `failed` with what it raised.

        Either is called in the Qt thread. After `close` neither is, and no call begins any more.
        """
        if not self._is_closed:
            self._lanes[lane].submit(self._work, call, then, failed)

    def close(self) -> None:
        """Unsubscribe, drop calls that have not begun and wait for those that have. Afterwards nothing is delivered."""
        if self._is_closed:
            return
        self._is_closed = True
        self._unsubscribe()
        for pool in self._lanes.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _listen(self, event: Event) -> None:
        """Runs in a thread of the engine: emitting queues the event for the Qt thread and returns at once."""
        if not self._is_closed:
            self.happened.emit(event)

    def _work(
        self, call: Callable[[], Answer], then: Callable[[Answer], None], failed: Callable[[Exception], None]
    ) -> None:
        try:
            answer = call()
        except Exception as error:  # whatever a verb raises is the operator's to read; it must not end the thread
            _log.warning("console: a call to the engine failed", exc_info=True)
            self._answered.emit(failed, error)
        else:
            self._answered.emit(then, answer)

    @pyqtSlot(object, object)
    def _deliver(self, take: Callable[[object], None], answer: object) -> None:
        if not self._is_closed:
            take(answer)
