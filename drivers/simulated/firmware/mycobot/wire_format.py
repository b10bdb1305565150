"""Numbers in a myCobot's frames: int16, big endian, scaled. Pure."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers.geometry.rigid import Transform, from_coordinates, to_coordinates

ANGLE_SCALE = 100.0  # hundredths of a degree
LENGTH_SCALE = 10.0  # tenths of a millimetre
LIMIT_SCALE = 10.0  # joint limits alone are in tenths of a degree
ENCODER_MIDDLE, ENCODER_COUNTS = 2048, 4096  # at 0 degrees, and per turn


def packed(values: Sequence[float], scale: float) -> bytes:
    """Values, scaled and rounded."""
    return struct.pack(f">{len(values)}h", *(round(v * scale) for v in values))


def unpacked(data: bytes) -> tuple[int, ...]:
    """As many int16 as there are."""
    return struct.unpack(f">{len(data) // 2}h", data)


def angles_in(data: bytes) -> tuple[float, ...]:
    """Six joint angles in degrees."""
    return tuple(v / ANGLE_SCALE for v in unpacked(data[:12]))


def flange_in(data: bytes) -> Transform:
    """The flange of six coordinates."""
    x, y, z, rx, ry, rz = unpacked(data[:12])
    return from_coordinates(
        x / LENGTH_SCALE, y / LENGTH_SCALE, z / LENGTH_SCALE, rx / ANGLE_SCALE, ry / ANGLE_SCALE, rz / ANGLE_SCALE
    )


def flange_bytes(flange: Transform) -> bytes:
    """The six coordinates of a flange."""
    six = to_coordinates(flange)
    return packed(six[:3], LENGTH_SCALE) + packed(six[3:], ANGLE_SCALE)


def encoder_bytes(joints_deg: Sequence[float]) -> bytes:
    """Joint angles as counts of the servos' encoders."""
    return packed([ENCODER_MIDDLE + q * ENCODER_COUNTS / 360.0 for q in joints_deg], 1.0)
