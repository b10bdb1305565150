"""Benches that render the simulated Scene directly, without rig process or wires: for studies of many calibrations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.config import Imperfections
from drivers.simulated.scene import DEFAULT_BOUNCES, LightHead, Placement, Scene, make_part, significant_bits
from drivers.simulated.scene.board import BoardMake, BoardPlacement, BoardScene
from drivers.simulated.scene.mounted import MountedCamera, arm_frame
from station.calibrate.bench.board_bench import BOARD, USUAL_ARM, BoardPlace
from station.calibrate.bench.camera_pose import TOP
from station.calibrate.bench.target_bench import PIXEL_FORMAT, Roi, Target

BLACK_LEVEL_DN = 64.0
DOME_CHANNEL = 9  # the diffuse light of the simulated rig


class SceneBench:
    """Spheres and the white plane, as over the wires. `seed` draws the sensor and each frame's noise."""

    def __init__(
        self, head: LightHead, pose: Pose, seed: int, threads: int = 2, camera: MountedCamera | None = None
    ) -> None:
        self._head, self._pose, self._seed, self._threads = head, pose, seed, threads
        self._camera = camera
        self._frames = 0
        self.place("empty")

    def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None:
        part = replace(make_part(target, 0), placement=Placement(x_mm, y_mm, 0.0))
        self._scene = Scene(
            part, self._head, seed=self._seed, threads=self._threads, camera=self._camera, bounces=DEFAULT_BOUNCES
        )

    def photograph(self, channel: int | None, exposure_us: float, binning: int, roi: Roi | None = None) -> Frame:
        self._frames += 1
        pixels = self._scene.photograph(
            self._pose, {} if channel is None else {channel: 1.0}, exposure_us=exposure_us, gain_db=0.0,
            pixel_format=PIXEL_FORMAT, binning=binning, roi=roi, frame_seed=_frame_seed(self._seed, self._frames),
            black_level_dn=BLACK_LEVEL_DN,
        )  # fmt: skip
        return _frame(pixels, exposure_us, self._frames)


class SceneBoardBench:
    """The calibration board, as over the wires. `seed` draws camera, mount, the arm's errors and each frame's noise."""

    def __init__(self, seed: int, wrong: Imperfections, threads: int = 2) -> None:
        self._seed, self._wrong, self._threads = seed, wrong, threads
        self.camera = MountedCamera.toleranced(
            seed, wrong.focal_length_percent, wrong.principal_point_px, wrong.camera_mount_mm, wrong.camera_mount_deg
        )
        self.board = BOARD
        self.expected = USUAL_ARM
        self._draws = np.random.default_rng([seed, 71])
        self._frames = 0
        self._pose = TOP
        self.place_board(BoardPlace())

    def place_board(self, place: BoardPlace) -> None:
        lies = BoardPlacement(place.x_mm, place.y_mm, place.z_mm, place.tilt_deg, place.lean_deg, place.rotation_deg)
        make = BoardMake(self._wrong.board_bow_um, self._wrong.board_pitch_percent)
        head = LightHead.nominal()
        self._scene = BoardScene(lies, make, head, None, self._seed, self._threads, self.camera)

    def check_reachable(self, pose: Pose) -> None:
        """This bench has no end of travel; raises ValueError for a pose that is not finite."""
        if not all(math.isfinite(v) for v in pose.as_tuple()):
            raise ValueError(f"{pose} is no pose: every axis needs a finite number")

    def move_to(self, pose: Pose) -> Pose:
        """Moves there with the arm's error drawn anew, and reports `pose`, as an arm that does not know its error."""
        mm, deg = self._wrong.pose_repeatability_mm, self._wrong.pose_repeatability_deg
        off = self._draws.standard_normal(5) * [mm, mm, mm, deg, deg]
        x, y, z, tilt, pan = (float(a + e) for a, e in zip(pose.as_tuple(), off, strict=True))
        self._pose = Pose(x, y, z, tilt, pan)
        return pose

    def photograph(self, exposure_us: float, binning: int) -> Frame:
        self._frames += 1
        pixels = self._scene.photograph(
            self._pose, {DOME_CHANNEL: 1.0}, exposure_us=exposure_us, gain_db=0.0, pixel_format=PIXEL_FORMAT,
            binning=binning, roi=None, frame_seed=_frame_seed(self._seed, self._frames), black_level_dn=BLACK_LEVEL_DN,
        )  # fmt: skip
        return _frame(pixels, exposure_us, self._frames)

    def true_viewpoint(self, pose: Pose) -> NDArray[np.float64]:
        """(4, 4) camera to station where the arm comes to stand on average."""
        return arm_frame(pose) @ self.camera.mount()


def _frame_seed(seed: int, number: int) -> int:
    return seed * 100_003 + number


def _frame(pixels: NDArray[np.uint8] | NDArray[np.uint16], exposure_us: float, number: int) -> Frame:
    """A frame whose number serves as its id and as its time."""
    bits = significant_bits(PIXEL_FORMAT)
    return Frame(pixels, PIXEL_FORMAT, bits, BLACK_LEVEL_DN, exposure_us, 0.0, number, number)
