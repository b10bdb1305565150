"""The engine: the states and verbs of OPC 40100-1 over one rig. It knows no Qt; whoever listens gets events.

Verbs may come from any thread. `stop` and `abort` do not wait for the verb that is running. `abort` latches the stop
signal, holds the arm and switches the lights off at once; the running verb then ends by itself, and `abort` returns.
All verbs stand in this one file because they share one state, one lock and one stop signal, and each must be read
against the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from drivers.errors import DeviceError
from station.acquire.job_signal import JobSignal, Stopped
from station.acquire.landing import MOST_VIEWS
from station.acquire.stage_times import StageTimes
from station.archive import Archive, new_inspection_id
from station.engine import alarms
from station.engine.device_watch import DeviceWatch, ask_devices, patience_at_rest_s
from station.engine.events import (
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    Listener,
    RecipePrepared,
    ResultReady,
    RoomWatched,
    State,
)
from station.engine.halt import hold
from station.engine.job import Job, JobResult, broke_off, inspection_of, provenance, run_job
from station.engine.job_thread import JobThread
from station.engine.light_watch import LightWatch
from station.engine.listeners import Listeners
from station.engine.preparation import Prepared, RecipeFiles, prepare, read_recipe_files
from station.engine.retention_watch import RetentionWatch
from station.engine.standing import Standing
from station.engine.state_table import ALL_TAKEN, Kind, Verb, effect
from station.engine.storing import REMEDY as STORING_REMEDY
from station.engine.storing import Stored, Storing, not_stored
from station.engine.writing_ahead import WritingAhead, archived_frame, to_be_shown
from station.errors import StationFault
from station.inspection.part_id import check_part_id
from station.inspection.result import HistoryRow, Inspection
from station.photometric_stereo.recycled import RecycledMemory
from station.rig.devices import Rig, open_rig

log = logging.getLogger(__name__)

AT_REST = (State.INITIALIZED, State.READY)  # the devices are open, and nothing commands them
BUSY = (State.SINGLE_EXECUTION, State.PAUSED)  # a part is being inspected
HOMING_IS_DUE = "homing is due: the devices are not open, and the arm has not homed"
HOLD_AGAIN_S = 0.25  # while a verb that was aborted has not ended yet


class NotNow(StationFault):
    """A verb came in a state that does not allow it; the text says which state, and what helps."""


class Engine:
    """Owns the rig, one prepared recipe and at most one running job.

    `Preoperational -initialize-> Initialized -prepare_recipe-> Ready -start-> SingleExecution -> Ready`, with Paused
    on the way where a person wants that; every verb in every state stands in `state_table.py` and docs/states.md;
    a device fault leads to Error, an abort to Halted, and only `reset` leads out of either: it opens
    the devices anew, homes, and prepares the recipe again. Nothing resumes by itself. An engine opens and moves nothing
    before `initialize`; from then on it watches the devices at rest.
    """

    def __init__(self, rig_file: Path, archive: Archive, *, opener: Callable[[Path], Rig] = open_rig) -> None:
        self._rig_file = rig_file
        self._archive = archive
        self._opener = opener
        self._lock = threading.RLock()
        self._listeners = Listeners()
        self._standing = Standing(self._listeners, HOMING_IS_DUE)
        self._resets = 0  # that led out of a fault or a halt
        self._rig: Rig | None = None
        self._prepared: Prepared | None = None
        self._stop = JobSignal()
        self._stop_lock = threading.Lock()  # between looking at the signal and replacing it; held for no longer
        self._job = JobThread()
        self._last: JobResult | None = None
        self._frame_memory = RecycledMemory(MOST_VIEWS)
        self._lights = LightWatch(archive)
        self._storing = Storing(
            archive, on_stored=self._stored_late, on_free=self._storing_is_free, on_slow=self._storing_is_slow
        )
        self._unstored_reason = ""  # with which Error was entered, where the archive alone is the cause
        self._recipe_to_resume: Path | None = None  # of a reset that lost its prepared recipe on the way
        self._watch = DeviceWatch(self._look_at_rest)
        self._retention = RetentionWatch(archive, self._listeners.emit)

    # -- listening --------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The present state of OPC 40100-1."""
        return self._standing.state

    @property
    def state_reason(self) -> str:
        """Why the engine is in Error, Halted, Paused or Preoperational; empty in other states."""
        return self._standing.reason

    @property
    def standing_fault(self) -> Fault | None:
        """The fault that still stands, for a listener that comes late; None once homing has succeeded after it."""
        return self._standing.fault

    @property
    def is_prepared(self) -> bool:
        """Whether a recipe is prepared; a refused one leaves none."""
        return self._prepared is not None

    def prepared_event(self) -> RecipePrepared | None:
        """What a listener that comes late needs to know of the recipe; None before one is prepared."""
        with self._lock:
            prepared, rig = self._prepared, self._rig
        if prepared is None or rig is None:
            return None
        recipe = prepared.files.loaded.recipe
        return RecipePrepared(
            recipe_id=recipe.recipe_id,
            product=recipe.product,
            views=tuple(v.name for v in recipe.viewpoints),
            limits=tuple(v.limit for v in recipe.viewpoints),
            model_id=prepared.files.detector.model_id,
            is_simulated=rig.is_simulated,
            release=prepared.files.release,
        )

    @property
    def watch_silent_s(self) -> float | None:
        """How long the watch of the devices at rest has taken no turn; None while nothing is watched."""
        return self._watch.silent_s

    def lights_event(self) -> LightsWatched | None:
        """How the lights did at last, for a listener that comes late; None before a recipe was prepared."""
        return self._lights.latest

    def room_event(self) -> RoomWatched | None:
        """How much room the archive had at last, for a listener that comes late; None before the first look."""
        return self._retention.latest

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Events arrive on the engine's threads; returns the function that ends the subscription."""
        return self._listeners.subscribe(listener)

    # -- verbs ------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Open the devices and home the arm.

        Raises DeviceError (state Error) naming the device, NotNow (state Halted) once aborted.
        """
        self._require(Verb.INITIALIZE)
        stop = self._fresh_signal()
        with self._lock:
            self._require(Verb.INITIALIZE)
            self._open_and_home(stop)

    def prepare_recipe(self, recipe: Path | RecipeFiles) -> None:
        """Check recipe, calibration, model and reach, and warm up. After an error no recipe is prepared.

        `RecipeFiles` are not read again. Raises DocumentError, ModelRefused, LightGeometryError
        and DeviceError, each naming file or device, and NotNow (state Halted) once aborted.
        """
        with self._lock:
            self._prepare(recipe, self._stop)

    def start_single_job(self, part_id: str) -> str:
        """Begin one inspection and return its id; the result comes as ResultReady.

        The job's own thread reports all its events; StateChanged and JobStarted were reported when this returns.
        Raises PartIdRefused, NotNow, ArchiveError where the archive could not take the part's record, and
        DocumentError once the recipe's calibration has expired.
        """
        check_part_id(part_id)
        self._require(Verb.START)
        self._job.join()  # before the lock, which others want meanwhile
        with self._lock:
            self._require(Verb.START)
            assert self._prepared is not None
            assert self._rig is not None
            self._prepared.files.loaded.check_calibration()
            self._archive.check_room(self._prepared.record_bytes)
            stop = self._signal_of_a_job(self._rig)
            self._last = None
            job = Job(
                inspection_id=new_inspection_id(),
                part_id=part_id,
                loaded=self._prepared.files.loaded,
                plan=self._prepared.files.plan,
                provenance=provenance(self._rig, self._prepared.files.loaded, self._prepared.files.release),
            )
            announced = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(job, self._prepared, self._rig, stop, announced), name="acquire"
            )
            self._retention.hold()
            self._begin(thread)
        announced.wait()  # without the lock: a listener may call any verb on hearing of it
        return job.inspection_id

    def _begin(self, thread: threading.Thread) -> None:
        """Start the job's thread; before it runs nothing has changed."""
        before = self._standing.exchange(State.SINGLE_EXECUTION)
        try:
            self._job.start(thread)
        except BaseException as error:
            self._standing.exchange(before)
            self._retention.release()
            if isinstance(error, RuntimeError):
                text = f"the machine can start no thread ({error}): close other programs, then start again"
                raise NotNow(text) from error
            raise

    def inspect(self, part_id: str) -> Inspection:
        """`start_single_job`, then wait for its verdict.

        Raises as that does, and NotNow where the inspection broke off without a verdict.
        """
        self.start_single_job(part_id)
        self._job.join()
        if self._last is None:
            raise NotNow(f"the inspection broke off in state {self.state.value}: see the log, then reset")
        return self._last.inspection

    def pause(self, *, now: bool = False) -> None:
        """Pause after the view that is being taken, or `now`, at the next step; then that view is taken again, whole.

        Paused, the lights are off and the arm stands; a device that is lost leads to Error. Raises NotNow.
        """
        if self._require(Verb.PAUSE) and not self._stop.pause("paused by the operator", now=now):
            raise NotNow(f"not possible: {ALL_TAKEN}")

    def resume(self) -> None:
        """Go on after a pause; before it has come, take it back. Raises NotNow without a part."""
        if self._require(Verb.RESUME):
            self._stop.resume()

    def retake_view(self) -> None:
        """Throw away the present view's frames and take it again; while paused, when resumed. Raises NotNow.

        It is recorded. A complete take that FAILs stands, whatever a later one shows.
        """
        if self._require(Verb.RETAKE_VIEW) and not self._stop.retake("asked for by the operator"):
            raise NotNow(f"not possible: {ALL_TAKEN}")

    def skip_to_verdict(self) -> None:
        """Take no further frame; the part is UNDECIDED, unless a complete view FAILs. Raises NotNow.

        Nothing happens once every view has been taken: the verdict comes by itself.
        """
        if self._require(Verb.SKIP_TO_VERDICT):
            self._stop.skip("the operator wanted the verdict on what had been seen")

    def stop(self) -> None:
        """End the running job at the next view boundary; its part is UNDECIDED. Without a job nothing happens."""
        self._stop.stop("stopped by the operator")

    def abort(self, reason: str = "aborted by the operator") -> None:
        """Latch the stop signal, hold the arm, switch the lights off, all of it now; then enter Halted.

        Any thread may call it at any time; it returns once the running verb has ended. While the devices are being
        opened there is nothing to hold yet, and the verb that opens them halts by itself.
        """
        with self._stop_lock:
            self._stop.abort(reason)
        rig = self._rig
        if rig is None:
            return
        problems = hold(rig)
        while True:
            if not self._job.has_ended_within(HOLD_AGAIN_S):
                problems = hold(rig)  # a move that began at the very moment of the first hold may be under way
                self._job.join()
            while not self._lock.acquire(timeout=HOLD_AGAIN_S):
                problems = hold(rig)  # homing that began at the very moment of the first hold has undone it
            try:
                if not self._job.runs_elsewhere:  # else it began at the very moment of the abort
                    self._halt(reason, problems)
                    return
            finally:
                self._lock.release()

    def halt(self, reason: str = "halted by the operator") -> None:
        """As `abort`, from every state; then close the devices, so that the station can be switched off.

        Only `reset` leads on. A listener on a job's own thread leaves the devices open: the job is still ending.
        """
        self.abort(reason)
        with self._lock:
            if self._job.is_here and self._job.runs:
                return
            self._close_rig()
            if self.state is not State.HALTED:
                self._standing.enter(State.HALTED, reason)

    def reset(self) -> None:
        """Leave Error or Halted: close the devices, open and home them, and prepare the recipe again.

        An inspection that is not stored is tried first. It leaves the station in Error while it cannot be stored; where
        it was the only fault and is stored now, nothing else is done.
        Raises NotNow while a part is inspected and in Ready; otherwise as `initialize` and `prepare_recipe` do. A
        second reset that waited for a first one finds its work done.
        """
        self._require(Verb.RESET)
        resets = self._resets
        stop = self._fresh_signal()
        self._job.join()  # before the lock, which others want meanwhile
        given_up = "" if self._storing.try_again() else self._storing.give_up_lasting()
        with self._lock:
            if self.state is State.READY or (self._resets != resets and self.state is State.INITIALIZED):
                return  # by another reset, or the archive alone had kept the station from it: nothing to open or home
            self._require(Verb.RESET)
            self._close_rig()
            self._standing.enter(State.PREOPERATIONAL, "the devices are opened, and the arm homes")
            if given_up:
                self._standing.report(
                    Fault(given_up, "inspect that part again; keep the log and report it", alarms.GIVEN_UP)
                )
            if self._prepared is not None:
                self._recipe_to_resume = self._prepared.files.path
            self._open_and_home(stop)
            self._resets += 1
            if self._recipe_to_resume is not None:
                self._prepare(self._recipe_to_resume, stop)

    def close(self) -> None:
        """End the running job at its next view boundary, switch the lights off, close the devices."""
        self._stop.stop("the station is closing")
        self._job.join()
        self._storing.close()
        with self._lock:
            self._close_rig()
            self._standing.enter(State.PREOPERATIONAL, HOMING_IS_DUE)
        self._retention.close()
        self._watch.close()  # not under the lock, which its turn may hold

    @property
    def ended_by_device(self) -> bool:
        """Whether the last inspection ended with a device's fault."""
        return self._last is not None and self._last.fault is not None

    @property
    def unstored_problem(self) -> str:
        """Why the last inspection is not stored; empty once it is."""
        return self._storing.problem

    def history(self, limit: int = 200, part_id: str | None = None) -> list[HistoryRow]:
        """The latest inspections of the archive, newest first; of one part if it is named. Raises ArchiveError."""
        return self._archive.history(limit, part_id)

    def load(self, inspection_id: str) -> Inspection:
        """One archived inspection with its pictures. Raises ArchiveError."""
        return self._archive.load(inspection_id)

    # -- inside -----------------------------------------------------------------------------

    def _require(self, verb: Verb) -> bool:
        """Whether the verb has anything to do in this state. Raises NotNow where it is refused."""
        state = self.state
        found = effect(state, verb)
        if found.kind is not Kind.REFUSED:
            return found.kind is Kind.ACTS
        hint = found.text
        if problem := self._storing.problem:
            hint = f"{hint}; the last inspection is not stored ({problem}): {STORING_REMEDY}"
        raise NotNow(f"not possible in state {state.value}: {hint}")

    def _fresh_signal(self) -> JobSignal:
        """The stop signal for a new verb: replaced only if aborted, so current holders still see a later abort."""
        with self._stop_lock:
            if self._stop.aborted:
                self._stop = JobSignal()
            return self._stop

    def _signal_of_a_job(self, rig: Rig) -> JobSignal:
        """A new stop signal. Raises NotNow if an abort was given that has not reached Halted yet."""
        with self._stop_lock:
            if self._stop.aborted:
                raise NotNow("not possible: the station is being aborted; reset first")
            self._stop = signal = JobSignal(self._paused, lambda: self._ask_while_paused(rig, signal))
            return signal

    @contextmanager
    def _paused(self, reason: str) -> Iterator[None]:
        """Surrounds a pause, on the job's thread; what ends the job during it leads to a state of its own."""
        self._standing.enter_from(State.SINGLE_EXECUTION, State.PAUSED, reason)
        yield
        self._standing.enter_from(State.PAUSED, State.SINGLE_EXECUTION)

    def _ask_while_paused(self, rig: Rig, stop: JobSignal) -> None:
        """Raises DeviceError for a device that is lost; the arm is then held and the lights are off."""
        try:
            ask_devices(rig, patience_at_rest_s())
        except DeviceError:
            if not stop.aborted:  # an abort stops the arm as well: then that is the cause
                hold(rig)
                raise

    def _open_and_home(self, stop: JobSignal) -> None:
        try:
            self._rig = self._opener(self._rig_file)
            self._unless_aborted(stop)
            self._rig.arm.home()
        except DeviceError as error:
            if self._rig is None or not stop.aborted:
                self._standing.fail(error)
                raise
            log.warning("homing was broken off: %s", error)
        self._unless_aborted(stop)
        try:
            self._watch.start()
        except RuntimeError as error:
            self._standing.fail(error)
            raise NotNow(f"the devices cannot be watched: {error}; close other programs, then reset") from error
        self._retention.start()
        self._standing.fault = None
        self._standing.enter(State.INITIALIZED)

    def _prepare(self, recipe: Path | RecipeFiles, stop: JobSignal) -> None:
        self._require(Verb.PREPARE_RECIPE)
        assert self._rig is not None
        self._prepared = None
        self._standing.enter(State.INITIALIZED)
        files = recipe if isinstance(recipe, RecipeFiles) else read_recipe_files(recipe, self._rig.inference)
        for path, sha256, suffix in files.loaded.files():
            self._archive.keep_document(path, sha256, suffix)
        self._prepared = prepare(files, self._rig)
        event = self.prepared_event()
        assert event is not None
        self._listeners.emit(event)
        self._unless_aborted(stop)
        self._recipe_to_resume = None
        self._ready_if_stored()
        self._listeners.emit(self._lights.with_recipe(files.loaded))

    def _unless_aborted(self, stop: JobSignal) -> None:
        """If aborted: hold, enter Halted, and raise NotNow for the caller of the verb."""
        try:
            stop.check(at_view_boundary=False)
        except Stopped as stopped:
            self._halt(str(stopped), hold(self._rig) if self._rig is not None else [])
            raise NotNow(f"broken off: {stopped}; look at the cell, then reset") from None

    def _halt(self, reason: str, problems: list[str]) -> None:
        text = "; ".join([reason, *problems])
        self._standing.enter(State.HALTED, text)
        self._standing.report(Fault(text, "look at the cell, then Reset: the arm homes again", alarms.HALTED))

    def _run(self, job: Job, prepared: Prepared, rig: Rig, stop: JobSignal, announced: threading.Event) -> None:
        """The job's thread, from its first event to its last. Nobody may find the engine busy for ever."""
        self._job.belongs_here()
        try:
            try:
                self._standing.enter(State.SINGLE_EXECUTION)
                self._listeners.emit(JobStarted(job.inspection_id, job.part_id, len(job.plan), job.steps_per_view()))
            finally:
                announced.set()
            result = self._result_of(job, prepared, rig, stop)
            self._conclude(job, result, stop, rig)
        except BaseException as error:
            log.exception("inspection %s broke off", job.inspection_id)
            if self.state in BUSY:
                self._standing.fail(error)
        finally:
            self._retention.release()

    def _result_of(self, job: Job, prepared: Prepared, rig: Rig, stop: JobSignal) -> JobResult:
        """What came of the job. Whatever breaks it off, its part is UNDECIDED, the arm held and the lights off."""
        times = StageTimes()
        try:
            ahead = self._archive.write_ahead(job.inspection_id, is_simulated=rig.is_simulated)
            writing = WritingAhead(ahead, times)
            return run_job(job, rig, prepared.judge, stop, times, self._emit_of_job, writing, self._frame_memory)
        except BaseException as error:
            log.exception("inspection %s broke off", job.inspection_id)
            for problem in hold(rig):
                log.error("inspection %s: %s", job.inspection_id, problem)
            fault = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
            return JobResult(inspection_of(job, rig.is_simulated, (), broke_off(error), times), (), fault)

    def _conclude(self, job: Job, result: JobResult, stop: JobSignal, rig: Rig) -> None:
        """Store the inspection, enter the state that follows, report the verdict as far as it is durable."""
        stored = self._storing.store(result.inspection, [archived_frame(captured) for captured in result.frames])
        shown = to_be_shown(result.inspection) if stored.is_stored else not_stored(result.inspection, stored.problem)
        self._last = replace(result, inspection=shown, frames=())  # they are in the archive, or wait for it
        self._after(result, stored, stop, rig)
        self._listeners.emit(ResultReady(shown, stored.folder, stored.is_stored))
        if stored.is_stored:
            self._listeners.emit(self._lights.after_part(job.loaded, result.inspection))
        else:
            self._storing.keep_trying()  # only now: the verdict that comes later must be heard later

    def _after(self, result: JobResult, stored: Stored, stop: JobSignal, rig: Rig) -> None:
        if result.fault is not None:
            self._standing.fail(result.fault)
        elif not stored.is_stored and not stop.aborted:
            self._wait_for_storing(stored.problem)
        elif not stop.aborted and not self._is_lost(rig, stop):
            self._standing.enter(State.READY)
        if not stored.is_stored:
            unstored = Fault(f"the last inspection is not stored: {stored.problem}", STORING_REMEDY, alarms.NOT_STORED)
            if result.fault is None:
                self._standing.report(unstored)
            else:  # the device's fault stands longer
                self._listeners.emit(unstored)

    def _ready_if_stored(self) -> None:
        """Enter Ready; or Error while an inspection is not stored, because the next one would be lost."""
        if not (problem := self._storing.problem):
            self._standing.enter(State.READY)
            return
        self._wait_for_storing(problem)
        self._standing.report(Fault(self._unstored_reason, STORING_REMEDY, alarms.NOT_STORED))

    def _wait_for_storing(self, problem: str) -> None:
        """Enter the Error that ends by itself once the inspection is stored."""
        self._unstored_reason = f"the last inspection is not stored: {problem}"
        self._standing.enter(State.ERROR, self._unstored_reason)

    def _stored_late(self, inspection: Inspection, folder: str) -> None:
        """The verdict again, now that it is durable."""
        last = self._last
        if last is not None and last.inspection.inspection_id == inspection.inspection_id:
            self._last = replace(last, inspection=inspection)
        self._listeners.emit(ResultReady(inspection, folder))
        prepared = self._prepared
        if prepared is not None and prepared.files.loaded.recipe.recipe_id == inspection.recipe_id:
            self._listeners.emit(self._lights.after_part(prepared.files.loaded, inspection))

    def _storing_is_slow(self, text: str) -> None:
        """A disk hangs: no state changes, since the part is still waited for, and no other one can be started."""
        log.warning("%s", text)
        action = "look at the archive's disk or its network; the verdict comes once it answers, leave the part"
        self._listeners.emit(Fault(text, action))

    def _storing_is_free(self) -> None:
        """Nothing waits any more: Ready, if that alone kept the station from it. Nothing moves by this."""
        with self._lock:
            is_the_cause = self.state is State.ERROR and self._standing.reason == self._unstored_reason
            if not is_the_cause or self._prepared is None or self._storing.problem:
                return
            self._standing.fault = None
            if self._rig is not None and not self._is_lost(self._rig, self._stop):  # nobody watched them meanwhile
                self._standing.enter(State.READY)

    def _is_lost(self, rig: Rig, stop: JobSignal, silence_s: float | None = None) -> bool:
        """Ask the devices; where one is not as it was left, enter Error, report it, hold the arm, lights off.

        The job's devices were sound after its last frame, so a loss found here changes no verdict. An abort meanwhile
        stops the arm too: it ends in Halted, and reports itself.
        """
        try:
            ask_devices(rig, silence_s)
        except DeviceError as error:
            if not stop.aborted:
                log.warning("lost at rest: %s", error)
                self._standing.fail(error)  # before anything that waits for a device that may be dead
                hold(rig)
            return True
        return False

    def _look_at_rest(self) -> None:
        """One turn of the watch: skipped while a verb or a job has the devices."""
        if self.state not in AT_REST or not self._lock.acquire(blocking=False):
            return
        try:
            if self.state in AT_REST and self._rig is not None and not self._job.runs_elsewhere:
                self._is_lost(self._rig, self._stop, patience_at_rest_s())
        finally:
            self._lock.release()

    def _emit_of_job(self, event: Event) -> None:
        """Emit on a thread of the job: the one that acquires, or the one that judges."""
        self._job.belongs_here()
        self._listeners.emit(event)

    def _close_rig(self) -> None:
        if self._rig is not None:
            problems = self._rig.close()
            self._rig = None
            if problems:
                self._standing.report(
                    Fault(
                        "; ".join(problems),
                        "check the light controller: a light may still be on",
                        alarms.LIGHTS_IN_DOUBT,
                    )
                )
