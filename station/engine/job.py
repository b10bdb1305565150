"""One inspection from start to verdict: one thread acquires, another judges, the arm does not wait."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

from drivers.errors import DeviceError
from station.acquire.capture import capture
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal, Skipped, Stopped
from station.acquire.landing import Landing
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.acquire.takes import Retakes
from station.engine.device_watch import ask_devices
from station.engine.events import AcquisitionDone, Event, StepDone, ViewJudged, ViewLookedAgain, ViewRetaken
from station.engine.halt import hold
from station.engine.judge_thread import JudgeThread
from station.engine.re_looking import SecondLooks
from station.engine.writing_ahead import WritingAhead
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import JUDGED, NO_NORMALS, Inspection, Verdict, ViewResult
from station.inspection.retakes import Retake
from station.inspection.rule import judge_part
from station.inspection.timeline import WAIT_FOR_JUDGE
from station.judge.part_checks import why_part_unknown
from station.judge.part_judge import PartJudge
from station.judge.view_proof import why_unproven
from station.photometric_stereo.recycled import RecycledMemory
from station.recipe.loaded import LoadedRecipe
from station.rig.devices import Rig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked: one part, under one prepared recipe."""

    inspection_id: str
    part_id: str
    loaded: LoadedRecipe
    plan: tuple[CaptureStep, ...]
    provenance: dict[str, str]

    def steps_per_view(self) -> dict[str, int]:
        """How many frames the plan takes in each view."""
        return dict(Counter(step.view for step in self.plan))


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of it: the inspection, all frames in the order of capture, the fault that ended it if any."""

    inspection: Inspection
    frames: tuple[CapturedFrame, ...]
    fault: BaseException | None


def run_job(
    job: Job,
    rig: Rig,
    judge: PartJudge,
    stop: JobSignal,
    times: StageTimes,
    emit: Callable[[Event], None],
    writing: WritingAhead | None = None,
    memory: RecycledMemory | None = None,
) -> JobResult:
    """Capture and judge every view on the calling thread and one of its own; returns with the verdict.

    A device's fault, a stop, or whatever else goes wrong ends the capture. What was complete by then is still judged,
    and the part is UNDECIDED. `writing` gets each judged view; frames lie in `memory`.
    A part was seen whole if every device, asked once more after the last frame, is still as it was left: then, and only
    then, AcquisitionDone is reported. What a device does later changes no verdict; an abort before the verdict does.
    """
    started = time.perf_counter()
    judge.begin_part(times)
    judging = JudgeThread(judge, job.plan, lambda result: emit(ViewJudged(job.inspection_id, result)), writing)
    choice = job.loaded.recipe.capture
    feed = _Feed(job, judging, times, emit)
    landing = Landing(memory or RecycledMemory(0), lambda: judging.is_busy or (writing is not None and writing.is_busy))
    looks = SecondLooks(job.loaded.recipe, job.plan, rig, judge, judging, times, landing)
    retakes = Retakes(choice.retakes_per_view, lambda retake: emit(ViewRetaken(job.inspection_id, retake)))
    fault: BaseException | None = None
    ended: Reason | None = None
    try:
        with closing(capture(rig, job.plan, stop, times, choice.settle_s, retakes, landing=landing)) as captured_frames:
            for captured in captured_frames:
                looks.note(captured)
                feed.put(captured)
        looks.look(stop, retakes, lambda look: emit(ViewLookedAgain(job.inspection_id, look)), feed.put)
        _ask_after_last_frame(rig, stop, times)
        emit(AcquisitionDone(job.inspection_id))
    except Stopped as stopped:
        ended = _stopped(stopped)
    except DeviceError as error:
        log.exception("inspection %s ends early", job.inspection_id)
        fault = error
        ended = Reason(ReasonKind.DEVICE_FAULT, str(error), "clear the cause, reset, inspect the part again")
    except Exception as error:  # a foreign driver, or a defect of this program: the frames so far are kept
        log.exception("inspection %s breaks off", job.inspection_id)
        fault, ended = error, broke_off(error)
        hold(rig)
    finally:
        if stop.aborted:  # a move or a light that began at the very moment of the abort came after the abort's own hold
            for problem in hold(rig):
                log.error("inspection %s: %s", job.inspection_id, problem)
        judging.join()
    if judging.broken is not None and ended is None:
        fault, ended = judging.broken, broke_off(judging.broken)
    try:
        stop.check(at_view_boundary=False)
    except Stopped as stopped:
        ended = ended or _stopped(stopped)
    times.judged()
    if writing is not None:
        writing.finish()
    times.add("verdict_after_last_frame", (time.perf_counter() - feed.last_frame) * 1e3)
    times.add("total", (time.perf_counter() - started) * 1e3)
    views = tuple(judging.results)
    of_part = judge.reasons_of_part(views)
    inspection = inspection_of(job, rig.is_simulated, views, ended, times, tuple(retakes.done), of_part)
    inspection = replace(inspection, re_looks=looks.records(views))
    frames = tuple(captured for view in judging.views for captured in view.captured)
    return JobResult(inspection, frames, fault)


class _Feed:
    """Hands each captured frame to the judge, and reports it."""

    def __init__(self, job: Job, judging: JudgeThread, times: StageTimes, emit: Callable[[Event], None]) -> None:
        self._job, self._judging, self._times, self._emit = job, judging, times, emit
        self.last_frame = time.perf_counter()  # when it came

    def put(self, captured: CapturedFrame) -> None:
        """Blocks while the judge is behind."""
        self.last_frame = time.perf_counter()
        step, steps = captured.step, len(self._job.plan)
        index = steps if captured.is_re_look else step.index + 1
        self._emit(StepDone(self._job.inspection_id, index, steps, step.view, step.light))
        with self._times.stage(WAIT_FOR_JUDGE):
            self._judging.put(captured)


def broke_off(error: BaseException) -> Reason:
    """Why a part is UNDECIDED after an error that nobody expected."""
    text = f"the inspection broke off: {type(error).__name__}: {error}"
    return Reason(ReasonKind.PROGRAM_FAULT, text, "reset, inspect the part again; keep the log and report it")


def _stopped(stopped: Stopped) -> Reason:
    kind = ReasonKind.SKIPPED if isinstance(stopped, Skipped) else ReasonKind.STOPPED
    return Reason(kind, str(stopped), "inspect the part again")


def _ask_after_last_frame(rig: Rig, stop: JobSignal, times: StageTimes) -> None:
    """Raises Stopped after an abort, and DeviceError for the first device that is not as it was left.

    After the latter the arm is held and the lights are off.
    """
    with times.stage("devices_asked"):
        try:
            ask_devices(rig)
        except DeviceError:
            stop.check(at_view_boundary=False)  # an abort stops the arm as well: then that is the cause
            hold(rig)
            raise
    stop.check(at_view_boundary=False)


def inspection_of(
    job: Job,
    is_simulated: bool,
    views: tuple[ViewResult, ...],
    ended: Reason | None,
    times: StageTimes,
    retakes: tuple[Retake, ...] = (),
    of_part: tuple[Reason, ...] = (),
) -> Inspection:
    """The inspection of these views; UNDECIDED where something ended it before its verdict, or where all views together
    show a cause that is not the part.

    One thing is left to a part that a person wanted judged on what had been seen: a view that FAILs.
    """
    expected = tuple(v.name for v in job.loaded.recipe.viewpoints)
    places = {name: place for place, name in enumerate(expected)}
    views = tuple(sorted(views, key=lambda view: places.get(view.view, len(places))))  # the arm may go another way
    verdict, view_reasons, deciding = judge_part(views, expected, of_part)
    is_enough = ended is not None and ended.kind is ReasonKind.SKIPPED and verdict is Verdict.FAIL
    if ended is not None and not is_enough:  # between start and verdict: whatever was seen is not the whole part
        verdict = Verdict.UNDECIDED
    return Inspection(
        inspection_id=job.inspection_id,
        part_id=job.part_id,
        product=job.loaded.recipe.product,
        recipe_id=job.loaded.recipe.recipe_id,
        verdict=verdict,
        reasons=view_reasons if ended is None else (ended, *view_reasons),
        views=views,
        expected_views=expected,
        deciding_view=deciding,
        is_simulated=is_simulated,
        is_partial=len(views) < len(expected),
        creation_time=datetime.now(UTC),
        processing_times_ms=times.as_dict(),
        provenance=job.provenance,
        retakes=retakes,
        timeline=times.timeline(),
    )


def provenance(rig: Rig, loaded: LoadedRecipe, release: str) -> dict[str, str]:
    """What a verdict rests on: SHA-256 of each file of the recipe; its release, or that it is a draft; whether pictures
    prove; software; rig; devices."""
    devices = {"camera": rig.camera.identity, "arm": rig.arm.identity, "lights": rig.lights.identity}
    return {
        **loaded.sha256s,
        "release": release,
        **({JUDGED: NO_NORMALS} if loaded.recipe.model.judges == "pictures" else {}),
        "picture_proofs": f"not made: {why}" if (why := why_unproven(loaded)) else "made",
        "part_placement": f"not made: {why}" if (why := why_part_unknown(loaded)) else "made",
        "software": f"facet-station {version('facet-station')}",
        "rig": rig.name,
        **{name: f"{d.vendor} {d.model} {d.serial_number} {d.firmware}" for name, d in devices.items()},
    }
