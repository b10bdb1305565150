"""The rig's end of the simulated camera's wire: answers `simcam.cti` over local TCP.

The producer opens three connections per device: one for frames, one for clock and temperature, one on
which edges on the trigger input are told. Pixels travel in a
mapped file where the producer can map one, else on the socket. `simcam/link.h` is the other end.
"""

from __future__ import annotations

import logging
import mmap
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from drivers.protocols import Pixels
from drivers.simulated.camera.pixel_formats import PIXEL_FORMATS, encode, rendered_request

log = logging.getLogger(__name__)

MAGIC, VERSION = 0x31434D46, 2
HELLO, EXPOSE, CLOCK, LINE = 1, 2, 3, 4
OK, INCOMPLETE, DROPPED, EXPOSED = 0, 1, 2, 3
BINNINGS = (1, 2, 4, 8)
CAN_MAP, HEARS_END = 1, 2
MAP_BYTES = 5472 * 3648 * 3
ABSOLUTE_ZERO_C = -273.15
ROOM_C = 30.0

_REQUEST = struct.Struct("<4IQ3d6I2I")
_REPLY = struct.Struct("<4I3Q2I")


@dataclass(frozen=True, slots=True)
class ExposureRequest:
    """What the camera's registers held at the trigger; sizes and offsets in pixels after binning."""

    frame_id: int
    exposure_us: float
    gain_db: float
    black_level_dn: float
    binning: int
    width: int
    height: int
    offset_x: int
    offset_y: int
    pixel_format: str  # as the rig is asked for it: Mono8, Mono12, BayerRG8 or BayerRG12
    active_lines: int = 0  # bit n: output line n is on during the exposure
    binning_vertical: int = 1  # as the rig is asked for it, equal to `binning`


@dataclass(slots=True)
class Exposed:
    """What the sensor saw: (H, W) uint8 for 8-bit formats, uint16 in the low 12 bits for 12-bit ones.

    Pixels that are not writeable and come again, as the very same object, are not copied again.
    """

    pixels: Pixels
    timestamp_ns: int  # start of exposure on the rig's clock
    complete: bool = True  # False: the lower half is lost on the way, and the frame is marked incomplete
    frame_id: int | None = None  # None: the request's; another number plays a stale or duplicate frame


class _Message(NamedTuple):
    kind: int
    capabilities: int
    exposure: ExposureRequest


