"""A gantry of three to six axes behind a Grbl-dialect controller.

`ok` means planned. A move is done when a dwell behind it was answered and the controller then says
Idle at the target. Limits, move times and the trust in the position are this driver's own; it never
unlocks, resumes or repeats a move by itself.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack

from drivers.errors import DeviceError, FeatureMissing, OutOfTravel, PositionError, PositionUntrusted
from drivers.protocols import DeviceIdentity, Pose
from drivers.registry import DriverKind
from drivers.serial_line.arms.latched_arm import LatchedArm
from drivers.serial_line.arms.waypoints import SafeWays
from drivers.serial_line.grbl.axes import LETTERS, POSE_FIELDS, AxisLimits, checked_axes, checked_fixed
from drivers.serial_line.grbl.conversation import GrblLink
from drivers.serial_line.grbl.protocol import MovePlan, Status, plan_move, trouble
from drivers.serial_line.grbl.settings import EXAMPLE, GrblSettings

log = logging.getLogger(__name__)

DEVICE = "gantry"
Z_ALONE = 4  # grblHAL's $44, the axes of the first homing pass: up and out of the way first
BARRIER = "G4 P0.01"  # answered once the planner is empty; P must be above 0
MODAL_STATE = "G21 G90 G94"  # millimetres, absolute, feed per minute


class GrblOptions(TypedDict, total=False):
    """What a rig file may say beyond port and axes."""

    fixed: Mapping[str, float]  # fields of Pose that no axis drives, and where they stand; 0 if not said
    ways: SafeWays | None  # keep-out boxes and waypoints
    baud_rate: int
    tolerance_mm: float
    tolerance_deg: float
    settle_s: float  # after Idle, before the position is read
    speed: float  # of what the axes can do, 0..1
    reply_timeout_s: float
    boot_timeout_s: float  # until the first banner: many boards restart when the port is opened
    move_margin_s: float
    homing_timeout_s: float
    watch_s: float  # how often a trusted, resting arm is asked for its state; 0 = never


class GrblArm(LatchedArm[GrblLink]):
    """Implements `drivers.protocols.Arm`. Open with `GrblArm.open`; the position is trusted once homed.

    A Pose field that no axis drives must be what `fixed` says, else 0. Timeouts: `reply_timeout_s` for a line,
    the computed time plus `move_margin_s` for a move, `homing_timeout_s` for homing, which is silent throughout.
    """

    def __init__(
        self,
        port: str,
        axes: Sequence[AxisLimits],
        *,
        fixed: Mapping[str, float] | None = None,
        ways: SafeWays | None = None,
        baud_rate: int = 115200,
        tolerance_mm: float = 0.05,
        tolerance_deg: float = 0.05,
        settle_s: float = 0.0,
        speed: float = 1.0,
        reply_timeout_s: float = 1.0,
        boot_timeout_s: float = 3.0,
        move_margin_s: float = 2.0,
        homing_timeout_s: float = 120.0,
        watch_s: float = 0.5,
    ) -> None:
        super().__init__(DEVICE, ways)
        self.axes = checked_axes(axes)
        self.fixed = checked_fixed(self.axes, fixed or {})
        self.warnings: tuple[str, ...] = ()
        self._tolerance_mm = tolerance_mm
        self._tolerance_deg = tolerance_deg
        self._settle_s = settle_s
        self._speed = speed
        self._boot_timeout_s = boot_timeout_s
        self._move_margin_s = move_margin_s
        self._homing_timeout_s = homing_timeout_s
        self._check_waypoints()
        self._link = GrblLink(DEVICE, port, baud_rate, reply_timeout_s, self._distrust)
        try:
            self._connect()
        except DeviceError:
            self._link.line.close()
            raise
        self._start_watch(watch_s)

    @classmethod
    def open(cls, port: str, *, axes: Sequence[AxisLimits], **options: Unpack[GrblOptions]) -> GrblArm:
        """Open the port, reset the controller, read its identity, settings and state. Moves nothing.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as Grbl does, FeatureMissing when its
        settings do not suit.
        """
        return cls(port, axes, **options)

    # -- the contract -----------------------------------------------------------------------

    def describe(self) -> dict[str, object]:
        """What the controller's settings say, for `station check`."""
        rates = {
            f"{axis.name} ({axis.machine_axis})": f"{rate:g} {axis.unit}/s, {acceleration:g} {axis.unit}/s2"
            for axis, rate, acceleration in zip(self.axes, self._rates, self._accelerations, strict=True)
        }
        return {**rates, "doubts": self.warnings}

    def home(self) -> None:
        """Reset if anything is amiss, then `$H`. Trusted only after its `ok`, no alarm before it, and Idle.

        Raises PositionUntrusted, CommandRefused, DeviceTimeout, DeviceLost.
        """
        with self._lock:
            self._trust.clear()
            self.last_reason = "homing was not completed"
            self._link.allow()
            self._make_ready()
            self._link.command("$H", self._homing_timeout_s, is_deaf=True)
            self._link.command(MODAL_STATE)
            report = self._link.status()
            if trouble(report) or report.state != "Idle" or report.fields.get("H", "1").startswith("0"):
                raise PositionUntrusted(DEVICE, f"homing was acknowledged, but this is not Idle and homed: {report}")
            self._machine = self._machine_position(report)
            self._is_at_home = True
            self._trust.set()
            if self._link.blocked is not None:  # something came in between: the latch stays down
                self._distrust(self._link.blocked)
                raise PositionUntrusted(DEVICE, f"right after homing: {self._link.blocked}")

    def _make_ready(self) -> None:
        """Out of any alarm, hold or door by a reset, never by a resume. Raises PositionUntrusted while one lasts."""
        report = None
        if self._link.blocked is None:
            report = self._link.glance()
        if report is None or report.state != "Idle":
            self._link.calm()
            self._link.reset()
            report = self._link.status()
        why = trouble(report)
        if why is not None and (report.state != "Alarm" or set(report.pins) - set(LETTERS)):
            raise PositionUntrusted(DEVICE, f"not homed: {why}; end that, then home again")

    def check_reachable(self, pose: Pose) -> None:
        """Raise OutOfTravel unless every field is finite, inside its axis' limits, and outside the keep-out boxes.

        The limits form a box, so a straight way between two reachable poses lies inside as well.
        """
        driven = {a.name: a for a in self.axes}
        for name, value in zip(POSE_FIELDS, pose.as_tuple(), strict=True):
            if (axis := driven.get(name)) is None:
                self._check_fixed(name, value)
            elif not (math.isfinite(value) and axis.minimum <= value <= axis.maximum):
                raise OutOfTravel(
                    DEVICE,
                    f"{name} = {value:g} {axis.unit} is outside {axis.minimum:g} .. {axis.maximum:g} {axis.unit}",
                )
        self._check_ways(pose)

    def _check_fixed(self, name: str, value: float) -> None:
        fixed = self.fixed[name]
        tolerance = self._tolerance_deg if name.endswith("_deg") else self._tolerance_mm
        if not abs(value - fixed) <= tolerance:
            raise OutOfTravel(
                DEVICE, f"{name} = {value:g}, but this gantry has no such axis: it stands fixed at {fixed:g}"
            )

    def move_to(self, pose: Pose) -> Pose:
        """Plan; for each leg check, send, barrier, ask, verify; returns the position read back.

        Raises OutOfTravel or PositionUntrusted before anything is sent; PositionError when the arm stands
        still elsewhere; CommandRefused, DeviceTimeout, DeviceLost. All but the first leave the arm untrusted
        or ask for homing.
        """
        self.check_reachable(pose)
        with self._lock:
            self._require_trust()
            for stop in self._stops(self._to_pose(self._machine), pose):
                self._go(self._to_machine(stop))
            return self._to_pose(self._machine)

    def _go(self, target: tuple[float, ...]) -> None:
        """One straight leg, to its end."""
        plan = plan_move(self._machine, target, self._rates, self._accelerations)
        self._require_readiness()
        self._is_at_home = False
        if plan.length > 0.0:
            self._link.command(self._move_line(target, plan), is_watched=True)
            self._link.command(BARRIER, plan.duration_s / self._speed + self._move_margin_s, is_watched=True)
        if self._settle_s:
            time.sleep(self._settle_s)
        self._verify(target)

    def position(self) -> Pose:
        """As the controller reports it, trusted or not. Raises PositionUntrusted while it is locked or stopped."""
        with self._lock:
            return self._to_pose(self._machine_position(self._link.status()))

    # -- connecting -------------------------------------------------------------------------

    def _connect(self) -> None:
        self._link.calm()
        self._link.reset(self._boot_timeout_s)
        about = self._link.about
        version, _, name = about.get("VER", "").partition(":")
        self._identity = DeviceIdentity("Grbl", about.get("FIRMWARE", "Grbl"), name, version)
        self._order = self._axis_order(about)
        self._read_settings()
        report = self._link.status()
        self._machine = self._machine_position(report)
        self._link.axis_count = len(report.mpos or ())
        log.info("%s: %s %s on %s, state %s", DEVICE, self._identity.model, version, self._link.line.port, report.state)

    def _axis_order(self, about: dict[str, str]) -> str:
        """The letters in the order of every report; `[AXS:5:XYZAB]` where the firmware says so."""
        letters = about.get("AXS", "").partition(":")[2] or LETTERS
        missing = [a.machine_axis for a in self.axes if a.machine_axis not in letters]
        if missing:
            raise FeatureMissing(DEVICE, f"the rig file names axes {missing}, the controller has only {letters}")
        return letters

    def _read_settings(self) -> None:
        settings = self._link.settings
        columns = [self._order.index(a.machine_axis) for a in self.axes]
        missing = [f"${n + i}" for n in (110, 120, 130) for i in columns if settings.get(n + i, 0.0) <= 0.0]
        if missing:
            raise FeatureMissing(DEVICE, f"the controller does not list {', '.join(missing)}: has it these axes?")
        if settings.get(13, 0.0):
            raise FeatureMissing(DEVICE, "the controller reports inches; set $13=0")
        if not int(settings.get(10, 1.0)) & 1:
            raise FeatureMissing(DEVICE, "the controller does not report the machine position; set $10=1")
        self._check_travel(settings, columns)
        self._rates = tuple(settings[110 + i] / 60.0 for i in columns)  # units per second
        self._accelerations = tuple(settings[120 + i] for i in columns)
        self.warnings = tuple(self._doubts(settings))
        for text in self.warnings:
            log.warning("%s: %s", DEVICE, text)

    def _check_travel(self, settings: dict[int, float], columns: list[int]) -> None:
        """Grbl's soft limits allow -$130 .. 0 (its switches stand at the positive ends): the rig file must fit in."""
        if not settings.get(20, 0.0) or self._sets_origin_at_switch(settings):
            return
        for axis, i in zip(self.axes, columns, strict=True):
            low, high, travel = axis.minimum + axis.offset, axis.maximum + axis.offset, settings[130 + i]
            if low < -travel or high > 0.0:
                raise FeatureMissing(
                    DEVICE,
                    f"{axis.name}: {axis.minimum:g} .. {axis.maximum:g} with offset {axis.offset:g} is machine "
                    f"{axis.machine_axis} {low:g} .. {high:g}, but the controller allows {-travel:g} .. 0 "
                    f"(${130 + i}): mend offset, minimum or maximum of this axis in the rig file",
                )

    def _sets_origin_at_switch(self, settings: dict[int, float]) -> bool:
        """Built so that homing makes the switch 0 whichever end it is at: then travel may be positive."""
        options = self._link.about.get("OPT", "").partition(",")[0]
        return "Z" in options or (self._identity.model == "grblHAL" and bool(int(settings[22]) & 8))

    def _doubts(self, settings: dict[int, float]) -> list[str]:
        """What a commissioned gantry would have otherwise; factory settings have all of it off."""
        wanted = {20: "soft limits are off ($20)", 21: "limit switches are off ($21)", 22: "homing is off ($22)"}
        doubts = [f"the controller's {text}" for n, text in wanted.items() if not settings.get(n, 0.0)]
        if self._identity.model == "grblHAL" and int(settings.get(22, 0.0)) & 5 == 1:
            doubts.append("the controller does not force homing: $22 lacks bit 4, and its soft limits rest until homed")
        if 44 in settings and int(settings[44]) != Z_ALONE:
            doubts.append(f"homing does not begin with Z alone ($44={settings[44]:.0f}, not {Z_ALONE}): is all clear?")
        return doubts

    # -- at rest ----------------------------------------------------------------------------

    def _look(self) -> None:
        """A door, a hold or a silence while nothing is commanded."""
        report = self._link.glance()
        if report is None:
            self._distrust("the controller does not answer")
        elif report.state != "Idle":
            self._distrust(trouble(report) or f"the axes move without having been told to (state {report.name})")

    # -- moving -----------------------------------------------------------------------------

    def _distrust(self, reason: str) -> None:
        if self._trust.is_set():
            log.warning("%s: position no longer trusted: %s", DEVICE, reason)
        self.last_reason = reason
        self._trust.clear()

    def _require_readiness(self) -> None:
        """Ask before the first byte of a move: a line sent into a hold or an open door would run on resume."""
        report = self._link.status()
        why = trouble(report)
        if why is None and report.state != "Idle":
            why = f"the axes move without having been told to (state {report.name})"
        if why is not None:
            self._distrust(why)
            raise PositionUntrusted(DEVICE, f"move refused: {why}; home the arm first")
        self._require_trust()

    def _move_line(self, target: tuple[float, ...], plan: MovePlan) -> str:
        words = "".join(f" {a.machine_axis}{v:.3f}" for a, v in zip(self.axes, target, strict=True))
        return f"G53 G1{words} F{max(1.0, plan.rate_per_s * 60.0 * self._speed):.0f}"

    def _verify(self, target: tuple[float, ...]) -> None:
        """Idle and at the target; what reads otherwise is read once more, as there is no checksum."""
        self._machine = self._resting_position()
        if self._stray(target) is not None:
            self._machine = self._resting_position()
        if (axis := self._stray(target)) is not None:
            i = self.axes.index(axis)
            self._distrust(f"a move ended at the wrong {axis.name}")
            raise PositionError(
                DEVICE,
                f"{axis.name} stands at {self._machine[i] - axis.offset:.3f}, sent to {target[i] - axis.offset:.3f} "
                f"{axis.unit} (tolerance {self._tolerance_of(axis):g}); home the arm",
            )
        self._require_trust()  # an input or an alarm may have come with the last report

    def _resting_position(self) -> tuple[float, ...]:
        report = self._link.status()
        if report.state != "Idle":
            self._distrust(f"after a move the state was {report.state}")
            raise PositionUntrusted(DEVICE, f"after the move was acknowledged the state is {report.state}, not Idle")
        return self._machine_position(report)

    def _stray(self, target: tuple[float, ...]) -> AxisLimits | None:
        """The first axis that does not stand where it was sent."""
        places = zip(self.axes, target, self._machine, strict=True)
        return next((a for a, wanted, found in places if not abs(found - wanted) <= self._tolerance_of(a)), None)

    def _tolerance_of(self, axis: AxisLimits) -> float:
        return self._tolerance_deg if axis.unit == "deg" else self._tolerance_mm

    # -- coordinates ------------------------------------------------------------------------

    def _machine_position(self, report: Status) -> tuple[float, ...]:
        """In the order of `self.axes`."""
        if report.mpos is None or len(report.mpos) < max(self._order.index(a.machine_axis) for a in self.axes) + 1:
            raise FeatureMissing(DEVICE, f"status report without MPos for all axes: {report}; set $10=1")
        return tuple(report.mpos[self._order.index(a.machine_axis)] for a in self.axes)

    def _to_machine(self, pose: Pose) -> tuple[float, ...]:
        values = dict(zip(POSE_FIELDS, pose.as_tuple(), strict=True))
        return tuple(
            values.get(a.name, a.minimum) + a.offset  # a parked axis has one place only
            for a in self.axes
        )

    def _to_pose(self, machine: tuple[float, ...]) -> Pose:
        values = {a.name: m - a.offset for a, m in zip(self.axes, machine, strict=True)}
        return Pose(*(values[name] if name in values else self.fixed[name] for name in POSE_FIELDS))

    def _check_waypoints(self) -> None:
        for name, pose in self._ways.waypoints.items():
            try:
                self.check_reachable(pose)
            except OutOfTravel as error:
                raise ValueError(f"waypoint {name}: {error.message}") from error


def _open(settings: GrblSettings) -> GrblArm:
    axes = [AxisLimits(a.name, a.minimum, a.maximum, a.machine_axis, a.offset) for a in settings.axes]
    axes += [AxisLimits(letter, value, value, letter) for letter, value in settings.parked.items()]
    return GrblArm.open(
        settings.port,
        axes=axes,
        fixed={str(name): value for name, value in settings.fixed.items()},
        ways=None if settings.ways is None else settings.ways.ways(),
        baud_rate=settings.baud_rate,
        tolerance_mm=settings.tolerance_mm,
        tolerance_deg=settings.tolerance_deg,
        settle_s=settings.settle_s,
        speed=settings.speed,
        reply_timeout_s=settings.reply_timeout_s,
        homing_timeout_s=settings.homing_timeout_s,
        watch_s=settings.watch_s,
    )


DRIVER = DriverKind(GrblSettings, _open, EXAMPLE, travel=GrblSettings.travel)
