"""The engine: OPC 40100-1's states and verbs over one rig. No Qt here; whoever listens gets events."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from drivers.errors import DeviceError
from station.acquire.capture import Stopped, StopSignal
from station.acquire.plan import CaptureStep, make_plan
from station.acquire.stage_times import StageTimes
from station.archive import Archive, ArchivedFrame, ArchiveError, new_inspection_id
from station.engine.events import (
    Event,
    Fault,
    JobStarted,
    LightsWatched,
    Listener,
    RecipePrepared,
    ResultReady,
    State,
    StateChanged,
)
from station.engine.job import Job, JobResult, run_job
from station.errors import StationFault
from station.inspection.result import HistoryRow, Inspection
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.lights.series import LEAST_INSPECTIONS, LightReading, light_series
from station.lights.trend import light_histories, light_trends
from station.lights.warning import LightWarning, ambient_warning, light_warnings
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.rig.devices import Rig, error_text, open_rig

log = logging.getLogger(__name__)


WATCHED = 100  # inspections whose lights are compared after every part: some 20 ms
RESETTABLE = (State.ERROR, State.HALTED, State.PREOPERATIONAL, State.INITIALIZED)  # the last: a recipe was refused
HOLD_AGAIN_S = 0.25  # while a verb that was aborted has not ended yet


class NotNow(StationFault):
    """A verb came in a state that does not allow it; the text says which state, and what helps."""


@dataclass(frozen=True, slots=True)
class RecipeFiles:
    """A recipe and all files that it needs, read and checked against each other; no device was asked yet."""

    path: Path
    loaded: LoadedRecipe
    plan: tuple[CaptureStep, ...]
    detector: AnomalyDetector


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a part needs, ready: checked files, warm detector and solver."""

    files: RecipeFiles
    judge: ViewJudge


