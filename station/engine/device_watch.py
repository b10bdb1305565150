"""Asks every device whether it is still as it was left: once after a part's last frame, and again and again at rest."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from drivers.errors import DeviceError, PositionUntrusted
from station.rig.devices import Rig, error_text

log = logging.getLogger(__name__)

EVERY_S = 0.4
SILENCE_S = 1.4  # at rest; with the time between two turns, a loss is reported within 2 s
RUNNING = Path("/proc/loadavg")


def ask_devices(rig: Rig, silence_s: float | None = None) -> None:
    """Ask arm, camera and lights, in this order. Raises DeviceError with the first that is not as it was left.

    A device that is silent is given up after `silence_s` at most; None: when a command to it would be given up.
    A driver with `check_at_rest` (`drivers.protocols.AsksAtRest`) asks its device in its own way. Another is asked by
    what its Protocol has. Whatever else a driver of another package raises becomes a DeviceError that names the device.
    """
    for name, device, otherwise in (
        ("arm", rig.arm, lambda: _ask_arm(rig)),
        ("camera", rig.camera, rig.camera.time_ns),
        ("lights", rig.lights, rig.lights.check),
    ):
        check_at_rest: Callable[[float | None], object] | None = getattr(device, "check_at_rest", None)
        try:
            otherwise() if check_at_rest is None else check_at_rest(silence_s)
        except DeviceError:
            raise
        except Exception as error:
            raise DeviceError(name, f"it could not be asked: {error_text(error)}") from error
    if not rig.arm.position_trusted:  # whatever its driver answered
        raise _untrusted()


def _ask_arm(rig: Rig) -> None:
    rig.arm.position()
    if not rig.arm.position_trusted:
        raise _untrusted()


def _untrusted() -> PositionUntrusted:
    return PositionUntrusted("arm", "its position is no longer trusted: look at the cell, then home it")


def patience_at_rest_s() -> float | None:
    """SILENCE_S; None while more threads want to run than the machine has cores.

    Then a silence proves nothing: the driver's reader, or a simulated device, may be waiting for its turn.
    """
    cores = os.cpu_count() or 1
    is_crowded = _threads_that_run_now() > cores or _threads_that_ran_lately() > 2 * cores
    return None if is_crowded else SILENCE_S


def _threads_that_run_now() -> int:
    """0 where the system does not count them."""
    try:
        return int(RUNNING.read_text(encoding="ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 0


def _threads_that_ran_lately() -> float:
    """On the average of the last minute; 0 where the system does not count them."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0.0


class DeviceWatch:
    """A thread that takes a turn now and then until `close`; `turn` decides whether there is anything to ask."""

    def __init__(self, turn: Callable[[], None], every_s: float = EVERY_S) -> None:
        """`turn` is called on the watch's own thread, and must not wait for a verb."""
        self._turn = turn
        self._every_s = every_s
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_turn = time.monotonic()

    @property
    def silent_s(self) -> float | None:
        """How long ago a turn began last; None while the watch does not run."""
        return None if self._thread is None else time.monotonic() - self._last_turn

    def start(self) -> None:
        """Begin, unless it runs already. Raises RuntimeError where the machine has no thread left."""
        with self._lock:
            if self._thread is None:
                ending, self._last_turn = threading.Event(), time.monotonic()
                thread = threading.Thread(target=self._watch, args=(ending,), name="device watch", daemon=True)
                thread.start()
                self._ending, self._thread = ending, thread

    def close(self) -> None:
        """Return once no further turn is taken. A listener that closes from within a turn is not waited for."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._ending.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _watch(self, ending: threading.Event) -> None:
        while not ending.wait(self._every_s):
            self._last_turn = time.monotonic()
            try:
                self._turn()
            except Exception:
                log.exception("the watch at rest failed; it goes on")
