"""What a myCobot's controller remembers: power, the joints in motion, where it was sent, a pause, the last error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drivers.geometry.mycobot_kinematics import ArmGeometry, Joints, nearest
from drivers.geometry.rigid import Transform
from drivers.simulated.clock import SimulatedClock
from drivers.simulated.firmware.mycobot.motion import ArmMotion

SAG_DEG = (0.0, 12.0, 8.0, 0.0, 0.0, 0.0)  # what gives way when the servos are released
NO_INVERSE, NO_STRAIGHT_WAY = 32, 33  # of the published error numbers; 1 to 6 name a joint beyond its limit
SPEED_STEP_S = 1e-3


class ArmState:
    """One arm. `planned` are the joint angles of the last target that was taken, as the firmware reports it."""

    def __init__(self, clock: SimulatedClock, geometry: ArmGeometry, start: Sequence[float]) -> None:
        self.clock = clock
        self.motion = ArmMotion(geometry, start)
        self.planned: Joints = tuple(float(q) for q in start)
        self.is_powered = False
        self.is_holding = False  # the servos
        self.is_paused = False
        self.error = 0
        self.speed_percent = 50
        self.fresh_mode = 1  # a new target replaces the one under way
        self.short_by_deg = 0.0  # a fault, for the next move
        self._paused_move: Callable[[], None] | None = None
        self._move: Callable[[], None] | None = None  # the latest, to be taken up again

    def joints(self) -> Joints:
        return self.motion.at(self.clock.now_s())

    def flange(self) -> Transform:
        return self.motion.geometry.flange(self.joints())

    def is_moving(self) -> bool:
        return self.motion.end_s > self.clock.now_s()

    def joint_speeds_deg_per_s(self) -> list[float]:
        now_s = self.clock.now_s()
        before, after = self.motion.at(now_s), self.motion.at(now_s + SPEED_STEP_S)
        return [(b - a) / SPEED_STEP_S for a, b in zip(before, after, strict=True)]

    # -- moves ------------------------------------------------------------------------------

    def turn_to(self, joints: Sequence[float], speed_percent: int) -> None:
        """All joints together. Beyond a limit nothing moves, and the error names the joint."""
        outside = [
            n
            for n, (q, (low, high)) in enumerate(zip(joints, self.motion.geometry.limits_deg, strict=True), start=1)
            if not low <= q <= high
        ]
        if outside:
            self.error = outside[0]
            return
        short, self.short_by_deg = self.short_by_deg, 0.0
        target = (joints[0] - short, *joints[1:])
        self._begin(tuple(joints), lambda: self.motion.turn_to(self.clock.now_s(), target, _share(speed_percent)))

    def turn_to_flange(self, flange: Transform, speed_percent: int) -> None:
        """By joints, to the nearest way to stand there."""
        geometry = self.motion.geometry
        ways = [q for q in geometry.joints_for(flange) if geometry.within_limits(q)]
        found = nearest(ways, self.joints())
        if found is None:
            self.error = NO_INVERSE
        else:
            self.turn_to(found, speed_percent)

    def line_to(self, flange: Transform, speed_percent: int) -> None:
        """The flange on a straight line; nothing moves where the joints cannot follow it."""
        if self.motion.line_to(self.clock.now_s(), flange, _share(speed_percent)):
            move = self._line_again(flange, speed_percent)
            self._note(self.motion.at(self.motion.end_s), move)
        else:
            self.error = NO_STRAIGHT_WAY

    def _line_again(self, flange: Transform, speed_percent: int) -> Callable[[], None]:
        return lambda: self.line_to(flange, speed_percent)

    def _begin(self, target: Joints, move: Callable[[], None]) -> None:
        move()
        self._note(target, move)

    def _note(self, target: Joints, move: Callable[[], None]) -> None:
        self.planned, self._move = target, move
        self.is_paused, self._paused_move, self.error = False, None, 0

    def stop(self) -> None:
        """Brake and forget the target."""
        self.motion.stop(self.clock.now_s())
        self.planned = self.motion.at(self.motion.end_s)
        self.is_paused, self._paused_move = False, None

    def pause(self) -> None:
        """Brake, and keep the target for a resume."""
        if self.is_moving():
            self._paused_move = self._move
        self.motion.stop(self.clock.now_s())
        self.is_paused = True

    def resume(self) -> None:
        """Go on with what was paused."""
        move, self._paused_move, self.is_paused = self._paused_move, None, False
        if move is not None:
            move()

    def sag(self) -> None:
        """Without holding servos the arm sinks."""
        self.motion.stop(self.clock.now_s())
        self.is_holding = False
        joints = tuple(q + s for q, s in zip(self.joints(), SAG_DEG, strict=True))
        self.motion.turn_to(self.clock.now_s(), joints, 0.5)


def _share(speed_percent: int) -> float:
    return max(1, speed_percent) / 100.0
