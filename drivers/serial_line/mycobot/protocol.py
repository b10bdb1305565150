"""The myCobot frame protocol: `FE FE LEN CMD data FA`, without a checksum; pure functions and a frame reader.

LEN counts the data, CMD and itself. Angles are int16 big-endian in 0.01 degree, x, y, z in 0.1 mm.
Source: elephantrobotics/myCobot320-docs, 6.1 Communication.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

START = b"\xfe\xfe"
END = 0xFA
PADDING = bytes(67)  # ends a frame of which a garbled length is awaited; none of it can be the end of one

VERSION = 0x02
ERROR_INFO = 0x07
POWER_ON = 0x10
IS_POWERED = 0x12
IS_CONNECTED = 0x14
GET_ANGLES = 0x20
SEND_ANGLES = 0x22
GET_COORDINATES = 0x23
SEND_COORDINATES = 0x25
IS_PAUSED = 0x27
STOP = 0x29
IS_IN_POSITION = 0x2A
IS_MOVING = 0x2B
ANGLES_PLAN = 0xF6  # where it was told to go: newer firmware alone knows these two
COORDINATES_PLAN = 0xF7
# 0x13 releases the servos: the arm falls. It is not here, so that it cannot be sent.

ANSWER_BYTES = {  # of data; there is no checksum, so that anything else is taken for noise
    **dict.fromkeys((VERSION, IS_POWERED, IS_CONNECTED, IS_PAUSED, IS_IN_POSITION, IS_MOVING), (1,)),
    **dict.fromkeys((GET_ANGLES, GET_COORDINATES, ANGLES_PLAN, COORDINATES_PLAN), (12,)),
    ERROR_INFO: (1, 2),
    **dict.fromkeys((POWER_ON, SEND_ANGLES, SEND_COORDINATES, STOP), (0, 1)),
}

NAMES = {
    VERSION: "its version",
    ERROR_INFO: "its last error",
    IS_POWERED: "whether it has power",
    IS_CONNECTED: "whether its joints are connected",
    GET_ANGLES: "its joint angles",
    GET_COORDINATES: "its coordinates",
    IS_PAUSED: "whether it is paused",
    IS_IN_POSITION: "whether it is in position",
    IS_MOVING: "whether it moves",
    ANGLES_PLAN: "the joint angles it was told",
    COORDINATES_PLAN: "the coordinates it was told",
}

JOINT_PATH, STRAIGHT_PATH = 0, 1
ANGLES, COORDINATES = 0, 1  # what IS_IN_POSITION is asked about
LARGEST_MM = 3276.7
LARGEST_DEG = 327.67

Six = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """One command or answer, without its marks and length."""

    command: int
    data: bytes = b""


def encode(frame: Frame) -> bytes:
    """The frame's bytes as they are sent."""
    return START + bytes([len(frame.data) + 2, frame.command]) + frame.data + bytes([END])


class FrameReader:
    """Finds an arm's answers in a stream. What cannot be one is skipped byte by byte, up to the next `FE FE`."""

    def __init__(self) -> None:
        self.rejected_bytes = 0
        self._pending = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Every frame that is complete now, in order."""
        self._pending += data
        frames: list[Frame] = []
        while (size := self._next_size()) is not None:
            body = self._pending[:size]
            frames.append(Frame(body[3], body[4:-1]))
            self._pending = self._pending[size:]
        return frames

    def _next_size(self) -> int | None:
        """Length of the frame at the front, after dropping what is none; None while more bytes are needed."""
        while True:
            at = self._pending.find(START)
            self._skip(len(self._pending) - _starting(self._pending) if at < 0 else at)
            if len(self._pending) < 4:
                return None
            length, command = self._pending[2], self._pending[3]
            size = length + 3
            if length - 2 not in ANSWER_BYTES.get(command, ()):
                self._skip(1)
            elif len(self._pending) < size:
                return None
            elif self._pending[size - 1] == END:
                return size
            else:
                self._skip(1)

    def _skip(self, count: int) -> None:
        self.rejected_bytes += count
        self._pending = self._pending[count:]


def _starting(data: bytes) -> int:
    """How many bytes at the end may be the beginning of a start mark."""
    return 1 if data.endswith(b"\xfe") else 0


def flag(frame: Frame) -> int | None:
    """A one-byte answer, 0 or 1; None for anything else."""
    return frame.data[0] if len(frame.data) == 1 and frame.data[0] in (0, 1) else None


def error_words(frame: Frame) -> str | None:
    """The arm's last error in words, empty for none; None for what cannot be one. Numbers as the maker's client."""
    if not frame.data:
        return None
    number = frame.data[-1]
    if number == 0:
        return ""
    if number <= 6:
        return f"error {number}: joint {number} would leave its limits"
    if 16 <= number <= 19:
        return f"error {number}: it ran into something"
    known = {32: "no joint angles lead there", 33: "no straight way leads there", 34: "no straight way leads there"}
    return f"error {number}: {known.get(number, 'see the documents of its firmware')}"


def angles(frame: Frame) -> Six | None:
    """Six joint angles in degrees; None when they cannot be angles."""
    values = _six(frame.data)
    if values is None or any(abs(v) > 18_100 for v in values):
        return None
    a, b, c, d, e, f = (v / 100.0 for v in values)
    return a, b, c, d, e, f


def coordinates(frame: Frame) -> Six | None:
    """x, y, z in mm, rx, ry, rz in degrees; None when they cannot be coordinates."""
    values = _six(frame.data)
    if values is None or any(abs(v) > 18_100 for v in values[3:]):
        return None
    x, y, z = (v / 10.0 for v in values[:3])
    rx, ry, rz = (v / 100.0 for v in values[3:])
    return x, y, z, rx, ry, rz


def angle_bytes(angles_deg: Sequence[float]) -> bytes:
    """Six angles in 0.01 degree. Raises ValueError for what the format cannot hold."""
    return _pack([a * 100.0 for a in angles_deg])


def coordinate_bytes(six: Sequence[float]) -> bytes:
    """x, y, z in 0.1 mm, rx, ry, rz in 0.01 degree. Raises ValueError for what the format cannot hold."""
    return _pack([v * 10.0 for v in six[:3]] + [a * 100.0 for a in six[3:]])


def _six(data: bytes) -> tuple[int, ...] | None:
    return struct.unpack(">6h", data) if len(data) == 12 else None


def _pack(values: Sequence[float]) -> bytes:
    try:
        return struct.pack(">6h", *(round(v) for v in values))
    except (struct.error, ValueError, OverflowError) as error:
        raise ValueError(
            f"six numbers of at most {LARGEST_MM} mm and {LARGEST_DEG} degrees fit a frame, not {values}"
        ) from error
