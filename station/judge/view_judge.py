"""From the frames of one view to its result: photometric stereo, checks, detector, verdict."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from math import isqrt

import numpy as np

from drivers.protocols import CameraSettings, Frame, Pixels
from station.acquire.capture import CapturedFrame
from station.acquire.stage_times import StageTimes
from station.inspection.result import AnomalyMap, Verdict, ViewResult, judge_score
from station.judge.detector import AnomalyDetector
from station.judge.diffuse_picture import diffuse_rgb
from station.judge.view_solver import ViewSolver
from station.lights.ambient import DARK_LEVEL, SHARE, DarkLevel, ambient_share, check_ambient, dark_level
from station.lights.levels import check_clipped, check_light_levels, mean_level
from station.photometric_stereo.checks import leave_one_out_residuals
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.solve import relighting_residuals
from station.photometric_stereo.uncertainty import uncertainty_summary
from station.recipe.loaded import LoadedRecipe
from station.recipe.reference_lights import expected_levels, strengths_now
from station.recipe.solver_inputs import noise_for

log = logging.getLogger(__name__)

RELIT_PIXELS = 20_000  # enough for a median per light
LEFT_OUT_PIXELS = 1_000  # the same, solved once without each light: 4 lights take about 5 ms


class ViewJudge:
    """Collects one view's frames and judges it; used by one thread, for one view after the other."""

    def __init__(self, loaded: LoadedRecipe, detector: AnomalyDetector) -> None:
        self._loaded = loaded
        self._recipe = loaded.recipe
        self._detector = detector
        self._times = StageTimes()
        self._directional = [light.name for light in self._recipe.lights if light.kind == "directional"]
        self._diffuse = next(light.name for light in self._recipe.lights if light.kind == "diffuse")
        self._strengths = strengths_now(self._recipe, loaded.calibration)
        self._limits = {v.name: v.limit for v in self._recipe.viewpoints}
        self._solver: ViewSolver | None = None
        self._frames: dict[str, Frame] = {}
        self.dark: DarkLevel | None = None  # of this part
        self.is_behind: Callable[[], bool] = lambda: False  # asked before what could also be left undone

    def warm_up(self, settings: CameraSettings) -> None:
        """Compile and allocate now what the first view would otherwise wait for."""
        if settings.height is None or settings.width is None:
            raise ValueError("the camera did not say how large its pictures are")
        shape = (settings.height, settings.width)
        is_8_bit = settings.pixel_format.endswith("8")
        pixels: Pixels = np.zeros(shape, np.uint8) if is_8_bit else np.zeros(shape, np.uint16)
        dark = Frame(pixels, settings.pixel_format, 8 if is_8_bit else 12, 0.0, 1000.0, 0.0, 0, 0)
        solver = self._solver_for(dark)
        solver.begin(self._recipe.viewpoints[0].name)
        for index in range(len(self._directional)):
            solver.add(index, dark)
        solver.recycle(solver.first())
        solver.warm_refinement()

    def begin_job(self, times: StageTimes) -> None:
        """Forget what an earlier job left behind; stage times go to `times` from now on."""
        self._times = times
        self._frames = {}
        self.dark = None

    def see_dark(self, view: str, frame: Frame) -> None:
        """One frame of the part with every light off, before its first view is begun."""
        self.dark = dark_level(view, frame)

    def add(self, captured: CapturedFrame) -> None:
        """Take one frame of the current view; directional ones go straight into the solver's ring."""
        step, frame = captured.step, captured.frame
        first_directional = not any(name in self._frames for name in self._directional)
        self._frames[step.light] = frame
        if step.kind == "directional":
            with self._times.stage("ring"):
                solver = self._solver_for(frame)
                if first_directional:
                    solver.begin(step.view)
                solver.add(self._directional.index(step.light), frame)

    def _solver_for(self, frame: Frame) -> ViewSolver:
        shape = (frame.pixels.shape[0], frame.pixels.shape[1])
        if self._solver is None or self._solver.shape != shape:
            self._solver = ViewSolver(self._loaded, shape)
        return self._solver

    def finish(self, view: str) -> ViewResult:
        """Judge what was collected for `view` and be ready for the next one.

        Whatever goes wrong here is a reason for UNDECIDED, never an exception: the part still gets
        the verdict of its other views.
        """
        frames, self._frames = self._frames, {}
        limit = self._limits[view]
        missing = [n for n in [*self._directional, self._diffuse] if n not in frames]
        if missing:
            return ViewResult(view, Verdict.UNDECIDED, limit, reasons=(f"no frame under {', '.join(missing)}",))
        try:
            return self._judge(view, limit, frames)
        except Exception as error:
            log.exception("view %s could not be judged", view)
            reason = f"could not be judged: {type(error).__name__}: {error}"
            return ViewResult(view, Verdict.UNDECIDED, limit, reasons=(reason,))

    def refuse(self, view: str, error: Exception) -> ViewResult:
        """The result of a view one of whose frames could not be taken."""
        self._frames = {}
        reason = f"a frame could not be taken: {type(error).__name__}: {error}"
        return ViewResult(view, Verdict.UNDECIDED, self._limits[view], reasons=(reason,))

    def _judge(self, view: str, limit: float, frames: Mapping[str, Frame]) -> ViewResult:
        assert self._solver is not None
        levels = {name: mean_level(frame) for name, frame in frames.items()}
        with self._times.stage("check_lights"):
            reasons = list(self._check_lights(view, levels))
            limits = self._recipe.light_level_limits
            reasons += check_clipped(self._diffuse, frames[self._diffuse], limits.clipped_above)
            ambient = self._ambient(levels)
            if SHARE in ambient:
                reasons += check_ambient(ambient[SHARE], limits.ambient_above)
        with self._times.stage("photometric_stereo"):
            normal_map = self._solver.first()
        solvers = {"detector": self._solver.first_name, "map": self._solver.first_name}
        if self._recipe.photometric_stereo.detector_normals == "refined":
            normal_map = self._refined(normal_map)
            solvers = dict.fromkeys(solvers, self._solver.refined_name)
        with self._times.stage("picture"):
            image = diffuse_rgb(frames[self._diffuse], self._strengths[self._diffuse])
        with self._times.stage("detect"):
            anomaly_map = self._detector.detect(image, normal_map.normals, view)
        reasons += self._check_observed(normal_map)
        reasons += check_finite(anomaly_map)
        verdict = Verdict.UNDECIDED if reasons else judge_score(anomaly_map.pred_score, limit)
        with self._times.stage("relight"):
            relit, left_out = self._residuals(normal_map)
        with self._times.stage("uncertainty"):
            quality = {**self._quality(normal_map), **ambient}
        if self._may_still_refine():
            normal_map = self._refined(normal_map)
            solvers["map"] = self._solver.refined_name
        return ViewResult(
            view,
            verdict,
            limit,
            image,
            normal_map,
            anomaly_map,
            tuple(reasons),
            relit,
            left_out,
            levels,
            quality,
            solvers,
            self._recipe.display.white_balance.gains,
        )

    def _may_still_refine(self) -> bool:
        choice = self._recipe.photometric_stereo
        return choice.refine != "none" and choice.detector_normals == "first" and not self.is_behind()

    def _refined(self, first: NormalMap) -> NormalMap:
        """The refinement instead of the first map, whose arrays then serve the next view."""
        assert self._solver is not None
        with self._times.stage("refine"):
            refined = self._solver.refined(first)
        self._solver.recycle(first)
        return refined

    def _residuals(self, normal_map: NormalMap) -> tuple[dict[str, float], dict[str, float]]:
        """Per light: relighting, and left out. They are recorded and trended, and never change a verdict."""
        assert self._solver is not None
        solver = self._solver
        stride = max(1, isqrt(normal_map.albedo.size // RELIT_PIXELS))
        relit = relighting_residuals(
            solver.frames, solver.lights, normal_map, stride=stride, flat_field=solver.flat_field
        )
        left_out = leave_one_out_residuals(
            solver.frames, solver.lights, solver.settings, normal_map.observable,
            flat_field=solver.flat_field, samples=LEFT_OUT_PIXELS,
        )  # fmt: skip
        return relit, left_out

    def _quality(self, normal_map: NormalMap) -> dict[str, float]:
        """Figures of the view; the predicted error of the normals covers the sensor's noise alone."""
        assert self._solver is not None
        solver = self._solver
        quality = {
            "observable_share": normal_map.observable_share,
            "saturated_share": float(np.mean(normal_map.saturated)),
            "mean_lit_count": float(np.mean(normal_map.lit_count)),
        }
        expected = uncertainty_summary(
            solver.frames, solver.lights, normal_map, noise_for(self._loaded, solver.frames[0]), solver.settings,
            flat_field=solver.flat_field,
        )  # fmt: skip
        if expected is not None:
            quality["uncertainty_median_deg"] = expected.median_deg
            quality["uncertainty_p95_deg"] = expected.p95_deg
        return quality

    def _check_lights(self, view: str, levels: Mapping[str, float]) -> tuple[str, ...]:
        limits = self._recipe.light_level_limits
        if self._recipe.reference_levels and view not in self._recipe.reference_levels:
            return ("the recipe has reference levels of other views, but not of this one: train or teach them",)
        return check_light_levels(
            levels,
            expected_levels(self._recipe.reference_levels.get(view, {}), self._strengths),
            limits.dead_below,
            limits.weak_below,
            limits.strong_above,
        )

    def _ambient(self, levels: Mapping[str, float]) -> dict[str, float]:
        """Figures of the part's dark frame, against the references of its view if it has them all, else this view."""
        if self.dark is None:
            return {}
        references = expected_levels(self._recipe.reference_levels.get(self.dark.view, {}), self._strengths)
        are_all_known = references.keys() >= set(self._directional)
        exposures_us = {light.name: light.exposure_us for light in self._recipe.directional_lights}
        share = ambient_share(self.dark, exposures_us, references if are_all_known else levels)
        return {DARK_LEVEL: self.dark.level_per_ms, SHARE: share}

    def _check_observed(self, normal_map: NormalMap) -> list[str]:
        least = self._recipe.photometric_stereo.minimum_observable_share
        share = normal_map.observable_share
        if share >= least:
            return []
        return [f"only {share:.1%} of the pixels have an observable normal; the recipe asks for {least:.1%}"]


def check_finite(anomaly_map: AnomalyMap) -> list[str]:
    """NaN or infinity out of the model is never a number to compare (fault 27)."""
    if np.isfinite(anomaly_map.pred_score) and bool(np.isfinite(anomaly_map.scores).all()):
        return []
    return ["the model's score or map is not finite"]
