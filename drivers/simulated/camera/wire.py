"""The rig's end of the simulated camera's wire: answers `simcam.cti` over sockets that only the rig's user can reach.

The producer opens three connections per device: one for frames, one for clock and temperature, one that waits for
edges on the trigger input. One producer at a time holds the camera, from its greeting until its connection for frames
ends, by whatever cause. Pixels travel in a mapped file where the producer can map one, else on the socket.
`simcam/link.h` is the other end, `messages.py` the records.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from drivers.private_socket import PrivateServer, write_private
from drivers.protocols import Pixels
from drivers.simulated.camera.exposure import Exposed, ExposureRequest
from drivers.simulated.camera.frame_map import MAP_BYTES, Encoder, FrameMap
from drivers.simulated.camera.messages import (
    BUSY,
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
    PROBE,
    Message,
    receive,
    reply,
)
from drivers.simulated.camera.pixel_formats import rendered_request

log = logging.getLogger(__name__)

ABSOLUTE_ZERO_C = -273.15
ROOM_C = 30.0


class CameraWire:
    """Offers one simulated camera: an endpoint file, a listening socket, a thread per connection, one holder.

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
        self._server = PrivateServer(endpoints_folder, f"{serial_number}.socket", self._serve)
        self._plugging = threading.Lock()  # who plugs it in waits until it is unplugged
        self._lock = threading.Lock()
        self._holder: socket.socket | None = None  # the connection for frames of whoever opened the camera
        self._line_waiters: list[socket.socket] = []
        self._exposing = threading.local()  # `caller`: who hears the end of the exposure that this thread makes

    def start(self) -> None:
        """Listen, then publish the address; both are ready when this returns."""
        with self._plugging:
            self._endpoint.parent.mkdir(parents=True, exist_ok=True)
            self._frame_map.open()
            write_private(self._endpoint, f"{self._serial_number}\n{self._server.start()}\n")

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
        caller: tuple[socket.socket, int] | None = getattr(self._exposing, "caller", None)
        self._exposing.caller = None
        if caller is not None:
            connection, frame_id = caller
            connection.sendall(reply(EXPOSE, EXPOSED, frame_id, self._now_ns(), 0, in_map=False))

    def close(self) -> None:
        """As if unplugged: the endpoint vanishes and connections drop, even in the middle of an exposure.

        `start` plugs it in again.
        """
        with self._plugging:
            self._endpoint.unlink(missing_ok=True)
            self._server.close()
            self._frame_map.close()
            self._line_waiters = []
            self._holder = None

    def _serve(self, connection: socket.socket) -> None:
        """Answer requests until the camera leaves or the wire is closed."""
        try:
            while (message := receive(connection)) is not None:
                self._answer(connection, message)
        finally:
            with self._lock:
                self._line_waiters = [c for c in self._line_waiters if c is not connection]
                if self._holder is connection:
                    self._holder = None

    def _answer(self, connection: socket.socket, message: Message) -> None:
        if message.kind == HELLO:
            self._answer_hello(connection, message)
        elif message.kind == CLOCK:
            kelvin = self._temperature_c() - ABSOLUTE_ZERO_C
            connection.sendall(reply(CLOCK, OK, round(kelvin * 1000), self._now_ns(), 0, in_map=False))
        elif message.kind == LINE:
            with self._lock:
                self._line_waiters.append(connection)
        elif message.kind == PROBE:
            with self._lock:
                status = BUSY if self._is_held() else OK
            connection.sendall(reply(PROBE, status, 0, self._now_ns(), 0, in_map=False))
        elif message.kind == EXPOSE:
            self._answer_exposure(connection, message)
        else:
            raise ConnectionError(f"unknown message kind {message.kind}")

    def _answer_hello(self, connection: socket.socket, message: Message) -> None:
        with self._lock:
            is_refused = self._holder is not connection and self._is_held()
            if not is_refused:
                self._holder = connection
        if is_refused:
            connection.sendall(reply(HELLO, BUSY, 0, self._now_ns(), 0, in_map=False))
            return
        path = self._frame_map.name if message.capabilities & CAN_MAP else b""
        connection.sendall(reply(HELLO, OK, MAP_BYTES, self._now_ns(), len(path), in_map=False) + path)

    def _is_held(self) -> bool:
        """Whether somebody has the camera open. One who is gone holds nothing, even if his exposure still runs."""
        return self._holder is not None and _is_connected(self._holder)

    def _require_holder(self, connection: socket.socket) -> None:
        if self._holder is not connection:
            raise ConnectionError("an exposure was asked for by one who does not hold the camera")

    def _answer_exposure(self, connection: socket.socket, message: Message) -> None:
        request = message.exposure
        wanted = rendered_request(request)
        self._require_holder(connection)
        self._exposing.caller = (connection, request.frame_id) if message.capabilities & HEARS_END else None
        exposed = self._expose(wanted)
        self._exposing.caller = None
        if exposed is None:
            connection.sendall(reply(EXPOSE, DROPPED, request.frame_id, self._now_ns(), 0, in_map=False))
            return
        pixels = self._encoder.encode(_checked(exposed.pixels, wanted), request)
        payload = pixels.data.cast("B")
        if not exposed.complete:
            payload = payload[: len(payload) // 2]
        frame_id = request.frame_id if exposed.frame_id is None else exposed.frame_id
        status = OK if exposed.complete else INCOMPLETE
        sequence = 0
        if message.capabilities & CAN_MAP:
            with self._lock:
                self._require_holder(connection)  # another may have it by now, and his frame lies in the map
                sequence = self._frame_map.put(pixels, payload, is_whole=exposed.complete)
        size, in_map = len(payload), sequence > 0
        header = reply(EXPOSE, status, frame_id, exposed.timestamp_ns, size, in_map=in_map, sequence=sequence)
        connection.sendall(header)
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


def _is_connected(connection: socket.socket) -> bool:
    """Whether the other end is there; asked without waiting and without taking what it may have sent."""
    try:
        readable, _, _ = select.select([connection], [], [], 0.0)
        return not readable or connection.recv(1, socket.MSG_PEEK) != b""
    except (OSError, ValueError):  # reset by its end, or closed here
        return False
