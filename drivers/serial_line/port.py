"""The owner of one serial port: one reader thread, a log of every byte written, closed at the first error.

A port is found anew at each opening (`resolve_port`), since a device that is plugged in again may have another name.
"""

from __future__ import annotations

import errno
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from drivers.errors import DeviceError, DeviceLost, DeviceNotFound

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 0.05  # the reader wakes at least this often, to see whether it should end
WRITE_TIMEOUT_S = 1.0
LONGEST_PIECE_BYTES = 1024  # what is longer without a terminator is noise, and is handed on as it is
LOG_ENTRIES = 20_000

_USB = re.compile(r"([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})(?::([^:/]+))?")
_URL = re.compile(r"[a-z0-9]+://[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that left, and when (`time.monotonic`)."""

    time_s: float
    data: bytes


class Port:
    """A serial port, open and owned. `on_piece` runs in the reader thread, once per terminated piece.

    `name` is what `resolve_port` takes. An empty terminator hands on every piece as it arrives. The constructor
    raises DeviceNotFound when the port cannot be opened. After the first error the port is closed, `on_lost` has
    been called once, and every write raises DeviceLost.
    """

    def __init__(
        self,
        device: str,
        name: str,
        *,
        baud_rate: int,
        terminator: bytes,
        on_piece: Callable[[bytes], None],
        on_lost: Callable[[DeviceLost], None],
    ) -> None:
        self.device = device
        self.name = name
        self.written: deque[Written] = deque(maxlen=LOG_ENTRIES)
        self._terminator = terminator
        self._on_piece = on_piece
        self._on_lost = on_lost
        self._loss: DeviceLost | None = None
        self._ending = threading.Event()
        self._write_lock = threading.Lock()  # held only while bytes leave, never while waiting for a reply
        self._serial = _open(device, name, baud_rate)
        self._reader = threading.Thread(target=self._read_all, name=f"serial {name}", daemon=True)
        self._reader.start()

    def write(self, data: bytes) -> None:
        """Hand `data` to the port; raises DeviceLost."""
        with self._write_lock:
            if self._loss is not None:
                raise DeviceLost(self._loss.device, self._loss.message)
            if self._ending.is_set():
                raise DeviceLost(self.device, f"port {self.name} is closed: open the device again")
            self.written.append(Written(time.monotonic(), data))
            log.debug("%s <- %r", self.name, data)
            try:
                self._serial.write(data)
            except OSError as error:
                raise self._lose(f"write failed: {error}") from error

    def close(self) -> None:
        """Stop reading and close; safe to call twice, and from the reader's own callbacks."""
        self._ending.set()
        if threading.current_thread() is not self._reader:
            self._reader.join()

    def written_bytes(self) -> bytes:
        """All that was written, in order; the oldest writes are forgotten after `LOG_ENTRIES`."""
        return b"".join(w.data for w in list(self.written))

    def _read_all(self) -> None:
        pending = b""
        try:
            while not self._ending.is_set():
                pending = self._deliver(pending + self._read_some())
        except OSError as error:  # SerialException is one; a dead pty or USB device raises plain OSError
            if not self._ending.is_set():
                self._lose(f"read failed: {error}")
        finally:
            self._close_port()

    def _read_some(self) -> bytes:
        data: bytes = self._serial.read(max(1, self._serial.in_waiting))
        if data:
            log.debug("%s -> %r", self.name, data)
        return data

    def _deliver(self, pending: bytes) -> bytes:
        if not self._terminator:
            if pending:
                self._on_piece(pending)
            return b""
        *pieces, rest = pending.split(self._terminator)
        for piece in pieces:
            self._on_piece(piece)
        if len(rest) > LONGEST_PIECE_BYTES:
            self._on_piece(rest)
            return b""
        return rest

    def _lose(self, what: str) -> DeviceLost:
        if self._loss is None:
            self._loss = DeviceLost(
                self.device, f"port {self.name}: {what}. Check cable and power, then open the device again"
            )
            self._ending.set()  # the reader closes the port on its way out
            self._on_lost(self._loss)
        return self._loss

    def _close_port(self) -> None:
        # never under a writer: pyserial would raise TypeError, or write to whatever reuses the descriptor
        with self._write_lock:
            connection = getattr(self._serial, "_socket", None)  # pyserial forgets to close it after a hang-up
            try:
                self._serial.close()
                if connection is not None:
                    connection.close()
            except OSError as error:
                log.warning("%s: closing port %s: %s", self.device, self.name, error)


def resolve_port(device: str, port: str) -> str:
    """What pyserial is to open: a path, a COM name or a URL, looked up now.

    `port` is a path (best one of /dev/serial/by-id), a COM name, a pyserial URL (`socket://host:port`), a file that
    holds such a URL, or `VID:PID` or `VID:PID:SERIAL` of a USB device. Raises DeviceNotFound.
    """
    match = _USB.fullmatch(port)
    if match is not None:
        return _usb_port(device, port, int(match[1], 16), int(match[2], 16), match[3])
    if "://" not in port and Path(port).is_file():
        return _address_in(device, Path(port))
    return port


def _usb_port(device: str, port: str, vid: int, pid: int, serial_number: str | None) -> str:
    fitting = [
        found
        for found in list_ports.comports()
        if (found.vid, found.pid) == (vid, pid) and serial_number in (None, found.serial_number)
    ]
    if not fitting:
        raise DeviceNotFound(device, f"no serial port has USB identity {port}. {_ports_here()}")
    if len(fitting) > 1:
        names = ", ".join(sorted(f"{found.device} (serial number {found.serial_number})" for found in fitting))
        raise DeviceNotFound(device, f"USB identity {port} fits {names}: add the serial number, {port}:SERIAL")
    return str(fitting[0].device)


def _address_in(device: str, file: Path) -> str:
    """The URL in a small text file, as a simulated rig without pseudo-terminals writes it."""
    text = file.read_bytes()[:256].decode("ascii", "replace").strip()
    if not _URL.fullmatch(text):
        raise DeviceNotFound(
            device,
            f"{file} is no serial port, and holds no address of one (scheme://host:port)",
        )
    return text


def _open(device: str, port: str, baud_rate: int) -> Any:
    name = resolve_port(device, port)
    options: dict[str, Any] = {} if "://" in name else {"exclusive": True}
    try:
        return serial.serial_for_url(
            name, baudrate=baud_rate, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, **options
        )
    except (OSError, ValueError) as error:
        raise _not_found(device, port, error) from error


def _not_found(device: str, port: str, error: Exception) -> DeviceError:
    if getattr(error, "errno", None) == errno.EAGAIN or "exclusively lock" in str(error):
        return DeviceNotFound(device, f"port {port} is in use by another program: close that first")
    return DeviceNotFound(device, f"port {port} cannot be opened ({error}). {_ports_here()}")


def _ports_here() -> str:
    return f"Serial ports on this machine: {', '.join(available_ports()) or 'none'}"


def available_ports() -> list[str]:
    """This machine's serial ports, each with its USB identity; the stable names of /dev/serial/by-id come first."""
    by_id = Path("/dev/serial/by-id")
    stable = sorted(str(p) for p in by_id.iterdir()) if by_id.is_dir() else []
    return stable + sorted(_with_identity(p) for p in list_ports.comports())


def _with_identity(port: Any) -> str:
    if port.vid is None:
        return str(port.device)
    serial_number = f":{port.serial_number}" if port.serial_number else ""
    return f"{port.device} ({port.vid:04x}:{port.pid:04x}{serial_number})"
