"""A simulated wire: a thread that carries bytes between a host and a device's firmware, in simulated time."""

from __future__ import annotations

import select
import socket
import threading
import zlib
from pathlib import Path
from typing import Protocol, Self

from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction
from drivers.simulated.wires.outbox import Outbox
from drivers.simulated.wires.transit import Delivery, Noise

LONGEST_WAIT_S = 0.05  # real seconds; a safety net, every known event wakes the thread itself
MOST_BYTES = 4096


class Firmware(Protocol):
    """The stand-in for a controller's firmware: it reads and writes bytes in simulated time.

    The wire's thread calls both methods. `outbox` takes what it sends; `faults` are what can be wrong with it,
    by name, to which the wire adds its own.
    """

    clock: SimulatedClock
    outbox: Outbox
    faults: dict[str, FaultAction]

    def receive(self, data: bytes) -> None:
        """Bytes from the host, now."""
        ...

    def advance(self) -> float | None:
        """Do what is due by now; returns the simulated time of the next event of its own, if any."""
        ...


class Wire:
    """Offers `firmware` to one host at `path`; a subclass knows what stands there and how bytes get through.

    A context manager: it is offered from `start` to `close`. `latency_s`, in simulated seconds, delays each reply.
    """

    def __init__(self, path: Path, firmware: Firmware, *, latency_s: float = 0.002) -> None:
        self.path = path
        self._firmware = firmware
        self._clock = firmware.clock
        self._noise = Noise(zlib.crc32(path.name.encode()))
        self._delivery = Delivery()
        firmware.outbox.latency_s = latency_s
        firmware.faults.update(
            self._noise.faults() | self._delivery.faults() | {"unplug": self.unplug, "plug": self.plug}
        )
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()  # Windows cannot select on a pipe
        self._thread = threading.Thread(target=self._run, name=f"wire {path.name}", daemon=True)

    # -- what a subclass knows; called with the lock held -----------------------------------

    def _connect(self) -> None:
        """Offer the wire at `path`, if it is not offered yet."""
        raise NotImplementedError

    def _disconnect(self) -> None:
        """Take it away; the host's next read or write fails."""
        raise NotImplementedError

    def _watched(self) -> int | None:
        """The file descriptor that becomes readable with bytes or with a new host; None while unplugged."""
        raise NotImplementedError

    def _read(self) -> bytes:
        """What the host has sent; empty when nothing has come."""
        raise NotImplementedError

    def _write(self, data: bytes) -> None:
        """To the host; lost when nobody reads, as on a UART."""
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Plug in and carry bytes from now on; a host may open `path` when this returns."""
        self.plug()
        self._thread.start()
        return self

    def close(self) -> None:
        """End the thread and unplug; a second call does nothing."""
        if self._ending.is_set():
            return
        self._ending.set()
        if self._thread.is_alive():
            self._wake()
            self._thread.join()
        self.unplug()
        self._wake_read.close()
        self._wake_write.close()

    def plug(self) -> str:
        """Connect; the device keeps the state it had, as one with its own power supply does."""
        with self._lock:
            self._connect()
        self._wake()
        return f"plugged in at {self.path}"

    def unplug(self) -> str:
        """Pull the cable: the host's next read or write fails, and the name is gone."""
        with self._lock:
            self._firmware.outbox.clear()
            self._delivery.clear()
            self._disconnect()
        return f"unplugged from {self.path}"

    def _wake(self) -> None:
        self._wake_write.send(b".")

    def _run(self) -> None:
        """The thread: bytes in, the firmware's due events, bytes out, then sleep until the next of these."""
        next_s: float | None = None
        while not self._ending.is_set():
            self._wait_for_bytes(next_s)
            with self._lock:
                self._exchange_in()
                next_s = self._firmware.advance()
                now_s = self._clock.now_s()
                handed = self._delivery.take(self._noise.pass_on(self._firmware.outbox.take_due(now_s)), now_s)
                if handed:
                    self._write(handed)
            events = (next_s, self._firmware.outbox.next_due_s, self._delivery.next_s)
            next_s = min((t for t in events if t is not None), default=None)

    def _wait_for_bytes(self, until_s: float | None) -> None:
        wait_s = LONGEST_WAIT_S
        if until_s is not None:
            wait_s = min(wait_s, max(0.0, (until_s - self._clock.now_s()) / self._clock.speed))
        fd = self._watched()
        watched: list[socket.socket | int] = [self._wake_read]
        if fd is not None and not self._firmware.outbox.is_frozen:
            watched.append(fd)
        try:
            ready, _, _ = select.select(watched, [], [], wait_s)
        except (OSError, ValueError):  # unplugged while waiting
            return
        if self._wake_read in ready:
            self._wake_read.recv(MOST_BYTES)

    def _exchange_in(self) -> None:
        if self._firmware.outbox.is_frozen:
            return
        data = self._noise.pass_on(self._read())
        if data:
            self._firmware.receive(data)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.close()
