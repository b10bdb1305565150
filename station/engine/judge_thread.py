"""The thread that judges: captured frames come in through a bounded queue, results of whole views go out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from queue import Queue

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import CaptureStep
from station.engine.writing_ahead import WritingAhead
from station.inspection.result import RE_EXPOSED, Verdict, ViewResult, without_pictures
from station.judge.part_judge import PartJudge
from station.judge.re_look import decides
from station.judge.view_checks import refused_frame

log = logging.getLogger(__name__)

QUEUE_DEPTH = 8  # frames; a slow judge slows the arm instead of filling memory


class JudgeThread:
    """Collects the frames of each view and judges it once it is complete; a later take replaces the one before.

    A second look at a view stands beside the first: its result replaces the first one's where it decides, and both keep
    their frames.
    `views` and `results` belong to this thread until `join` returns; afterwards they hold every frame that was put,
    and the result of every complete view, in the order in which they came.
    """

    def __init__(
        self,
        judge: PartJudge,
        plan: tuple[CaptureStep, ...],
        report: Callable[[ViewResult], None],
        writing: WritingAhead | None = None,
    ) -> None:
        """Starts at once. `report` is called on this thread with each result; then `writing` gets it and its frames."""
        self._writing = writing
        self._results_lock = threading.Lock()
        self._judge = judge
        self._plan = plan
        self._report = report
        self._queue: Queue[CapturedFrame | None] = Queue(QUEUE_DEPTH)
        self._broken: Exception | None = None  # why a frame of the current view could not be taken
        self.broken: BaseException | None = None  # what kept a frame from being entered at all; read after `join`
        self.views: list[CapturedView] = []
        self.results: list[ViewResult] = []
        self.second_looks: dict[str, ViewResult] = {}  # by view, without pictures: what a second look found
        self._number = 1  # of the take whose frames come in
        self._is_re_look = False  # whether that is a second look
        self._thread = threading.Thread(target=self._run, name="judge")
        self._thread.start()

    def put(self, captured: CapturedFrame) -> None:
        """Hand over a frame. Blocks while the queue is full: frames are never dropped."""
        self._queue.put(captured)

    @property
    def is_busy(self) -> bool:
        """Whether a frame that was put is not taken yet, or its view not judged."""
        return self._queue.unfinished_tasks > 0

    def settle(self) -> tuple[ViewResult, ...]:
        """Wait until every frame that was put has been taken; the results of the views so far."""
        self._queue.join()
        with self._results_lock:
            return tuple(self.results)

    def join(self) -> None:
        """Returns once every frame that was put has been taken and every complete view is judged."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (captured := self._queue.get()) is not None:
            try:
                self._take(captured)
            except BaseException as error:  # the queue must be emptied on, or whoever puts frames waits for ever
                log.exception("the judge's thread broke off in view %s", captured.step.view)
                self.broken = self.broken or error
            finally:
                self._queue.task_done()

    def _take(self, captured: CapturedFrame) -> None:
        view = self._view_of(captured)
        if view is None:
            return
        view.add(captured)
        try:
            self._judge.take(captured)
        except Exception as error:
            log.exception("the frame under %s of view %s could not be taken", captured.step.light, view.name)
            self._broken = self._broken or error
        if view.is_complete:
            self._finish(view, is_landed=captured.memory is not None)

    def _view_of(self, captured: CapturedFrame) -> CapturedView | None:
        """The view that the frame belongs to; None where an earlier take has FAILed: a defect that was seen stands."""
        name = captured.step.view
        if not self.views or self.views[-1].name != name or captured.is_re_look != self._is_re_look:
            self._begin(captured)
        elif captured.take != self._number:
            if not self._is_re_look:
                if any(result.view == name and result.verdict is Verdict.FAIL for result in self.results):
                    return None
                self._forget(name)
            self.views.pop()
            self._begin(captured)
        return self.views[-1]

    def _begin(self, captured: CapturedFrame) -> None:
        self.views.append(CapturedView(captured.step.view, self._plan))
        self._broken, self._number, self._is_re_look = None, captured.take, captured.is_re_look

    def _forget(self, name: str) -> None:
        with self._results_lock:
            self.results = [result for result in self.results if result.view != name]

    def _finish(self, view: CapturedView, *, is_landed: bool) -> None:
        if self._writing is not None:
            self._writing.wait_for_room(view, is_landed=is_landed)
        if self._broken is not None:
            result = self._judge.undecided(view.name, refused_frame(self._broken))
        else:
            result = self._judge.judge(view)
            if not self._is_behind:
                result = self._judge.refine(view, result)
        if view.re_exposed:
            result = replace(result, quality={**result.quality, RE_EXPOSED: float(view.re_exposed)})
        if self._is_re_look:
            self.second_looks[view.name] = without_pictures(result)
            if not decides(result):
                self._hand_on(view, replace(without_pictures(result), anomaly_map=None))  # its frames are kept
                return
            self._forget(view.name)
        if self._writing is not None:
            result = self._writing.named(result)
        with self._results_lock:
            self.results.append(result)
        self._report(result)
        self._hand_on(view, result)

    def _hand_on(self, view: CapturedView, result: ViewResult) -> None:
        if self._writing is not None:
            self._writing.hand_on(view, result, self._swap)

    def _swap(self, result: ViewResult, shown: ViewResult) -> None:
        """`shown` stands for the result from now on, unless its view was taken again."""
        with self._results_lock:
            self.results = [shown if found is result else found for found in self.results]

    @property
    def _is_behind(self) -> bool:
        """Whether frames of the next views wait already: then what can be left undone is left."""
        return self._queue.qsize() >= QUEUE_DEPTH // 2
