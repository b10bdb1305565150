"""Where things stand, folded from the engine's events and the operator's presses, and what the banner says. No Qt.

The banner's texts are read in a second, from a few steps away: what happened, what it means, what to press.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from station.engine.events import (
    AcquisitionDone,
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    RecipePrepared,
    ResultReady,
    State,
    StateChanged,
    StepDone,
)
from station.inspection.reasons import reason_lines
from station.inspection.result import Inspection, Verdict, inspection_without_pictures
from station.lights.warning import LightWarning

# Ready comes a moment before the result of the job that it ends. In these states a job ended without a result.
_STATES_WITHOUT_A_RESULT_TO_COME = (State.ERROR, State.HALTED, State.PREOPERATIONAL, State.INITIALIZED)


class BannerKind(StrEnum):
    """What the banner can say. Each kind has its own word, which is its value, its own symbol and its own colour."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    INSPECTING = "INSPECTING"
    READY = "READY"
    NOT_READY = "NOT READY"
    STOPPED = "STOPPED"
    FAULT = "FAULT"


_HELD = "The arm stands still and all lights are off."
_LEAVE_HALT = "Look at the cell, then press RESET (F8). The arm drives to its reference switches; then you can START."
_RESETTING = ("RESET is running, keep clear: the arm drives to its reference switches.", "STOP (F12) ends it at once.")


@dataclass(frozen=True, slots=True)
class BannerContent:
    """What the banner shows: one word, the lines beside it, and how far an inspection has come."""

    kind: BannerKind
    lines: tuple[str, ...] = ()
    progress: float | None = None  # 0..1 while inspecting

    @property
    def word(self) -> str:
        return self.kind.value


