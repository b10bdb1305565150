"""Reads lines, and the bytes behind a line, from a socket with a time-out."""

from __future__ import annotations

import socket
import time

from station.service.protocol import NotTheProtocol

_CHUNK_BYTES = 1 << 16


class Lines:
    """What the other side sends. One thread reads; the socket's own time-out may be of any length."""

    def __init__(self, connection: socket.socket, maximum_bytes: int, patience_s: float | None = None) -> None:
        """`patience_s` is how long the other side may be silent; None: for ever."""
        self._connection = connection
        self._maximum_bytes = maximum_bytes
        self._patience_s = patience_s
        self._held = bytearray()

    def line(self) -> bytes | None:
        """The next line without its end; None once the other side has closed.

        Raises NotTheProtocol for a longer one, TimeoutError after `patience_s` of silence, OSError.
        """
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched > self._maximum_bytes:
                raise NotTheProtocol(f"a line is longer than {self._maximum_bytes} bytes")
            if not self._receive():
                return None
        if end > self._maximum_bytes:
            raise NotTheProtocol(f"a line is longer than {self._maximum_bytes} bytes")
        found = bytes(self._held[:end])
        del self._held[: end + 1]
        return found

    def exactly(self, size: int) -> bytes:
        """That many bytes. Raises ConnectionError where the other side closes before, and as `line` does."""
        while len(self._held) < size:
            if not self._receive():
                raise ConnectionError("closed in the middle of a reply")
        found = bytes(self._held[:size])
        del self._held[:size]
        return found

    def _receive(self) -> bool:
        began = time.monotonic()
        while True:
            try:
                part = self._connection.recv(_CHUNK_BYTES)
            except TimeoutError:
                if self._patience_s is not None and time.monotonic() - began >= self._patience_s:
                    raise
                continue
            self._held += part
            return bool(part)
