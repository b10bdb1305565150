"""The buffers of a camera's data stream: started once, then one buffer is fetched per trigger.

Starting allocates all buffers anew, so the stream keeps running between exposures.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drivers.errors import DeviceLost, DeviceTimeout, FrameIncomplete
from drivers.genicam.connection import Connection
from drivers.genicam.producers import VENDOR_ERRORS, first_line

log = logging.getLogger(__name__)

POLL_S = 0.0005
LOSS_CHECK_S = 0.05
BUFFERS = 4
FETCH_S = 0.001  # of `try_fetch`, which holds the GIL for that long
LOOKS_AFTER_DEADLINE = 20  # more looks at the stream once the time is over; then the frame is lost


class Stream:
    """A running stream. `closing` ends a wait for a frame from another thread."""

    def __init__(self, connection: Connection, frame_timeout_s: float, closing: threading.Event) -> None:
        self._connection = connection
        self._frame_timeout_s = frame_timeout_s
        self._closing = closing
        with connection.translated("starting the stream"):
            connection.acquirer.num_buffers = BUFFERS
            connection.acquirer.start()
        self._can_count = self._probe_count()

    def _probe_count(self) -> bool:
        """Not every producer can say how many buffers wait; without that, `fetch` and `drain` do with `try_fetch`."""
        try:
            return int(self._connection.acquirer.data_streams[0].num_awaiting_delivery) >= 0
        except VENDOR_ERRORS as error:
            device = self._connection.device
            log.info("%s: the producer does not count waiting buffers: %s", device, first_line(error))
            return False

    @property
    def has_frame(self) -> bool:
        """A frame is known to wait; False where the producer does not count."""
        return self._can_count and self._is_waiting()

    def _is_waiting(self) -> bool:
        return self._waiting() > 0

    def _waiting(self) -> int:
        """How many filled buffers nobody has taken yet."""
        return int(self._connection.acquirer.data_streams[0].num_awaiting_delivery)

    def drain(self) -> None:
        """Throws away frames that nobody waits for: of a stray trigger, or too late for the last one."""
        if not self._can_count:
            return
        with self._connection.translated("draining old frames"):
            while self._is_waiting():
                buffer = self._connection.acquirer.try_fetch(timeout=FETCH_S, is_raw=True)
                if buffer is not None:
                    log.warning(
                        "%s: frame %s came unasked and is thrown away", self._connection.device, buffer.frame_id
                    )
                    buffer.parent.queue_buffer(buffer, False)

    @contextmanager
    def fetched(self, exposure_us: float) -> Iterator[Any]:
        """The next raw buffer, given back to the stream at the end of the block.

        Waits for the exposure and the frame timeout at most. Raises DeviceTimeout, DeviceLost (also when the
        camera is closed from another thread), FrameIncomplete.
        """
        buffer = self._wait(time.monotonic() + exposure_us / 1e6 + self._frame_timeout_s)
        try:
            with self._connection.translated("reading the frame"):
                yield buffer
        finally:
            with self._connection.translated("giving the buffer back"):
                buffer.parent.queue_buffer(buffer, False)  # True would zero its memory first

    def _wait(self, deadline_s: float) -> Any:
        """Poll and sleep, because fetch holds the GIL while it waits (genicam/harvesters issue 508).

        A frame that waits when the time is over is still fetched: what was late may have been this process.
        """
        device, check_s, looks_left = self._connection.device, 0.0, LOOKS_AFTER_DEADLINE
        while True:
            with self._connection.translated("waiting for the frame"):
                buffer = self._try_fetch()
            if buffer is not None:
                return buffer
            now_s = time.monotonic()
            if self._closing.is_set():
                raise DeviceLost(device, "it was closed while a frame was awaited")
            if now_s >= check_s:
                check_s = now_s + LOSS_CHECK_S
                self._connection.require_present()
            if now_s >= deadline_s:
                looks_left -= 1
            if looks_left < 0:
                raise DeviceTimeout(
                    device, f"no frame within {self._frame_timeout_s:g} s after the exposure: lost on the way"
                )
            time.sleep(POLL_S)

    def _try_fetch(self) -> Any:
        """A buffer, or None. harvesters swallows an incomplete buffer: fewer wait then, and none is handed over.

        It also returns None before it has looked, where `FETCH_S` went by first: as many wait then as before.
        """
        waiting = self._waiting() if self._can_count else 0
        if self._can_count and not waiting:
            return None
        buffer = self._connection.acquirer.try_fetch(timeout=FETCH_S, is_raw=True)
        if buffer is None and self._waiting_fell_below(waiting):
            raise FrameIncomplete(self._connection.device, "a frame arrived with fewer bytes than its format needs")
        return buffer

    def _waiting_fell_below(self, waiting: int) -> bool:
        return self._can_count and self._waiting() < waiting


def stop_stream(connection: Connection) -> None:
    """Stops whatever stream runs; a camera that streams nothing is left as it is."""
    with connection.translated("stopping the stream"):
        connection.acquirer.stop()
