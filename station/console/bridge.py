"""The one crossing between threads: the engine's events come over to Qt, the console's calls go away from it."""

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
    """Calls in one lane run one after the other; lanes do not wait for each other."""

    START = "start"
    STOP = "stop"
    RESET = "reset"  # it homes; STOP must not wait for that
    READ = "read"
    PICTURES = "pictures"


class Bridge(QObject):
    """Emits `happened` for each event, queued to the receivers' thread; runs blocking calls in threads of its own.

    `close` joins those threads.
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
        """Begin to listen; call once the receivers of `happened` are connected."""
        self._unsubscribe = self._engine.subscribe(self._listen)

    def run(
        self,
        lane: Lane,
        call: Callable[[], Answer],
        then: Callable[[Answer], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run the call in its lane; `then` or `failed` is called in the Qt thread, or neither after `close`."""
        if not self._is_closed:
            self._lanes[lane].submit(self._work, call, then, failed)

    def close(self) -> None:
        """Stop listening, drop what has not begun and wait for what has. After this nothing is delivered."""
        if self._is_closed:
            return
        self._is_closed = True
        self._unsubscribe()
        for pool in self._lanes.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _listen(self, event: Event) -> None:
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
