"""The rig's end of the simulated camera's wire: answers `simcam.cti` over local TCP.

The producer opens three connections per device: one for frames, one for clock and temperature, one that waits for
edges on the trigger input. Pixels travel in a mapped file where the producer can map one, else on the socket.
`simcam/link.h` is the other end, `messages.py` the records.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from drivers.protocols import Pixels
from drivers.simulated.camera.exposure import Exposed, ExposureRequest
from drivers.simulated.camera.frame_map import MAP_BYTES, Encoder, FrameMap
from drivers.simulated.camera.messages import (
    CAN_MAP,
    CLOCK,
    DROPPED,
    EXPOSE,
    EXPOSED,
    HEARS_END,
    HELLO,
    INCOMPLETE,
    LINE,
    OK,
    Message,
    receive,
    reply,
)
from drivers.simulated.camera.pixel_formats import rendered_request

log = logging.getLogger(__name__)

ABSOLUTE_ZERO_C = -273.15
ROOM_C = 30.0
JOIN_TIMEOUT_S = 5.0


class CameraWire:
    """Offers one simulated camera: an endpoint file, a listening socket, a thread per connection.

    `expose` is called on the frame connection's thread and blocks as long as exposure and readout take. It returns
    None for a frame that is lost on the way, and calls `exposure_ended` if the camera shall know that end before
    the frame is there. `now_ns` and `temperature_c` may be called at the same time. The mapped file lies in
    `frame_folder`; without one, and on Windows, pixels travel on the socket.
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
        """Raises ValueError for a serial number that is no file name."""
        if not serial_number or any(c.isspace() or c == "/" for c in serial_number) or len(serial_number) > 63:
            raise ValueError(f"serial number {serial_number!r}: needs 1 to 63 characters without blanks or slashes")
        self._expose = expose
        self._now_ns = now_ns
        self._temperature_c = temperature_c
        self._endpoint = endpoints_folder / f"{serial_number}.endpoint"
        self._serial_number = serial_number
        frame_path = None if frame_folder is None else frame_folder / f"{serial_number}.{os.getpid()}.pixels"
        self._frame_map = FrameMap(frame_path)
        self._encoder = Encoder()
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._line_waiters: list[socket.socket] = []
        self._exposing: tuple[socket.socket, int] | None = None  # who waits for a frame and hears the exposure's end

    def start(self) -> None:
        """Listen on a free local port, then publish it; both are ready when this returns."""
        self._endpoint.parent.mkdir(parents=True, exist_ok=True)
        self._frame_map.open()
        listener = socket.create_server(("127.0.0.1", 0))
        self._listener = listener
        self._run(self._accept, listener)
        draft = self._endpoint.with_suffix(f".{os.getpid()}.draft")
        draft.write_text(f"127.0.0.1 {listener.getsockname()[1]} {self._serial_number}\n", encoding="ascii")
        draft.replace(self._endpoint)

    def fire_line(self) -> int:
        """A rising edge on Line0, the trigger input; returns how many cameras waited for it."""
        with self._lock:
            waiters, self._line_waiters = self._line_waiters, []
        for connection in waiters:
            try:
                connection.sendall(reply(LINE, OK, 0, self._now_ns(), 0, in_map=False))
            except OSError as error:
                log.info("a camera left before the edge on its trigger line reached it: %s", error)
        return len(waiters)

    def exposure_ended(self) -> None:
        """The sensor gathers no more light; readout and transfer of the frame follow. For `expose` to call."""
        exposing, self._exposing = self._exposing, None
        if exposing is not None:
            connection, frame_id = exposing
            connection.sendall(reply(EXPOSE, EXPOSED, frame_id, self._now_ns(), 0, in_map=False))

    def close(self) -> None:
        """As if unplugged: the endpoint vanishes and connections drop, even in the middle of an exposure.

        `start` plugs it in again.
        """
        self._endpoint.unlink(missing_ok=True)
        listener, self._listener = self._listener, None
        if listener is not None:
            _shut(listener)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _shut(connection)
        for thread in self._threads:
            thread.join(timeout=JOIN_TIMEOUT_S)
        self._frame_map.close()
        self._line_waiters = []

    def _run(self, target: Callable[[socket.socket], None], connection: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(connection,), name=f"camera {target.__name__}", daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        """A thread's work: one more thread for each connection, until the wire is closed."""
        while self._listener is listener:
            try:
                connection, _ = listener.accept()
            except OSError:
                if self._listener is listener:
                    log.exception("camera wire of %s stopped listening", self._serial_number)
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            self._run(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        """A thread's work: answer requests until the camera leaves or the wire is closed."""
        try:
            while (message := receive(connection)) is not None:
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

    def _answer(self, connection: socket.socket, message: Message) -> None:
        if message.kind == HELLO:
            self._answer_hello(connection, message)
        elif message.kind == CLOCK:
            kelvin = self._temperature_c() - ABSOLUTE_ZERO_C
            connection.sendall(reply(CLOCK, OK, round(kelvin * 1000), self._now_ns(), 0, in_map=False))
        elif message.kind == LINE:
            with self._lock:
                self._line_waiters.append(connection)
        elif message.kind == EXPOSE:
            self._answer_exposure(connection, message)
        else:
            raise ConnectionError(f"unknown message kind {message.kind}")

    def _answer_hello(self, connection: socket.socket, message: Message) -> None:
        path = self._frame_map.name if message.capabilities & CAN_MAP else b""
        connection.sendall(reply(HELLO, OK, MAP_BYTES, self._now_ns(), len(path), in_map=False) + path)

    def _answer_exposure(self, connection: socket.socket, message: Message) -> None:
        request = message.exposure
        wanted = rendered_request(request)
        self._exposing = (connection, request.frame_id) if message.capabilities & HEARS_END else None
        exposed = self._expose(wanted)
        self._exposing = None
        if exposed is None:
            connection.sendall(reply(EXPOSE, DROPPED, request.frame_id, self._now_ns(), 0, in_map=False))
            return
        pixels = self._encoder.encode(_checked(exposed.pixels, wanted), request)
        payload = pixels.data.cast("B")
        if not exposed.complete:
            payload = payload[: len(payload) // 2]
        frame_id = request.frame_id if exposed.frame_id is None else exposed.frame_id
        status = OK if exposed.complete else INCOMPLETE
        can_map = bool(message.capabilities & CAN_MAP)
        in_map = can_map and self._frame_map.put(pixels, payload, is_whole=exposed.complete)
        connection.sendall(reply(EXPOSE, status, frame_id, exposed.timestamp_ns, len(payload), in_map=in_map))
        if not in_map:
            connection.sendall(payload)


def _checked(pixels: Pixels, request: ExposureRequest) -> Pixels:
    """Contiguous pixels. Raises ValueError when shape or dtype is not what was asked for."""
    dtype = np.uint8 if request.pixel_format.endswith("8") else np.uint16
    if pixels.shape != (request.height, request.width) or pixels.dtype != dtype:
        raise ValueError(
            f"the rig exposed {pixels.dtype} {pixels.shape}, the camera asked for "
            f"{np.dtype(dtype)} {(request.height, request.width)} in {request.pixel_format}"
        )
    return pixels if pixels.flags.c_contiguous else pixels.copy()


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        log.debug("already disconnected: %s", error)
    connection.close()