class Engine:
    """Owns the rig, one prepared recipe and at most one running job.

    `Preoperational -initialize-> Initialized -prepare_recipe-> Ready -start-> SingleExecution -> Ready`;
    a device fault leads to Error, an abort to Halted, and only `reset` leads out of either: it opens
    the devices anew, homes, and prepares the recipe again. Nothing resumes by itself.
    """

    def __init__(self, rig_file: Path, archive: Archive, *, opener: Callable[[Path], Rig] = open_rig) -> None:
        self._rig_file = rig_file
        self._archive = archive
        self._opener = opener
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self._state, self._reason = State.PREOPERATIONAL, ""
        self._rig: Rig | None = None
        self._prepared: Prepared | None = None
        self._stop = StopSignal()
        self._stop_lock = threading.Lock()  # between looking at the signal and replacing it; held for no longer
        self._thread: threading.Thread | None = None
        self._last: JobResult | None = None
        self._lights: LightsWatched | None = None  # as told last
        self._ambient: LightWarning | None = None

    # -- listening --------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._state

    @property
    def state_reason(self) -> str:
        return self._reason

    @property
    def is_prepared(self) -> bool:
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
        return self._lights

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Events arrive on the engine's threads; returns the function that ends the subscription."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return unsubscribe

    def _emit(self, event: Event) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # a listener's fault must not end an inspection
                log.exception("a listener failed on %s", type(event).__name__)

    def _enter(self, state: State, reason: str = "") -> None:
        self._state, self._reason = state, reason
        self._emit(StateChanged(state, reason))

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
        """Check recipe, calibration, model and reach; warm up. On an error the old recipe is gone.

        `RecipeFiles` are not read again.
        Raises DocumentError, ModelRefused, LightGeometryError, OutOfTravel: each names file or device;
        NotNow (state Halted) once aborted.
        """
        with self._lock:
            self._prepare(recipe, self._stop)

    def start_single_job(self, part_id: str) -> str:
        """Begin one inspection and return its id; the result comes as ResultReady.

        Raises NotNow, and DocumentError once the recipe's calibration has expired.
        """
        self._require(State.READY)
        self._join()  # before the lock: a job that ends needs it to tell so
        with self._lock:
            self._require(State.READY)
            assert self._prepared is not None
            self._prepared.files.loaded.check_calibration()
            stop = self._signal_of_a_job()
            self._last = None
            job = Job(
                inspection_id=new_inspection_id(),
                part_id=part_id,
                loaded=self._prepared.files.loaded,
                plan=self._prepared.files.plan,
                provenance=self._provenance(),
            )
            self._enter(State.SINGLE_EXECUTION)
            self._emit(JobStarted(job.inspection_id, part_id, len(job.plan)))
            self._thread = threading.Thread(
                target=self._run, args=(job, self._prepared, self._rig, stop), name="acquire"
            )
            self._thread.start()
            return job.inspection_id

    def inspect(self, part_id: str) -> Inspection:
        """`start_single_job`, and wait for its verdict."""
        self.start_single_job(part_id)
        self._join()
        if self._last is None:
            raise NotNow(f"the inspection broke off in state {self._state.value}: see the log, then reset")
        return self._last.inspection

    def stop(self) -> None:
        """End the running job at the next view boundary; its part is UNDECIDED."""
        self._stop.stop("stopped by the operator")

    def abort(self, reason: str = "aborted by the operator") -> None:
        """Now: latch, hold the arm, lights off. Any thread may call it, at any time.

        While the devices are being opened there is nothing to hold yet: the verb that opens them halts itself.
        """
        with self._stop_lock:
            self._stop.abort(reason)
        rig = self._rig
        if rig is None:
            return
        problems = _hold(rig)
        self._join()
        while not self._lock.acquire(timeout=HOLD_AGAIN_S):
            problems = _hold(rig)  # homing that began at the very moment of the first hold has undone it
        try:
            self._halt(reason, problems)
        finally:
            self._lock.release()

    def reset(self) -> None:
        """Out of Error or Halted: close everything, open again, home, prepare the recipe again.

        Raises NotNow while a part is inspected and when there is nothing to leave; else as those verbs do.
        """
        self._require(*RESETTABLE)
        stop = self._fresh_signal()
        self._join()  # before the lock: a job that ends needs it to tell so
        with self._lock:
            self._require(*RESETTABLE)
            self._close_rig()
            self._enter(State.PREOPERATIONAL)
            recipe = self._prepared.files.path if self._prepared is not None else None
            self._open_and_home(stop)
            if recipe is not None:
                self._prepare(recipe, stop)

    def close(self) -> None:
        """End the running job, lights off, devices closed."""
        self._stop.stop("the station is closing")
        self._join()
        with self._lock:
            self._close_rig()
            self._enter(State.PREOPERATIONAL)

    @property
    def ended_by_device(self) -> bool:
        """Whether the last inspection ended with a device's fault."""
        return self._last is not None and self._last.fault is not None

    def history(self, limit: int = 200) -> list[HistoryRow]:
        return self._archive.history(limit)

    def load(self, inspection_id: str) -> Inspection:
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
        """For a verb that sets out anew; one that no abort has met serves on, so that none of its users misses one."""
        with self._stop_lock:
            if self._stop.aborted:
                self._stop = StopSignal()
            return self._stop

    def _signal_of_a_job(self) -> StopSignal:
        """Raises NotNow if an abort has been given that is about to lead to Halted."""
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
        self._enter(State.INITIALIZED)

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
        self._emit(event)
        self._unless_aborted(stop)
        self._enter(State.READY)
        self._watch_lights(files.loaded, "")

    def _unless_aborted(self, stop: StopSignal) -> None:
        """Once aborted: lights off, Halted, and NotNow for whoever called the verb."""
        try:
            stop.check(at_view_boundary=False)
        except Stopped as stopped:
            self._halt(str(stopped), _hold(self._rig) if self._rig is not None else [])
            raise NotNow(f"broken off: {stopped}; look at the cell, then reset") from None

    def _halt(self, reason: str, problems: list[str]) -> None:
        text = "; ".join([reason, *problems])
        self._enter(State.HALTED, text)
        self._emit(Fault(text, "look at the cell, then Reset: the arm homes again"))

    def _run(self, job: Job, prepared: Prepared, rig: Rig, stop: StopSignal) -> None:
        try:
            result = run_job(job, rig, prepared.judge, stop, StageTimes(), self._emit)
        except Exception as error:  # nobody may find the engine busy for ever
            log.exception("inspection %s broke off", job.inspection_id)
            self._enter(State.ERROR, f"{type(error).__name__}: {error}")
            self._emit(
                Fault(f"{type(error).__name__}: {error}", "Reset; if it comes again, keep the log and report it")
            )
            return
        folder, storage_fault = self._store(result)
        self._last = replace(result, frames=())  # they are in the archive
        self._after(result, storage_fault, stop)
        self._emit(ResultReady(result.inspection, folder))
        told_above = job.loaded.recipe.light_level_limits.ambient_told_above
        self._ambient = ambient_warning(result.inspection, told_above, self._ambient)
        self._watch_lights(job.loaded, job.inspection_id)

    def _after(self, result: JobResult, storage_fault: ArchiveError | None, stop: StopSignal) -> None:
        if result.fault is not None:
            self._fault(result.fault)
        elif storage_fault is not None:
            self._enter(State.ERROR, str(storage_fault))
            self._emit(Fault(str(storage_fault), "free the disk or choose another archive, then Reset"))
        elif not stop.aborted:
            self._enter(State.READY)

    def _watch_lights(self, loaded: LoadedRecipe, inspection_id: str) -> None:
        """Tell how the lights did over the last parts; what is new among the warnings goes to the log too.

        Without an archive to read, what needs none is told all the same.
        """
        recipe_id = loaded.recipe.recipe_id
        readings: list[LightReading] = []
        try:
            readings = self._archive.light_readings(
                WATCHED, recipe_id, calibration=loaded.sha256s["calibration"], with_first=LEAST_INSPECTIONS
            )
        except ArchiveError:
            log.exception("the lights' trends could not be read")
        of_all = () if self._ambient is None else (self._ambient,)
        warnings = (*of_all, *light_warnings(light_trends(readings).trends))
        before = self._lights.warnings if self._lights is not None else ()
        for warning in warnings:
            if warning.key not in {told_before.key for told_before in before}:
                log.warning("%s; what to do: %s", warning.text, warning.action)
        self._lights = LightsWatched(recipe_id, inspection_id, warnings, light_histories(light_series(readings)))
        self._emit(self._lights)

    def _store(self, result: JobResult) -> tuple[str, ArchiveError | None]:
        frames = [ArchivedFrame(c.step.view, c.step.light, c.frame, c.step.pose) for c in result.frames]
        try:
            return str(self._archive.record(result.inspection, frames)), None
        except ArchiveError as error:
            log.exception("inspection %s could not be archived", result.inspection.inspection_id)
            return "", error

    def _fault(self, error: DeviceError) -> None:
        self._enter(State.ERROR, str(error))
        self._emit(Fault(str(error), "clear the cause, then Reset: devices are opened again and the arm homes"))

    def _provenance(self) -> dict[str, str]:
        assert self._prepared is not None
        assert self._rig is not None
        rig, loaded = self._rig, self._prepared.files.loaded
        devices = {"camera": rig.camera.identity, "arm": rig.arm.identity, "lights": rig.lights.identity}
        return {
            **loaded.sha256s,
            "software": f"facet-station {version('facet-station')}",
            "rig": rig.name,
            **{k: f"{d.vendor} {d.model} {d.serial_number} {d.firmware}" for k, d in devices.items()},
        }

    def _join(self) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _close_rig(self) -> None:
        if self._rig is not None:
            problems = self._rig.close()
            self._rig = None
            if problems:
                self._emit(Fault("; ".join(problems), "check the light controller: a light may still be on"))


