"""Proves a capture without a model: the checks of an inspection, for parts that are taken to learn from."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.stage_times import StageTimes
from station.inspection.reasons import Reason, ReasonKind, of_view
from station.inspection.result import Verdict, ViewResult
from station.judge.diffuse_picture import diffuse_rgb
from station.judge.fixture_picture import FixturePicture, cell_edge_px, fixture_picture
from station.judge.part_checks import check_placement, observable_in, part_trackers, placement_figures
from station.judge.part_place import PartTracker
from station.judge.parts_before import PartsBefore
from station.judge.re_look import ReLookWish
from station.judge.shown_view import shown_view
from station.judge.view_checks import LightChecks, check_observed, not_judged
from station.judge.view_proof import ViewEvidence, check_evidence, view_proofs
from station.judge.view_solver import ViewSolver
from station.lights.ambient import DarkLevel, dark_level
from station.lights.levels import mean_level
from station.recipe.loaded import LoadedRecipe
from station.recipe.reference_lights import strengths_now

log = logging.getLogger(__name__)


class CaptureJudge:
    """A `PartJudge` whose PASS says that the capture is sound, and nothing of the part.

    What the recipe knows proves: its levels, its view reference, its part reference. Where it knows no reference yet,
    the parts taken before are the witness. `keep` makes the part that was judged last one of these.
    """

    def __init__(self, loaded: LoadedRecipe) -> None:
        recipe = loaded.recipe
        self._loaded, self._recipe = loaded, recipe
        self._diffuse = next(light.name for light in recipe.lights if light.kind == "diffuse")
        self._directional = [light.name for light in recipe.directional_lights]
        self._strengths = strengths_now(recipe, loaded.calibration)
        self._checks = LightChecks(loaded, self._strengths)
        self._proofs = view_proofs(loaded)
        self._trackers = part_trackers(loaded)
        self._before: PartsBefore | None = None
        self._solver: ViewSolver | None = None
        self._limits = {v.name: v.limit for v in recipe.viewpoints}
        self._dark: DarkLevel | None = None
        self._pictures: dict[str, dict[str, FixturePicture]] = {}

    @property
    def has_references(self) -> bool:
        """Whether the recipe's own references prove camera and lamps."""
        return bool(self._proofs)

    def keep(self, pictures: dict[str, dict[str, FixturePicture]] | None = None) -> None:
        """Take the good part that was judged last, or one of these pictures, for a witness of those to come."""
        of_part = pictures or self._pictures
        cell_px = of_part[self._recipe.viewpoints[0].name][self._diffuse].cell_px
        if self._before is None:
            cell_mm = cell_px * self._loaded.calibration.mm_per_px(self._recipe.capture.binning)
            self._before = PartsBefore(self._diffuse, cell_mm, self._recipe.proof_tolerances)
        self._before.add(of_part)

    def begin_part(self, times: StageTimes, dark: DarkLevel | None = None) -> None:  # noqa: ARG002 - of the Protocol
        """Forget the last part. `dark` is for an archived part whose dark frame was not kept."""
        self._dark = dark
        self._pictures = {}

    def take(self, captured: CapturedFrame) -> None:
        """Read the level of a dark frame; the others wait for their view to be complete."""
        if captured.step.kind == "dark":
            self._dark = dark_level(captured.step.view, captured.frame)

    def judge(self, view: CapturedView) -> ViewResult:
        """PASS where nothing speaks against the capture, else UNDECIDED with the reasons; never raises."""
        try:
            return self._judge(view)
        except Exception as error:
            log.exception("view %s could not be checked", view.name)
            return self.undecided(view.name, not_judged(error))

    def refine(self, view: CapturedView, result: ViewResult) -> ViewResult:  # noqa: ARG002 - of the Protocol
        """The result as it is: nothing is drawn or archived here."""
        return result

    def re_look(self, result: ViewResult) -> ReLookWish | None:  # noqa: ARG002 - of the Protocol
        """None: a model learns from the recipe's own exposures."""
        return None

    def reasons_of_part(self, views: Sequence[ViewResult]) -> tuple[Reason, ...]:  # noqa: ARG002 - of the Protocol
        """None: without references nothing is known of where a lamp shines from."""
        return ()

    def undecided(self, view: str, reason: Reason) -> ViewResult:
        """The result of a view that cannot be judged, for this reason."""
        return ViewResult(view, Verdict.UNDECIDED, self._limits[view], reasons=(reason.of_view(view),))

    def _judge(self, view: CapturedView) -> ViewResult:
        frames = view.frames
        levels = {name: mean_level(frame) for name, frame in frames.items()}
        ambient = self._checks.ambient_figures(self._dark, levels)
        reasons = [
            *self._checks.levels(view.name, levels),
            *self._checks.saturation(self._diffuse, frames[self._diffuse]),
            *self._checks.ambient(ambient),
        ]
        cell_px = cell_edge_px(frames[self._diffuse].pixels.shape[1])
        pictures = {name: fixture_picture(frame, cell_px) for name, frame in frames.items()}
        self._pictures[view.name] = pictures
        proof, tracker = self._proofs.get(view.name), self._trackers.get(view.name)
        evidence = None if proof is None else proof.evidence_of(pictures)
        if evidence is not None:
            reasons += check_evidence(evidence, self._recipe.proof_tolerances, tuple(reasons))
        figures = {**ambient, **({} if evidence is None else evidence.figures())}
        if not reasons and self._before is not None:  # under wrong light a picture is like no other
            of_lamps, of_part = proof is None, tracker is None
            reasons += self._before.reasons(view.name, pictures, of_lamps=of_lamps, of_part=of_part)
        if not reasons and tracker is not None:
            of_place, more = self._place(view, tracker, evidence)
            reasons += of_place
            figures |= more
        verdict = Verdict.UNDECIDED if reasons else Verdict.PASS
        return ViewResult(
            view.name, verdict, self._limits[view.name], reasons=of_view(view.name, reasons), light_levels=levels,
            quality=figures,
        )  # fmt: skip

    def _place(
        self, view: CapturedView, tracker: PartTracker, evidence: ViewEvidence | None
    ) -> tuple[list[Reason], dict[str, float]]:
        """How the part lies against the recipe's part reference, as an inspection would find it."""
        frames = view.frames
        height, width = frames[self._diffuse].pixels.shape[:2]
        if self._solver is None or self._solver.shape != (height, width):
            self._solver = ViewSolver(self._loaded, (height, width))
        solver = self._solver
        solver.begin(view.name)
        for index, name in enumerate(self._directional):
            solver.add(index, frames[name])
        solver.relight({} if evidence is None else evidence.worth_correcting)
        first = solver.first()
        image = diffuse_rgb(frames[self._diffuse], self._strengths[self._diffuse])
        region = tracker.reference.region
        shift_px = (0.0, 0.0) if evidence is None else evidence.shift_px
        shown = shown_view(image, np.asarray(first.normals), (region.shape[0], region.shape[1]), tracker, shift_px)
        assert shown.placement is not None
        reasons = list(check_placement(shown.placement, self._recipe.proof_tolerances, shown.outside))
        if not any(reason.kind is ReasonKind.PART_NOT_FOUND for reason in reasons):
            least = self._recipe.photometric_stereo.minimum_observable_share
            reasons += check_observed(first, least, observable_in(shown.normals, region))
        figures = placement_figures(shown.placement)
        solver.recycle(first)
        return reasons, figures
