"""A wire over local TCP, for machines without pseudo-terminals; it serves one host at a time."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

from drivers.simulated.wires.wire import MOST_BYTES, Firmware, Wire

log = logging.getLogger(__name__)

HOST = "127.0.0.1"


class SocketWire(Wire):
    """`path` is a file with the wire's address, `socket://host:port`, which a driver takes for a port's name.

    So the wire is found again after a restart, on whatever TCP port. A second host is turned away, as by a serial
    port.
    """

    def __init__(self, path: Path, firmware: Firmware, *, latency_s: float = 0.002) -> None:
        super().__init__(path, firmware, latency_s=latency_s)
        self._listener: socket.socket | None = None
        self._host: socket.socket | None = None

    @property
    def url(self) -> str:
        """Its address for pyserial. Raises RuntimeError while unplugged."""
        if self._listener is None:
            raise RuntimeError(f"the wire {self.path} is not plugged in: call start or plug first")
        return f"socket://{HOST}:{self._listener.getsockname()[1]}"

    def _connect(self) -> None:
        if self._listener is not None:
            return
        self._listener = socket.create_server((HOST, 0))
        self._listener.setblocking(False)
        temporary = self.path.with_name(self.path.name + ".new")
        temporary.write_text(f"{self.url}\n", encoding="ascii")
        temporary.replace(self.path)

    def _disconnect(self) -> None:
        self.path.unlink(missing_ok=True)
        for end in (self._host, self._listener):
            if end is not None:
                end.close()
        self._host = self._listener = None

    def _watched(self) -> int | None:
        end = self._host or self._listener
        return None if end is None else end.fileno()

    def _read(self) -> bytes:
        data = self._read_from_host()  # its farewell first, so that one who comes back is not turned away
        self._admit()
        return data

    def _read_from_host(self) -> bytes:
        if self._host is None:
            return b""
        try:
            data = self._host.recv(MOST_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            log.info("%s: the host is gone: %s", self.path.name, error)
            data = b""
        if not data:
            self._host.close()
            self._host = None
        return data

    def _admit(self) -> None:
        """Accepts the first host that connects and turns others away while it is there."""
        if self._listener is None:
            return
        try:
            newcomer, _ = self._listener.accept()
        except BlockingIOError:
            return
        if self._host is not None:
            newcomer.close()
            return
        newcomer.setblocking(False)
        newcomer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = newcomer

    def _write(self, data: bytes) -> None:
        if self._host is None:
            return
        try:
            self._host.sendall(data)
        except OSError as error:  # nobody reads, or nobody is there: the bytes are lost
            log.info("%s: %d bytes were lost: %s", self.path.name, len(data), error)
