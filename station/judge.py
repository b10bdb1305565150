"""From the frames of one view to its result: photometric stereo, checks, detector, verdict."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import isqrt

import numpy as np

from drivers.protocols import CameraSettings, Frame, Pixels
from station.capture import CapturedFrame
from station.detector import AnomalyDetector
from station.inspection import AnomalyMap, NormalMap, Verdict, ViewResult, judge_score
from station.light_check import check_light_levels, mean_level
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.solve import PhotometricStereo, relighting_residuals
from station.picture import diffuse_rgb
from station.recipe import LoadedRecipe
from station.recipe_lights import flat_field_for, lights_for, solver_settings
from station.stages import StageTimes

log = logging.getLogger(__name__)

RELIT_PIXELS = 20_000  # enough for a median per light


class ViewJudge:
    """Collects one view's frames and judges it; used by one thread, for one view after the other."""

    def __init__(self, loaded: LoadedRecipe, detector: AnomalyDetector) -> None:
        self._loaded = loaded
        self._recipe = loaded.recipe
        self._detector = detector
        self._times = StageTimes()
        self._directional = [light.name for light in self._recipe.lights if light.kind == "directional"]
        self._diffuse = next(light.name for light in self._recipe.lights if light.kind == "diffuse")
        self._limits = {v.name: v.limit for v in self._recipe.viewpoints}
        self._stereo: PhotometricStereo | None = None
        self._flat_field: FlatField | None = None
        self._frames: dict[str, Frame] = {}

    def warm_up(self, settings: CameraSettings) -> None:
        """Compile and allocate now what the first view would otherwise wait for."""
        if settings.height is None or settings.width is None:
            raise ValueError("the camera did not say how large its pictures are")
        shape = (settings.height, settings.width)
        is_8_bit = settings.pixel_format.endswith("8")
        pixels: Pixels = np.zeros(shape, np.uint8) if is_8_bit else np.zeros(shape, np.uint16)
        dark = Frame(pixels, settings.pixel_format, 8 if is_8_bit else 12, 0.0, 1000.0, 0.0, 0, 0)
        stereo = self._stereo_for(dark)
        stereo.begin()
        for index in range(len(self._directional)):
            stereo.add(index, dark)
        stereo.solve()

    def begin_job(self, times: StageTimes) -> None:
        """Forget what an earlier job left behind; stage times go to `times` from now on."""
        self._times = times
        self._frames = {}

    def add(self, captured: CapturedFrame) -> None:
        """Take one frame of the current view; directional ones go straight into the solver's ring."""
        step, frame = captured.step, captured.frame
        first_directional = not any(name in self._frames for name in self._directional)
        self._frames[step.light] = frame
        if step.kind == "directional":
            with self._times.stage("ring"):
                stereo = self._stereo_for(frame)
                if first_directional:
                    stereo.begin()
                stereo.add(self._directional.index(step.light), frame)

    def _stereo_for(self, frame: Frame) -> PhotometricStereo:
        shape = (frame.pixels.shape[0], frame.pixels.shape[1])
        if self._stereo is None or self._stereo.shape != shape:
            self._flat_field = flat_field_for(self._loaded, shape)
            self._stereo = PhotometricStereo(
                lights_for(self._loaded), shape, solver_settings(self._recipe), flat_field=self._flat_field
            )
        return self._stereo

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
        assert self._stereo is not None
        with self._times.stage("check_lights"):
            reasons = list(self._check_lights(view, frames))
        with self._times.stage("photometric_stereo"):
            normal_map = self._stereo.solve()
        with self._times.stage("relight"):
            directional = [frames[name] for name in self._directional]
            stride = max(1, isqrt(normal_map.albedo.size // RELIT_PIXELS))
            residuals = relighting_residuals(
                directional, self._stereo.lights, normal_map, stride=stride, flat_field=self._flat_field
            )
        with self._times.stage("picture"):
            image = diffuse_rgb(frames[self._diffuse])
        with self._times.stage("detect"):
            anomaly_map = self._detector.detect(image, normal_map.normals, view)
        reasons += self._check_observed(normal_map)
        reasons += check_finite(anomaly_map)
        verdict = Verdict.UNDECIDED if reasons else judge_score(anomaly_map.pred_score, limit)
        return ViewResult(view, verdict, limit, image, normal_map, anomaly_map, tuple(reasons), residuals)

    def _check_lights(self, view: str, frames: Mapping[str, Frame]) -> tuple[str, ...]:
        limits = self._recipe.light_level_limits
        return check_light_levels(
            {name: mean_level(frame) for name, frame in frames.items()},
            self._recipe.reference_levels.get(view),
            limits.dead_below,
            limits.weak_below,
            limits.strong_above,
        )

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
