"""The stand-in for a myCobot 280 or 320 behind its frame protocol, as a state machine in simulated time.

The published documents leave open whether sets are acknowledged; newer firmware evidently does: both can be had.
"""

from __future__ import annotations

import random
import struct
import threading
from collections.abc import Callable, Sequence

from drivers.geometry.mycobot_kinematics import GEOMETRIES, Joints, ModelName, nearest
from drivers.geometry.rigid import angle_between_deg, distance_mm, from_coordinates, pose_of_camera, to_coordinates
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction, inject_fault
from drivers.simulated.firmware.mycobot import geometry as stated
from drivers.simulated.firmware.mycobot.motion import ArmMotion
from drivers.simulated.firmware.trajectory import Axes
from drivers.simulated.wires.outbox import Outbox

IN_POSITION_MM, IN_POSITION_DEG = 0.5, 0.5
SAG_DEG = (0.0, 12.0, 8.0, 0.0, 0.0, 0.0)  # what gives way when the servos are released
VERSION = 46
LONGEST_FRAME_BYTES = 64


class MyCobotFirmware:
    """The controller and its joints. `axes_at` is the camera's pose as it physically is.

    `start` are the joint angles in degrees; without `acknowledges` it answers queries only.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        start: Sequence[float] = stated.START_DEG,
        *,
        model: ModelName = stated.MODEL,
        acknowledges: bool = True,
    ) -> None:
        self.clock = clock
        self.acknowledges = acknowledges
        self.outbox = Outbox()
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            "reset": self.power_cycle,
            "power_loss": self._fault_power_loss,
            "release": self._fault_release,
            "lost_set": self._fault_lost_set,
            "wrong_position": self._fault_wrong_position,
            "garbage": self._fault_garbage,
            "false_acknowledge": self._fault_false_acknowledge,
        }
        self._lock = threading.RLock()
        self._motion = ArmMotion(GEOMETRIES[model], start)
        self._is_powered = False
        self._loses_next_set = False
        self._short_by_deg = 0.0
        self._rx = b""
        self._garbage = random.Random(1)
        self._verbs: dict[int, Callable[[bytes], bytes | None]] = {
            0x02: lambda _: bytes([VERSION]),
            0x10: self._power_on,
            0x11: self._power_off,
            0x12: lambda _: bytes([self._is_powered]),
            0x13: self._release,
            0x14: lambda _: b"\x01",
            0x20: lambda _: self._if_powered(_packed(self._joints(), 100.0)),
            0x22: self._send_angles,
            0x23: lambda _: self._if_powered(self._coordinates()),
            0x25: self._send_coordinates,
            0x29: self._stop,
            0x2A: self._is_in_position,
            0x2B: lambda _: bytes([self._is_moving()]),
        }

    # -- what the world asks ----------------------------------------------------------------

    def axes_at(self, t_s: float) -> Axes:
        """x, y, z of the entrance pupil in mm, tilt and pan in degrees, in the station, at simulated time `t_s`."""
        with self._lock:
            joints = self._motion.at(t_s)
        flange = self._motion.geometry.flange(joints)
        return pose_of_camera(stated.BASE @ flange @ stated.MOUNT, stated.MIDDLE_PAN_DEG).as_tuple()

    def joints_at(self, t_s: float) -> Joints:
        """Joint angles in degrees at simulated time `t_s`, as they physically are."""
        with self._lock:
            return self._motion.at(t_s)

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool:
        """Whether any joint moves at any moment of t0..t1."""
        with self._lock:
            return self._motion.is_moving_between(t0_s, t1_s)

    def inject(self, name: str, *args: str) -> str:
        """Cause a fault by name; an unknown name raises ValueError listing those that exist."""
        return inject_fault("arm", self.faults, name, args)

    # -- the wire ---------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Runs frames in order; a broken one is skipped up to the next start mark and not answered."""
        with self._lock:
            self._rx += data
            while (frame := self._take_frame()) is not None:
                self._run(frame[3], frame[4:-1])

    def advance(self) -> float | None:
        """It speaks only when spoken to; returns the end of a motion."""
        with self._lock:
            return self._motion.end_s if self._is_moving() else None

    def _take_frame(self) -> bytes | None:
        """`FE FE length command data FA`, the length counting command, data and end mark; None while incomplete."""
        while len(self._rx) >= 5:
            length = self._rx[2]
            if self._rx[:2] != b"\xfe\xfe" or not 2 <= length <= LONGEST_FRAME_BYTES:
                self._rx = self._rx[1:]
            elif len(self._rx) < length + 3:
                return None
            elif self._rx[length + 2] != 0xFA:
                self._rx = self._rx[1:]
            else:
                frame, self._rx = self._rx[: length + 3], self._rx[length + 3 :]
                return frame
        return None

    def _run(self, command: int, data: bytes) -> None:
        verb = self._verbs.get(command)
        if verb is None:
            return
        answer = verb(data)
        is_set = command in (0x10, 0x11, 0x13, 0x22, 0x25, 0x29)
        if answer is not None and (self.acknowledges or not is_set):
            self._say(command, answer)

    def _say(self, command: int, data: bytes) -> None:
        frame = b"\xfe\xfe" + bytes([len(data) + 2, command]) + data + b"\xfa"
        self.outbox.send(frame, self.clock.now_s(), is_response=True)

    # -- state ------------------------------------------------------------------------------

    def _joints(self) -> Joints:
        return self._motion.at(self.clock.now_s())

    def _is_moving(self) -> bool:
        return self._motion.end_s > self.clock.now_s()

    def _if_powered(self, answer: bytes) -> bytes | None:
        """Without power the joints' own controller is silent."""
        return answer if self._is_powered else None

    def _coordinates(self) -> bytes:
        """The flange as six int16, big endian: tenths of a mm, then hundredths of a degree."""
        six = to_coordinates(self._motion.geometry.flange(self._joints()))
        return _packed(six[:3], 10.0) + _packed(six[3:], 100.0)

    # -- commands ---------------------------------------------------------------------------

    def _power_on(self, _data: bytes) -> bytes:
        self._is_powered = True
        return b""

    def _power_off(self, _data: bytes) -> bytes:
        self._motion.stop(self.clock.now_s())
        self._is_powered = False
        self._sag()
        return b""

    def _release(self, _data: bytes) -> bytes:
        self._motion.stop(self.clock.now_s())
        self._sag()
        return b""

    def _stop(self, _data: bytes) -> bytes:
        self._motion.stop(self.clock.now_s())
        return b""

    def _send_angles(self, data: bytes) -> bytes | None:
        """0x22: six angles and a speed. A move beyond the joints' limits is acknowledged too, and nothing moves."""
        if len(data) != 13 or not self._takes_set():
            return None
        joints = tuple(v / 100.0 for v in struct.unpack(">6h", data[:12]))
        if self._motion.geometry.within_limits(joints):
            self._turn_to(joints, data[12])
        return b""

    def _send_coordinates(self, data: bytes) -> bytes | None:
        """0x25: the flange's coordinates, a speed and the mode: 1 on a straight line, else by joints."""
        if len(data) != 14 or not self._takes_set():
            return None
        flange = from_coordinates(*_coordinates_of(data))
        if data[13] == 1:
            self._motion.line_to(self.clock.now_s(), flange, max(1, data[12]) / 100.0)
            return b""
        ways = [q for q in self._motion.geometry.joints_for(flange) if self._motion.geometry.within_limits(q)]
        found = nearest(ways, self._joints())
        if found is not None:
            self._turn_to(found, data[12])
        return b""

    def _takes_set(self) -> bool:
        """False without power, and once after the fault that loses a set."""
        is_lost, self._loses_next_set = self._loses_next_set, False
        return self._is_powered and not is_lost

    def _turn_to(self, joints: Sequence[float], speed_percent: int) -> None:
        short, self._short_by_deg = self._short_by_deg, 0.0
        self._motion.turn_to(self.clock.now_s(), (joints[0] - short, *joints[1:]), max(1, speed_percent) / 100.0)

    def _is_in_position(self, data: bytes) -> bytes | None:
        """0x2A: whether the arm stands at these angles or coordinates, within 0.5 mm and 0.5 degrees."""
        if len(data) != 13:
            return None
        here = self._motion.geometry.flange(self._joints())
        if data[12] == 1:
            wanted = from_coordinates(*_coordinates_of(data))
        else:
            wanted = self._motion.geometry.flange([v / 100.0 for v in struct.unpack(">6h", data[:12])])
        is_there = distance_mm(here, wanted) < IN_POSITION_MM and angle_between_deg(here, wanted) < IN_POSITION_DEG
        return bytes([is_there and not self._is_moving()])

    # -- faults -----------------------------------------------------------------------------

    def _sag(self) -> None:
        """Without holding servos the arm sinks by SAG_DEG."""
        joints = tuple(q + s for q, s in zip(self._joints(), SAG_DEG, strict=True))
        self._motion.turn_to(self.clock.now_s(), joints, 0.5)

    def power_cycle(self) -> str:
        """The controller restarts, in mid-move if need be: the joints stop and hold, power is off until commanded."""
        with self._lock:
            self._motion.stop(self.clock.now_s())
            self._is_powered = False
            self._rx = b""
        return "controller restarted"

    def _fault_power_loss(self) -> str:
        with self._lock:
            self._power_off(b"")
        return "the joints have lost their power"

    def _fault_release(self) -> str:
        with self._lock:
            self._release(b"")
        return "servos released: the arm gives way"

    def _fault_lost_set(self) -> str:
        self._loses_next_set = True
        return "the next set will be lost"

    def _fault_wrong_position(self, short_by_deg: str = "2.0") -> str:
        self._short_by_deg = float(short_by_deg)
        return f"joint 1 will end the next move {self._short_by_deg:g} deg short"

    def _fault_garbage(self, count: str = "40") -> str:
        noise = bytes(self._garbage.randrange(256) for _ in range(int(count)))
        self.outbox.send(noise + b"\xfe\xfe\x0e", self.clock.now_s())
        return f"{len(noise)} bytes of noise, and the beginning of a frame"

    def _fault_false_acknowledge(self) -> str:
        """The next set is lost, yet an acknowledge of it comes."""
        self._loses_next_set = True
        self._say(0x25, b"")
        return "the next set will be lost, and its acknowledge is on the way"


def _packed(values: Sequence[float], scale: float) -> bytes:
    return struct.pack(f">{len(values)}h", *(round(v * scale) for v in values))


def _coordinates_of(data: bytes) -> tuple[float, float, float, float, float, float]:
    x, y, z, rx, ry, rz = struct.unpack(">6h", data[:12])
    return x / 10.0, y / 10.0, z / 10.0, rx / 100.0, ry / 100.0, rz / 100.0
