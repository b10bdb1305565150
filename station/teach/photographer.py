"""Simulated parts photographed as the rig would and solved as the station would, on the grid of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import (
    DEFAULT_BOUNCES,
    LightHead,
    Part,
    Placement,
    Scene,
    make_part,
    random_defect,
    significant_bits,
)
from drivers.simulated.scene.mounted import MountedCamera
from station.acquire.plan import CaptureStep, lit_steps, make_plan
from station.judge.diffuse_picture import diffuse_rgb
from station.judge.model_grid import block_mean, block_normals
from station.judge.view_solver import ViewSolver
from station.lights.levels import mean_level
from station.photometric_stereo.normal_map import NormalMap
from station.recipe.loaded import LoadedRecipe
from station.teach.parts import PartToMake

Color = Literal["rgb", "mono"]
SIGMA_MM, SIGMA_DEG = 0.02, 0.005  # pose repeatability of one visit
SCENE_SEED = 1  # of the sensor's fixed pattern
FORMAT = {"rgb": "BayerRG12", "mono": "Mono12"}
BINNING = 8  # the model's grid; finer captures are averaged down to it
# A mono model serves full-resolution captures, whose block means differ along edges from pictures that the sensor
# binned; half resolution is four times faster to render and close enough. A quarter is not: a connector at full
# resolution had four times the limit of a model that was trained on quarters.
CAPTURE_BINNING: dict[Color, int] = {"rgb": BINNING, "mono": 2}


@dataclass(frozen=True, slots=True)
class SolvedView:
    """What the detector is given of one view, and the truth about it."""

    rgb: NDArray[np.float32]  # (3, H, W) linear 0..1
    normals: NDArray[np.float32]  # (3, H, W) unit length, 0 0 0 where unobservable
    defect_mask: NDArray[np.bool_]  # (H, W)
    levels: dict[str, float]  # mean level of each light's frame, a share of full scale


class Photographer:
    """Takes a recipe's frames of simulated parts and turns each view into the detector's inputs.

    Pictures are 12-bit whatever the recipe's format and binning: Bayer on the model's grid, or Mono averaged to it.
    With `as_captured` they have the recipe's own format and binning, which takes a hundred times as long at 20
    megapixels. `shape` is the model's grid, (H, W).
    """

    def __init__(
        self, loaded: LoadedRecipe, color: Color = "rgb", threads: int = 2, *, as_captured: bool = False
    ) -> None:
        self._threads = threads
        self._binning = loaded.recipe.capture.binning if as_captured else CAPTURE_BINNING[color]
        capture = loaded.recipe.capture.model_copy(update={"binning": self._binning})
        loaded = replace(loaded, recipe=loaded.recipe.model_copy(update={"capture": capture}))
        self._loaded = loaded
        self._format = loaded.recipe.capture.pixel_format if as_captured else FORMAT[color]
        height, width = loaded.calibration.image_height, loaded.calibration.image_width
        self.shape = (height // BINNING, width // BINNING)
        captured = (height // self._binning, width // self._binning)
        self._solver = ViewSolver(loaded, captured)

    def views(self, product: str, part: PartToMake) -> Iterator[tuple[str, SolvedView]]:
        """(view, what was solved there) in the recipe's order; all that is random follows from the part's seed."""
        defects = () if part.kind == "good" else (random_defect(product, part.kind, part.seed),)
        scene = self._scene(make_part(product, part.seed, defects))
        rng = np.random.default_rng([part.seed, len(part.kind)])
        lit = lit_steps(make_plan(self._loaded.recipe))
        steps = [replace(step, index=index) for index, step in enumerate(lit)]  # the noise follows from this number
        for viewpoint in self._loaded.recipe.viewpoints:
            mine = [step for step in steps if step.view == viewpoint.name]
            yield viewpoint.name, self._solve(scene, _visited(viewpoint.as_pose(), rng), mine, part.seed)

    def photographed(
        self, part: Part, seed: int, camera: MountedCamera | None = None, head: LightHead | None = None
    ) -> Iterator[tuple[str, dict[str, Frame], NDArray[np.bool_]]]:
        """(view, frame of each light, defect mask) of a part, as the arm comes to it: the frames before any solving.

        Poses and noise follow from `seed`. The mask is (H, W) of `shape`, the model's grid.
        """
        scene = self._scene(part, camera, head)
        steps = lit_steps(make_plan(self._loaded.recipe))
        for view, pose in self.poses(seed).items():
            own = [step for step in steps if step.view == view]
            frames = {step.light: self._frame(scene, pose, step, seed) for step in own}
            yield view, frames, scene.truth(pose, BINNING).defect_mask

    def poses(self, seed: int) -> dict[str, Pose]:
        """View -> where the arm stops when it takes the part of that seed, in the recipe's order."""
        rng = np.random.default_rng([seed, 0])
        return {viewpoint.name: _visited(viewpoint.as_pose(), rng) for viewpoint in self._loaded.recipe.viewpoints}

    def frames(
        self, product: str, seed: int, others: Mapping[str, int], off: Placement | None = None
    ) -> dict[str, dict[str, Frame]]:
        """View -> light -> frame of a good part, as the arm comes to it; all that is random follows from the seed.

        `others` are lamps beside the recipe's lights, by name: each is lit fully, exposed as the first light is.
        """
        scene = self._scene(make_part(product, seed, off=off))
        rng = np.random.default_rng([seed, 0])
        steps = lit_steps(make_plan(self._loaded.recipe))
        found: dict[str, dict[str, Frame]] = {}
        for viewpoint in self._loaded.recipe.viewpoints:
            pose = _visited(viewpoint.as_pose(), rng)
            own = [step for step in steps if step.view == viewpoint.name]
            first = own[0]
            own += [
                replace(first, light=name, channel=channel, brightness=1.0, index=len(steps) + index)
                for index, (name, channel) in enumerate(others.items())
            ]
            found[viewpoint.name] = {step.light: self._frame(scene, pose, step, seed) for step in own}
        return found

    def _scene(self, part: Part, camera: MountedCamera | None = None, head: LightHead | None = None) -> Scene:
        return Scene(part, head, seed=SCENE_SEED, threads=self._threads, camera=camera, bounces=DEFAULT_BOUNCES)

    def _solve(self, scene: Scene, pose: Pose, steps: list[CaptureStep], seed: int) -> SolvedView:
        """One view: its frames, solved and averaged to the model's grid."""
        frames = {step.light: self._frame(scene, pose, step, seed) for step in steps}
        self._solver.begin(steps[0].view)
        directional = [frames[step.light] for step in steps if step.kind == "directional"]
        for index, frame in enumerate(directional):
            self._solver.add(index, frame)
        diffuse = next(step.light for step in steps if step.kind == "diffuse")
        factor = BINNING // self._binning
        solved = self._for_detector(self._solver.first(), directional)
        normals = block_normals(solved.normals, factor)
        is_first = self._loaded.recipe.photometric_stereo.detector_normals == "first"
        if factor > 1 and is_first:  # else they are still in use, or no arrays of the solver's
            self._solver.recycle(solved)
        return SolvedView(
            rgb=block_mean(diffuse_rgb(frames[diffuse]), factor),
            normals=normals,
            defect_mask=scene.truth(pose, BINNING).defect_mask,
            levels={name: mean_level(frame) for name, frame in frames.items()},
        )

    def _for_detector(self, first: NormalMap, frames: list[Frame]) -> NormalMap:
        """The detector learns from the normals that it will be given: the first ones, or the refined."""
        stereo = self._loaded.recipe.photometric_stereo
        if stereo.detector_normals == "first":
            return first
        refined = self._solver.refined(first, frames)
        self._solver.recycle(first)
        return refined

    def _frame(self, scene: Scene, pose: Pose, step: CaptureStep, seed: int) -> Frame:
        """One exposure; its noise follows from the part's seed and the step's number."""
        bits = significant_bits(self._format)
        black_dn = self._loaded.calibration.black_level_dn * 2.0 ** (bits - 12)  # the record has it on 12 bits
        pixels = scene.photograph(
            pose,
            {step.channel: step.brightness},
            exposure_us=step.exposure_us,
            gain_db=step.gain_db,
            pixel_format=self._format,
            binning=self._binning,
            roi=None,
            frame_seed=seed * 100 + step.index,
            black_level_dn=black_dn,
        )
        return Frame(pixels, self._format, bits, black_dn, step.exposure_us, step.gain_db, 0, step.index)


def _visited(pose: Pose, rng: np.random.Generator) -> Pose:
    """Where the arm really stops on this visit."""
    sigma = np.array([SIGMA_MM] * 3 + [SIGMA_DEG] * 2)
    return Pose(*(float(a) for a in np.array(pose.as_tuple()) + sigma * rng.standard_normal(5)))
