"""A myCobot 280 or 320 that carries the camera, over its frame protocol.

A set may be lost without a word, and its acknowledge proves nothing: a move is done when the arm reports that it
neither moves nor is elsewhere, and its coordinates, read back, are the target's. Encoders are absolute, so nothing is
searched at homing. The trust in the position still falls with a loss of power, a displacement that nobody commanded,
and a silence.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from drivers.errors import (
    CommandRefused,
    DeviceError,
    DeviceTimeout,
    FeatureMissing,
    PositionError,
    PositionUntrusted,
)
from drivers.geometry.pose import Pose
from drivers.geometry.rigid import Transform, angle_between_deg, distance_mm, from_coordinates, to_coordinates
from drivers.protocols import DeviceIdentity
from drivers.registry import DriverKind
from drivers.serial_line.arms.latched_arm import NOT_COMPLETED, PROVISIONAL, REMEDY, LatchedArm, untrusted
from drivers.serial_line.mycobot import protocol as frames
from drivers.serial_line.mycobot.camera_on_arm import DEVICE, CameraOnArm
from drivers.serial_line.mycobot.conversation import MyCobotConversation
from drivers.serial_line.mycobot.protocol import Six
from drivers.serial_line.mycobot.readings import (
    coordinates_are_apart,
    joints_are_apart,
    steady,
)
from drivers.serial_line.mycobot.settings import EXAMPLE, MyCobotSettings
from drivers.serial_line.mycobot.told_target import ToldTarget

log = logging.getLogger(__name__)

POLL_S = 0.02
START_GRACE_S = 0.5  # from a set to the first sign of motion, and from standing still to being in position
POWER_UP_S = 5.0
MODEL_MISMATCH_MM, MODEL_MISMATCH_DEG = 25.0, 8.0  # joints and coordinates of one moment: another tool frame, or model
UNCOMMANDED = "the arm moves without a command"
TOLD_OTHERWISE = "it was told another target than was sent"


class MyCobotArm(LatchedArm[MyCobotConversation]):
    """Implements `drivers.protocols.Arm`. Open with `MyCobotArm.open`; the position is trusted once homed."""

    def __init__(self, settings: MyCobotSettings) -> None:
        super().__init__(DEVICE, None if settings.ways is None else settings.ways.ways())
        self._settings = settings
        self._camera = CameraOnArm(settings)
        self._conversation = MyCobotConversation(DEVICE, settings.port, settings.reply_timeout_s, self._distrust)
        self._told = ToldTarget(self._conversation, is_asked=settings.read_back)
        self._start(settings.watch_s)

    @classmethod
    def open(cls, settings: MyCobotSettings) -> MyCobotArm:
        """Open the port and ask who is there. Powers and moves nothing.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as a myCobot does, FeatureMissing when its
        controller has no contact with the joints.
        """
        return cls(settings)

    # -- the contract -----------------------------------------------------------------------

    @property
    def joint_limits_deg(self) -> tuple[tuple[float, float], ...]:
        """Of joints 1 to 6, as the rig file or the maker's documents give them."""
        return self._camera.joint_limits_deg

    def home(self) -> None:
        """Power on if need be, see that the arm stands within its joint limits; then to `home_joints_deg`, if any.

        Raises PositionUntrusted, FeatureMissing when joints and coordinates contradict each other, DeviceTimeout.
        """
        with self._lock:
            self._trust.clear()
            self.last_reason = NOT_COMPLETED
            self._conversation.allow()
            if not self._conversation.is_powered():
                self._power_on()
            if self._conversation.is_moving():
                raise PositionUntrusted(DEVICE, f"not homed: {UNCOMMANDED}; stop it, then home again")
            self._read_place()
            self._is_at_home = True
            self._trust.set()
            if self._conversation.blocked is not None:  # stopped in between: the latch stays down
                self._distrust(self._conversation.blocked)
            self._require_trust()
            if self._settings.home_joints_deg is not None:
                self.move_joints(self._settings.home_joints_deg)

    def check_reachable(self, pose: Pose) -> None:
        """Raise OutOfTravel unless the pose is inside the travel, the joints' reach, and outside the keep-out boxes."""
        self._camera.check_reachable(pose)
        self._check_ways(pose)

    def move_to(self, pose: Pose) -> Pose:
        """Ask where it stands, plan from there; for each leg check, send, wait until it stands, read back, verify.

        Raises OutOfTravel or PositionUntrusted before anything is sent; PositionError when the arm stands still
        elsewhere, or was told otherwise; CommandRefused, DeviceTimeout, DeviceLost. All but the first leave the arm
        untrusted.
        """
        self.check_reachable(pose)
        with self._lock:
            self._require_trust()
            start = self._require_readiness()
            for number, stop in enumerate(self._route(start, pose)):
                self._flange = self._require_readiness() if number else start
                self._go(self._camera.flange_for(stop))
            return self._camera.pose_of(self._flange, pose.pan_deg)

    def move_joints(self, joints_deg: Sequence[float]) -> tuple[float, ...]:
        """Move to six joint angles, for a home or parking position; returns the angles read back.

        Raises as `move_to`.
        """
        self._camera.check_joints(joints_deg)
        with self._lock:
            self._require_trust()
            self._flange = self._require_readiness()
            self._is_at_home = False
            data = frames.angle_bytes(joints_deg)
            duration_s = self._camera.turning_s(self._joints_deg, [tuple(joints_deg)])
            self._send(frames.SEND_ANGLES, data)
            sent = frames.ANGLES_PLAN, tuple(joints_deg)
            self._await_arrival(self._camera.flange_at(joints_deg), data, frames.ANGLES, duration_s, sent)
            self._check_told(*sent)
            return self._joints_deg

    def position(self) -> Pose:
        """As the arm reports it, trusted or not. Raises PositionUntrusted right after a stop, DeviceTimeout."""
        with self._lock:
            return self._camera.pose_of(from_coordinates(*self._conversation.coordinates()))

    # -- connecting and homing --------------------------------------------------------------

    def _connect(self) -> None:
        if not self._conversation.ask(frames.IS_CONNECTED, frames.flag):
            raise FeatureMissing(DEVICE, "its controller has no contact with the joints; check the cable at the base")
        version = self._conversation.ask_once(frames.VERSION, lambda f: f.data[0] if len(f.data) == 1 else None)
        firmware = "not reported" if version is None else f"{version / 10:.1f}"
        model = f"myCobot {self._settings.model}"
        log.info("%s: %s on %s, firmware %s", DEVICE, model, self.port.name, firmware)
        self._identity = DeviceIdentity("Elephant Robotics", model, "", firmware)

    def _power_on(self) -> None:
        self._conversation.set(frames.POWER_ON)
        deadline_s = time.monotonic() + POWER_UP_S
        while not self._conversation.is_powered():
            if time.monotonic() > deadline_s:
                raise PositionUntrusted(DEVICE, "it stays without power; release its emergency stop, then home again")
            time.sleep(POLL_S)

    def _resting_flange(self) -> Transform:
        """The flange, read until two readings in a row are alike."""
        found = steady(self._conversation.coordinates, coordinates_are_apart)
        return from_coordinates(*self._require_steady(found))

    def _checked_joints(self) -> tuple[float, ...]:
        """The joints, read in the same way, and within their limits."""
        joints = self._require_steady(steady(self._conversation.angles_deg, joints_are_apart))
        outside = self._camera.joint_out_of_limits(joints)
        if outside is not None:
            raise untrusted(DEVICE, f"{outside}: move it in by hand, then {REMEDY}")
        return joints

    def _require_steady(self, found: Six | None) -> Six:
        if found is None:
            why = "the readings of its place contradict each other: the arm sways, or bytes change on the way"
            self._distrust(why)
            raise untrusted(DEVICE, f"{why}. Check cable and shield, then {REMEDY}")
        return found

    def _read_place(self) -> None:
        """Read joints and coordinates, which must belong together; twice, as one may be garbled without a checksum."""
        for _ in range(2):
            self._joints_deg = self._checked_joints()
            self._flange = self._resting_flange()
            expected = self._camera.flange_at(self._joints_deg)
            away_mm, turned_deg = distance_mm(expected, self._flange), angle_between_deg(expected, self._flange)
            if away_mm <= MODEL_MISMATCH_MM and turned_deg <= MODEL_MISMATCH_DEG:
                return
        raise FeatureMissing(
            DEVICE,
            f"its coordinates lie {away_mm:.0f} mm and {turned_deg:.0f} deg from where its joints put the flange of a "
            f"myCobot {self._settings.model}: is it another model, or is a tool or world reference set? "
            "Name the model in the rig file, or set both references to flange and base",
        )

    # -- trust ------------------------------------------------------------------------------

    def _distrust(self, reason: str) -> None:
        if self._trust.is_set():
            log.warning("%s: position no longer trusted: %s", DEVICE, reason)
        if self._trust.is_set() or self.last_reason in PROVISIONAL:
            self.last_reason = reason
        self._trust.clear()

    def _look(self) -> None:
        """Notice a loss of power, released servos or a silence while nothing is commanded.

        The place where the last move ended stays the reference, so that a slow displacement adds up.
        """
        self._require_readiness()

    def _require_readiness(self) -> Transform:
        """Where the flange stands. Raise PositionUntrusted unless the arm is powered, at rest, and where it was left.

        A displacement that nobody commanded means released servos, or a push.
        """
        why, found = None, self._flange
        if not self._conversation.is_powered():
            why = "the arm has no power"
        elif self._conversation.is_moving():
            why = UNCOMMANDED
        else:
            found = self._resting_flange()
            if not self._camera.is_near(found, self._flange):
                away_mm = distance_mm(found, self._flange)
                why = f"the arm was displaced by {away_mm:.1f} mm since its last move (servos released, or pushed?)"
        if why is not None:
            self._distrust(why)
        self._require_trust()
        return found

    # -- moving -----------------------------------------------------------------------------

    def _route(self, start: Transform, pose: Pose) -> tuple[Pose, ...]:
        """The stops from where the flange stands, each within reach."""
        stops = self._stops(self._camera.pose_of(start), pose)
        for stop in stops[:-1]:
            self.check_reachable(stop)
        return stops

    def _go(self, target: Transform) -> None:
        """One leg, to its end, from where the arm has just reported to stand."""
        self._is_at_home = False
        six = to_coordinates(target)
        data = frames.coordinate_bytes(six)
        duration_s = self._camera.duration_s(self._flange, self._joints_deg, target)
        path = frames.STRAIGHT_PATH if self._settings.straight else frames.JOINT_PATH
        self._send(frames.SEND_COORDINATES, data, bytes([path]))
        self._await_arrival(target, data, frames.COORDINATES, duration_s, (frames.COORDINATES_PLAN, six))
        self._check_told(frames.COORDINATES_PLAN, six)

    def _send(self, command: int, target: bytes, mode: bytes = b"") -> None:
        self._conversation.set(command, target + bytes([self._settings.speed_percent]) + mode)

    def _await_arrival(
        self, target: Transform, data: bytes, kind: int, duration_s: float, sent: tuple[int, Sequence[float]]
    ) -> None:
        """Wait until the arm does not move, reports that it is in position, and reads back the target.

        Once it moves, the set was taken: then it is asked for the first time whether it was told what was sent.
        """
        has_moved = False
        start, deadline_s = self._flange, time.monotonic() + duration_s + self._settings.move_margin_s
        still_since_s = time.monotonic()
        while True:
            if self._conversation.set_answer == 0:
                raise self._refused()
            if self._conversation.is_moving():
                if not has_moved:
                    self._check_told_under_way(*sent)
                has_moved, still_since_s = True, time.monotonic()
            else:
                self._flange = from_coordinates(*self._conversation.coordinates())
                if self._camera.is_near(self._flange, target) and self._conversation.is_in_position(data, kind):
                    break
            now_s = time.monotonic()
            if now_s - still_since_s > START_GRACE_S:
                raise self._wrong_place(start, target)
            if now_s > deadline_s:
                raise self._give_up()
            time.sleep(POLL_S)
        if self._settings.settle_s:
            time.sleep(self._settings.settle_s)
        self._flange = self._resting_flange()
        if not self._camera.is_near(self._flange, target):
            raise self._wrong_place(start, target)
        self._joints_deg = self._checked_joints()
        self._require_trust()  # a stop may have come with the last answer

    def _check_told_under_way(self, command: int, sent: Sequence[float]) -> None:
        """Stop an arm that goes where it was not sent, and raise PositionError."""
        contradiction = self._told.contradiction_under_way(command, sent)
        if contradiction is not None:
            raise self._told_otherwise(f"{contradiction}; {self._end_move(TOLD_OTHERWISE)}")

    def _check_told(self, command: int, sent: Sequence[float]) -> None:
        """Raise PositionError unless the arm states that it was told what was sent."""
        contradiction = self._told.contradiction(command, sent)
        if contradiction is not None:
            self._distrust(TOLD_OTHERWISE)
            raise self._told_otherwise(contradiction)

    def _told_otherwise(self, what: str) -> PositionError:
        return PositionError(
            DEVICE,
            f"{what}: bytes change on the way (check cable and shield), or its firmware means something "
            f"else by that (then `read_back: false`); {REMEDY}",
        )

    def _end_move(self, reason: str) -> str:
        """Distrust, stop, and let nothing that moves follow; returns the outcome in words."""
        self._distrust(reason)
        self._conversation.halt()
        self._conversation.block(reason)
        return self._conversation.come_to_rest()

    def _refused(self) -> CommandRefused:
        """The acknowledge was a refusal: see that nothing moves, whatever it was."""
        outcome = self._end_move("a move was refused")
        return CommandRefused(
            DEVICE, f"it refused the move (answered 00){self._conversation.own_words()}; {outcome}; {REMEDY}"
        )

    def _wrong_place(self, start: Transform, target: Transform) -> DeviceError:
        if not self._conversation.is_powered():
            self._distrust("the arm lost its power in a move")
            return untrusted(DEVICE, self.last_reason)
        if self._camera.is_near(self._flange, start):
            self._distrust("a move was not begun")
            answer = "acknowledged, but not begun" if self._conversation.set_answer else "lost"
            return DeviceTimeout(
                DEVICE,
                f"the arm did not move: the command was {answer}{self._conversation.own_words()}. "
                "Home the arm before moving",
            )
        self._distrust("a move ended at the wrong place")
        away_mm, turned_deg = distance_mm(self._flange, target), angle_between_deg(self._flange, target)
        return PositionError(
            DEVICE,
            f"it stands {away_mm:.1f} mm and {turned_deg:.1f} deg from where it was sent (tolerance "
            f"{self._settings.tolerance_mm:g} mm, {self._settings.tolerance_deg:g} deg), or does not report that it is "
            f"there{self._conversation.own_words()}; {REMEDY}",
        )

    def _give_up(self) -> DeviceTimeout:
        outcome = self._end_move("a move took too long")
        return DeviceTimeout(
            DEVICE, f"the arm still moved after the computed time; stopped: {outcome}. Home the arm before moving"
        )


DRIVER = DriverKind(MyCobotSettings, MyCobotArm.open, EXAMPLE, travel=MyCobotSettings.travel)
