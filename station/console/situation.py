"""Where things stand, folded from the engine's events and the operator's presses. No Qt.

`banner` and `strip` put it into words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from station.archive.outlook import Outlook
from station.engine.events import (
    AcquisitionDone,
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    PresentFollows,
    RecipePrepared,
    RecipeRead,
    ResultReady,
    RoomWatched,
    State,
    StateChanged,
    StepDone,
    ViewLookedAgain,
    ViewRetaken,
)
from station.inspection.causes import Cause, causes_of
from station.inspection.result import DRAFT, Inspection, inspection_without_pictures
from station.lights.warning import LightWarning

# Ready comes a moment before the result of the job that it ends. In these states a job ended without a result.
_STATES_WITHOUT_A_RESULT_TO_COME = (State.ERROR, State.HALTED, State.PREOPERATIONAL, State.INITIALIZED)
NEEDS_RESET = (State.ERROR, State.HALTED, State.PREOPERATIONAL, State.INITIALIZED)


@dataclass(slots=True)
class Situation:
    """The console's memory of what the engine has reported and of what was pressed; used in the Qt thread alone.

    It judges nothing and commands nothing: the engine refuses what must not be, whatever stands here.
    """

    state: State = State.PREOPERATIONAL
    reason: str = ""
    recipe: RecipePrepared | RecipeRead | None = None
    job: JobStarted | None = None  # the inspection that is running
    steps_done: int = 0
    view: str = ""
    light: str = ""
    view_steps_done: int = 0
    is_cell_clear: bool = False  # the last run was sound to its last frame, or the arm has just been homed
    is_run_sound: bool = False  # all frames of the running or last part came in
    result: Inspection | None = None  # the last one, until the next job starts
    is_result_past: bool = False  # something else has begun since: the verdict is no longer what the banner is about
    is_result_stored: bool = True
    was_stored_late: bool = False
    attempt: int = 1  # how often this part's id was inspected, the running or last time included
    fault: Fault | None = None  # until acknowledged, or the next job starts
    notice: str = ""  # a hint for the operator that is no fault, such as a refused scan
    started_part: str = ""  # the part id with which START was pressed last and not refused
    unconfirmed_part: str = ""  # a part id that was inspected before: START pressed again inspects it once more
    is_reading_recipe: bool = False
    is_starting: bool = False  # START was pressed, and neither the engine's answer nor an event has come
    is_stopping: bool = False  # STOP was pressed for this part: a second press aborts
    is_pausing: bool = False  # PAUSE was pressed, and the view is not over yet: a second press pauses at once
    is_resetting: bool = False  # RESET was pressed, and the engine has not answered
    lights: LightsWatched | None = None
    room: Outlook | None = None  # of the archive's disk, as it was at last
    seen_lights: set[tuple[str, str]] = field(default_factory=set)  # keys of warnings that were acknowledged

    @property
    def is_busy(self) -> bool:
        """Whether a part is being inspected, or its verdict has not come yet."""
        return self.job is not None or self.state in (State.SINGLE_EXECUTION, State.PAUSED)

    @property
    def is_paused(self) -> bool:
        """Whether the part waits for a person: the arm stands and the lights are off."""
        return self.state is State.PAUSED

    @property
    def can_direct(self) -> bool:
        """Whether PAUSE, RETAKE VIEW and VERDICT NOW would be obeyed: a part's views are being taken."""
        return self.job is not None and not self.is_run_sound and not self.is_stopping

    @property
    def can_start(self) -> bool:
        """Whether START would be obeyed now."""
        is_free = self.state is State.READY and self.job is None and not self.is_resetting
        return is_free and not self.is_starting and self.is_result_stored

    @property
    def can_reset(self) -> bool:
        """Whether RESET leads on from here."""
        return self.state in NEEDS_RESET and not self.is_resetting

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing moves and nothing that was asked for could make it move."""
        return self.state is State.READY and not (self.is_busy or self.is_starting or self.is_resetting)

    @property
    def is_part_kept_in(self) -> bool:
        """Whether the arm stands still, but not where the part is loaded: after a stop, only homing clears the cell."""
        return self.is_at_rest and not self.is_cell_clear

    @property
    def must_keep_out(self) -> bool:
        """Whether the arm may move, or may stand anywhere."""
        return not (self.is_cell_clear and (self.is_at_rest or (self.is_busy and not self.is_resetting)))

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
    def is_draft(self) -> bool:
        """Whether no release judged the last result, or without one, whether the recipe is no active release."""
        if self.result is not None:
            return self.result.is_draft
        return self.recipe is not None and self.recipe.release.startswith(DRAFT)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why the last part is as it is, the cause that explains most first; empty while a part is inspected."""
        return () if self.result is None else causes_of(self.result.reasons)

    @property
    def light_warnings(self) -> tuple[LightWarning, ...]:
        """Warnings that hold, that nobody has acknowledged, and that the verdict does not say already."""
        said = {cause.light for cause in self.causes if cause.light is not None}
        holding = () if self.lights is None else self.lights.warnings
        return tuple(w for w in holding if w.key not in self.seen_lights and w.light not in said)

    def acknowledge_lights(self) -> None:
        """Hide the warnings that are shown now until they are over and come back."""
        self.seen_lights |= {warning.key for warning in self.light_warnings}

    def turn_to_the_next(self) -> None:
        """Something else has begun than the part that was judged: from now on its verdict is the last part's."""
        self.is_result_past = True

    def take(self, event: Event) -> None:
        """Enter one event. An event may come in any order that the engine's threads produce."""
        if isinstance(event, StateChanged):
            self._enter(event)
        elif isinstance(event, RecipePrepared | RecipeRead):
            self.recipe = event
        elif isinstance(event, JobStarted):
            self._start(event)
        elif isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, ViewRetaken):
            self.view_steps_done, self.notice = 0, f"Taken again: {event.retake}"
        elif isinstance(event, ViewLookedAgain):
            self.view_steps_done, self.notice = 0, f"Looked at again: {event.look.view}, with {event.look.change()}"
        elif isinstance(event, AcquisitionDone):
            self._end_acquisition(event)
        elif isinstance(event, ResultReady):
            self._judge(event)
        elif isinstance(event, Fault):
            self._fail(event)
        elif isinstance(event, PresentFollows):
            self._forget()
        elif isinstance(event, LightsWatched):
            self.lights = event
            self.seen_lights &= {warning.key for warning in event.warnings}
        elif isinstance(event, RoomWatched):
            self.room = event.outlook
        if self.is_busy:
            self.is_starting = False

    def report_failure(self, action: str, error: Exception, remedy: str = "") -> None:
        """Enter a call to the engine that raised, such as `start`, for the operator to read.

        It is a fault, except where the station stands in one already: that one must stay readable.
        """
        text = f"{action.upper()} failed: {error}"
        if self.state in (State.ERROR, State.HALTED) and self.fault is not None:
            is_said = str(error) in self.fault.text
            self.notice = f"{action.upper()} failed: see the fault below" if is_said else text
            return
        remedy = remedy or "clear the cause named here, then try again; press RESET if the station has stopped"
        self.notice, self.fault = "", Fault(text, remedy)

    def _forget(self) -> None:
        """What the engine reported is superseded, and the present follows; what was typed and acknowledged stays."""
        self.state, self.reason, self.job, self.result, self.fault = State.PREOPERATIONAL, "", None, None, None
        self.is_cell_clear, self.is_run_sound = False, False
        self.is_result_past, self.is_result_stored, self.was_stored_late = False, True, False
        self.is_starting, self.is_stopping, self.is_pausing = False, False, False

    def _enter(self, event: StateChanged) -> None:
        """A state in which no job runs ends the job. After a homing the arm stands where the part is loaded."""
        before, reason_before = self.state, self.reason
        self.state, self.reason = event.state, event.reason
        self.is_pausing = self.is_pausing and event.state is State.SINGLE_EXECUTION
        if event.state is State.INITIALIZED:
            self.fault = None  # the arm has homed since, whoever asked for it; what comes next is reported anew
        if event.state in _STATES_WITHOUT_A_RESULT_TO_COME:
            self.job, self.is_cell_clear = None, False
            self.is_starting = False
            self.turn_to_the_next()
        elif event.state is State.READY and before is State.ERROR:
            self._recover(reason_before)
        elif event.state is State.READY and before not in (State.READY, State.SINGLE_EXECUTION):
            self.is_cell_clear, self.is_result_stored = True, True  # the engine knows better what still waits
            self.turn_to_the_next()

    def _recover(self, reason: str) -> None:
        """An error that ended by itself, as that of a full disk: nothing has moved, and the part is still there."""
        self.is_cell_clear, self.is_result_stored = self.is_run_sound, True
        if self.fault is not None and self.fault.text == reason:
            self.fault = None

    def _start(self, event: JobStarted) -> None:
        """Forget the last part: a new one must never stand under an old verdict or fault."""
        self.job, self.result, self.fault = event, None, None
        self.is_result_past, self.is_result_stored, self.was_stored_late = False, True, False
        self.notice, self.unconfirmed_part, self.is_stopping, self.is_pausing = "", "", False, False
        self.steps_done, self.view_steps_done = 0, 0
        self.view, self.light = "", ""
        self.is_cell_clear, self.is_run_sound = False, False

    def _step(self, event: StepDone) -> None:
        """Count frames over the part and within the view; views come one after the other."""
        self.view_steps_done = self.view_steps_done + 1 if event.view == self.view else 1
        self.steps_done = event.index
        self.view, self.light = event.view, event.light

    def _end_acquisition(self, event: AcquisitionDone) -> None:
        """The cell is clear if all frames of this very run were seen to come in, and no fault has come."""
        job = self.job
        is_ours = job is not None and job.inspection_id == event.inspection_id
        self.is_run_sound = is_ours and self.fault is None and job is not None and self.steps_done >= job.steps
        self.is_cell_clear = self.is_run_sound

    def _judge(self, event: ResultReady) -> None:
        """Take the verdict. One that comes late, of a part that had to wait for storing, ends no other part's job."""
        inspection = inspection_without_pictures(event.inspection)
        is_again = self.result is not None and self.result.inspection_id == inspection.inspection_id
        if self.job is not None and self.job.inspection_id != inspection.inspection_id:
            self.notice = f"Part {inspection.part_id}: {inspection.verdict.value}, stored now"
            return
        self.was_stored_late = event.is_stored and is_again and not self.is_result_stored
        self.job = None
        self.result, self.is_result_stored, self.is_result_past = inspection, event.is_stored, False

    def _fail(self, event: Fault) -> None:
        """A fault at rest turns away from the last part; during a part its verdict is still to come."""
        self.fault = event
        if self.job is None and self.result is not None:
            self.turn_to_the_next()
        if self.job is not None:
            self.is_cell_clear = False
