"""Drawn products and meshes as views with depth: photographed on the rig as drawn, solved, and integrated.

No recipe is needed: viewpoints and lights are those of the rig, and the plane on which the near lights are worked out
is the part's own mean height, as a recipe has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.record import Calibration
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import (
    DEFAULT_BOUNCES,
    DIFFUSE_CHANNEL,
    Part,
    Scene,
    ViewTruth,
    make_part,
    significant_bits,
)
from drivers.simulated.scene.discontinuities import discontinuities, near_steps
from models.depth_views import DepthView
from station.depth.measured import DepthTruth, depth_view
from station.judge.diffuse_picture import diffuse_rgb
from station.photometric_stereo.lights import LightModel, PointLights
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.solve import PhotometricStereo
from station.photometric_stereo.surfaces import Perspective
from station.recipe.calibrated_lights import light_model
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe

BINNING = 8
EXPOSURE_US = 8000.0
CHANNELS = (2, 4, 6, 8)  # as the demo recipes
SCENE_SEED = 1


@dataclass(frozen=True, slots=True)
class RigAsDrawn:
    """The calibration of the drawing, and the rig's viewpoints by name."""

    calibration: Calibration
    poses: dict[str, Pose]

    @classmethod
    def load(cls) -> RigAsDrawn:
        """From the demo recipes' own files."""
        loaded = load_recipe(DEMO_RECIPES / "knob.yaml", need_model=False)
        return cls(loaded.calibration, {view.name: view.as_pose() for view in loaded.recipe.viewpoints})


def simulated_views(
    rig: RigAsDrawn, product: str, seed: int, views: Sequence[str] | None = None, *,
    channels: Sequence[int] = CHANNELS, binning: int = BINNING, threads: int = 2,
) -> Iterator[tuple[str, DepthView]]:  # fmt: skip
    """(view, what is measured and true of it) of the part with that seed, in the rig's order of viewpoints.

    The truth is valid on the part. Raises ValueError for an unknown product or a mesh that is not usable.
    """
    part = make_part(product, seed)
    for name, view, _ in views_of_part(rig, part, views, channels=channels, binning=binning, threads=threads):
        yield name, view


def views_of_part(
    rig: RigAsDrawn, part: Part, views: Sequence[str] | None = None, *,
    channels: Sequence[int] = CHANNELS, binning: int = BINNING, threads: int = 2,
) -> Iterator[tuple[str, DepthView, NDArray[np.bool_]]]:  # fmt: skip
    """(view, what is measured and true of it, mask of its defect) of one part, which may have a defect."""
    scene = Scene(part, seed=SCENE_SEED, threads=threads, bounces=DEFAULT_BOUNCES)
    for name, pose in rig.poses.items():
        if views is None or name in views:
            truth = scene.truth(pose, binning)
            yield name, _view(rig, scene, pose, truth, channels, binning), truth.defect_mask


def perspective_of(calibration: Calibration, binning: int, plane_height_mm: float) -> Perspective:
    """The calibrated camera on pictures of that binning, looking at a part whose middle lies so high."""
    distance_mm = calibration.working_distance_mm - plane_height_mm
    return Perspective(calibration.fx_px / binning, calibration.center_px(binning), distance_mm)


def _view(
    rig: RigAsDrawn, scene: Scene, pose: Pose, truth: ViewTruth, channels: Sequence[int], binning: int
) -> DepthView:
    calibration, seed = rig.calibration, scene.part.seed
    height_mm = calibration.working_distance_mm - float(np.median(truth.depth_mm[truth.part_mask]))
    lights = _on_plane(light_model(calibration, channels, binning), height_mm)
    shape = truth.part_mask.shape
    solver = PhotometricStereo(lights, (shape[0], shape[1]), SolverSettings(method="masked"))
    for index, channel in enumerate(channels):
        solver.add(index, _frame(scene, pose, channel, "Mono12", binning, seed * 100 + index))
    picture = diffuse_rgb(_frame(scene, pose, DIFFUSE_CHANNEL, "BayerRG12", binning, seed * 100 + 99))
    pixel_mm = calibration.mm_per_px(binning) * (1.0 - height_mm / calibration.working_distance_mm)
    return depth_view(
        _exposed(picture), solver.solve(), len(channels), pixel_mm, _truth(truth, pixel_mm),
        perspective_of(calibration, binning, height_mm),
    )  # fmt: skip


def _on_plane(lights: LightModel, height_mm: float) -> LightModel:
    return replace(lights, plane_height_mm=height_mm) if isinstance(lights, PointLights) else lights


def _frame(scene: Scene, pose: Pose, channel: int, pixel_format: str, binning: int, seed: int) -> Frame:
    bits = significant_bits(pixel_format)
    black_dn = 4.0
    pixels = scene.photograph(
        pose, {channel: 1.0}, exposure_us=EXPOSURE_US, gain_db=0.0, pixel_format=pixel_format, binning=binning,
        roi=None, frame_seed=seed, black_level_dn=black_dn,
    )  # fmt: skip
    return Frame(pixels, pixel_format, bits, black_dn, EXPOSURE_US, 0.0, 0, 0)


def _exposed(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brought to the brightness of the generated reliefs' pictures, so that a model sees one kind of picture."""
    return np.asarray(picture * (0.75 / max(float(np.quantile(picture, 0.99)), 1e-6)), np.float32)


def _truth(truth: ViewTruth, pixel_mm: float) -> DepthTruth:
    torn = discontinuities(truth.depth_mm, truth.normals, pixel_mm)
    return DepthTruth(-truth.depth_mm, truth.part_mask, near_steps(torn, pixel_mm) & truth.part_mask)
