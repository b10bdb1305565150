"""A pseudo-terminal that behaves as a serial port with a simulated device at its far end."""

from __future__ import annotations

import errno
import os
import select
import threading
import tty
from pathlib import Path
from typing import Protocol

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.wire import FaultAction, Outbox

LONGEST_WAIT_S = 0.05  # real seconds; a safety net, every known event wakes the thread itself


class Firmware(Protocol):
    """A device that reads and writes bytes in simulated time; called from the line's thread only."""

    clock: SimulatedClock
    outbox: Outbox
    faults: dict[str, FaultAction]

    def receive(self, data: bytes) -> None:
        """Bytes from the host, now."""
        ...

    def advance(self) -> float | None:
        """Do what is due by now; returns the simulated time of the next event of its own, if any."""
        ...


class PtyLine:
    """Offers `firmware` at `path`, a link to the pseudo-terminal that a driver opens like any port.

    Adds the faults `unplug` and `plug` to the firmware's. Latency is in simulated seconds.
    """

    def __init__(self, path: Path, firmware: Firmware, *, latency_s: float = 0.002) -> None:
        self.path = path
        self._firmware = firmware
        self._clock = firmware.clock
        firmware.outbox.latency_s = latency_s
        firmware.faults.update(unplug=self.unplug, plug=self.plug)
        self._fds: tuple[int, int] | None = None  # (our end, the host's end kept open so that hosts may come and go)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"pty {path.name}", daemon=True)

    def start(self) -> PtyLine:
        self.plug()
        self._thread.start()
        return self

    def close(self) -> None:
        if self._ending.is_set():
            return
        self._ending.set()
        if self._thread.is_alive():
            self._wake()
            self._thread.join()
        self.unplug()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def plug(self) -> str:
        """Connect; the device keeps the state it had, as one with its own power supply does."""
        with self._lock:
            if self._fds is None:
                self._fds = os.openpty()
                for fd in self._fds:
                    tty.setraw(fd)
                os.set_blocking(self._fds[0], False)
                self._link(os.ttyname(self._fds[1]))
        self._wake()
        return f"plugged in at {self.path}"

    def unplug(self) -> str:
        """Pull the cable: the host's next read or write fails, and the name is gone."""
        with self._lock:
            if self._fds is not None:
                self._firmware.outbox.clear()
                self.path.unlink(missing_ok=True)
                for fd in self._fds:
                    os.close(fd)
                self._fds = None
        return f"unplugged from {self.path}"

    def _link(self, target: str) -> None:
        temporary = self.path.with_name(self.path.name + ".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(self.path)

    def _wake(self) -> None:
        os.write(self._wake_write, b".")

    def _run(self) -> None:
        next_s: float | None = None
        while not self._ending.is_set():
            self._wait_for_bytes(next_s)
            with self._lock:
                self._exchange_in()
                next_s = self._firmware.advance()
                self._exchange_out()
            due = [t for t in (next_s, self._firmware.outbox.next_due_s) if t is not None]
            next_s = min(due, default=None)

    def _wait_for_bytes(self, until_s: float | None) -> None:
        wait_s = LONGEST_WAIT_S
        if until_s is not None:
            wait_s = min(wait_s, max(0.0, (until_s - self._clock.now_s()) / self._clock.speed))
        fds = self._fds
        watched = [self._wake_read] if fds is None or self._firmware.outbox.is_frozen else [self._wake_read, fds[0]]
        try:
            ready, _, _ = select.select(watched, [], [], wait_s)
        except (OSError, ValueError):  # unplugged while waiting
            return
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)

    def _exchange_in(self) -> None:
        if self._fds is None or self._firmware.outbox.is_frozen:
            return
        try:
            data = os.read(self._fds[0], 4096)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):
                raise
            return
        self._firmware.receive(data)

    def _exchange_out(self) -> None:
        data = self._firmware.outbox.take_due(self._clock.now_s())
        if self._fds is None or not data:
            return
        try:
            os.write(self._fds[0], data)
        except OSError as error:  # nobody reads and the buffer is full: a UART loses bytes then, and so does this
            if error.errno not in (errno.EAGAIN, errno.EIO):
                raise

    def __enter__(self) -> PtyLine:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()
