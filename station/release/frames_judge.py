"""One part's frames judged as the engine would judge them, from frames that lie on the disk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import CaptureStep, lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.inspection.result import Verdict, ViewResult, without_pictures
from station.inspection.rule import judge_part
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.judge.whole_view import judged_view
from station.recipe.fields import DARK
from station.recipe.loaded import LoadedRecipe
from station.recipe.releases import ReleaseError
from station.teach.fit_for_recipe import as_taken

OfView = Mapping[str, Frame]


@dataclass(frozen=True, slots=True)
class FoundPart:
    """The part's verdict, the highest of its scores over their limits, and the first reason if it is UNDECIDED."""

    verdict: Verdict
    highest: float | None
    reason: str


class FramesJudge:
    """Judges parts under one recipe. Frames may be coarser than those of the recipe, as a collection's may."""

    def __init__(self, loaded: LoadedRecipe, detector: AnomalyDetector) -> None:
        self._loaded, self._detector = loaded, detector
        self._judges: dict[tuple[int, int], ViewJudge] = {}
        self._plan = make_plan(loaded.recipe)
        self._views = tuple(viewpoint.name for viewpoint in loaded.recipe.viewpoints)

    def judged(self, name: str, frames: Mapping[str, OfView]) -> FoundPart:
        """`frames` are view -> light -> frame, with or without the dark frame. Raises ReleaseError, CollectionError."""
        first = next(iter(frames[self._views[0]].values())) if self._views[0] in frames else None
        if first is None:
            raise ReleaseError(f"part {name} has no view {self._views[0]!r}: name parts that were taken by this recipe")
        judge = self._judge_of((first.pixels.shape[0], first.pixels.shape[1]))
        has_dark = any(DARK in of_view for of_view in frames.values())
        plan = self._plan if has_dark else lit_steps(self._plan)
        judge.begin_part(StageTimes())
        views = tuple(self._view(judge, view, plan, frames.get(view, {})) for view in self._views)
        verdict, reasons, _ = judge_part(views, self._views, judge.reasons_of_part(views))
        reason = str(reasons[0]) if verdict is Verdict.UNDECIDED else ""
        return FoundPart(verdict, highest_of(views), reason)

    def _judge_of(self, shape: tuple[int, int]) -> ViewJudge:
        if shape not in self._judges:
            self._judges = {shape: ViewJudge(as_taken(self._loaded, shape), self._detector)}
        return self._judges[shape]

    def _view(self, judge: ViewJudge, name: str, plan: tuple[CaptureStep, ...], frames: OfView) -> ViewResult:
        captured = [
            CapturedFrame(step, frames[step.light], step.pose)
            for step in plan
            if step.view == name and step.light in frames
        ]
        return without_pictures(judged_view(judge, CapturedView(name, plan), captured))


def highest_of(views: tuple[ViewResult, ...]) -> float | None:
    """Of the views' scores over their limits; None where none was scored or one is not finite."""
    ratios = [view.pred_score / view.limit for view in views if view.pred_score is not None]
    return round(max(ratios), 4) if ratios and all(map(math.isfinite, ratios)) else None
