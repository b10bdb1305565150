"""The engine: the states and verbs of OPC 40100-1 over one rig. It knows no Qt; whoever listens gets events.

Verbs may come from any thread. `stop` and `abort` do not wait for the verb that is running. `abort` latches the stop
signal, holds the arm and switches the lights off at once; the running verb then ends by itself, and `abort` returns.
All verbs stand in this one file because they share one state, one lock and one stop signal, and each must be read
against the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from drivers.errors import DeviceError
from station.acquire.capture import Stopped, StopSignal
from station.acquire.stage_times import StageTimes
from station.archive import Archive, ArchivedFrame, ArchiveError, new_inspection_id
from station.engine.device_watch import DeviceWatch, ask_devices, patience_at_rest_s
from station.engine.events import (
    Fault,
    JobStarted,
    LightsWatched,
    Listener,
    RecipePrepared,
    ResultReady,
    State,
    StateChanged,
)
from station.engine.halt import hold
from station.engine.job import Job, JobResult, provenance, run_job
from station.engine.light_watch import LightWatch
from station.engine.listeners import Listeners
from station.engine.preparation import Prepared, RecipeFiles, prepare, read_recipe_files
from station.errors import StationFault
from station.inspection.result import HistoryRow, Inspection
from station.rig.devices import Rig, open_rig

log = logging.getLogger(__name__)

AT_REST = (State.INITIALIZED, State.READY)  # the devices are open, and nothing commands them
RESETTABLE = (State.ERROR, State.HALTED, State.PREOPERATIONAL, State.INITIALIZED)  # the last: a recipe was refused
HOMING_IS_DUE = "homing is due: the devices are not open, and the arm has not homed"
HOLD_AGAIN_S = 0.25  # while a verb that was aborted has not ended yet


class NotNow(StationFault):
    """A verb came in a state that does not allow it; the text says which state, and what helps."""


class Engine:
    """Owns the rig, one prepared recipe and at most one running job.

    `Preoperational -initialize-> Initialized -prepare_recipe-> Ready -start-> SingleExecution -> Ready`;
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
        self._state, self._reason = State.PREOPERATIONAL, HOMING_IS_DUE
        self._standing_fault: Fault | None = None
        self._rig: Rig | None = None
        self._prepared: Prepared | None = None
        self._stop = StopSignal()
        self._stop_lock = threading.Lock()  # between looking at the signal and replacing it; held for no longer
        self._thread: threading.Thread | None = None
        self._last: JobResult | None = None
        self._lights = LightWatch(archive)
        self._watch = DeviceWatch(self._look_at_rest)

    # -- listening --------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The present state of OPC 40100-1."""
        return self._state

    @property
    def state_reason(self) -> str:
        """Why the engine is in Error, Halted or Preoperational; empty in other states."""
        return self._reason

    @property
    def standing_fault(self) -> Fault | None:
        """The fault that still stands, for a listener that comes late; None once homing has succeeded after it."""
        return self._standing_fault

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
        )

    def lights_event(self) -> LightsWatched | None:
        """How the lights did at last, for a listener that comes late; None before a recipe was prepared."""
        return self._lights.latest

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Events arrive on the engine's threads; returns the function that ends the subscription."""
        return self._listeners.subscribe(listener)

    def _report(self, fault: Fault) -> None:
        self._standing_fault = fault
        self._listeners.emit(fault)

    def _enter(self, state: State, reason: str = "") -> None:
        self._state, self._reason = state, reason
        self._listeners.emit(StateChanged(state, reason))

    # -- verbs ------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Open the devices and home the arm.

        Raises DeviceError (state Error) naming the device, NotNow (state Halted) once aborted.
        """
        self._require(State.PREOPERATIONAL)
        stop = self._fresh_signal()
        with self._lock:
            self._require(State.PREOPERATIONAL)
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

        Raises NotNow, and DocumentError once the recipe's calibration has expired.
        """
        self._require(State.READY)
        self._join()  # before the lock, which others want meanwhile
        with self._lock:
            self._require(State.READY)
            assert self._prepared is not None
            assert self._rig is not None
            self._prepared.files.loaded.check_calibration()
            stop = self._signal_of_a_job()
            self._last = None
            job = Job(
                inspection_id=new_inspection_id(),
                part_id=part_id,
                loaded=self._prepared.files.loaded,
                plan=self._prepared.files.plan,
                provenance=provenance(self._rig, self._prepared.files.loaded),
            )
            self._enter(State.SINGLE_EXECUTION)
            self._listeners.emit(JobStarted(job.inspection_id, part_id, len(job.plan), job.steps_per_view()))
            self._thread = threading.Thread(
                target=self._run, args=(job, self._prepared, self._rig, stop), name="acquire"
            )
            self._thread.start()
            return job.inspection_id

    def inspect(self, part_id: str) -> Inspection:
        """`start_single_job`, then wait for its verdict.

        Raises as that does, and NotNow where the inspection broke off without a verdict.
        """
        self.start_single_job(part_id)
        self._join()
        if self._last is None:
            raise NotNow(f"the inspection broke off in state {self._state.value}: see the log, then reset")
        return self._last.inspection

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
        self._join()
        while not self._lock.acquire(timeout=HOLD_AGAIN_S):
            problems = hold(rig)  # homing that began at the very moment of the first hold has undone it
        try:
            self._halt(reason, problems)
        finally:
            self._lock.release()

    def reset(self) -> None:
        """Leave Error or Halted: close the devices, open and home them, and prepare the recipe again.

        Raises NotNow while a part is inspected and in Ready; otherwise as `initialize` and `prepare_recipe` do.
        """
        self._require(*RESETTABLE)
        stop = self._fresh_signal()
        self._join()  # before the lock, which others want meanwhile
        with self._lock:
            self._require(*RESETTABLE)
            self._close_rig()
            self._enter(State.PREOPERATIONAL, "the devices are opened, and the arm homes")
            recipe = self._prepared.files.path if self._prepared is not None else None
            self._open_and_home(stop)
            if recipe is not None:
                self._prepare(recipe, stop)

    def close(self) -> None:
        """End the running job at its next view boundary, switch the lights off, close the devices."""
        self._stop.stop("the station is closing")
        self._join()
        with self._lock:
            self._close_rig()
            self._enter(State.PREOPERATIONAL, HOMING_IS_DUE)
        self._watch.close()  # not under the lock, which its turn may hold

    @property
    def ended_by_device(self) -> bool:
        """Whether the last inspection ended with a device's fault."""
        return self._last is not None and self._last.fault is not None

    def history(self, limit: int = 200) -> list[HistoryRow]:
        """The latest inspections of the archive, newest first. Raises ArchiveError."""
        return self._archive.history(limit)

    def load(self, inspection_id: str) -> Inspection:
        """One archived inspection with its pictures. Raises ArchiveError."""
        return self._archive.load(inspection_id)

    # -- inside -----------------------------------------------------------------------------

    def _require(self, *states: State) -> None:
        if self._state in states:
            return
        hint = {
            State.ERROR: "clear the cause, then reset",
            State.HALTED: "reset first",
            State.SINGLE_EXECUTION: "a part is being inspected: wait for its verdict",
            State.PREOPERATIONAL: "initialize first",
            State.INITIALIZED: "prepare a recipe first",
            State.READY: "already initialized",
        }[self._state]
        raise NotNow(f"not possible in state {self._state.value}: {hint}")

    def _fresh_signal(self) -> StopSignal:
        """The stop signal for a new verb: replaced only if aborted, so current holders still see a later abort."""
        with self._stop_lock:
            if self._stop.aborted:
                self._stop = StopSignal()
            return self._stop

    def _signal_of_a_job(self) -> StopSignal:
        """A new stop signal. Raises NotNow if an abort was given that has not reached Halted yet."""
        with self._stop_lock:
            if self._stop.aborted:
                raise NotNow("not possible: the station is being aborted; reset first")
            self._stop = StopSignal()
            return self._stop

    def _open_and_home(self, stop: StopSignal) -> None:
        try:
            self._rig = self._opener(self._rig_file)
            self._unless_aborted(stop)
            self._rig.arm.home()
        except DeviceError as error:
            if self._rig is None or not stop.aborted:
                self._fault(error)
                raise
            log.warning("homing was broken off: %s", error)
        self._unless_aborted(stop)
        self._standing_fault = None
        self._enter(State.INITIALIZED)
        self._watch.start()

    def _prepare(self, recipe: Path | RecipeFiles, stop: StopSignal) -> None:
        self._require(State.INITIALIZED, State.READY)
        assert self._rig is not None
        self._prepared = None
        self._enter(State.INITIALIZED)
        files = recipe if isinstance(recipe, RecipeFiles) else read_recipe_files(recipe)
        for path, sha256, suffix in files.loaded.files():
            self._archive.keep_document(path, sha256, suffix)
        self._prepared = prepare(files, self._rig)
        event = self.prepared_event()
        assert event is not None
        self._listeners.emit(event)
        self._unless_aborted(stop)
        self._enter(State.READY)
        self._listeners.emit(self._lights.with_recipe(files.loaded))

    def _unless_aborted(self, stop: StopSignal) -> None:
        """If aborted: hold, enter Halted, and raise NotNow for the caller of the verb."""
        try:
            stop.check(at_view_boundary=False)
        except Stopped as stopped:
            self._halt(str(stopped), hold(self._rig) if self._rig is not None else [])
            raise NotNow(f"broken off: {stopped}; look at the cell, then reset") from None

    def _halt(self, reason: str, problems: list[str]) -> None:
        text = "; ".join([reason, *problems])
        self._enter(State.HALTED, text)
        self._report(Fault(text, "look at the cell, then Reset: the arm homes again"))

    def _run(self, job: Job, prepared: Prepared, rig: Rig, stop: StopSignal) -> None:
        try:
            result = run_job(job, rig, prepared.judge, stop, StageTimes(), self._listeners.emit)
        except Exception as error:  # nobody may find the engine busy for ever
            log.exception("inspection %s broke off", job.inspection_id)
            self._enter(State.ERROR, f"{type(error).__name__}: {error}")
            self._report(
                Fault(f"{type(error).__name__}: {error}", "Reset; if it comes again, keep the log and report it")
            )
            return
        folder, storage_fault = self._store(result)
        self._last = replace(result, frames=())  # they are in the archive
        self._after(result, storage_fault, stop, rig)
        self._listeners.emit(ResultReady(result.inspection, folder))
        self._listeners.emit(self._lights.after_part(job.loaded, result.inspection))

    def _after(self, result: JobResult, storage_fault: ArchiveError | None, stop: StopSignal, rig: Rig) -> None:
        if result.fault is not None:
            self._fault(result.fault)
        elif storage_fault is not None:
            self._enter(State.ERROR, str(storage_fault))
            self._report(Fault(str(storage_fault), "free the disk or choose another archive, then Reset"))
        elif not stop.aborted and not self._is_lost(rig, stop):
            self._enter(State.READY)

    def _is_lost(self, rig: Rig, stop: StopSignal, silence_s: float | None = None) -> bool:
        """Ask the devices; where one is not as it was left, enter Error, report it, hold the arm, lights off.

        The job's devices were sound after its last frame, so a loss found here changes no verdict. An abort meanwhile
        stops the arm too: it ends in Halted, and reports itself.
        """
        try:
            ask_devices(rig, silence_s)
        except DeviceError as error:
            if not stop.aborted:
                log.warning("lost at rest: %s", error)
                self._fault(error)  # before anything that waits for a device that may be dead
                hold(rig)
            return True
        return False

    def _look_at_rest(self) -> None:
        """One turn of the watch: skipped while a verb or a job has the devices."""
        if self._state not in AT_REST or not self._lock.acquire(blocking=False):
            return
        try:
            if self._state in AT_REST and self._rig is not None:
                self._is_lost(self._rig, self._stop, patience_at_rest_s())
        finally:
            self._lock.release()

    def _store(self, result: JobResult) -> tuple[str, ArchiveError | None]:
        frames = [ArchivedFrame(c.step.view, c.step.light, c.frame, c.step.pose) for c in result.frames]
        try:
            return str(self._archive.record(result.inspection, frames)), None
        except ArchiveError as error:
            log.exception("inspection %s could not be archived", result.inspection.inspection_id)
            return "", error

    def _fault(self, error: DeviceError) -> None:
        self._enter(State.ERROR, str(error))
        self._report(Fault(str(error), "clear the cause, then Reset: devices are opened again and the arm homes"))

    def _join(self) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _close_rig(self) -> None:
        if self._rig is not None:
            problems = self._rig.close()
            self._rig = None
            if problems:
                self._report(Fault("; ".join(problems), "check the light controller: a light may still be on"))