class CameraLink:
    """Offers one simulated camera: an endpoint file, a listening socket, a thread per connection.

    `expose` is called on the frame connection's thread and blocks as long as exposure and readout take; it may
    call `exposure_ended`, so that the camera knows that before the frame is there. Its None means that the
    frame is lost on the way. `now_ns` and `temperature_c` may be called at the same time. `fire_line` is an
    edge on the camera's trigger input. The mapped file lies in `frame_folder`; without one, and on Windows,
    pixels travel on the socket.
    """

    def __init__(
        self,
        expose: Callable[[ExposureRequest], Exposed | None],
        now_ns: Callable[[], int],
        endpoints_folder: Path,
        serial_number: str,
        frame_folder: Path | None,
        temperature_c: Callable[[], float] = lambda: ROOM_C,
    ) -> None:
        if not serial_number or any(c.isspace() or c == "/" for c in serial_number) or len(serial_number) > 63:
            raise ValueError(f"serial number {serial_number!r}: needs 1 to 63 characters without blanks or slashes")
        self._expose = expose
        self._now_ns = now_ns
        self._temperature_c = temperature_c
        self._endpoint = endpoints_folder / f"{serial_number}.endpoint"
        self._serial_number = serial_number
        self._frame_path = None if frame_folder is None else frame_folder / f"{serial_number}.{os.getpid()}.pixels"
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._line_waiters: list[socket.socket] = []
        self._exposing: tuple[socket.socket, int] | None = None  # who waits for a frame and hears the exposure's end
        self._in_map: Pixels | None = None  # what the mapped file holds, if it never changes
        self._encoded: tuple[Pixels, tuple[str, int, int], Pixels] | None = None
        self._map: mmap.mmap | None = None

    def start(self) -> None:
        """Listen on a free local port, then publish it; both are ready when this returns."""
        self._endpoint.parent.mkdir(parents=True, exist_ok=True)
        self._map = self._make_map()
        listener = socket.create_server(("127.0.0.1", 0))
        self._listener = listener
        self._run(self._accept, listener)
        draft = self._endpoint.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(f"127.0.0.1 {listener.getsockname()[1]} {self._serial_number}\n", encoding="ascii")
        draft.replace(self._endpoint)

    def fire_line(self) -> int:
        """A rising edge on Line0; returns how many cameras were told."""
        with self._lock:
            waiters, self._line_waiters = self._line_waiters, []
        for connection in waiters:
            try:
                connection.sendall(_reply(LINE, OK, 0, self._now_ns(), 0, in_map=False))
            except OSError as error:
                log.info("a camera left before its trigger line was told: %s", error)
        return len(waiters)

    def exposure_ended(self) -> None:
        """The sensor gathers no more light; readout and transfer of the frame follow. For `expose` to call."""
        exposing, self._exposing = self._exposing, None
        if exposing is not None:
            connection, frame_id = exposing
            connection.sendall(_reply(EXPOSE, EXPOSED, frame_id, self._now_ns(), 0, in_map=False))

    def close(self) -> None:
        """As if unplugged: the endpoint vanishes, connections drop, even in the middle of an exposure."""
        self._endpoint.unlink(missing_ok=True)
        listener, self._listener = self._listener, None
        if listener is not None:
            _shut(listener)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)
        for thread in self._threads:
            thread.join(timeout=5.0)
        if self._frame_path is not None:
            self._frame_path.unlink(missing_ok=True)
        self._in_map = None
        self._line_waiters = []
        self._map = None  # closed with its last view

    def _make_map(self) -> mmap.mmap | None:
        if self._frame_path is None or os.name == "nt":
            return None
        self._frame_path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._frame_path, "w+b") as file:
            file.truncate(MAP_BYTES)
            return mmap.mmap(file.fileno(), MAP_BYTES)

    def _run(self, target: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(connection,), name=f"camera {target.__name__}", daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._listener is listener:
                    log.exception("camera link of %s stopped listening", self._serial_number)
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            while (message := _receive(connection)) is not None:
                self._answer(connection, message)
        except ConnectionError as error:
            log.info("camera connection ended: %s", error)
        except OSError as error:
            if self._listener is not None:
                log.warning("camera connection failed: %s", error)
        finally:
            with self._lock:
                self._connections.discard(connection)
                self._line_waiters = [c for c in self._line_waiters if c is not connection]
            connection.close()

    def _answer(self, connection: socket.socket, message: _Message) -> None:
        if message.kind == HELLO:
            self._answer_hello(connection, message)
        elif message.kind == CLOCK:
            kelvin = self._temperature_c() - ABSOLUTE_ZERO_C
            connection.sendall(_reply(CLOCK, OK, round(kelvin * 1000), self._now_ns(), 0, in_map=False))
        elif message.kind == LINE:
            with self._lock:
                self._line_waiters.append(connection)
        elif message.kind == EXPOSE:
            self._answer_exposure(connection, message)
        else:
            raise ConnectionError(f"unknown message kind {message.kind}")

    def _answer_hello(self, connection: socket.socket, message: _Message) -> None:
        path = b""
        if self._map is not None and self._frame_path is not None and message.capabilities & CAN_MAP:
            path = os.fsencode(self._frame_path.resolve())
        connection.sendall(_reply(HELLO, OK, MAP_BYTES, self._now_ns(), len(path), in_map=False) + path)

    def _answer_exposure(self, connection: socket.socket, message: _Message) -> None:
        request = message.exposure
        wanted = rendered_request(request)
        self._exposing = (connection, request.frame_id) if message.capabilities & HEARS_END else None
        exposed = self._expose(wanted)
        self._exposing = None
        if exposed is None:
            connection.sendall(_reply(EXPOSE, DROPPED, request.frame_id, self._now_ns(), 0, in_map=False))
            return
        pixels = self._encode(_checked(exposed.pixels, wanted), request)
        payload = pixels.data.cast("B")
        if not exposed.complete:
            payload = payload[: len(payload) // 2]
        frame_id = request.frame_id if exposed.frame_id is None else exposed.frame_id
        status = OK if exposed.complete else INCOMPLETE
        frame_map = self._map
        in_map = frame_map is not None and bool(message.capabilities & CAN_MAP)
        if frame_map is not None and in_map:
            if self._in_map is not pixels:
                frame_map[: len(payload)] = payload
            self._in_map = pixels if exposed.complete and not pixels.flags.writeable else None
        connection.sendall(_reply(EXPOSE, status, frame_id, exposed.timestamp_ns, len(payload), in_map=in_map))
        if not in_map:
            connection.sendall(payload)

    def _encode(self, pixels: Pixels, request: ExposureRequest) -> Pixels:
        """In the camera's pixel format; pixels that never change are encoded once."""
        if pixels.flags.writeable:
            return encode(pixels, request)
        key = (request.pixel_format, request.width, request.height)
        known = self._encoded
        if known is not None and known[0] is pixels and known[1] == key:
            return known[2]
        encoded = encode(pixels, request)
        encoded.flags.writeable = False
        self._encoded = (pixels, key, encoded)
        return encoded


def _checked(pixels: Pixels, request: ExposureRequest) -> Pixels:
    dtype = np.uint8 if request.pixel_format.endswith("8") else np.uint16
    if pixels.shape != (request.height, request.width) or pixels.dtype != dtype:
        raise ValueError(
            f"the rig exposed {pixels.dtype} {pixels.shape}, the camera asked for "
            f"{np.dtype(dtype)} {(request.height, request.width)} in {request.pixel_format}"
        )
    return pixels if pixels.flags.c_contiguous else pixels.copy()


def _reply(kind: int, status: int, frame_id: int, timestamp_ns: int, payload_length: int, *, in_map: bool) -> bytes:
    return _REPLY.pack(MAGIC, VERSION, kind, status, frame_id, timestamp_ns, payload_length, int(in_map), 0)


def _receive(connection: socket.socket) -> _Message | None:
    """One request, or None when the camera has closed. Raises ConnectionError for anything unreadable."""
    data = b""
    while len(data) < _REQUEST.size:
        part = connection.recv(_REQUEST.size - len(data))
        if not part:
            return None
        data += part
    return _parse(data)


def _parse(data: bytes) -> _Message:
    (magic, version, kind, capabilities, frame_id, exposure_us, gain_db, black_level_dn, *rest) = _REQUEST.unpack(data)
    binning, width, height, offset_x, offset_y, code, active_lines, binning_vertical = rest
    if (magic, version) != (MAGIC, VERSION):
        raise ConnectionError(f"not the camera's protocol: magic {magic:#x} version {version}")
    if kind == EXPOSE and code not in PIXEL_FORMATS:
        raise ConnectionError(f"unknown pixel format {code:#x}")
    if kind == EXPOSE and not (binning in BINNINGS and binning_vertical in BINNINGS):
        raise ConnectionError(f"unknown binning {binning} x {binning_vertical}")
    exposure = ExposureRequest(
        frame_id=frame_id,
        exposure_us=exposure_us,
        gain_db=gain_db,
        black_level_dn=black_level_dn,
        binning=binning,
        width=width,
        height=height,
        offset_x=offset_x,
        offset_y=offset_y,
        pixel_format=PIXEL_FORMATS.get(code, ""),
        active_lines=active_lines,
        binning_vertical=binning_vertical,
    )
    return _Message(kind, capabilities, exposure)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        log.debug("already disconnected: %s", error)
    connection.close()
