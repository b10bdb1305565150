"""Centres of printed circles: where a circle's own centre is seen, which is not the centre of its ellipse."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.camera_model import F64


def circle_centres(bright: F64, first: F64, board_mm: F64) -> F64:
    """(N, 2) px: the centres of all circles of a grid.

    `bright` (H, W) shows the circles brighter than their ground; `first` (N, 2) px lies inside each of them; `board_mm`
    (N, 2) are the centres on the board. Each ellipse's centroid is moved by the difference that the board's homography
    and the circles' measured radius predict.
    """
    pitch = float(np.linalg.norm(board_mm[1] - board_mm[0]))
    seen = first
    radius = 0.25 * pitch
    for _ in range(2):
        homography = np.asarray(cv2.findHomography(board_mm, seen)[0], np.float64)
        measured = [_centroid(bright, at, homography, place, pitch) for at, place in zip(first, board_mm, strict=True)]
        radius = float(np.median([r for _, r in measured]))
        ellipses = np.array([at for at, _ in measured])
        seen = ellipses - np.array([_shift(homography, place, radius) for place in board_mm])
    return seen


def _centroid(bright: F64, at: F64, homography: F64, place: F64, pitch: float) -> tuple[F64, float]:
    """Centroid (2,) px of the bright pixels within half a pitch, and the circle's radius on the board in mm."""
    slope = slope_px(homography, place)
    reach = 0.48 * pitch * np.abs(slope).sum(axis=1)
    lo = np.maximum(np.floor(at - reach), 0).astype(int)
    hi = np.minimum(np.ceil(at + reach) + 1, bright.shape[::-1]).astype(int)
    y, x = np.mgrid[lo[1] : hi[1], lo[0] : hi[0]].astype(np.float64)
    away = np.stack([x - at[0], y - at[1]], axis=-1) @ np.linalg.inv(slope).T
    near = (away**2).sum(axis=-1) < (0.48 * pitch) ** 2
    window = bright[lo[1] : hi[1], lo[0] : hi[0]]
    dark, light = np.percentile(window[near], [15, 90 if near.sum() < 50 else 95])
    share = np.clip((window - dark) / max(light - dark, 1e-9), 0, 1)
    weights = np.where(near, np.clip((share - 0.15) / 0.7, 0, 1), 0.0)
    total = max(float(weights.sum()), 1e-9)
    centre = np.array([(weights * x).sum(), (weights * y).sum()]) / total
    return centre, float(np.sqrt(total / (np.pi * abs(np.linalg.det(slope)))))


def slope_px(homography: F64, place: F64) -> F64:
    """(2, 2): the derivative of the picture's pixels by the board's mm at a place of the board."""
    u, v, w = homography @ [place[0], place[1], 1.0]
    rows = homography[:2, :2] / w
    return np.asarray(rows - np.outer([u, v], homography[2, :2]) / w**2, np.float64)


def _shift(homography: F64, place: F64, radius: float) -> F64:
    """Centre of the circle's image minus image of its centre: the dual conic of the circle, mapped."""
    move = np.array([[1.0, 0.0, place[0]], [0.0, 1.0, place[1]], [0.0, 0.0, 1.0]])
    dual = homography @ move @ np.diag([-(radius**2), -(radius**2), 1.0]) @ move.T @ homography.T
    point = homography @ [place[0], place[1], 1.0]
    return np.asarray(dual[:2, 2] / dual[2, 2] - point[:2] / point[2], np.float64)
