"""The messages between `simcam.cti` and the rig: fixed little-endian records, as in `simcam/link.h`.

A request is answered by one reply, with two exceptions: LINE is answered at the next edge on the trigger input,
and EXPOSE first by EXPOSED where the camera wants to hear the end of its exposure. HELLO asks for the camera and is
answered by BUSY while another holds it; PROBE only asks whether one does.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from drivers.simulated.camera.exposure import ExposureRequest
from drivers.simulated.camera.pixel_formats import PIXEL_FORMATS

MAGIC, VERSION = 0x31434D46, 3
HELLO, EXPOSE, CLOCK, LINE, PROBE = 1, 2, 3, 4, 5  # kinds of request
OK, INCOMPLETE, DROPPED, EXPOSED, BUSY = 0, 1, 2, 3, 4  # status of a reply
CAN_MAP, HEARS_END = 1, 2  # capabilities of the camera's end, as bits
BINNINGS = (1, 2, 4, 8)

_REQUEST = struct.Struct("<4IQ3d6I2I")
_REPLY = struct.Struct("<4I3Q2I")


class Message(NamedTuple):
    """A request as received; `exposure` means something for EXPOSE only."""

    kind: int
    capabilities: int
    exposure: ExposureRequest


def reply(
    kind: int, status: int, frame_id: int, timestamp_ns: int, payload_length: int, *, in_map: bool, sequence: int = 0
) -> bytes:
    """The header of an answer; the payload of `payload_length` bytes lies in the map or follows on the socket.

    `sequence` is the map's while it holds this payload.
    """
    return _REPLY.pack(MAGIC, VERSION, kind, status, frame_id, timestamp_ns, payload_length, int(in_map), sequence)


def receive(connection: socket.socket) -> Message | None:
    """One request, or None when the camera has closed. Raises ConnectionError for anything unreadable."""
    data = b""
    while len(data) < _REQUEST.size:
        part = connection.recv(_REQUEST.size - len(data))
        if not part:
            return None
        data += part
    return _parse(data)


def _parse(data: bytes) -> Message:
    (magic, version, kind, capabilities, frame_id, exposure_us, gain_db, black_level_dn, *rest) = _REQUEST.unpack(data)
    binning, width, height, offset_x, offset_y, code, active_lines, binning_vertical = rest
    if (magic, version) != (MAGIC, VERSION):
        raise ConnectionError(
            f"not the camera's protocol: found magic {magic:#x} version {version}, expected {MAGIC:#x} {VERSION}; "
            "build simcam.cti again (python setup.py build_ext --inplace)"
        )
    if kind == EXPOSE and code not in PIXEL_FORMATS:
        raise ConnectionError(f"unknown pixel format {code:#x}")
    if kind == EXPOSE and not (binning in BINNINGS and binning_vertical in BINNINGS):
        raise ConnectionError(f"unknown binning {binning} x {binning_vertical}: each can be {BINNINGS}")
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
    return Message(kind, capabilities, exposure)
