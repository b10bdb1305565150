"""A myCobot 280 or 320 that carries the camera, over its frame protocol.

A set may be lost without a word, and its acknowledge proves nothing: a move is done when the arm says that it
neither moves nor is elsewhere, and its coordinates, read back, are the target's. Encoders are absolute, so nothing
is searched at homing; the trust falls all the same with power, with a displacement nobody commanded, and with silence.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

from drivers.errors import DeviceError, DeviceTimeout, FeatureMissing, OutOfTravel, PositionError, PositionUntrusted
from drivers.geometry.mycobot_kinematics import GEOMETRIES, Joints, Limits, ModelName
from drivers.geometry.rigid import (
    Transform,
    angle_between_deg,
    camera_in_station,
    distance_mm,
    from_coordinates,
    inverse,
    pose_of_camera,
    to_coordinates,
)
from drivers.protocols import DeviceIdentity, Pose
from drivers.registry import DriverKind
from drivers.serial_line.arms.latched_arm import LatchedArm
from drivers.serial_line.arms.waypoints import SafeWays
from drivers.serial_line.mycobot import protocol as frames
from drivers.serial_line.mycobot.conversation import MyCobotLink
from drivers.serial_line.mycobot.settings import EXAMPLE, MyCobotSettings, transform_of

log = logging.getLogger(__name__)

DEVICE = "arm"
POSE_FIELDS = ("x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg")
POLL_S = 0.02
START_GRACE_S = 0.5  # from a set to the first sign of motion, and from standing still to being in position
POWER_UP_S = 5.0
SLACK = 2.0  # between way over full speed and the time that a move may take: ramps, and what the firmware makes of it
MODEL_MISMATCH_MM, MODEL_MISMATCH_DEG = 25.0, 8.0  # joints and coordinates of one moment: another tool frame, or model


class MyCobotOptions(TypedDict, total=False):
    """What a rig file may say beyond port, model, geometry and travel."""

    baud_rate: int
    joint_limits_deg: Limits | None  # None = the documents' for the model
    home_joints_deg: Sequence[float] | None  # where homing leads; None = it stays where it is
    straight: bool  # move the camera in straight lines; else each joint by itself
    ways: SafeWays | None  # keep-out boxes and waypoints, for straight moves only
    speed_percent: int
    full_speed_deg_per_s: float  # at 100 percent, for the timeouts
    full_speed_mm_per_s: float
    tolerance_mm: float
    tolerance_deg: float
    settle_s: float
    reply_timeout_s: float
    move_margin_s: float
    watch_s: float  # how often a trusted, resting arm is asked for its state; 0 = never


class MyCobotArm(LatchedArm[MyCobotLink]):
    """Implements `drivers.protocols.Arm`. Open with `MyCobotArm.open`; the position is trusted once homed.

    `base` is the arm's base in the station, `mount` the camera (right, down, forward; entrance pupil) in the flange.
    """

    def __init__(
        self,
        port: str,
        model: ModelName,
        base: Transform,
        mount: Transform,
        travel: Mapping[str, tuple[float, float]],
        *,
        baud_rate: int = 115200,
        joint_limits_deg: Limits | None = None,
        home_joints_deg: Sequence[float] | None = None,
        straight: bool = False,
        ways: SafeWays | None = None,
        speed_percent: int = 50,
        full_speed_deg_per_s: float = 120.0,
        full_speed_mm_per_s: float = 150.0,
        tolerance_mm: float = 1.0,
        tolerance_deg: float = 1.0,
        settle_s: float = 0.0,
        reply_timeout_s: float = 0.5,
        move_margin_s: float = 3.0,
        watch_s: float = 1.0,
    ) -> None:
        super().__init__(DEVICE, ways)
        self.travel = _checked_travel(travel)
        self.joint_limits_deg = joint_limits_deg or GEOMETRIES[model].limits_deg
        self._geometry = GEOMETRIES[model]
        self._model = model
        self._from_station, self._from_camera = inverse(base), inverse(mount)
        self._base, self._mount = base, mount
        self._home_joints_deg = home_joints_deg
        if ways is not None and (not straight or home_joints_deg is not None):
            raise ValueError("keep-out boxes judge straight moves only: ask for them, and for no home joints")
        self._path = frames.STRAIGHT_PATH if straight else frames.JOINT_PATH
        self._speed_percent = speed_percent
        self._deg_per_s = full_speed_deg_per_s * speed_percent / 100.0
        self._mm_per_s = full_speed_mm_per_s * speed_percent / 100.0
        self._tolerance_mm, self._tolerance_deg = tolerance_mm, tolerance_deg
        self._settle_s = settle_s
        self._move_margin_s = move_margin_s
        self._link = MyCobotLink(DEVICE, port, baud_rate, reply_timeout_s, self._distrust)
        try:
            self._identity = self._identify()
        except DeviceError:
            self._link.line.close()
            raise
        self._start_watch(watch_s)

    @classmethod
    def open(
        cls,
        port: str,
        *,
        model: ModelName,
        base: Transform,
        mount: Transform,
        travel: Mapping[str, tuple[float, float]],
        **options: Unpack[MyCobotOptions],
    ) -> MyCobotArm:
        """Open the port and ask who is there. Powers and moves nothing.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as a myCobot does, FeatureMissing when its
        controller has no contact with the joints.
        """
        return cls(port, model, base, mount, travel, **options)

    # -- the contract -----------------------------------------------------------------------

    def home(self) -> None:
        """Power on if need be, see that the arm stands within its joint limits; then to `home_joints_deg`, if any.

        Raises PositionUntrusted, FeatureMissing when joints and coordinates contradict each other, DeviceTimeout.
        """
        with self._lock:
            self._trust.clear()
            self.last_reason = "homing was not completed"
            self._link.allow()
            if not self._link.is_powered():
                self._power_on()
            if self._link.is_moving():
                raise PositionUntrusted(DEVICE, "not homed: the arm moves without having been told to; stop it first")
            self._read_place()
            self._is_at_home = True
            self._trust.set()
            if self._link.blocked is not None:  # stopped in between: the latch stays down
                self._distrust(self._link.blocked)
            self._require_trust()
            if self._home_joints_deg is not None:
                self.move_joints(self._home_joints_deg)

    def check_reachable(self, pose: Pose) -> None:
        """Raise OutOfTravel unless every field is inside the travel, and the joints can bring the camera there."""
        for name, value in zip(POSE_FIELDS, pose.as_tuple(), strict=True):
            low, high = self.travel[name]
            if not (math.isfinite(value) and low <= value <= high):
                unit = name.rpartition("_")[2]
                raise OutOfTravel(DEVICE, f"{name} = {value:g} {unit} is outside {low:g} .. {high:g} {unit}")
        target = self._flange_for(pose)
        if not self._ways_to_stand(target):
            why = "beyond a joint limit" if self._geometry.joints_for(target) else "out of the arm's reach"
            raise OutOfTravel(DEVICE, f"{pose} is {why}")
        self._check_ways(pose)

    def move_to(self, pose: Pose) -> Pose:
        """Plan; for each leg check, send, wait until it stands, read back, verify.

        Raises OutOfTravel or PositionUntrusted before anything is sent; PositionError when the arm stands still
        elsewhere; DeviceTimeout, DeviceLost. All but the first leave the arm untrusted.
        """
        self.check_reachable(pose)
        with self._lock:
            self._require_trust()
            for stop in self._route(pose):
                self._go(self._flange_for(stop))
            return self._pose_of(self._flange, pose.pan_deg)

    def _route(self, pose: Pose) -> tuple[Pose, ...]:
        """The stops, each within reach."""
        stops = self._stops(self._pose_of(self._flange), pose)
        for stop in stops[:-1]:
            self.check_reachable(stop)
        return stops

    def _go(self, target: Transform) -> None:
        """One leg, to its end."""
        self._require_readiness()
        self._is_at_home = False
        data, duration_s = frames.coordinate_bytes(to_coordinates(target)), self._duration_s(target)
        self._send(frames.SEND_COORDINATES, data, bytes([self._path]))
        self._await_arrival(target, data, frames.COORDINATES, duration_s)

    def move_joints(self, joints_deg: Sequence[float]) -> tuple[float, ...]:
        """Joint angles in degrees, for a home or parking position; returns the angles read back.

        Raises as `move_to`.
        """
        self._check_limits(joints_deg)
        with self._lock:
            self._require_trust()
            self._require_readiness()
            self._is_at_home = False
            data, duration_s = frames.angle_bytes(joints_deg), self._turning_s([tuple(joints_deg)])
            self._send(frames.SEND_ANGLES, data)
            self._await_arrival(self._geometry.flange(joints_deg), data, frames.ANGLES, duration_s)
            return self._joints_deg

    def position(self) -> Pose:
        """As the arm reports it, trusted or not. Raises PositionUntrusted right after a stop, DeviceTimeout."""
        with self._lock:
            return self._pose_of(from_coordinates(*self._link.coordinates()))

    # -- connecting and homing --------------------------------------------------------------

    def _identify(self) -> DeviceIdentity:
        if not self._link.ask(frames.IS_CONNECTED, frames.flag):
            raise FeatureMissing(DEVICE, "its controller has no contact with the joints; check the cable at the base")
        version = self._link.ask_once(frames.VERSION, lambda f: f.data[0] if len(f.data) == 1 else None)
        firmware = "not told" if version is None else f"{version / 10:.1f}"
        log.info("%s: myCobot %s on %s, firmware %s", DEVICE, self._model, self._link.line.port, firmware)
        return DeviceIdentity("Elephant Robotics", f"myCobot {self._model}", "", firmware)

    def _power_on(self) -> None:
        self._link.set(frames.POWER_ON)
        deadline_s = time.monotonic() + POWER_UP_S
        while not self._link.is_powered():
            if time.monotonic() > deadline_s:
                raise PositionUntrusted(DEVICE, "it stays without power; release its emergency stop, then home again")
            time.sleep(POLL_S)

    def _checked_joints(self) -> tuple[float, ...]:
        joints = self._link.angles_deg()
        for number, (angle, (low, high)) in enumerate(zip(joints, self.joint_limits_deg, strict=True), start=1):
            if not low - self._tolerance_deg <= angle <= high + self._tolerance_deg:
                raise PositionUntrusted(
                    DEVICE, f"joint {number} stands at {angle:g} deg, outside {low:g} .. {high:g}: move it in by hand"
                )
        return joints

    def _read_place(self) -> None:
        """Joints and coordinates, which must belong together; asked twice, as without a checksum one may be garbled."""
        for _ in range(2):
            self._joints_deg = self._checked_joints()
            self._flange = from_coordinates(*self._link.coordinates())
            expected = self._geometry.flange(self._joints_deg)
            away_mm, turned_deg = distance_mm(expected, self._flange), angle_between_deg(expected, self._flange)
            if away_mm <= MODEL_MISMATCH_MM and turned_deg <= MODEL_MISMATCH_DEG:
                return
        raise FeatureMissing(
            DEVICE,
            f"its coordinates lie {away_mm:.0f} mm and {turned_deg:.0f} deg from what its joints say of a myCobot "
            f"{self._model}: is it another model, or is a tool or world reference set? Flange and base are needed",
        )

    # -- at rest ----------------------------------------------------------------------------

    def _look(self) -> None:
        """Power, released servos or a silence while nothing is commanded."""
        self._require_readiness()

    def _require_readiness(self) -> None:
        """Powered, at rest, and where it was left: a displacement nobody commanded means released servos, or a push."""
        why = None
        if not self._link.is_powered():
            why = "the arm has no power"
        elif self._link.is_moving():
            why = "the arm moves without having been told to"
        else:
            found = from_coordinates(*self._link.coordinates())
            if not self._is_near(found, self._flange):
                away_mm = distance_mm(found, self._flange)
                why = f"the arm was displaced by {away_mm:.1f} mm since its last move (servos released, or pushed?)"
        if why is not None:
            self._distrust(why)
        self._require_trust()

    # -- moving -----------------------------------------------------------------------------

    def _distrust(self, reason: str) -> None:
        if self._trust.is_set():
            log.warning("%s: position no longer trusted: %s", DEVICE, reason)
            self.last_reason = reason
        self._trust.clear()

    def _check_limits(self, joints_deg: Sequence[float]) -> None:
        for number, (angle, (low, high)) in enumerate(zip(joints_deg, self.joint_limits_deg, strict=True), start=1):
            if not (math.isfinite(angle) and low <= angle <= high):
                raise OutOfTravel(DEVICE, f"joint {number} = {angle:g} deg is outside {low:g} .. {high:g} deg")

    def _send(self, command: int, target: bytes, mode: bytes = b"") -> None:
        self._link.set(command, target + bytes([self._speed_percent]) + mode)

    def _await_arrival(self, target: Transform, data: bytes, kind: int, duration_s: float) -> None:
        """Until it does not move, is in position by its own word, and reads back the target."""
        start, deadline_s = self._flange, time.monotonic() + duration_s + self._move_margin_s
        still_since_s = time.monotonic()
        while True:
            if self._link.is_moving():
                still_since_s = time.monotonic()
            else:
                self._flange = from_coordinates(*self._link.coordinates())
                if self._is_near(self._flange, target) and self._link.is_in_position(data, kind):
                    break
            now_s = time.monotonic()
            if now_s - still_since_s > START_GRACE_S:
                raise self._wrong_place(start, target)
            if now_s > deadline_s:
                raise self._give_up()
            time.sleep(POLL_S)
        if self._settle_s:
            time.sleep(self._settle_s)
            self._flange = from_coordinates(*self._link.coordinates())
            if not self._is_near(self._flange, target):
                raise self._wrong_place(start, target)
        self._joints_deg = self._checked_joints()
        self._require_trust()  # a stop may have come with the last answer

    def _wrong_place(self, start: Transform, target: Transform) -> DeviceError:
        if not self._link.is_powered():
            self._distrust("the arm lost its power in a move")
            return PositionUntrusted(DEVICE, f"{self.last_reason}; home the arm")
        if self._is_near(self._flange, start):
            self._distrust("a move was not begun")
            return DeviceTimeout(
                DEVICE,
                "the arm did not move: the command was lost, or refused as out of reach. Home the arm before moving",
            )
        self._distrust("a move ended at the wrong place")
        away_mm, turned_deg = distance_mm(self._flange, target), angle_between_deg(self._flange, target)
        return PositionError(
            DEVICE,
            f"it stands {away_mm:.1f} mm and {turned_deg:.1f} deg from where it was sent (tolerance "
            f"{self._tolerance_mm:g} mm, {self._tolerance_deg:g} deg), or does not say that it is there; home the arm",
        )

    def _give_up(self) -> DeviceTimeout:
        self._distrust("a move took too long")
        self._link.halt()
        self._link.block("a move took too long")
        outcome = self._link.come_to_rest()
        return DeviceTimeout(DEVICE, f"the arm still moved after the computed time; stopped: {outcome}. Home it")

    def _duration_s(self, target: Transform) -> float:
        """An estimate from above: the camera's way, or the largest turn of any way to stand at the target."""
        if self._path == frames.STRAIGHT_PATH:
            way_s = distance_mm(self._flange, target) / self._mm_per_s
            return SLACK * max(way_s, angle_between_deg(self._flange, target) / self._deg_per_s)
        return self._turning_s(self._ways_to_stand(target))  # which of them it takes is the firmware's affair

    def _turning_s(self, targets: Sequence[Sequence[float]]) -> float:
        turns = [abs(a - b) for joints in targets for a, b in zip(joints, self._joints_deg, strict=True)]
        return SLACK * max(turns, default=360.0) / self._deg_per_s

    def _is_near(self, found: Transform, wanted: Transform) -> bool:
        return (
            distance_mm(found, wanted) <= self._tolerance_mm and angle_between_deg(found, wanted) <= self._tolerance_deg
        )

    def _ways_to_stand(self, flange: Transform) -> list[Joints]:
        ways = self._geometry.joints_for(flange)
        return [way for way in ways if self._geometry.within_limits(way, self.joint_limits_deg)]

    # -- coordinates ------------------------------------------------------------------------

    def _flange_for(self, pose: Pose) -> Transform:
        return self._from_station @ camera_in_station(pose) @ self._from_camera

    def _pose_of(self, flange: Transform, near_pan_deg: float = 0.0) -> Pose:
        return pose_of_camera(self._base @ flange @ self._mount, near_pan_deg)


def _checked_travel(travel: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Raises ValueError for a travel that cannot be meant."""
    if set(travel) != set(POSE_FIELDS):
        raise ValueError(f"the travel names {sorted(travel)}, wanted are {', '.join(POSE_FIELDS)}")
    for name, (low, high) in travel.items():
        if not low < high:
            raise ValueError(f"{name}: minimum {low:g} is not below maximum {high:g}")
    return dict(travel)


def _open(settings: MyCobotSettings) -> MyCobotArm:
    return MyCobotArm.open(
        settings.port,
        model=settings.model,
        base=transform_of(settings.base),
        mount=transform_of(settings.mount),
        travel=settings.travel(),
        joint_limits_deg=settings.limits(),
        home_joints_deg=settings.home_joints_deg,
        straight=settings.straight,
        ways=None if settings.ways is None else settings.ways.ways(),
        speed_percent=settings.speed_percent,
        tolerance_mm=settings.tolerance_mm,
        tolerance_deg=settings.tolerance_deg,
        settle_s=settings.settle_s,
        reply_timeout_s=settings.reply_timeout_s,
        watch_s=settings.watch_s,
    )


DRIVER = DriverKind(MyCobotSettings, _open, EXAMPLE, travel=MyCobotSettings.travel)
