"""Who hears the engine's events: subscribed callables, called in the order of their subscription."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from station.engine.events import Event, Listener

log = logging.getLogger(__name__)


class Listeners:
    """May be used from any thread. A listener that fails is logged, and ends neither the others nor an inspection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Events arrive on the engine's threads; returns the function that ends the subscription."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe

    def emit(self, event: Event) -> None:
        """Call every listener with the event, on this thread."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(event)
            except (Exception, SystemExit):
                log.exception("a listener failed on %s", type(event).__name__)
