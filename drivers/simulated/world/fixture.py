"""The part in the fixture, and the camera, lights and board as they were really built: the Scene of the moment."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

import numpy as np

from drivers.geometry.pose import Pose
from drivers.simulated.config import SimulatedBoard, SimulatedPart, SimulatedRigConfig
from drivers.simulated.scene import DEFECT_KINDS, PRODUCTS, LightHead, Placement, Scene, make_part, random_defect
from drivers.simulated.scene.board import BoardMake, BoardPlacement, BoardScene
from drivers.simulated.scene.meshes.file import find_mesh
from drivers.simulated.scene.mounted import MountedCamera

BOARD = "charuco"
VISITS_REMEMBERED = 256  # true poses that can be asked for a defect mask
MAXIMUM_POSE_ERROR = 1.0  # mm or degrees: visits farther from the asked pose are visits to another place


class Fixture:
    """Holds the part and its Scene; both change together, from any thread.

    All that is random about how the rig was built (lens, mount, lights) follows from the configuration's seed.
    """

    def __init__(self, config: SimulatedRigConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        wrong = config.imperfections
        self.camera = MountedCamera.toleranced(
            config.seed, wrong.focal_length_percent, wrong.principal_point_px, wrong.camera_mount_mm,
            wrong.camera_mount_deg,
        )  # fmt: skip
        self._board_make = BoardMake(wrong.board_bow_um, wrong.board_pitch_percent)
        self._seen_from: deque[Pose] = deque(maxlen=VISITS_REMEMBERED)  # since the part was loaded, latest last
        self.part = config.part
        self._scene = self._make_scene(config.part)

    @property
    def scene(self) -> Scene:
        return self._scene

    def load(self, part: SimulatedPart) -> None:
        """Put another part into the fixture. Raises ValueError for an unknown product or defect."""
        scene = self._make_scene(part)
        scene.gather()
        with self._lock:
            self.part, self._scene = part, scene
            self._seen_from.clear()

    def seen_from(self, pose: Pose) -> Scene:
        """The Scene to photograph from `pose`, which is remembered for `seen_near`."""
        with self._lock:
            if not self._seen_from or self._seen_from[-1] != pose:
                self._seen_from.append(pose)
            return self._scene

    def seen_near(self, wanted: list[float]) -> tuple[Scene, Pose]:
        """The Scene, and the true pose of the latest visit near `wanted` (the five fields of a Pose).

        Raises ValueError when the camera has not been there since the part was loaded.
        """
        with self._lock:
            near = [p for p in self._seen_from if np.allclose(p.as_tuple(), wanted, atol=MAXIMUM_POSE_ERROR)]
            scene = self._scene
        if not near:
            raise ValueError(f"the camera has not been at {wanted} since the part was loaded")
        return scene, near[-1]

    # -- what may change while the rig runs -------------------------------------------------

    def knock_camera(self, shift_mm: tuple[float, float, float], turn_deg: tuple[float, float, float]) -> None:
        """The camera sits otherwise on the arm from now on, along and about its right, down and ahead."""
        self.camera = self.camera.moved(shift_mm, turn_deg)
        self._remake_scene()

    def bow_board(self, bow_um: float) -> None:
        """The calibration board's middle stands `bow_um` above its rim from now on."""
        self._remake_board(replace(self._board_make, bow_um=bow_um))

    def stretch_board(self, pitch_percent: float) -> None:
        """The calibration board's pitch is too long by this share from now on."""
        self._remake_board(replace(self._board_make, pitch_percent=pitch_percent))

    def _remake_board(self, make: BoardMake) -> None:
        self._board_make = make
        self._remake_scene()

    def _remake_scene(self) -> None:
        scene = self._make_scene(self.part)
        with self._lock:
            self._scene = scene

    # -- scenes -----------------------------------------------------------------------------

    def _make_scene(self, part: SimulatedPart) -> Scene:
        if part.product == BOARD:
            return self._make_board(part, part.board or SimulatedBoard())
        _require_known(part)
        defects = [random_defect(part.product, d.kind, d.seed) for d in part.defects]
        made = make_part(part.product, part.seed, defects)
        off = Placement(part.x_mm, part.y_mm, part.turn_deg)
        return Scene(
            replace(made, placement=made.placement.then(off)), self._head(), seed=self._config.seed, camera=self.camera,
            bounces=self._config.imperfections.light_bounces,
        )  # fmt: skip

    def _make_board(self, part: SimulatedPart, lies: SimulatedBoard) -> Scene:
        placement = BoardPlacement(part.x_mm, part.y_mm, lies.z_mm, lies.tilt_deg, lies.lean_deg, lies.rotation_deg)
        return BoardScene(placement, self._board_make, self._head(), seed=self._config.seed, camera=self.camera)

    def _head(self) -> LightHead:
        wrong = self._config.imperfections
        return LightHead.toleranced(self._config.seed, wrong.light_direction_deg, wrong.light_intensity_percent)


def _require_known(part: SimulatedPart) -> None:
    if part.board is not None:
        raise ValueError(f"`board` states how a {BOARD} lies; found it with product {part.product!r}")
    if part.product not in PRODUCTS and find_mesh(part.product) is None:
        raise ValueError(
            f"unknown product {part.product!r}; there are {', '.join((*PRODUCTS, BOARD))}, and any mesh by its path"
        )
    for defect in part.defects:
        if defect.kind not in DEFECT_KINDS:
            raise ValueError(f"unknown defect {defect.kind!r}; there are {', '.join(DEFECT_KINDS)}")
