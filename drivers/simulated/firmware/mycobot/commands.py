"""What a myCobot does when it is told to: moves, pause, stop, power, modes. Each takes the data of its frame.

Newer firmware acknowledges with one byte, 1 for done and 0 for refused: so the maker's client reads it.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.geometry.rigid import angle_between_deg, distance_mm, from_coordinates, to_coordinates
from drivers.simulated.firmware.mycobot.state import ArmState
from drivers.simulated.firmware.mycobot.wire_format import ANGLE_SCALE, LENGTH_SCALE, angles_in, flange_in, unpacked

Set = Callable[[bytes], bool]  # whether it was done

STRAIGHT = 1
IN_POSITION_MM, IN_POSITION_DEG = 0.5, 0.5
WAITS_FOR_POWER = frozenset((0x21, 0x22, 0x24, 0x25, 0x30, 0x33))


class ArmCommands:
    """The commands of one arm by their numbers."""

    def __init__(self, state: ArmState) -> None:
        self._state = state
        self.sets: dict[int, Set] = {
            0x08: self._clear_error,
            0x10: self._power_on,
            0x11: self._power_off,
            0x13: self._release,
            0x16: self._set_fresh_mode,
            0x21: self._send_angle,
            0x22: self._send_angles,
            0x24: self._send_coordinate,
            0x25: self._send_coordinates,
            0x26: self._pause,
            0x28: self._resume,
            0x29: self._stop,
            0x30: self._jog_angle,
            0x33: self._jog_increment,
            0x34: self._stop,  # the end of a jog
            0x41: self._set_speed,
            0x56: self._release,  # of one servo: the arm gives way all the same
            0x57: self._focus,
        }

    def is_in_position(self, data: bytes) -> bytes | None:
        """0x2A: whether the arm stands at these angles or coordinates, within 0.5 mm and 0.5 degrees."""
        if len(data) != 13:
            return None
        geometry = self._state.motion.geometry
        wanted = flange_in(data) if data[12] == 1 else geometry.flange(angles_in(data))
        here = self._state.flange()
        is_there = distance_mm(here, wanted) < IN_POSITION_MM and angle_between_deg(here, wanted) < IN_POSITION_DEG
        return bytes([is_there and not self._state.is_moving()])

    # -- moves ------------------------------------------------------------------------------

    def _send_angle(self, data: bytes) -> bool:
        """One joint, its angle and a speed."""
        if len(data) != 4 or not 1 <= data[0] <= 6:
            return False
        joints = list(self._state.joints())
        joints[data[0] - 1] = unpacked(data[1:3])[0] / ANGLE_SCALE
        self._state.turn_to(joints, data[3])
        return True

    def _send_angles(self, data: bytes) -> bool:
        """Six angles and a speed. A move beyond a limit is acknowledged too, and nothing moves."""
        if len(data) != 13:
            return False
        self._state.turn_to(angles_in(data), data[12])
        return True

    def _send_coordinate(self, data: bytes) -> bool:
        """One coordinate (1 to 3 in tenths of a mm, 4 to 6 in hundredths of a degree) and a speed."""
        if len(data) != 4 or not 1 <= data[0] <= 6:
            return False
        six = list(to_coordinates(self._state.flange()))
        six[data[0] - 1] = unpacked(data[1:3])[0] / (LENGTH_SCALE if data[0] <= 3 else ANGLE_SCALE)
        self._state.turn_to_flange(from_coordinates(*six), data[3])
        return True

    def _send_coordinates(self, data: bytes) -> bool:
        """Six coordinates, a speed and, if given, the mode: 1 on a straight line, else by joints."""
        if len(data) not in (13, 14):
            return False
        if data[13:] == bytes([STRAIGHT]):
            self._state.line_to(flange_in(data), data[12])
        else:
            self._state.turn_to_flange(flange_in(data), data[12])
        return True

    def _jog_angle(self, data: bytes) -> bool:
        """One joint towards its limit, until it is stopped: joint, direction, speed."""
        if len(data) != 3 or not 1 <= data[0] <= 6:
            return False
        joints = list(self._state.joints())
        joints[data[0] - 1] = self._state.motion.geometry.limits_deg[data[0] - 1][data[1] == 1]
        self._state.turn_to(joints, data[2])
        return True

    def _jog_increment(self, data: bytes) -> bool:
        """One joint by an angle: joint, increment, speed."""
        if len(data) != 4 or not 1 <= data[0] <= 6:
            return False
        joints = list(self._state.joints())
        joints[data[0] - 1] += unpacked(data[1:3])[0] / ANGLE_SCALE
        self._state.turn_to(joints, data[3])
        return True

    def _pause(self, _data: bytes) -> bool:
        self._state.pause()
        return True

    def _resume(self, _data: bytes) -> bool:
        self._state.resume()
        return True

    def _stop(self, _data: bytes) -> bool:
        self._state.stop()
        return True

    # -- power and modes --------------------------------------------------------------------

    def _power_on(self, _data: bytes) -> bool:
        self._state.is_powered = self._state.is_holding = True
        return True

    def _power_off(self, _data: bytes) -> bool:
        self._state.sag()
        self._state.is_powered = False
        return True

    def _release(self, _data: bytes) -> bool:
        self._state.sag()
        return True

    def _focus(self, _data: bytes) -> bool:
        self._state.is_holding = self._state.is_powered
        return self._state.is_powered

    def _set_fresh_mode(self, data: bytes) -> bool:
        if data not in (b"\x00", b"\x01"):
            return False
        self._state.fresh_mode = data[0]  # kept and reported; a queue of targets is not simulated
        return True

    def _set_speed(self, data: bytes) -> bool:
        if len(data) != 1 or data[0] > 100:
            return False
        self._state.speed_percent = data[0]
        return True

    def _clear_error(self, _data: bytes) -> bool:
        self._state.error = 0
        return True
