"""`station rejudge`: an archived inspection judged again from what the archive alone keeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import CaptureStep, lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.archive import Archive, ArchivedFrame, ArchiveError
from station.inspection.reasons import Reason, ReasonKind
from station.inspection.result import Inspection, Verdict, ViewResult
from station.inspection.rule import judge_part
from station.judge.detector import AnomalyDetector
from station.judge.re_look import decides
from station.judge.view_judge import ViewJudge
from station.judge.whole_view import judged_view
from station.lights.ambient import archived_dark_level
from station.recipe.fields import DARK
from station.recipe.loaded import SUFFIXES, KeptFiles, LoadedRecipe, load_recipe

ENDED = (  # before the verdict, or without its frames
    ReasonKind.STOPPED,
    ReasonKind.SKIPPED,
    ReasonKind.DEVICE_FAULT,
    ReasonKind.PROGRAM_FAULT,
    ReasonKind.NOT_STORED,
    ReasonKind.EARLIER,
)


@dataclass(frozen=True, slots=True)
class RejudgedView:
    """One view, judged then and now; `reasons` are those of now."""

    view: str
    verdict_then: Verdict
    verdict_now: Verdict
    score_then: float | None
    score_now: float | None
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class RejudgeReport:
    """What was found then, and what the same frames, recipe, calibration and model say now."""

    inspection_id: str
    verdict_then: Verdict
    verdict_now: Verdict
    reasons: tuple[Reason, ...]
    views: tuple[RejudgedView, ...]
    results: tuple[ViewResult, ...]

    @property
    def is_same(self) -> bool:
        """Whether the part's verdict is the same; scores may differ in the last digits on another processor."""
        return self.verdict_then is self.verdict_now

    def as_dict(self) -> dict[str, object]:
        """The report without its pictures, for machines."""
        names = RejudgedView.__slots__
        return {
            "inspection_id": self.inspection_id,
            "verdict_then": self.verdict_then,
            "verdict_now": self.verdict_now,
            "reasons": [str(reason) for reason in self.reasons],
            "reason_records": [asdict(reason) for reason in self.reasons],
            "views": [
                {name: getattr(view, name) for name in names} | {"reasons": [reason.advice for reason in view.reasons]}
                for view in self.views
            ],
        }

    def as_text(self) -> str:
        """A line per view with both verdicts and scores, then the reasons."""
        lines = [f"{self.inspection_id}: {self.verdict_then.value} then, {self.verdict_now.value} now"]
        lines += [
            f"  {v.view:<8} {v.verdict_then.value:<10} {_score(v.score_then)}  {v.verdict_now.value:<10} "
            f"{_score(v.score_now)}"
            for v in self.views
        ]
        return "\n".join([*lines, *map(str, self.reasons)])


def rejudge(archive: Archive, inspection_id: str) -> RejudgeReport:
    """Solve and judge the archived frames again under the recipe, calibration, flat field and model of that time.

    What ended the inspection before its verdict, as a stop or a device's fault, still keeps it UNDECIDED. A second look
    at a view counts by the same rule as then.
    Raises ArchiveError: something that it needs was not kept, or is damaged; DocumentError, ModelRefused.
    """
    before = archive.load(inspection_id)
    loaded = recipe_of(archive, before)
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    detector.check_fits(loaded.recipe)
    detector.check_regions(loaded)
    judge = ViewJudge(loaded, detector)
    results = _judged(judge, loaded, before, archive.load_frames(inspection_id, all_looks=True))
    verdict, reasons, _ = judge_part(results, before.expected_views, judge.reasons_of_part(results))
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
    """The recipe of an archived inspection with all that it refers to, from the archive's copies.

    The calibration must have been valid at the time of the inspection. Raises ArchiveError where a copy was not kept or
    has changed, and DocumentError where the copies no longer fit each other.
    """
    known = {what: inspection.provenance[what] for what in SUFFIXES if what in inspection.provenance}
    missing = [what for what in ("recipe", "calibration", "model") if what not in known]
    if missing:
        raise ArchiveError(f"inspection {inspection.inspection_id} names no {missing[0]}: it cannot be judged again")
    kept = {what: archive.kept_document(sha256, SUFFIXES[what]) for what, sha256 in known.items()}
    files = KeptFiles(
        kept["calibration"],
        kept["model"],
        *(kept.get(what) for what in ("flat_field", "view_reference", "part_reference")),
    )
    return load_recipe(kept["recipe"], now=inspection.creation_time, kept=files)


def _judged(
    judge: ViewJudge, loaded: LoadedRecipe, before: Inspection, frames: list[ArchivedFrame]
) -> tuple[ViewResult, ...]:
    plan = make_plan(loaded.recipe)
    dark = None
    if not any(frame.light == DARK for frame in frames):  # archived before the dark frame was, or without one
        plan = lit_steps(plan)
        dark = archived_dark_level(before, loaded.recipe.viewpoints[0].name)
    judge.begin_part(StageTimes(), dark)
    looks: dict[tuple[str, bool], list[ArchivedFrame]] = {}
    for frame in frames:
        looks.setdefault((frame.view, frame.is_re_look), []).append(frame)
    results: dict[str, ViewResult] = {}
    for (view, is_second), own in looks.items():
        if is_second and judge.re_look(results[view]) is None:
            continue  # judged now, the first look decides, or is undecided for another cause
        found = _view(judge, CapturedView(view, plan), _steps_of(view, plan), own)
        if not is_second or decides(found):
            results[view] = found
    return tuple(results.values())


def _steps_of(view: str, plan: tuple[CaptureStep, ...]) -> dict[str, CaptureStep]:
    return {step.light: step for step in plan if step.view == view}


def _view(
    judge: ViewJudge, view: CapturedView, steps: dict[str, CaptureStep], frames: list[ArchivedFrame]
) -> ViewResult:
    captured = [CapturedFrame(_step(view, steps, each), each.frame, each.pose) for each in frames]
    return judge.refine(view, judged_view(judge, view, captured))


def _step(view: CapturedView, steps: dict[str, CaptureStep], archived: ArchivedFrame) -> CaptureStep:
    step = steps.get(archived.light)
    if step is None:
        raise ArchiveError(
            f"a frame of view {view.name!r} under light {archived.light!r} is not in the recipe's plan; "
            "the archive's recipe or frames were exchanged: restore them from a backup"
        )
    return step


def what_ended(before: Inspection) -> tuple[Reason, ...]:
    """The reasons that no view gave: a stop, or a device's fault. Older archives kept them as text alone."""
    return tuple(reason for reason in before.reasons if reason.view is None and reason.kind in ENDED)


def _score(value: float | None) -> str:
    return f"{'none':>8}" if value is None else f"{value:8.3f}"
