"""What a myCobot answers to questions about its joints' drives, its limits, versions and modes.

Layouts as the maker's documents (myCobot320-docs, 6.1 Communication) and its client pymycobot 4.0.7 have them.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated.firmware.mycobot.state import ArmState
from drivers.simulated.firmware.mycobot.wire_format import ANGLE_SCALE, LIMIT_SCALE, encoder_bytes, flange_bytes, packed

Verb = Callable[[bytes], bytes | None]  # the data of a command -> the data of its answer; None: no answer

VERSION = 46  # 4.6
SUPPLY_DECIVOLT = 240
SERVO_TEMPERATURE_C = 35
RESTING_CURRENT_MA = 40
NO_SIX = bytes(6)


def report_verbs(state: ArmState) -> dict[int, Verb]:
    """Command -> what answers it; each asks only, and changes nothing."""

    def joint(read: Callable[[int], bytes]) -> Verb:
        return lambda data: read(data[0]) if len(data) == 1 and 1 <= data[0] <= 6 else None

    def powered(read: Callable[[], bytes]) -> Verb:
        """Without power the joints' own controller is silent."""
        return lambda _: read() if state.is_powered else None

    def limit(number: int, end: int) -> bytes:
        return bytes([number]) + packed([state.motion.geometry.limits_deg[number - 1][end]], LIMIT_SCALE)

    return {
        0x02: lambda _: bytes([VERSION]),
        0x07: lambda _: bytes([state.error]),
        0x09: lambda _: bytes([VERSION]),
        0x12: lambda _: bytes([state.is_powered]),
        0x14: lambda _: b"\x01",
        0x15: lambda _: bytes(7),
        0x17: lambda _: bytes([state.fresh_mode]),
        0x19: lambda _: bytes(12),
        0x20: powered(lambda: packed(state.joints(), ANGLE_SCALE)),
        0x23: powered(lambda: flange_bytes(state.flange())),
        0x27: lambda _: bytes([state.is_paused]),
        0x2B: lambda _: bytes([state.is_moving()]),
        0x3B: joint(lambda number: encoder_bytes(state.joints())[2 * number - 2 : 2 * number]),
        0x3D: powered(lambda: encoder_bytes(state.joints())),
        0x40: lambda _: bytes([state.speed_percent]),
        0x4A: joint(lambda number: limit(number, 0)),
        0x4B: joint(lambda number: limit(number, 1)),
        0x50: joint(lambda number: bytes([number, state.is_holding])),
        0x51: lambda _: bytes([state.is_holding]),
        0x82: lambda _: bytes(12),  # the tool reference, and the world's: none is set
        0x84: lambda _: bytes(12),
        0x86: lambda _: b"\x00",  # coordinates refer to the base
        0x88: lambda _: b"\x00",
        0x8A: lambda _: b"\x00",  # and to the flange
        0xC1: lambda _: bytes([VERSION]),
        0xD5: powered(lambda: packed(state.joints(), ANGLE_SCALE) + flange_bytes(state.flange())),
        0xE1: powered(lambda: packed(state.joint_speeds_deg_per_s(), 4096.0 / 360.0)),
        0xE2: powered(lambda: packed([RESTING_CURRENT_MA] * 6, 1.0)),
        0xE3: powered(lambda: bytes([SUPPLY_DECIVOLT] * 6)),
        0xE4: powered(lambda: NO_SIX),
        0xE5: powered(lambda: bytes([SERVO_TEMPERATURE_C] * 6)),
        0xF6: powered(lambda: packed(state.planned, ANGLE_SCALE)),
        0xF7: powered(lambda: flange_bytes(state.motion.geometry.flange(state.planned))),
    }
