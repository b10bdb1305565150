"""`station run` from its start to its end: the service runs until a signal, then the engine is closed in good order.

The first SIGTERM or SIGINT ends the running part at its next view, UNDECIDED, puts the lights out, and closes the
devices. A second one aborts: the arm is held at once.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from station.engine.events import State
from station.errors import BadInput, StationFault
from station.service.pulse import Pulse
from station.service.server import Service

log = logging.getLogger(__name__)

MOVING_VERBS = ("reset",)  # homing goes on until it is aborted


class Ending(Protocol):
    """The engine, as far as it is needed at the end."""

    @property
    def state(self) -> State: ...

    def abort(self, reason: str = ...) -> None: ...

    def close(self) -> None: ...


def run_until_signal(service: Service, engine: Ending, pulse: Pulse, started: Callable[[], None]) -> None:
    """Call `started` once the service can be reached; return when a signal has come and the engine is closed."""
    asked = threading.Event()
    with _on_signals(asked, engine):
        started()
        while not asked.wait(0.5):  # short waits, so that Windows handles Ctrl-C
            continue
        log.info("ending: the running part ends at its next view, and the lights go off")
        service.begin_to_end("the service was asked to end")
        try:
            if any(verb in pulse.verbs for verb in MOVING_VERBS):
                engine.abort("the service is ending")
        except Exception:
            log.exception("homing could not be broken off; the devices are closed all the same")
        engine.close()
        log.info("ended: the lights are off, and the devices are closed")


@contextmanager
def _on_signals(asked: threading.Event, engine: Ending) -> Iterator[None]:
    """The first signal sets `asked`, each further one aborts. The handler itself waits for nothing."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if not asked.is_set():
            asked.set()
            return
        reason = f"a second {signal.Signals(number).name} came while the service was ending"
        threading.Thread(target=engine.abort, args=(reason,), name="abort", daemon=True).start()

    numbers = [number for name in ("SIGINT", "SIGTERM", "SIGBREAK") if (number := getattr(signal, name, None))]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def home_at_start(reset: Callable[[], None], pulse: Pulse) -> threading.Thread:
    """Reset on a thread of its own, so that the service can be reached and stopped meanwhile; a refusal is logged."""

    def home() -> None:
        try:
            with pulse.verb("reset"):
                reset()
        except (BadInput, StationFault, OSError) as error:
            log.error("the arm was not homed at the start: %s", error)
        except Exception:
            log.exception("the arm was not homed at the start")

    thread = threading.Thread(target=home, name="home at start", daemon=True)
    thread.start()
    return thread
