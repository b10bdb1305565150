"""Views of a simulated part with all that is true of them, and the solver on them: for the benchmarks of normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import DEFAULT_BLACK_LEVEL_DN, LightHead, Scene, ViewTruth
from station.photometric_stereo.flat_field import FlatField
from station.photometric_stereo.lights import LightModel, PointLights
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.settings import Method, SolverSettings
from station.photometric_stereo.solve import PhotometricStereo

BINNING = 8
EXPOSURE_US = 8000.0
DISTANCE_MM, FOCAL_PX, WIDTH_PX, HEIGHT_PX = 250.0, 24429.0, 5472, 3648
FOUR, EIGHT = (2, 4, 6, 8), (1, 2, 3, 4, 5, 6, 7, 8)
VIEWS = {
    "top": Pose(0.0, 0.0, 258.0, 0.0, -90.0),
    "front": Pose(0.0, -176.777, 184.777, 45.0, -90.0),
    "right": Pose(176.777, 0.0, 184.777, 45.0, 0.0),
    "back": Pose(0.0, 176.777, 184.777, 45.0, 90.0),
    "left": Pose(-176.777, 0.0, 184.777, 45.0, 180.0),
}


@dataclass(frozen=True)
class View:
    """Frames of one view, and all that is true of it."""

    frames: list[Frame]
    truth: ViewTruth
    lit: NDArray[np.bool_]  # (H, W) on the part, reached by every light


def photographed(scene: Scene, pose: Pose, channels: Sequence[int], exposure_us: float = EXPOSURE_US) -> View:
    frames = []
    for k, channel in enumerate(channels):
        pixels = scene.photograph(
            pose, {channel: 1.0}, exposure_us=exposure_us, gain_db=0.0, pixel_format="Mono12", binning=BINNING,
            roi=None, frame_seed=50 + k,
        )  # fmt: skip
        frames.append(Frame(pixels, "Mono12", 12, DEFAULT_BLACK_LEVEL_DN, exposure_us, 0.0, k, k))
    truth = scene.truth(pose, BINNING)
    dark = np.stack([scene.shadow(pose, channel, BINNING) for channel in channels])
    return View(frames, truth, truth.part_mask & ~dark.any(axis=0))


def near_lights(channels: Sequence[int], plane_height_mm: float = 0.0) -> PointLights:
    lights = [LightHead.nominal().light(channel) for channel in channels]
    return PointLights(
        names=tuple(str(channel) for channel in channels),
        positions_mm=np.array([light.position_mm for light in lights]),
        intensities=np.array([light.power for light in lights]),
        mm_per_px=DISTANCE_MM / FOCAL_PX * BINNING,
        center_px=(WIDTH_PX / BINNING / 2 - 0.5, HEIGHT_PX / BINNING / 2 - 0.5),
        plane_height_mm=plane_height_mm,
        lobe_exponent=1.0,
    )


def solved(view: View, lights: LightModel, method: Method, flat_field: FlatField | None = None) -> NormalMap:
    height, width = view.lit.shape
    solver = PhotometricStereo(lights, (height, width), SolverSettings(method=method), flat_field=flat_field)
    for k, frame in enumerate(view.frames):
        solver.add(k, frame)
    return solver.solve()
