"""Board views and board pictures with a known camera: projected exactly, or rendered through lens and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.boards.board import Board
from calibration.camera.adjust import BoardView
from calibration.camera_model import CameraModel

# the long lens at a quarter of the pixels: the same angles
TRUTH = CameraModel(1368, 912, 6107.0, 6107.0, 698.0, 441.0, (-0.05, 1.5))
PRINT_PX_PER_MM = 32


def lean(board: Board, tilt: float, azimuth: float, roll: float, distance_mm: float) -> NDArray[np.float64]:
    """Pose (6,) board to camera, the board's middle near the optical axis."""
    a, t = np.radians([azimuth, tilt])
    turn = cv2.Rodrigues(np.array([-np.sin(a), np.cos(a), 0.0]) * t)[0]
    turn = turn @ cv2.Rodrigues(np.array([0.0, 0.0, np.radians(roll)]))[0]
    middle = board.points_mm().mean(axis=0)
    return np.concatenate([cv2.Rodrigues(turn)[0].ravel(), np.array([0.0, 0.0, distance_mm]) - turn @ middle])


@dataclass(frozen=True)
class BoardStudio:
    """Takes pictures of a board with TRUTH."""

    truth: CameraModel = TRUTH

    def poses(self, board: Board, count: int, seed: int, tilts: tuple[float, float] = (10, 50),
              azimuths: tuple[float, float] = (0, 360)) -> NDArray[np.float64]:  # fmt: skip
        rng = np.random.default_rng(seed)
        return np.array([
            lean(board, rng.uniform(*tilts), rng.uniform(*azimuths), rng.uniform(-30, 30), rng.uniform(240, 260))
            for _ in range(count)
        ])  # fmt: skip

    def views(self, board: Board, poses: NDArray[np.float64], seed: int, noise_px: float = 0.15,
              bow_um: float = 0.0) -> list[BoardView]:  # fmt: skip
        """Points with noise; those outside the picture are left out."""
        rng, flat = np.random.default_rng([seed, 7]), board.points_mm()
        points = flat.copy()
        middle = points.mean(axis=0)
        away = ((flat - middle)[:, :2] ** 2).sum(axis=1)
        points[:, 2] = bow_um * 1e-3 * (1 - away / away.max())
        out = []
        for i, pose in enumerate(poses):
            turn = cv2.Rodrigues(pose[:3])[0]
            pixels = self.truth.project(points @ turn.T + pose[3:]) + rng.normal(0, noise_px, (len(points), 2))
            inside = ((pixels > 4) & (pixels < [self.truth.width_px - 5, self.truth.height_px - 5])).all(axis=1)
            out.append(BoardView(f"view{i:02d}.png", flat[inside], pixels[inside]))
        return out

    def picture(self, board: Board, pose: NDArray[np.float64], seed: int = 0) -> NDArray[np.uint8]:
        """(H, W): the printed board through the lens, slightly soft, with noise of 2 DN."""
        camera, turn = self.truth, cv2.Rodrigues(pose[:3])[0]
        x, y = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
        flat_x, flat_y = straightened((x - camera.cx_px) / camera.fx_px, (y - camera.cy_px) / camera.fy_px, camera)
        rays = np.stack([flat_x, flat_y, np.ones_like(flat_x)], axis=-1)
        depth = (turn[:, 2] @ pose[3:]) / (rays @ turn[:, 2])
        on_board = (rays * depth[..., None] - pose[3:]) @ turn
        printed, margin_mm = print_board(board)
        place = ((on_board[..., :2] + margin_mm) * PRINT_PX_PER_MM - 0.5).astype(np.float32)
        seen = cv2.remap(printed, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderValue=110.0)
        noisy = seen + np.random.default_rng([seed, 8]).normal(0, 2, seen.shape)
        return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def straightened(
    x: NDArray[np.float64], y: NDArray[np.float64], camera: CameraModel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distortion k1, k2 taken out by iteration."""
    k1, k2 = camera.distortion[:2]
    u, v = x, y
    for _ in range(8):
        square = u * u + v * v
        factor = 1 + k1 * square + k2 * square * square
        u, v = x / factor, y / factor
    return u, v


def print_board(board: Board) -> tuple[NDArray[np.float32], float]:
    """Grey levels 20..230 at PRINT_PX_PER_MM, and how far its first pixel's edge lies before the board's origin."""
    square = round(board.square_mm * PRINT_PX_PER_MM)
    quiet = square
    if board.pattern == "charuco":
        image = board.charuco().generateImage((board.cols * square, board.rows * square), marginSize=0, borderBits=1)
        margin = quiet / PRINT_PX_PER_MM
    elif board.pattern == "chessboard":
        y, x = np.indices((board.rows + 1, board.cols + 1))
        image = np.kron(((x + y) % 2 * 255).astype(np.uint8), np.ones((square, square), np.uint8))
        margin = (quiet + square) / PRINT_PX_PER_MM
    else:
        y, x = (np.arange((n + 1) * square) + 0.5 for n in (board.rows, board.cols))
        dx, dy = ((a / square + 0.5) % 1 - 0.5 for a in (x, y))
        rows, cols = ((a > square / 2) & (a < (n + 0.5) * square) for a, n in ((y, board.rows), (x, board.cols)))
        disc = (dx[None] ** 2 + dy[:, None] ** 2 < 0.3**2) & rows[:, None] & cols[None]
        image = np.where(disc, 0, 255).astype(np.uint8)
        margin = (quiet + square) / PRINT_PX_PER_MM
    grey = 20 + np.pad(image, quiet, constant_values=255).astype(np.float32) * (210 / 255)
    return cv2.GaussianBlur(grey, (0, 0), 1.0), margin


@pytest.fixture
def studio() -> BoardStudio:
    return BoardStudio()