@dataclass(slots=True)
class Situation:
    """The console's memory of what the engine has reported and of what was pressed; used in the Qt thread alone.

    It judges nothing and commands nothing: the engine refuses what must not be, whatever stands here.
    """

    state: State = State.PREOPERATIONAL
    reason: str = ""
    recipe: RecipePrepared | None = None
    job: JobStarted | None = None  # the inspection that is running
    steps_done: int = 0
    view: str = ""
    light: str = ""
    view_steps_done: int = 0
    part_may_move: bool = False
    result: Inspection | None = None  # the last one, until the next job starts
    fault: Fault | None = None  # until acknowledged, or the next job starts
    notice: str = ""  # a hint for the operator that is no fault, such as a refused scan
    is_starting: bool = False  # START was pressed, and neither the engine's answer nor an event has come
    is_stopping: bool = False  # STOP was pressed for this part: a second press aborts
    is_resetting: bool = False  # RESET was pressed, and the engine has not answered
    lights: LightsWatched | None = None
    seen_lights: set[tuple[str, str]] = field(default_factory=set)  # keys of warnings that were acknowledged

    @property
    def is_busy(self) -> bool:
        """Whether a part is being inspected, or its verdict has not come yet."""
        return self.job is not None or self.state is State.SINGLE_EXECUTION

    @property
    def can_start(self) -> bool:
        """Whether START would be obeyed now."""
        return self.state is State.READY and self.job is None and not self.is_starting

    @property
    def has_failed(self) -> bool:
        """Whether a person is needed and no result has come."""
        in_error = self.fault is not None or self.state is State.ERROR
        return in_error and not self.is_busy and self.result is None

    @property
    def knows_the_lights(self) -> bool:
        """Whether the light warnings are those after the last result; they come a moment later than it."""
        lights, result = self.lights, self.result
        return lights is not None and result is not None and lights.inspection_id == result.inspection_id

    @property
    def is_simulated(self) -> bool:
        """Whether the recipe's rig is simulated, or the last result was."""
        return bool(self.recipe and self.recipe.is_simulated) or bool(self.result and self.result.is_simulated)

    @property
    def light_warnings(self) -> tuple[LightWarning, ...]:
        """Warnings that hold and that nobody has acknowledged."""
        holding = () if self.lights is None else self.lights.warnings
        return tuple(warning for warning in holding if warning.key not in self.seen_lights)

    def acknowledge_lights(self) -> None:
        """Hide the warnings that are shown now until they are over and come back."""
        self.seen_lights |= {warning.key for warning in self.light_warnings}

    def take(self, event: Event) -> None:
        """Enter one event. An event may come in any order that the engine's threads produce."""
        if isinstance(event, StateChanged):
            self.state, self.reason = event.state, event.reason
            if event.state in _STATES_WITHOUT_A_RESULT_TO_COME:
                self.job = None
        elif isinstance(event, RecipePrepared):
            self.recipe = event
        elif isinstance(event, JobStarted):
            self._start(event)
        elif isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, AcquisitionDone):
            self.part_may_move = True
        elif isinstance(event, ResultReady):
            self.job, self.notice = None, ""
            self.result = inspection_without_pictures(event.inspection)
        elif isinstance(event, Fault):
            self.fault = event
        elif isinstance(event, LightsWatched):
            self.lights = event
            self.seen_lights &= {warning.key for warning in event.warnings}
        if self.is_busy:
            self.is_starting = False

    def report_failure(self, action: str, error: Exception) -> None:
        """Enter a call to the engine that raised, such as `start`, as a fault that the operator can read."""
        remedy = "clear the cause named here, then try again; press RESET if the station has stopped"
        self.notice, self.fault = "", Fault(f"{action.upper()} failed: {error}", remedy)

    def _start(self, event: JobStarted) -> None:
        """Forget the last part: a new one must never stand under an old verdict or fault."""
        self.job, self.result, self.fault = event, None, None
        self.notice, self.is_stopping = "", False
        self.steps_done, self.view_steps_done = 0, 0
        self.view, self.light = "", ""
        self.part_may_move = False

    def _step(self, event: StepDone) -> None:
        """Count frames over the part and within the view; views come one after the other."""
        self.view_steps_done = self.view_steps_done + 1 if event.view == self.view else 1
        self.steps_done += 1
        self.view, self.light = event.view, event.light

    def banner(self) -> BannerContent:
        """The one word for now: a running inspection goes before a fault or a stop, and these before an old verdict."""
        if self.is_busy:
            return self._inspecting()
        if self.is_resetting:
            return BannerContent(BannerKind.NOT_READY, _RESETTING)
        if self.state is State.ERROR:
            return BannerContent(BannerKind.FAULT, (*self._fault_lines(), *self._last_part_lines()))
        if self.state is State.HALTED:
            return BannerContent(BannerKind.STOPPED, (*self._halt_lines(), *self._last_part_lines()))
        if self.result is not None:
            return BannerContent(BannerKind(self.result.verdict.value), result_lines(self.result))
        if self.fault is not None and self.state is not State.READY:
            return BannerContent(BannerKind.FAULT, self._fault_lines())
        if self.state is State.READY:
            return BannerContent(BannerKind.READY, ("Scan or type a part id, then START",))
        return BannerContent(BannerKind.NOT_READY, (self.reason or _why_not_ready(self.state),))

    def _inspecting(self) -> BannerContent:
        """Progress, and from the last frame on that the part may be removed while the judge still works."""
        if self.job is None:
            return BannerContent(BannerKind.INSPECTING, ("starting",), 0.0)
        views = self.recipe.views if self.recipe else ()
        first = f"part {self.job.part_id}"
        if self.part_may_move:
            return BannerContent(BannerKind.INSPECTING, (first, "last picture taken: the part may be removed"), 1.0)
        if not self.view:
            return BannerContent(BannerKind.INSPECTING, (first, "moving to the first view"), 0.0)
        number = views.index(self.view) + 1 if self.view in views else 1
        per_view = self.job.steps_per_view.get(self.view, self.job.steps // max(len(views), 1))
        where = f"view {number}/{max(len(views), 1)} {self.view}   light {self.view_steps_done}/{per_view} {self.light}"
        return BannerContent(BannerKind.INSPECTING, (first, where), self.steps_done / max(self.job.steps, 1))

    def _halt_lines(self) -> tuple[str, ...]:
        """What happened, what it means for the machine, and what to press."""
        reason = self.reason or "stopped by the operator"
        held = () if "not confirmed" in reason else (_HELD,)
        return (f"{reason[0].upper()}{reason[1:]}", *held, _LEAVE_HALT)

    def _fault_lines(self) -> tuple[str, ...]:
        """The fault and its remedy, also where the engine stands in Error without having reported a fault."""
        if self.fault is None:
            reason = self.reason or "The station reports an error without a cause"
            return reason, "Look at the cell, clear the cause, then press RESET (F8)"
        return self.fault.text, f"What to do: {self.fault.action}"

    def _last_part_lines(self) -> tuple[str, ...]:
        """The verdict of the last part, which a fault or a stop has pushed off the banner; empty without a part."""
        if self.result is None:
            return ()
        reason = "" if not self.result.reasons else f" ({self.result.reasons[0]})"
        return (f"Last part {self.result.part_id}: {self.result.verdict.value}{reason}",)


def result_lines(inspection: Inspection) -> tuple[str, ...]:
    """The lines beside a verdict: the part, the deciding view with score and limit, and every reason once."""
    view = next((v for v in inspection.views if v.view == inspection.deciding_view), None)
    lines = [f"part {inspection.part_id}"]
    if view is not None and view.pred_score is not None:
        name = "decided by" if inspection.verdict is Verdict.FAIL else "highest score"
        lines.append(f"{name} {view.view}: {view.pred_score:.3g}, limit {view.limit:.3g}")
    return (*lines, *reason_lines(inspection.reasons, len(inspection.expected_views)))


def _why_not_ready(state: State) -> str:
    if state is State.PREOPERATIONAL:
        return "Devices are not open, or the arm is not homed"
    return "No recipe is prepared"
