"""Lines on their way to one client: bounded, sent by a thread of their own, so that a slow reader delays nobody."""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable

from station.service.protocol import ALIVE, ALIVE_EVERY_S, DROPPED, service_event

log = logging.getLogger(__name__)

MOST_LINES = 4000  # a part of five views under 16 lights reports some 100
MOST_BYTES = 64 * 1024 * 1024  # pictures of five views take some 50 MB, and a client asks for one at a time
BATCH_BYTES = 64 * 1024
SEND_TIMEOUT_S = 10.0
FAREWELL_TIMEOUT_S = 0.5
Piece = bytes | memoryview


class Outbox:
    """`put` never waits. Where the client does not read, everything is let go and the connection is closed."""

    def __init__(
        self,
        connection: socket.socket,
        dropped: Callable[[str], None],
        *,
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
        send_timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        """`dropped` is called once, on the sender's thread, with the reason for which the client was dropped."""
        self._connection = connection
        self._dropped = dropped
        self._most_lines, self._most_bytes = most_lines, most_bytes
        self._send_timeout_s = send_timeout_s
        self._waiting: deque[tuple[Piece, ...]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._problem = ""
        self._thread = threading.Thread(target=self._send_all, name="viewer outbox", daemon=True)

    def start(self) -> None:
        """Begin to send, with a sign of life whenever there is nothing else."""
        self._thread.start()

    def put(self, *pieces: Piece) -> None:
        """Queue the pieces, which are sent in one go. After `close`, or once the client is dropped, nothing is."""
        size = sum(len(piece) for piece in pieces)
        with self._changed:
            if self._is_closed or self._problem:
                return
            if len(self._waiting) >= self._most_lines or self._bytes + size > self._most_bytes:
                self._problem = f"it read too slowly: {len(self._waiting)} lines, {self._bytes} bytes were waiting"
                self._waiting.clear()
            else:
                self._waiting.append(pieces)
                self._bytes += size
            self._changed.notify()

    def close(self) -> None:
        """Send what is queued, then end. Returns once the sender has ended."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join()

    def _next(self) -> tuple[Piece, ...] | None:
        """What is to be sent now; a sign of life where nothing is; None at the end. Raises TimeoutError if dropped."""
        with self._changed:
            if not (self._waiting or self._is_closed or self._problem):
                self._changed.wait(ALIVE_EVERY_S)
            if self._problem:
                raise TimeoutError(self._problem)
            if self._waiting:
                return self._taken()
            return None if self._is_closed else (service_event(ALIVE),)

    def _taken(self) -> tuple[Piece, ...]:
        """What waits longest; small lines are sent together, up to BATCH_BYTES."""
        taken: list[Piece] = []
        size = 0
        while self._waiting and (not taken or size + sum(map(len, self._waiting[0])) <= BATCH_BYTES):
            pieces = self._waiting.popleft()
            size += sum(map(len, pieces))
            taken += pieces
        self._bytes -= size
        return tuple(taken) if size > BATCH_BYTES else (b"".join(taken),)

    def _send_all(self) -> None:
        try:
            self._connection.settimeout(self._send_timeout_s)  # of the whole piece; whoever receives bears it too
            while (pieces := self._next()) is not None:
                for piece in pieces:
                    self._connection.sendall(piece)
        except TimeoutError as error:
            self._drop(self._problem or f"it read nothing for {self._send_timeout_s:g} s ({error})")
        except OSError as error:
            log.info("a client has gone: %s", error)
        finally:
            with self._changed:
                self._is_closed = True
                self._waiting.clear()
            self._shut()

    def _drop(self, reason: str) -> None:
        """Say why, if the client reads at last, and end the connection. It may have got half a line before."""
        self._dropped(reason)
        try:
            self._connection.settimeout(FAREWELL_TIMEOUT_S)
            self._connection.sendall(b"\n" + service_event(DROPPED, reason=reason))
        except OSError as error:
            log.debug("the dropped client did not read why: %s", error)

    def _shut(self) -> None:
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            log.debug("already disconnected: %s", error)
