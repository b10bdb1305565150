"""From the frames of one view to its result: photometric stereo, checks, detector, verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import CameraSettings, Frame, Pixels
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.stage_times import StageTimes
from station.inspection.reasons import Reason, ReasonKind, of_view
from station.inspection.result import Verdict, ViewResult
from station.inspection.rule import judge_score
from station.judge.detector import AnomalyDetector
from station.judge.diffuse_picture import diffuse_rgb
from station.judge.lamp_turns import turned_lamps
from station.judge.model_grid import block_mean, block_normals, factor_of
from station.judge.part_checks import check_placement, observable_in, part_trackers, placement_figures
from station.judge.re_look import ReLookWish, re_look_wish, why_not_observed
from station.judge.shown_view import shown_on_grid
from station.judge.view_checks import LightChecks, check_finite, check_observed, not_judged
from station.judge.view_figures import light_residuals, quality_figures
from station.judge.view_proof import ViewEvidence, check_evidence, view_proofs, why_unproven
from station.judge.view_solver import ViewSolver
from station.lights.ambient import DarkLevel, dark_level
from station.lights.levels import mean_level
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.recipe.loaded import LoadedRecipe
from station.recipe.reference_lights import exposure_ratios, strengths_now

log = logging.getLogger(__name__)


class ViewJudge:
    """Judges the views of one part after the other, on one thread.

    `begin_part`, then per view: `take` each frame as it arrives, so that the solver's ring fills while the arm still
    works, `judge` the complete view, and `refine` its normals where there is time. The frames themselves stay in the
    CapturedView.
    """

    def __init__(self, loaded: LoadedRecipe, detector: AnomalyDetector) -> None:
        self._loaded = loaded
        self._recipe = loaded.recipe
        self._detector = detector
        self._times = StageTimes()
        self._directional = [light.name for light in self._recipe.directional_lights]
        self._diffuse = next(light.name for light in self._recipe.lights if light.kind == "diffuse")
        self._strengths = strengths_now(self._recipe, loaded.calibration)
        self._checks = LightChecks(loaded, self._strengths)
        self._proofs = view_proofs(loaded)
        self._trackers = part_trackers(loaded)
        self._limits = {v.name: v.limit for v in self._recipe.viewpoints}
        self._solver: ViewSolver | None = None
        self._solving = ("", 0)  # the view whose frames the ring holds, and which take of it
        self._dark: DarkLevel | None = None  # of this part
        self._may_refine = False  # whether the ring holds a view whose map the recipe's refinement may replace

    @property
    def why_unproven(self) -> str | None:
        """Why camera and lamps are not proven in the pictures; None where they are."""
        return why_unproven(self._loaded)

    def warm_up(self, settings: CameraSettings) -> None:
        """Compile and allocate now what the first view would otherwise wait for."""
        if settings.height is None or settings.width is None:
            raise ValueError("the camera did not report the size of its pictures; check that it is configured")
        shape = (settings.height, settings.width)
        is_8_bit = settings.pixel_format.endswith("8")
        pixels: Pixels = np.zeros(shape, np.uint8) if is_8_bit else np.zeros(shape, np.uint16)
        black = Frame(pixels, settings.pixel_format, 8 if is_8_bit else 12, 0.0, 1000.0, 0.0, 0, 0)
        solver = self._solver_for(black)
        solver.begin(self._recipe.viewpoints[0].name)
        for index in range(len(self._directional)):
            solver.add(index, black)
        if self._recipe.photometric_stereo.detector_normals == "first":
            solver.recycle(solver.packed(1, lambda _rows, _band: None))
        else:
            solver.recycle(solver.first())
        solver.warm_refinement()

    def begin_part(self, times: StageTimes, dark: DarkLevel | None = None) -> None:
        """Forget the last part; stage times go to `times` from now on.

        `dark` is for a part whose dark frame was not kept: archives before the dark frame was archived hold its level.
        """
        self._times = times
        self._solving = ("", 0)
        self._dark = dark
        self._may_refine = False

    def take(self, captured: CapturedFrame) -> None:
        """Give a directional frame to the solver, and read the level of a dark one; a diffuse frame waits.

        The dark level holds for the whole part, whatever becomes of the view in which it was taken. Raises
        PhotometricStereoError: the frame does not belong to the others of its view.
        """
        step, frame = captured.step, captured.frame
        self._times.enter_view(step.view)
        if step.kind == "dark":
            self._dark = dark_level(step.view, frame)
        if step.kind != "directional":
            return
        with self._times.stage("ring"):
            solver = self._solver_for(frame)
            if (step.view, captured.take) != self._solving:
                solver.begin(step.view, captured.memory)
                self._solving = (step.view, captured.take)
            solver.add(self._directional.index(step.light), frame)

    def judge(self, view: CapturedView) -> ViewResult:
        """The result of a complete view whose frames were all taken.

        Whatever goes wrong here is a reason for UNDECIDED, never an exception: the part still gets the verdict of its
        other views.
        """
        self._may_refine = False
        return self._guarded(view, lambda: self._judge(view))

    def refine(self, view: CapturedView, result: ViewResult) -> ViewResult:
        """The result with refined normals for archive and screen, where the recipe asks for them; score and verdict
        stay. To be left out when the station is behind. What goes wrong makes the view UNDECIDED, as in `judge`."""
        if not self._may_refine or self._recipe.photometric_stereo.refine == "none":
            return result
        self._may_refine = False
        return self._guarded(view, lambda: self._with_refined_map(view, result))

    def re_look(self, result: ViewResult) -> ReLookWish | None:
        """With which other exposures another look may decide this view; None where nothing speaks for one."""
        return re_look_wish(result, self._recipe)

    def reasons_of_part(self, views: Sequence[ViewResult]) -> tuple[Reason, ...]:
        """The lamps that the views together show to shine from elsewhere than the recipe bears."""
        return tuple(turned_lamps(views, self._recipe.proof_tolerances.light_turned_deg))

    def undecided(self, view: str, reason: Reason) -> ViewResult:
        """The result of a view that cannot be judged, for this reason."""
        self._solving = ("", 0)
        return ViewResult(view, Verdict.UNDECIDED, self._limits[view], reasons=(reason.of_view(view),))

    def _guarded(self, view: CapturedView, step: Callable[[], ViewResult]) -> ViewResult:
        self._times.enter_view(view.name)
        self._solving = ("", 0)  # the next frame begins a view, even one of the same name
        try:
            with self._times.stage("judging"):  # all of it: what lies between the stages inside counts as this
                return step()
        except Exception as error:
            log.exception("view %s could not be judged", view.name)
            return self.undecided(view.name, not_judged(error))

    def _judge(self, view: CapturedView) -> ViewResult:
        assert self._solver is not None
        frames = view.frames
        uses = exposure_ratios(self._recipe, frames)
        levels = {name: mean_level(frame) / uses[name] for name, frame in frames.items()}
        with self._times.stage("check_lights"):
            reasons, ambient = self._check_lights(view, levels)
        with self._times.stage("prove"):
            evidence = self._evidence(view, reasons)
        with self._times.stage("photometric_stereo"):
            if evidence is not None and not reasons:
                self._solver.relight(evidence.worth_correcting)
            normal_map, directions, solver_name = self._solved(view)
        with self._times.stage("picture"):
            strength = self._strengths[self._diffuse] * uses[self._diffuse]
            if evidence is not None and not reasons:
                strength *= evidence.lights.get(self._diffuse, 1.0)
            image = diffuse_rgb(frames[self._diffuse], strength)
        with self._times.stage("place"):
            shift_px = (0.0, 0.0) if evidence is None or reasons else evidence.shift_px
            factor = image.shape[1] // directions.shape[1]
            tracker = self._trackers.get(view.name)
            shown = shown_on_grid(block_mean(image, factor), directions, factor, tracker, shift_px)
        with self._times.stage("detect"):
            rgb, normals, region = shown.for_detector()
            anomaly_map = self._detector.detect(rgb, normals, view.name, region=region)
        if shown.placement is not None and not reasons:  # under wrong light, or from elsewhere, a place proves nothing
            reasons += check_placement(shown.placement, self._recipe.proof_tolerances, shown.outside)
        is_found = shown.region is not None and not any(r.kind is ReasonKind.PART_NOT_FOUND for r in reasons)
        share = observable_in(shown.normals, tracker.reference.region) if is_found and tracker is not None else None
        few = check_observed(normal_map, self._recipe.photometric_stereo.minimum_observable_share, share)
        hidden = why_not_observed(normal_map, shown, tracker if is_found else None, shift_px) if few else {}
        reasons += few
        reasons += check_finite(anomaly_map)
        limit = self._limits[view.name]
        verdict = Verdict.UNDECIDED if reasons else judge_score(anomaly_map.pred_score, limit)
        with self._times.stage("relight"):
            relit, left_out = light_residuals(self._solver, view.directional, normal_map)
        with self._times.stage("uncertainty"):
            quality = quality_figures(self._solver, view.directional, normal_map, self._loaded)
        self._may_refine = self._recipe.photometric_stereo.detector_normals == "first"
        return ViewResult(
            view.name,
            verdict,
            limit,
            image,
            normal_map,
            anomaly_map,
            of_view(view.name, reasons),
            relit,
            left_out,
            levels,
            {
                **quality,
                **hidden,
                **ambient,
                **({} if evidence is None else evidence.figures()),
                **({} if shown.placement is None else placement_figures(shown.placement)),
            },
            {"detector": solver_name, "map": solver_name},
            self._recipe.display.white_balance.gains,
        )

    def _check_lights(self, view: CapturedView, levels: dict[str, float]) -> tuple[list[Reason], dict[str, float]]:
        """Why the lights of this view cannot be trusted, and the ambient light as figures of quality."""
        ambient = self._checks.ambient_figures(self._dark, levels)
        reasons = [
            *self._checks.levels(view.name, levels),
            *self._checks.saturation(self._diffuse, view.frames[self._diffuse]),
            *self._checks.ambient(ambient),
        ]
        return reasons, ambient

    def _evidence(self, view: CapturedView, reasons: list[Reason]) -> ViewEvidence | None:
        """What the view's pictures prove; adds to `reasons` what is beyond the recipe's tolerances."""
        proof = self._proofs.get(view.name)
        if proof is None:
            return None
        evidence = proof.evidence(view.frames)
        reasons += check_evidence(evidence, self._recipe.proof_tolerances, tuple(reasons))
        return evidence

    def _solved(self, view: CapturedView) -> tuple[PackedNormalMap, NDArray[np.float32], str]:
        """The view's normals: in 16 bits, averaged to the model's grid (3, h, w), and the name of what found them.

        What is averaged are the normals in float32, of which no more than a few bands of rows are there at a time.
        """
        assert self._solver is not None
        grid = self._detector.metadata.input_size
        factor = factor_of(self._solver.shape, (grid[0], grid[1]))
        if self._recipe.photometric_stereo.detector_normals == "refined":
            refined = self._refined(view)
            return refined.packed(), block_normals(refined.normals, factor), self._solver.refined_name
        on_grid = np.empty((3, grid[0], grid[1]), np.float32)

        def average(rows: slice, band: NormalMap) -> None:
            on_grid[:, rows.start // factor : rows.stop // factor] = block_normals(band.normals, factor)

        return self._solver.packed(factor, average), on_grid, self._solver.first_name

    def _with_refined_map(self, view: CapturedView, result: ViewResult) -> ViewResult:
        assert self._solver is not None
        refined = self._refined(view).packed()
        if isinstance(result.normal_map, PackedNormalMap):
            self._solver.recycle(result.normal_map)  # nobody has seen it yet
        solvers = {**result.solvers, "map": self._solver.refined_name}
        quality = {**result.quality, **self._solver.bounced_figures}
        return replace(result, normal_map=refined, solvers=solvers, quality=quality)

    def _refined(self, view: CapturedView) -> NormalMap:
        """The refinement of the first map, which is solved for it in float32."""
        assert self._solver is not None
        with self._times.stage("refine"):
            first = self._solver.first()
            refined = self._solver.refined(first, view.directional)
        if refined is not first:
            self._solver.recycle(first)
        return refined

    def _solver_for(self, frame: Frame) -> ViewSolver:
        shape = (frame.pixels.shape[0], frame.pixels.shape[1])
        if self._solver is None or self._solver.shape != shape:
            self._solver, self._may_refine = ViewSolver(self._loaded, shape), False
        return self._solver
