"""The stand-in for a myCobot 280 or 320 behind its frame protocol, as a state machine in simulated time.

The maker's documents state no return value for a command that sets something. Its client waits for a frame with one
byte and repeats the command without it: so newer firmware answers. Old firmware, which does not, can be had as well.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Literal

from drivers.geometry.mycobot_kinematics import GEOMETRIES, Joints, ModelName
from drivers.geometry.rigid import pose_of_camera
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.faults import FaultAction, inject_fault
from drivers.simulated.firmware.mycobot import geometry as stated
from drivers.simulated.firmware.mycobot.commands import WAITS_FOR_POWER, ArmCommands
from drivers.simulated.firmware.mycobot.reports import Verb, report_verbs
from drivers.simulated.firmware.mycobot.state import ArmState
from drivers.simulated.firmware.trajectory import Axes
from drivers.simulated.wires.outbox import Outbox

LONGEST_FRAME_BYTES = 64
PLANS = (0xF6, 0xF7)

Acknowledge = Literal["flag", "empty", "none"]  # of a set: one byte, a frame without data, nothing


class MyCobotFirmware:
    """The controller and its joints. `axes_at` is the camera's pose as it physically is.

    `start` are the joint angles in degrees; `acknowledge` is how sets are answered. Old firmware does not know the
    questions about planned angles and coordinates (`reports_plans`).
    """

    def __init__(
        self,
        clock: SimulatedClock,
        start: Sequence[float] = stated.START_DEG,
        *,
        model: ModelName = stated.MODEL,
        acknowledge: Acknowledge = "flag",
        reports_plans: bool = True,
    ) -> None:
        self.clock = clock
        self.acknowledge = acknowledge
        self.outbox = Outbox()
        self.faults: dict[str, FaultAction] = {
            **self.outbox.faults(),
            "reset": self.power_cycle,
            "power_loss": self._fault_power_loss,
            "release": self._fault_release,
            "pause": self._fault_pause,
            "lost_set": self._fault_lost_set,
            "refused_set": self._fault_refused_set,
            "garbled_set": self._fault_garbled_set,
            "wrong_position": self._fault_wrong_position,
            "garbage": self._fault_garbage,
            "false_acknowledge": self._fault_false_acknowledge,
        }
        self._lock = threading.RLock()
        self._state = ArmState(clock, GEOMETRIES[model], start)
        commands = ArmCommands(self._state)
        self._sets = commands.sets
        self._verbs: dict[int, Verb] = {**report_verbs(self._state), 0x2A: commands.is_in_position}
        self._is_old = not reports_plans
        if self._is_old:
            for command in PLANS:
                del self._verbs[command]
        self._next_set: Literal["taken", "lost", "refused"] = "taken"
        self._garbled_by = 0
        self._rx = b""
        self._garbage = random.Random(1)

    # -- what the world asks ----------------------------------------------------------------

    def axes_at(self, t_s: float) -> Axes:
        """x, y, z of the entrance pupil in mm, tilt and pan in degrees, in the station, at simulated time `t_s`."""
        flange = self._state.motion.geometry.flange(self.joints_at(t_s))
        return pose_of_camera(stated.BASE @ flange @ stated.MOUNT, stated.MIDDLE_PAN_DEG).as_tuple()

    def joints_at(self, t_s: float) -> Joints:
        """Joint angles in degrees at simulated time `t_s`, as they physically are."""
        with self._lock:
            return self._state.motion.at(t_s)

    def is_moving_between(self, t0_s: float, t1_s: float) -> bool:
        """Whether any joint moves at any moment of t0..t1."""
        with self._lock:
            return self._state.motion.is_moving_between(t0_s, t1_s)

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
            return self._state.motion.end_s if self._state.is_moving() else None

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
        """What is not simulated (a gripper, a lamp) is answered by a frame without data, which the maker's client takes
        for a failure at once; old firmware is silent then.
        """
        if command in self._sets:
            self._run_set(command, data)
        elif command in self._verbs:
            answer = self._verbs[command](data)
            if answer is not None:
                self._say(command, answer)
        elif not self._is_old:
            self._say(command, b"")

    def _run_set(self, command: int, data: bytes) -> None:
        if command in WAITS_FOR_POWER:
            fate, self._next_set = self._next_set, "taken"
            if not self._state.is_powered or fate == "lost":
                return
            is_done = fate == "taken" and self._sets[command](self._garbled(data))
        else:
            is_done = self._sets[command](data)
        if self.acknowledge != "none":
            self._say(command, bytes([is_done]) if self.acknowledge == "flag" else b"")

    def _garbled(self, data: bytes) -> bytes:
        """The low byte of the first number off by the fault's count."""
        by, self._garbled_by = self._garbled_by, 0
        if not by or len(data) < 2:
            return data
        return bytes([data[0], (data[1] + by) % 256, *data[2:]])

    def _say(self, command: int, data: bytes) -> None:
        frame = b"\xfe\xfe" + bytes([len(data) + 2, command]) + data + b"\xfa"
        self.outbox.send(frame, self.clock.now_s(), is_response=True)

    # -- faults -----------------------------------------------------------------------------

    def power_cycle(self) -> str:
        """The controller restarts, in mid-move if need be: the joints stop and hold, power is off until commanded."""
        with self._lock:
            self._state.stop()
            self._state.is_powered = False
            self._rx = b""
        return "controller restarted"

    def _fault_power_loss(self) -> str:
        with self._lock:
            self._sets[0x11](b"")
        return "the joints have lost their power"

    def _fault_release(self) -> str:
        with self._lock:
            self._sets[0x13](b"")
        return "servos released: the arm gives way"

    def _fault_pause(self, what: str = "pause") -> str:
        """Another host pauses the arm, or resumes it."""
        if what not in ("pause", "resume"):
            raise ValueError("say pause or resume")
        with self._lock:
            self._sets[0x26 if what == "pause" else 0x28](b"")
        return f"another host sent a {what}"

    def _fault_lost_set(self) -> str:
        self._next_set = "lost"
        return "the next move will be lost"

    def _fault_refused_set(self) -> str:
        self._next_set = "refused"
        return "the next move will be refused"

    def _fault_garbled_set(self, counts: str = "3") -> str:
        """The next target arrives with its first number off: 0.1 mm or 0.01 degrees a count."""
        self._garbled_by = int(counts)
        return f"the first number of the next target will arrive {self._garbled_by} counts off"

    def _fault_wrong_position(self, short_by_deg: str = "2.0") -> str:
        self._state.short_by_deg = float(short_by_deg)
        return f"joint 1 will end the next move {self._state.short_by_deg:g} deg short"

    def _fault_garbage(self, count: str = "40") -> str:
        noise = bytes(self._garbage.randrange(256) for _ in range(int(count)))
        self.outbox.send(noise + b"\xfe\xfe\x0e", self.clock.now_s())
        return f"{len(noise)} bytes of noise, and the beginning of a frame"

    def _fault_false_acknowledge(self) -> str:
        """The next move is lost, yet an acknowledge of it comes."""
        self._next_set = "lost"
        self._say(0x25, b"\x01")
        return "the next move will be lost, and its acknowledge is on the way"
