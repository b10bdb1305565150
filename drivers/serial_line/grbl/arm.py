"""A gantry of three to six axes behind a Grbl-dialect controller.

`ok` means planned. A move is done when a dwell behind it was answered and the controller then reports Idle at the
target. Limits, move times and the trust in the position are this driver's own; it never unlocks, resumes or repeats
a move by itself.
"""

from __future__ import annotations

import logging
import time

from drivers.errors import PositionError, PositionUntrusted
from drivers.geometry.pose import Pose
from drivers.registry import DriverKind
from drivers.serial_line.arms.latched_arm import NOT_COMPLETED, PROVISIONAL, REMEDY, LatchedArm, untrusted
from drivers.serial_line.grbl.axes import DEVICE, GantryAxes
from drivers.serial_line.grbl.controller import read_controller
from drivers.serial_line.grbl.conversation import GrblConversation
from drivers.serial_line.grbl.exchange import IDENTITY_ATTEMPTS
from drivers.serial_line.grbl.protocol import Axes, MovePlan, Status, plan_move, safety_trouble, trouble
from drivers.serial_line.grbl.settings import EXAMPLE, GrblSettings

log = logging.getLogger(__name__)

BARRIER = "G4 P0.01"  # answered once the planner is empty; P must be above 0
MODAL_WORDS = ("G21", "G90", "G94")  # millimetres, absolute, feed per minute
MODAL_STATE = " ".join(MODAL_WORDS)
SCALED = "G51"  # grblHAL: lengths are multiplied


