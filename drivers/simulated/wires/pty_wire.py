"""A pseudo-terminal that behaves as a serial port with a simulated device at its far end.

The terminal is raw, so that bytes pass unchanged. Both ends stay open here: hosts may come and go without an EOF.
"""

from __future__ import annotations

import errno
import os
import tty
from pathlib import Path

from drivers.simulated.wires.wire import MOST_BYTES, Firmware, Wire


class PtyWire(Wire):
    """`path` is a symbolic link to the pseudo-terminal, which a driver opens like any port.

    After `unplug` and `plug` the terminal has another name, as a USB port may, and the link leads to it.
    """

    def __init__(self, path: Path, firmware: Firmware, *, latency_s: float = 0.002) -> None:
        super().__init__(path, firmware, latency_s=latency_s)
        self._fds: tuple[int, int] | None = None  # (our end, the host's end kept open so that hosts may come and go)
        self._name = ""

    def _connect(self) -> None:
        if self._fds is not None:
            return
        self._fds = self._open_under_another_name()
        for fd in self._fds:
            tty.setraw(fd)
        os.set_blocking(self._fds[0], False)
        self._name = os.ttyname(self._fds[1])
        self._point_path_at(self._name)

    def _open_under_another_name(self) -> tuple[int, int]:
        fds = os.openpty()
        if os.ttyname(fds[1]) != self._name:
            return fds
        other = os.openpty()  # while the old name is still taken
        for fd in fds:
            os.close(fd)
        return other

    def _disconnect(self) -> None:
        if self._fds is None:
            return
        self.path.unlink(missing_ok=True)
        for fd in self._fds:
            os.close(fd)
        self._fds = None

    def _point_path_at(self, target: str) -> None:
        temporary = self.path.with_name(self.path.name + ".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(self.path)

    def _watched(self) -> int | None:
        fds = self._fds
        return None if fds is None else fds[0]

    def _read(self) -> bytes:
        if self._fds is None:
            return b""
        try:
            return os.read(self._fds[0], MOST_BYTES)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):
                raise
            return b""

    def _write(self, data: bytes) -> None:
        if self._fds is None:
            return
        try:
            os.write(self._fds[0], data)
        except OSError as error:  # nobody reads and the buffer is full: a UART loses bytes then, and so does this
            if error.errno not in (errno.EAGAIN, errno.EIO):
                raise
