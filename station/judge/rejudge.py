"""`station rejudge`: an archived inspection judged again from what the archive alone keeps."""

from __future__ import annotations

from dataclasses import dataclass

from station.acquire.capture import CapturedFrame
from station.acquire.plan import CaptureStep, make_plan
from station.archive import Archive, ArchivedFrame, ArchiveError
from station.inspection.result import Inspection, Verdict, ViewResult, judge_part
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.lights.ambient import archived_dark_level
from station.photometric_stereo.settings import PhotometricStereoError
from station.recipe.loaded import SUFFIXES, KeptFiles, LoadedRecipe, load_recipe


@dataclass(frozen=True, slots=True)
class RejudgedView:
    view: str
    verdict_then: Verdict
    verdict_now: Verdict
    score_then: float | None
    score_now: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RejudgeReport:
    """What was found then, and what the same frames, recipe, calibration and model say now."""

    inspection_id: str
    verdict_then: Verdict
    verdict_now: Verdict
    reasons: tuple[str, ...]
    views: tuple[RejudgedView, ...]
    results: tuple[ViewResult, ...]

    @property
    def is_same(self) -> bool:
        return self.verdict_then is self.verdict_now

    def as_dict(self) -> dict[str, object]:
        names = RejudgedView.__slots__
        return {
            "inspection_id": self.inspection_id,
            "verdict_then": self.verdict_then,
            "verdict_now": self.verdict_now,
            "reasons": list(self.reasons),
            "views": [{name: getattr(view, name) for name in names} for view in self.views],
        }

    def as_text(self) -> str:
        lines = [f"{self.inspection_id}: {self.verdict_then.value} then, {self.verdict_now.value} now"]
        lines += [
            f"  {v.view:<8} {v.verdict_then.value:<10} {_score(v.score_then)}  {v.verdict_now.value:<10} "
            f"{_score(v.score_now)}"
            for v in self.views
        ]
        return "\n".join([*lines, *self.reasons])


def rejudge(archive: Archive, inspection_id: str) -> RejudgeReport:
    """Solve and judge the archived frames again under the recipe, calibration, flat field and model of then.

    What ended the inspection before its verdict, as a stop or a device's fault, still keeps it UNDECIDED.
    Raises ArchiveError: something that it needs was not kept, or is damaged; DocumentError, ModelRefused.
    """
    before = archive.load(inspection_id)
    loaded = recipe_of(archive, before)
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    detector.check_fits(loaded.recipe)
    judge = ViewJudge(loaded, detector)
    judge.dark = archived_dark_level(before, loaded.recipe.viewpoints[0].name)
    results = _judged(judge, loaded, archive.load_frames(inspection_id))
    verdict, reasons, _ = judge_part(results, before.expected_views)
    ended = what_ended(before)
    then = {view.view: view for view in before.views}
    views = tuple(
        RejudgedView(
            now.view, then[now.view].verdict, now.verdict, then[now.view].pred_score, now.pred_score, now.reasons
        )
        for now in results
        if now.view in then
    )
    now = Verdict.UNDECIDED if ended else verdict
    return RejudgeReport(inspection_id, before.verdict, now, (*ended, *reasons), views, results)


def recipe_of(archive: Archive, inspection: Inspection) -> LoadedRecipe:
    """The recipe of an old inspection with all that it refers to, from the archive's copies, valid at its time.

    Raises ArchiveError, DocumentError.
    """
    known = {what: inspection.provenance[what] for what in SUFFIXES if what in inspection.provenance}
    missing = [what for what in ("recipe", "calibration", "model") if what not in known]
    if missing:
        raise ArchiveError(f"inspection {inspection.inspection_id} names no {missing[0]}: it cannot be judged again")
    kept = {what: archive.kept_document(sha256, SUFFIXES[what]) for what, sha256 in known.items()}
    files = KeptFiles(kept["calibration"], kept["model"], kept.get("flat_field"))
    return load_recipe(kept["recipe"], now=inspection.creation_time, kept=files)


def _judged(judge: ViewJudge, loaded: LoadedRecipe, frames: list[ArchivedFrame]) -> tuple[ViewResult, ...]:
    steps = {(step.view, step.light): step for step in make_plan(loaded.recipe)}
    by_view: dict[str, list[ArchivedFrame]] = {}
    for frame in frames:
        by_view.setdefault(frame.view, []).append(frame)
    return tuple(_view(judge, view, steps, own) for view, own in by_view.items())


def _view(
    judge: ViewJudge, view: str, steps: dict[tuple[str, str], CaptureStep], frames: list[ArchivedFrame]
) -> ViewResult:
    for archived in frames:
        step = steps.get((view, archived.light))
        if step is None:
            raise ArchiveError(f"a frame of view {view!r} under light {archived.light!r} is not in the recipe's plan")
        try:
            judge.add(CapturedFrame(step, archived.frame, archived.pose))
        except PhotometricStereoError as error:
            return judge.refuse(view, error)
    return judge.finish(view)


def what_ended(before: Inspection) -> tuple[str, ...]:
    """The reasons that no view gave."""
    of_views = judge_part(before.views, before.expected_views)[1]
    return tuple(reason for reason in before.reasons if reason not in of_views)


def _score(value: float | None) -> str:
    return f"{'none':>8}" if value is None else f"{value:8.3f}"
