"""The rig's end of the camera's wire, spoken to byte by byte."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.private_socket import connect
from drivers.simulated.camera.exposure import Exposed, ExposureRequest
from drivers.simulated.camera.wire import CameraWire

MAGIC, VERSION = 0x31434D46, 3
HELLO, EXPOSE, CLOCK, PROBE = 1, 2, 3, 5
BUSY = 4
PIXELS_OFFSET = 64
REQUEST, REPLY = struct.Struct("<4IQ3d8I"), struct.Struct("<4I3Q2I")
NOW_NS = 123_456_789


def expose(request: ExposureRequest) -> Exposed | None:
    if request.exposure_us == 0.0:
        return None
    pixels = np.full((request.height, request.width), request.frame_id, np.uint16)
    return Exposed(pixels, NOW_NS, complete=request.exposure_us != 1.0)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[CameraWire]:
    wire = CameraWire(expose, lambda: NOW_NS, tmp_path / "cameras", "S-1", tmp_path)
    wire.start()
    yield wire
    wire.close()


@pytest.fixture
def connection(wire: CameraWire, tmp_path: Path) -> Iterator[socket.socket]:  # noqa: ARG001 - the wire must be up
    with reach(tmp_path / "cameras" / "S-1.endpoint") as connection:
        yield connection


def reach(endpoint: Path) -> socket.socket:
    serial_number, address = endpoint.read_text().splitlines()
    assert f"{serial_number}.endpoint" == endpoint.name
    return connect(address, timeout_s=10.0)


def ask(connection: socket.socket, kind: int, exposure_us: float = 50.0, capabilities: int = 0) -> tuple[int, ...]:
    """Returns status, frame id, timestamp, payload length, in_map."""
    connection.sendall(request(kind, exposure_us, capabilities))
    magic, version, answered, *rest = REPLY.unpack(receive(connection, REPLY.size))
    assert (magic, version, answered) == (MAGIC, VERSION, kind)
    return tuple(rest[:5])


def request(kind: int, exposure_us: float = 50.0, capabilities: int = 0) -> bytes:
    picture = (1, 6, 4, 0, 0, 0x01100005, 0, 1)
    return REQUEST.pack(MAGIC, VERSION, kind, capabilities, 7, exposure_us, 0.0, 0.0, *picture)


def receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        assert part, "the rig closed the connection"
        data += part
    return data


def test_pixels_on_the_socket(connection: socket.socket) -> None:
    assert ask(connection, HELLO)[3] == 0
    assert ask(connection, EXPOSE) == (0, 7, NOW_NS, 48, 0)
    assert receive(connection, 48) == b"\x07\x00" * 24


def test_pixels_in_the_mapped_file(connection: socket.socket) -> None:
    length = ask(connection, HELLO, capabilities=1)[3]
    path = Path(receive(connection, length).decode())
    assert ask(connection, EXPOSE, capabilities=1) == (0, 7, NOW_NS, 48, 1)
    assert path.read_bytes()[PIXELS_OFFSET : PIXELS_OFFSET + 48] == b"\x07\x00" * 24
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_end_of_the_exposure_is_told_to_who_asks_for_it(tmp_path: Path) -> None:
    wires: list[CameraWire] = []

    def expose_and_tell(request: ExposureRequest) -> Exposed | None:
        wires[0].exposure_ended()
        wires[0].exposure_ended()  # announced once
        return expose(request)

    wires.append(CameraWire(expose_and_tell, lambda: NOW_NS, tmp_path, "S-2", None))
    wires[0].start()
    with reach(tmp_path / "S-2.endpoint") as connection:
        assert ask(connection, HELLO)[0] == 0
        assert ask(connection, EXPOSE, capabilities=2) == (3, 7, NOW_NS, 0, 0)
        assert REPLY.unpack(receive(connection, REPLY.size))[3:7] == (0, 7, NOW_NS, 48)
        assert receive(connection, 48) == b"\x07\x00" * 24
        assert ask(connection, EXPOSE)[0] == 0
    wires[0].close()


def test_clock_dropped_and_incomplete(connection: socket.socket) -> None:
    assert ask(connection, CLOCK)[2] == NOW_NS
    assert ask(connection, HELLO)[0] == 0
    assert ask(connection, EXPOSE, exposure_us=0.0)[0] == 2
    status, _, _, length, _ = ask(connection, EXPOSE, exposure_us=1.0)
    assert (status, length) == (1, 24)


def test_one_camera_at_a_time_holds_it_until_its_connection_ends(wire: CameraWire, tmp_path: Path) -> None:  # noqa: ARG001
    """Issue 15, point 9."""
    endpoint = tmp_path / "cameras" / "S-1.endpoint"
    with reach(endpoint) as first, reach(endpoint) as second:
        assert ask(first, PROBE)[0] == 0
        assert ask(first, HELLO)[0] == 0
        assert ask(second, PROBE)[0] == BUSY
        assert ask(second, HELLO)[0] == BUSY
        second.sendall(request(EXPOSE))
        assert second.recv(1) == b"", "it exposed for one who does not hold it"
    with reach(endpoint) as third:
        assert ask(third, HELLO)[0] == 0


def test_a_stranger_is_shown_the_door(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\n".ljust(REQUEST.size))
    assert connection.recv(1) == b""


def test_closing_unplugs(wire: CameraWire, connection: socket.socket, tmp_path: Path) -> None:
    assert ask(connection, CLOCK)[2] == NOW_NS
    wire.close()
    assert connection.recv(1) == b""
    assert list((tmp_path / "cameras").iterdir()) == []
    assert list(tmp_path.glob("*.pixels")) == []


@pytest.mark.parametrize("serial_number", ["", "A B", "a/b", "x" * 64])
def test_a_serial_number_that_no_endpoint_file_can_carry(serial_number: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="serial number"):
        CameraWire(expose, lambda: 0, tmp_path, serial_number, tmp_path)
