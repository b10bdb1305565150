"""Second looks at views that exposure or coverage alone left undecided, while the part is still in the fixture.

They come after the last view: only then is it known which views need one, and the arm has left all of them but the
last. The view at which the arm stands comes first, then whichever is nearest. Each look is a whole take with its own
proofs. It begins only if it is expected to be over within the recipe's takt, and only where it can change the part's
verdict: nothing is looked at again beside a view that FAILs, or that another cause leaves undecided.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace

from drivers.errors import FeatureMissing
from drivers.geometry.pose import Pose
from station.acquire.capture import capture
from station.acquire.captured_view import CapturedFrame
from station.acquire.job_signal import JobSignal
from station.acquire.landing import Landing
from station.acquire.order import Motion
from station.acquire.plan import CaptureStep, exposed_otherwise
from station.acquire.stage_times import StageTimes
from station.acquire.takes import Retakes
from station.engine.judge_thread import JudgeThread
from station.inspection.re_looks import ReLook
from station.inspection.result import Verdict, ViewResult
from station.inspection.timeline import ACQUIRE, WAIT_FOR_JUDGE
from station.judge.part_judge import PartJudge
from station.judge.re_look import ReLookWish, decides
from station.recipe.fields import Recipe
from station.rig.devices import Rig

log = logging.getLogger(__name__)

STAGE = "re_look"
TO_END = "the inspection was to end"
BROKEN_OFF = "it was broken off before it was whole"
USELESS = "another view leaves the part without a PASS"


@dataclass(slots=True)
class _Look:
    """A second look as it comes about."""

    wish: ReLookWish
    first: ViewResult
    first_take: int
    exposures_us: dict[str, tuple[float, float]]
    frame_ids: list[int] = field(default_factory=list)
    take: int = 0
    not_done: str = ""

    def note(self, captured: CapturedFrame) -> None:
        """A frame of it was taken; those of a take before were thrown away."""
        if captured.take != self.take:
            self.take, self.frame_ids = captured.take, []
        self.frame_ids.append(captured.frame.frame_id)

    def record(self, second: ViewResult | None, broken: str = BROKEN_OFF) -> ReLook:
        """What is kept of it; `second` is its result, None where it is not whole, and `broken` says why."""
        not_done = self.not_done or (broken if second is None else "")
        return ReLook(
            self.wish.view, self.wish.why, self.first_take, self.take or self.first_take + 1, self.exposures_us,
            tuple(self.frame_ids), counts=second is not None and decides(second),
            reasons=() if second is None else second.reasons, first_score=self.first.pred_score,
            score=None if second is None else second.pred_score, not_done=not_done,
        )  # fmt: skip


class SecondLooks:
    """Of one part. All methods belong to the thread that captures."""

    def __init__(
        self,
        recipe: Recipe,
        plan: tuple[CaptureStep, ...],
        rig: Rig,
        judge: PartJudge,
        judging: JudgeThread,
        times: StageTimes,
        landing: Landing,
    ) -> None:
        """The part's takt begins now."""
        self._landing = landing
        self._choice, self._settle_s = recipe.re_look, recipe.capture.settle_s
        self._plan, self._rig, self._judge, self._judging, self._times = plan, rig, judge, judging, times
        self._expected = {viewpoint.name for viewpoint in recipe.viewpoints}
        self._began_s = time.perf_counter()
        self._takes: dict[str, int] = {}  # the last take of each view
        self._at: Pose | None = None  # where the arm stands
        self._looks: list[_Look] = []
        self._was_over = False  # the takt, before anything was looked at again

    def note(self, captured: CapturedFrame) -> None:
        """A frame of the first walk was taken."""
        self._takes[captured.step.view] = captured.take
        self._at = captured.step.pose

    def look(
        self,
        stop: JobSignal,
        retakes: Retakes,
        begins: Callable[[ReLook], None],
        put: Callable[[CapturedFrame], None],
    ) -> None:
        """Take every second look that is wanted and still has its time; `put` hands a frame to the judge.

        `begins` is called with each look as it begins. Raises what `capture` raises, and leaves the lights off.
        """
        if self._choice is None:
            return
        self._was_over = not self._left_s() > 0
        if self._was_over:  # the part is free now, and does not wait for the judge
            return
        self._looks = self._wanted(self._settled())
        waiting = list(self._looks)
        while waiting:
            look = min(waiting, key=self._way_s)
            waiting.remove(look)
            look.not_done = self._why_not(look, stop)
            if look.not_done:
                continue
            begins(look.record(None, ""))
            self._take(look, stop, retakes, put)
            if waiting and not self._has_passed(look):
                for other in waiting:
                    other.not_done = USELESS
                return

    def records(self, results: tuple[ViewResult, ...]) -> tuple[ReLook, ...]:
        """What became of each, once the judge has ended; where the takt was over before, what was left undone."""
        if self._was_over:
            self._looks = self._wanted(results)
            for look in self._looks:
                look.not_done = self._takt_over(look)
        return tuple(look.record(self._judging.second_looks.get(look.wish.view)) for look in self._looks)

    def _wanted(self, results: tuple[ViewResult, ...]) -> list[_Look]:
        """The looks after which the part may PASS; none where something else stands against that."""
        if {result.view for result in results} != self._expected or self._judge.reasons_of_part(results):
            return []
        found = []
        for result in results:
            wish = self._judge.re_look(result)
            if wish is not None:
                found.append(_Look(wish, result, self._takes[result.view], self._changed(wish)))
            elif result.verdict is not Verdict.PASS:
                return []
        return found

    def _changed(self, wish: ReLookWish) -> dict[str, tuple[float, float]]:
        steps = [step for step in self._plan if step.view == wish.view and step.light in wish.factors]
        return {step.light: (step.exposure_us, step.exposure_us * wish.factors[step.light]) for step in steps}

    def _why_not(self, look: _Look, stop: JobSignal) -> str:
        """Why this look must not begin now; empty where it may."""
        if not stop.may_leave():
            return TO_END
        return "" if self._needed_s(look) <= self._left_s() else self._takt_over(look)

    def _takt_over(self, look: _Look) -> str:
        assert self._choice is not None
        left_s = max(0.0, self._left_s())
        return (
            f"{left_s:.1f} s were left of the recipe's takt of {self._choice.takt_s:g} s, and it needs about "
            f"{self._needed_s(look):.1f} s"
        )

    def _left_s(self) -> float:
        assert self._choice is not None
        return self._choice.takt_s - (time.perf_counter() - self._began_s)

    def _needed_s(self, look: _Look) -> float:
        """The way there, and as long as the first look took, but for the exposures, which are known."""
        longer_us = sum(after - before for before, after in look.exposures_us.values())
        taken_ms = sum(
            span.end_ms - span.begin_ms
            for span in self._times.timeline().spans
            if span.lane == ACQUIRE and span.view == look.wish.view and span.stage != WAIT_FOR_JUDGE
        )
        return self._way_s(look) + self._settle_s + taken_ms / 1e3 + longer_us / 1e6

    def _way_s(self, look: _Look) -> float:
        there = next(step.pose for step in self._plan if step.view == look.wish.view)
        return 0.0 if self._at is None else Motion().move_s(self._at, there)

    def _take(self, look: _Look, stop: JobSignal, retakes: Retakes, put: Callable[[CapturedFrame], None]) -> None:
        """One whole take. Exposures that the rig cannot do leave the first look as it is."""
        steps = exposed_otherwise(self._plan, look.wish.view, look.wish.factors)
        self._times.enter_view(look.wish.view)
        self._at = steps[0].pose
        walk = capture(self._rig, steps, stop, self._times, self._settle_s, retakes, look.first_take, self._landing)
        try:
            with self._times.stage(STAGE), closing(walk) as frames:
                for captured in frames:
                    look.note(captured)
                    put(replace(captured, is_re_look=True))
        except FeatureMissing as error:
            log.warning("view %r is not looked at again: %s", look.wish.view, error)
            look.not_done = f"the rig cannot expose so: {error}"

    def _settled(self) -> tuple[ViewResult, ...]:
        with self._times.stage(WAIT_FOR_JUDGE):
            return self._judging.settle()

    def _has_passed(self, look: _Look) -> bool:
        self._settled()
        second = self._judging.second_looks.get(look.wish.view)
        return second is not None and second.verdict is Verdict.PASS
