"""The calibration board in the Scene: seen where geometry says, bent and stretched as configured."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.boards.board import Board, find_board
from drivers.geometry.pose import Pose
from drivers.protocols import Pixels
from drivers.simulated.scene.board import COLS, ROWS, SQUARE_MM, BoardMake, BoardPlacement, BoardScene
from drivers.simulated.scene.mounted import FOCAL_PX, MountedCamera, arm_frame

BOARD = Board("charuco", COLS, ROWS, SQUARE_MM)
TOP = Pose(0.0, 0.0, 258.0, 0.0, -75.0)
SIDE = Pose(176.777, 0.0, 184.777, 45.0, 5.0)
BUILT = MountedCamera.toleranced(3, 0.5, 30.0, 0.5, 0.3)
AS_DRAWN = BoardMake()
FLAT, WEDGE = BoardPlacement(rotation_deg=20.0), BoardPlacement(0.0, 0.0, 25.0, 25.0, 130.0, -35.0)


def photograph(
    pose: Pose, placement: BoardPlacement, make: BoardMake = AS_DRAWN, light: int = 9, binning: int = 8
) -> Pixels:  # fmt: skip
    scene = BoardScene(placement, make, seed=2, camera=BUILT)
    return scene.photograph(
        pose, {light: 1.0}, exposure_us=10_000.0, gain_db=0.0, pixel_format="Mono12", binning=binning, roi=None,
        frame_seed=1, black_level_dn=64.0,
    )  # fmt: skip


def expected(pose: Pose, placement: BoardPlacement, board_mm: NDArray[np.float64], binning: int) -> NDArray[np.float64]:
    """(N, 2) binned pixels of points of a flat board."""
    place = np.linalg.inv(arm_frame(pose) @ BUILT.mount()) @ placement.frame()
    middle = np.array([COLS, ROWS, 0.0]) * SQUARE_MM / 2
    seen = (board_mm - middle) @ place[:3, :3].T + place[:3, 3]
    full = seen[:, :2] / seen[:, 2:] * BUILT.focal_px + np.array(BUILT.center_px)
    return np.asarray((full + 0.5) / binning - 0.5, np.float64)


@pytest.mark.parametrize(("pose", "placement"), [(TOP, FLAT), (SIDE, FLAT), (TOP, WEDGE)])
def test_corners_are_found_where_the_built_camera_sees_them(pose: Pose, placement: BoardPlacement) -> None:
    seen = find_board(photograph(pose, placement), BOARD)
    off = seen.pixels - expected(pose, placement, seen.board_mm, 8)
    assert len(off) > 100
    assert float(np.sqrt((off**2).mean())) < 0.03
    assert float(np.abs(off.mean(axis=0)).max()) < 0.01


def test_the_face_leans_where_it_is_told() -> None:
    normal = -BoardPlacement(tilt_deg=30.0, lean_deg=90.0).frame()[:3, 2]
    assert np.allclose(normal, [0.0, 0.5, np.sqrt(0.75)])
    assert np.allclose(BoardPlacement().frame()[:3, :3], np.diag([1.0, -1.0, -1.0]))


def test_a_stretched_board_is_larger_in_the_picture() -> None:
    seen = find_board(photograph(TOP, FLAT, BoardMake(pitch_percent=1.0)), BOARD)
    flat = expected(TOP, FLAT, seen.board_mm, 8)
    middle = expected(TOP, FLAT, np.array([[COLS, ROWS, 0.0]]) * SQUARE_MM / 2, 8)
    away = np.linalg.norm(flat - middle, axis=1)
    ratio = np.linalg.norm(seen.pixels - middle, axis=1)[away > 50] / away[away > 50]
    assert float(np.median(ratio)) == pytest.approx(1.01, abs=5e-4)


def test_a_bowed_boards_middle_stands_higher() -> None:
    bow_um = 300.0
    seen = find_board(photograph(SIDE, FLAT, BoardMake(bow_um=bow_um)), BOARD)
    off = seen.pixels - expected(SIDE, FLAT, seen.board_mm, 8)
    middle = np.linalg.norm(seen.board_mm - np.array([COLS, ROWS, 0.0]) * SQUARE_MM / 2, axis=1) < 6.0
    # from 45 degrees a height h shows as h sin 45, upward in the picture
    up_px = bow_um * 1e-3 * np.sin(np.radians(45)) * FOCAL_PX / 250 / 8
    assert -float(off[middle, 1].mean()) == pytest.approx(up_px, rel=0.1)


def test_directional_light_falls_on_it_and_from_behind_nothing_is_printed() -> None:
    lit = photograph(TOP, FLAT, light=1)
    assert len(find_board(lit, BOARD).pixels) > 100
    # its face leans away from a camera that looks along the face's own plane and below
    turned = photograph(SIDE, BoardPlacement(0.0, 0.0, 40.0, 59.0, 180.0))
    assert float(np.quantile(turned, 0.9)) < 800.0


def test_a_board_has_no_truth_of_parts() -> None:
    scene = BoardScene(FLAT, BoardMake())
    with pytest.raises(ValueError, match="no truth"):
        scene.truth(TOP, 8)
    with pytest.raises(ValueError, match="shadows"):
        scene.shadow(TOP, 1, 8)


def test_a_camera_as_drawn_stands_where_the_arm_says() -> None:
    position, axes = MountedCamera().standing(SIDE)
    assert position.tolist() == [SIDE.x_mm, SIDE.y_mm, SIDE.z_mm]
    assert np.allclose(position + 250 * axes[2], [0.0, 0.0, 8.0], atol=16.0)
    knocked = MountedCamera().moved((0.1, 0.0, 0.0), (0.0, 0.0, 0.0)).standing(SIDE)[0]
    assert np.allclose(knocked - position, 0.1 * axes[0])
