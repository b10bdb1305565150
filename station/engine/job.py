"""One inspection from start to verdict: one thread acquires, another judges, the arm does not wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Queue

from drivers.errors import DeviceError
from station.acquire.capture import CapturedFrame, Stopped, StopSignal, capture
from station.acquire.plan import CaptureStep
from station.acquire.stage_times import StageTimes
from station.engine.events import AcquisitionDone, Event, StepDone, ViewJudged
from station.inspection.result import Inspection, Verdict, ViewResult, judge_part
from station.judge.view_judge import ViewJudge
from station.recipe.loaded import LoadedRecipe
from station.rig.devices import Rig

log = logging.getLogger(__name__)

QUEUE_DEPTH = 8  # frames; a slow judge slows the arm instead of filling memory


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked: one part, under one prepared recipe."""

    inspection_id: str
    part_id: str
    loaded: LoadedRecipe
    plan: tuple[CaptureStep, ...]
    provenance: dict[str, str]


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of it: the inspection, all frames, and the device fault that ended it, if any."""

    inspection: Inspection
    frames: tuple[CapturedFrame, ...]
    fault: DeviceError | None


class JudgeThread:
    """Judges views in the order in which they arrive; `results` is complete after `join`."""

    def __init__(self, judge: ViewJudge, expected: int, on_view: Callable[[ViewResult], None]) -> None:
        self._judge = judge
        self._frames_per_view = expected
        self._on_view = on_view
        self._queue: Queue[CapturedFrame | None] = Queue(QUEUE_DEPTH)
        self._thread = threading.Thread(target=self._run, name="judge")
        self.results: list[ViewResult] = []
        judge.is_behind = lambda: self._queue.qsize() >= QUEUE_DEPTH // 2
        self._thread.start()

    def put(self, captured: CapturedFrame) -> None:
        """Blocks while the queue is full: frames are never dropped."""
        self._queue.put(captured)

    def join(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        view: str | None = None
        count = 0
        broken: Exception | None = None
        while (captured := self._queue.get()) is not None:
            if captured.step.view != view:
                view, count, broken = captured.step.view, 0, None
            count += 1
            try:
                self._judge.add(captured)
            except Exception as error:  # judged as UNDECIDED below: finish() misses the frame
                log.exception("frame %s of view %s could not be taken", captured.step.light, view)
                broken = broken or error
            if count == self._frames_per_view:
                self._finish(view, broken)

    def _finish(self, view: str, broken: Exception | None) -> None:
        result = self._judge.finish(view) if broken is None else self._judge.refuse(view, broken)
        self.results.append(result)
        self._on_view(result)


def run_job(
    job: Job, rig: Rig, judge: ViewJudge, stop: StopSignal, times: StageTimes, emit: Callable[[Event], None]
) -> JobResult:
    """Capture and judge every view; a fault ends the capture, and what was complete is still judged."""
    started = time.perf_counter()
    judge.begin_job(times)
    recipe = job.loaded.recipe
    judging = JudgeThread(judge, len(recipe.lights), lambda r: emit(ViewJudged(job.inspection_id, r)))
    frames: list[CapturedFrame] = []
    fault: DeviceError | None = None
    reasons: list[str] = []
    last_frame = started
    try:
        for captured in capture(rig, job.plan, stop, times, recipe.capture.settle_s, judge.see_dark):
            last_frame = time.perf_counter()
            frames.append(captured)
            step = captured.step
            emit(StepDone(job.inspection_id, len(frames), len(job.plan), step.view, step.light))
            judging.put(captured)
    except Stopped as stopped:
        reasons.append(str(stopped))
    except DeviceError as error:
        log.exception("inspection %s ends early", job.inspection_id)
        fault = error
        reasons.append(str(error))
    finally:
        emit(AcquisitionDone(job.inspection_id))
        judging.join()
    times.add("verdict_after_last_frame", (time.perf_counter() - last_frame) * 1e3)
    times.add("total", (time.perf_counter() - started) * 1e3)
    return JobResult(_inspection(job, rig, judging.results, reasons, times), tuple(frames), fault)


def _inspection(job: Job, rig: Rig, views: list[ViewResult], reasons: list[str], times: StageTimes) -> Inspection:
    expected = tuple(v.name for v in job.loaded.recipe.viewpoints)
    verdict, view_reasons, deciding = judge_part(tuple(views), expected)
    if reasons:  # a fault or a stop between start and verdict: whatever was seen is not the whole part
        verdict = Verdict.UNDECIDED
    return Inspection(
        inspection_id=job.inspection_id,
        part_id=job.part_id,
        product=job.loaded.recipe.product,
        recipe_id=job.loaded.recipe.recipe_id,
        verdict=verdict,
        reasons=(*reasons, *view_reasons),
        views=tuple(views),
        expected_views=expected,
        deciding_view=deciding,
        is_simulated=rig.is_simulated,
        is_partial=len(views) < len(expected),
        creation_time=datetime.now(UTC),
        processing_times_ms=times.as_dict(),
        provenance=job.provenance,
    )