class GrblArm(LatchedArm[GrblConversation]):
    """Implements `drivers.protocols.Arm`. Open with `GrblArm.open`; the position is trusted once homed.

    A Pose field that no axis drives must be what the settings' `fixed` holds. Timeouts: `reply_timeout_s` for a
    line, the computed time plus `move_margin_s` for a move, `homing_timeout_s` for homing, which is silent throughout.
    """

    def __init__(self, settings: GrblSettings) -> None:
        super().__init__(DEVICE, None if settings.ways is None else settings.ways.ways())
        self._settings = settings
        self._axes = GantryAxes(settings)
        self._conversation = GrblConversation(
            DEVICE, settings.port, settings.baud_rate, settings.reply_timeout_s, self._distrust
        )
        self._start(settings.watch_s)

    @classmethod
    def open(cls, settings: GrblSettings) -> GrblArm:
        """Open the port, reset the controller, read its identity, settings and state. Moves nothing.

        Raises DeviceNotFound, DeviceTimeout when nothing answers as Grbl does, FeatureMissing when the controller's
        settings do not suit the rig file's.
        """
        return cls(settings)

    def _connect(self) -> None:
        conversation = self._conversation
        conversation.calm()
        conversation.reset(self._settings.boot_timeout_s)
        self._read_controller()
        self._identity = self._controller.identity
        for text in self._controller.doubts:
            log.warning("%s: %s", DEVICE, text)
        report = conversation.status()
        self._machine = self._axes.machine_position(report)
        conversation.axis_count = len(report.mpos or ())
        model, firmware = self._identity.model, self._identity.firmware
        log.info("%s: %s %s on %s, state %s", DEVICE, model, firmware, self.port.name, report.state)

    def _read_controller(self) -> None:
        """Take rates, accelerations and the order of axes from the controller. Raises FeatureMissing, DeviceError."""
        self._controller = found = read_controller(*self._conversation.read_itself(), self._axes)
        self._conversation.braking_s = max(v / a for v, a in zip(found.rates_per_s, found.accelerations, strict=True))

    # -- the contract -----------------------------------------------------------------------

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the controller's settings a commissioned gantry would have otherwise."""
        return self._controller.doubts

    def describe(self) -> dict[str, object]:
        """The drives of each axis and the doubts, from the controller's settings, for `station check`."""
        found = self._controller
        rates = {
            f"{axis.name} ({axis.machine_axis})": f"{rate:g} {axis.unit}/s, {acceleration:g} {axis.unit}/s2"
            for axis, rate, acceleration in zip(self._axes.axes, found.rates_per_s, found.accelerations, strict=True)
        }
        return {**rates, "doubts": found.doubts}

    def home(self) -> None:
        """Reset if anything is amiss, then `$H`. Trusted only after its `ok`, no alarm before it, and Idle.

        Its settings and units are read again, as another program may have changed them. Raises PositionUntrusted,
        CommandRefused, FeatureMissing, DeviceTimeout, DeviceLost.
        """
        with self._lock:
            self._trust.clear()
            self.last_reason = NOT_COMPLETED
            self._conversation.allow()
            self._make_ready()
            self._read_controller()
            self.last_reason = NOT_COMPLETED  # what a report said before is over now
            self._conversation.command("$H", self._settings.homing_timeout_s, is_deaf=True)
            self._conversation.command(MODAL_STATE)
            self._check_units()
            report = self._conversation.status()
            if trouble(report) or report.state != "Idle" or report.fields.get("H", "1").startswith("0"):
                raise PositionUntrusted(
                    DEVICE, f"homing was acknowledged, but the controller is not Idle and homed: {report}; home again"
                )
            self._machine = self._axes.machine_position(report)
            self._is_at_home = True
            self._trust.set()
            if self._conversation.blocked is not None:  # something came in between: the latch stays down
                self._distrust(self._conversation.blocked)
                raise PositionUntrusted(DEVICE, f"right after homing: {self._conversation.blocked}; home again")

    def check_reachable(self, pose: Pose) -> None:
        """Raise OutOfTravel unless every field is finite, inside its axis' limits, and outside the keep-out boxes.

        The limits form a box, so a straight way between two reachable poses lies inside as well.
        """
        self._axes.check_travel(pose)
        self._check_ways(pose)

    def move_to(self, pose: Pose) -> Pose:
        """Ask where it stands, plan from there; for each leg check, send, barrier, ask, verify.

        Returns the position read back.

        Raises OutOfTravel or PositionUntrusted before anything is sent; PositionError when the arm stands
        still elsewhere; CommandRefused, DeviceTimeout, DeviceLost. All but the first leave the arm untrusted
        or ask for homing.
        """
        self.check_reachable(pose)
        with self._lock:
            self._require_trust()
            self._require_readiness()
            for number, stop in enumerate(self._stops(self._axes.to_pose(self._machine), pose)):
                if number:
                    self._require_readiness()
                self._go(self._axes.to_machine(stop))
            return self._axes.to_pose(self._machine)

    def position(self) -> Pose:
        """As the controller reports it, trusted or not. Raises PositionUntrusted while it is locked or stopped."""
        with self._lock:
            return self._axes.to_pose(self._axes.machine_position(self._conversation.status()))

    # -- trust ------------------------------------------------------------------------------

    def _distrust(self, reason: str) -> None:
        if self._trust.is_set():
            log.warning("%s: position no longer trusted: %s", DEVICE, reason)
        if self._trust.is_set() or self.last_reason in PROVISIONAL:  # the first cause counts, not what followed it
            self.last_reason = reason
        self._trust.clear()

    def _look(self) -> None:
        """Notice a door, a hold, a displacement or a silence while nothing is commanded."""
        report = self._conversation.glance()
        if report is not None and self._stray_at_rest(report) is not None:
            report = self._conversation.glance()  # a stray reading is read once more: there is no checksum
        if report is None:
            self._distrust("the controller does not answer")
        elif (why := _unready(report) or self._displacement(report)) is not None:
            self._distrust(why)
        elif (stray := self._stray_at_rest(report)) is not None:
            self._distrust(f"{stray[0]} {stray[1]}, and nothing was commanded")

    def _stray_at_rest(self, report: Status) -> tuple[str, str] | None:
        """The first axis that no longer stands where the last move or homing left it; None when all do."""
        if report.state != "Idle":
            return None
        return self._axes.stray(self._machine, self._axes.machine_position(report))

    def _make_ready(self) -> None:
        """End any alarm, hold or door by a reset, never by a resume. Raises PositionUntrusted while one lasts."""
        report = None
        if self._conversation.blocked is None:
            try:
                report = self._conversation.glance()
            except PositionUntrusted as error:  # an alarm just now: homing is what ends it
                log.info("%s: %s", DEVICE, error.message)
        if report is None or report.state != "Idle":
            self._conversation.calm()
            self._conversation.reset()
            report = self._conversation.status()
        why = safety_trouble(report) if report.state == "Alarm" else trouble(report)  # homing ends an alarm
        if why is not None:
            raise untrusted(DEVICE, f"not homed: {why}: end that, then {REMEDY}")

    def _check_units(self) -> None:
        """Raise PositionUntrusted unless the controller counts in millimetres, absolute and per minute."""
        words = self._conversation.modal_words()
        if not words:
            tries = f"no answer to $G came whole in {IDENTITY_ATTEMPTS} tries"
            raise untrusted(DEVICE, f"homed, but {tries}: check the line, then {REMEDY}")
        wrong = sorted(set(MODAL_WORDS) - words) + sorted({SCALED} & words)
        if wrong:
            found = " ".join(sorted(words))
            raise untrusted(
                DEVICE,
                f"homed, but the controller is not at {MODAL_STATE} ($G answers {found}): look for start-up lines "
                f"($N0, $N1) or another program that set it, then {REMEDY}",
            )

    def _require_readiness(self) -> None:
        """Ask before the first byte of a move, and take where it stands now for its start.

        A line sent into a hold or an open door would run on resume; a way planned from where the arm no longer
        stands may lead through anything.
        """
        report = self._conversation.status()
        why = _unready(report) or self._displacement(report)
        if why is not None:
            self._distrust(why)
        self._require_trust()
        self._machine = self._axes.machine_position(report)

    def _displacement(self, report: Status) -> str | None:
        """How far the arm is from where its last move left it, in words; None within the tolerance."""
        stray = self._axes.stray(self._machine, self._axes.machine_position(report), "was left at")
        return None if stray is None else f"the axes were moved by another hand: {' '.join(stray)}"

    # -- moving -----------------------------------------------------------------------------

    def _go(self, target: Axes) -> None:
        """One straight leg, to its end, from where the controller has just reported to stand."""
        settings, found = self._settings, self._controller
        plan = plan_move(self._machine, target, found.rates_per_s, found.accelerations)
        self._is_at_home = False
        if plan.length > 0.0:
            self._conversation.command(self._move_line(target, plan), is_watched=True)
            timeout_s = plan.duration_s / settings.speed + settings.move_margin_s
            self._conversation.command(BARRIER, timeout_s, is_watched=True)
        if settings.settle_s:
            time.sleep(settings.settle_s)
        self._verify(target)

    def _move_line(self, target: Axes, plan: MovePlan) -> str:
        """Units and modes are stated in each line: another program may have set others since the last."""
        feed = max(1.0, plan.rate_per_s * 60.0 * self._settings.speed)
        return f"{''.join(MODAL_WORDS)} G53 G1{self._axes.words(target)} F{feed:.0f}"

    def _verify(self, target: Axes) -> None:
        """Check that the axes are Idle at the target. A stray reading is read once more: there is no checksum."""
        self._machine = self._resting_position()
        if self._axes.stray(target, self._machine) is not None:
            self._machine = self._resting_position()
        if (stray := self._axes.stray(target, self._machine)) is not None:
            name, places = stray
            self._distrust(f"a move ended at the wrong {name}")
            raise PositionError(DEVICE, f"{name} {places}; {REMEDY}")
        self._require_trust()  # an input or an alarm may have come with the last report

    def _resting_position(self) -> Axes:
        report = self._conversation.status()
        if report.state != "Idle":
            self._distrust(f"after a move the state was {report.state}")
            raise untrusted(DEVICE, f"after the move was acknowledged the state is {report.state}, not Idle")
        return self._axes.machine_position(report)


def _unready(report: Status) -> str | None:
    """Why an arm that should be at rest may not be commanded; None when it may."""
    why = trouble(report)
    if why is None and report.state != "Idle":
        why = f"the axes move without a command (state {report.name})"
    return why


DRIVER = DriverKind(GrblSettings, GrblArm.open, EXAMPLE, travel=GrblSettings.travel)
