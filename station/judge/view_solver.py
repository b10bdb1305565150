"""Photometric stereo as a recipe asks for it: each view under its own lights, first at once, then refined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from drivers.protocols import Frame
from station.errors import BadInput
from station.photometric_stereo.bounced.refine import (
    MOST_BYTES,
    bytes_needed,
    warm_up_bounced,
    without_bounced_light,
)
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.gloss import Gloss, warm_up_gloss, without_gloss
from station.photometric_stereo.lights import LightModel
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.robust_support import solve_supported
from station.photometric_stereo.solve import PhotometricStereo
from station.photometric_stereo.view_memory import ViewMemory
from station.recipe.loaded import LoadedRecipe
from station.recipe.solver_inputs import flat_field_for, lights_for, noise_for, solver_settings


class ViewSolver:
    """Solves one view after the other at one picture size: `begin`, `add` each directional frame, `first`, `refined`.

    Views under the same lights share a solver, and the solver's ring holds the only copy of the pixels that is made
    here: whoever needs the frames again hands them in. Not thread-safe.
    """

    def __init__(self, loaded: LoadedRecipe, shape: tuple[int, int]) -> None:
        """`shape` is (H, W) of the frames, in pixels. Raises BadInput for a refinement too large for such."""
        _check_memory(loaded, shape)
        self.shape = shape
        self.settings = solver_settings(loaded.recipe)
        self.flat_field: FlatField | None = flat_field_for(loaded, shape)
        self.bounced_figures: dict[str, float] = {}  # of the last refinement, where it was `bounced`
        self._loaded = loaded
        self._choice = loaded.recipe.photometric_stereo
        self._heights_mm = {v.name: v.plane_height_mm for v in loaded.recipe.viewpoints}
        self._height_mm = self._heights_mm[loaded.recipe.viewpoints[0].name]
        self._stereo = self._solver(loaded.recipe.viewpoints[0].name)
        self._plain = self._stereo.lights  # as recipe and calibration have them

    @property
    def lights(self) -> LightModel:
        """Those of the current view."""
        return self._stereo.lights

    @property
    def first_name(self) -> str:
        """The method of the first map, as results and archive name it."""
        return self._choice.method

    @property
    def refined_name(self) -> str:
        """The method of the refined map; `none` where the recipe asks for no refinement."""
        choice = self._choice
        return f"{choice.method}, {choice.refine}" if choice.refine in ("gloss", "bounced") else choice.refine

    def begin(self, view: str, memory: ViewMemory | None = None) -> None:
        """Forget the last view, and light the next one as its plane height asks; its frames may lie in `memory`."""
        if self._heights_mm[view] != self._height_mm:
            self._height_mm = self._heights_mm[view]
            self._stereo = self._solver(view)  # the old one's ring goes before the new one's is made
            self._plain = self._stereo.lights
        self._stereo.lights = self._plain
        self.bounced_figures = {}
        self._stereo.begin(memory=memory)

    def relight(self, ratios: Mapping[str, float]) -> None:
        """Solve this view with lights of these strengths over those of the recipe and calibration; by light's name.

        It holds until `begin`. A light without a ratio keeps its strength.
        """
        factors = np.array([ratios.get(name, 1.0) for name in self.lights.names])
        shape = (-1,) + (1,) * (self._plain.intensities.ndim - 1)
        self._stereo.lights = replace(self._plain, intensities=self._plain.intensities * factors.reshape(shape))

    def add(self, index: int, frame: Frame) -> None:
        """Take the frame under directional light `index`, copied unless it lies in the view's memory.

        Raises PhotometricStereoError.
        """
        self._stereo.add(index, frame)

    def first(self) -> NormalMap:
        """What the recipe's method finds. Raises PhotometricStereoError naming lights without a frame."""
        return self._stereo.solve()

    def packed(self, multiple: int, look: Callable[[slice, NormalMap], None]) -> PackedNormalMap:
        """The first map in 16 bits; `look` sees it in float32, band by band: see `solve_packed_in_bands`."""
        return self._stereo.solve_packed_in_bands(multiple, look)

    def refined(self, first: NormalMap, frames: Sequence[Frame]) -> NormalMap:
        """What the recipe's refinement finds, in arrays of its own; `first` itself where there is none.

        `frames` are those that were added, in the lights' order.
        """
        if self._choice.refine == "robust":
            return self._robust(frames)
        if self._choice.refine == "bounced":
            return self._without_bounced_light(frames)
        gloss = self._choice.gloss
        if self._choice.refine == "none" or gloss is None:
            return first
        return without_gloss(
            frames, self.lights, first, self.settings, Gloss(gloss.of_albedo, gloss.roughness),
            camera_mm=self._loaded.calibration.working_distance_mm, flat_field=self.flat_field,
        )  # fmt: skip

    def _robust(self, frames: Sequence[Frame]) -> NormalMap:
        settings = replace(self.settings, method="robust")
        robust = PhotometricStereo(self.lights, self.shape, settings, flat_field=self.flat_field)
        for index, frame in enumerate(frames):
            robust.add(index, frame)
        return solve_supported(robust)

    def _without_bounced_light(self, frames: Sequence[Frame]) -> NormalMap:
        found = without_bounced_light(
            frames, self.lights, self.settings, noise_for(self._loaded, frames[0]),
            camera_mm=self._loaded.calibration.working_distance_mm, flat_field=self.flat_field,
        )  # fmt: skip
        self.bounced_figures = found.summary()
        return found.normal_map

    def warm_refinement(self) -> None:
        """Compile, or load, what the refinement would otherwise wait for."""
        if self._choice.refine == "gloss":
            warm_up_gloss()
        if self._choice.refine == "bounced":
            warm_up_bounced()

    def recycle(self, normal_map: NormalMap | PackedNormalMap) -> None:
        """Take back a map that nobody reads any more."""
        self._stereo.recycle(normal_map)

    def _solver(self, view: str) -> PhotometricStereo:
        return PhotometricStereo(lights_for(self._loaded, view), self.shape, self.settings, flat_field=self.flat_field)


def _check_memory(loaded: LoadedRecipe, shape: tuple[int, int]) -> None:
    """Raises BadInput where `refine: bounced` would take more memory than a station may be asked for."""
    if loaded.recipe.photometric_stereo.refine != "bounced":
        return
    needed = bytes_needed(shape[0] * shape[1], len(loaded.recipe.directional_lights))
    if needed > MOST_BYTES:
        raise BadInput(
            f"recipe {loaded.recipe.recipe_id}: refine: bounced would take {needed / 1e9:.1f} GB for frames of "
            f"{shape[1]} x {shape[0]} pixels ({MOST_BYTES / 1e9:.1f} GB are the limit); raise capture.binning, or "
            "choose another refinement"
        )