def _hold(rig: Rig) -> list[str]:
    """Arm held, lights off; returns what could not be confirmed. The one is done whatever the other does."""
    problems = []
    for what, step in (("arm hold", rig.arm.stop), ("lights off", rig.lights.off)):
        try:
            step()
        except Exception as error:  # whatever a driver of another package raises, the lights go off
            log.warning("%s not confirmed", what, exc_info=error)
            problems.append(f"{what} not confirmed: {error_text(error)}")
    return problems


def read_recipe_files(path: Path) -> RecipeFiles:
    """Read the recipe and the model and check that they fit. Raises DocumentError, ModelRefused."""
    loaded = load_recipe(path)
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    detector.check_fits(loaded.recipe)
    return RecipeFiles(path, loaded, make_plan(loaded.recipe), detector)


def prepare(files: RecipeFiles, rig: Rig) -> Prepared:
    """Everything that can be refused before a part is loaded is refused here or when the files are read."""
    recipe = files.loaded.recipe
    files.loaded.check_calibration(camera=rig.camera.identity.serial_number, is_simulated_rig=rig.is_simulated)
    for viewpoint in recipe.viewpoints:
        with files.loaded.naming(f"viewpoints.{viewpoint.name}"):
            rig.arm.check_reachable(viewpoint.as_pose())
    actual = rig.camera.configure(recipe.camera_settings())
    files.detector.warm_up()
    judge = ViewJudge(files.loaded, files.detector)
    judge.warm_up(actual)
    return Prepared(files, judge)
