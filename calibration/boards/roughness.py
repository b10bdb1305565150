"""How rough the image of a board's points is: the part that neither a lens nor a smooth bow explains."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.camera_model import F64

_TUKEY, _USUAL = 4.685, 0.83  # Tukey's bound; median distance over sigma of two coordinates is 1.18, one of them 0.83


def rough_remainder(board_mm: F64, pixels: F64) -> tuple[F64, int]:
    """(N, 2) px residuals from a homography with a smooth remainder, and the remainder's terms per coordinate.

    The remainder is a polynomial of up to the third degree, fitted with Tukey's weights so that points far off hardly
    count. Where no homography fits, every residual is 1000 px.
    """
    flat = board_mm[:, :2]
    homography, _ = cv2.findHomography(flat, pixels)
    if homography is None:
        return np.full((len(flat), 2), 1e3), 0
    mapped = np.column_stack([flat, np.ones(len(flat))]) @ np.asarray(homography, np.float64).T
    rest = pixels - mapped[:, :2] / mapped[:, 2:]
    terms = _smooth_terms(flat)
    weights = np.ones(len(flat))
    fitted = np.zeros_like(rest)
    for _ in range(12):
        root = np.sqrt(weights)[:, None]
        fitted = terms @ np.linalg.lstsq(terms * root, rest * root, rcond=None)[0]
        distance = np.linalg.norm(rest - fitted, axis=1)
        bound = max(_TUKEY * float(np.median(distance)) / _USUAL, 1e-9)
        weights = np.clip(1 - (distance / bound) ** 2, 0, None) ** 2 + 1e-6
    return np.asarray(rest - fitted, np.float64), terms.shape[1]


def roughness_px(board_mm: F64, pixels: F64) -> float:
    """Rms in px of `rough_remainder`."""
    return float(np.sqrt((rough_remainder(board_mm, pixels)[0] ** 2).sum(axis=1).mean()))


def _smooth_terms(flat: F64) -> F64:
    """Monomials up to the third degree, fewer where there are few points; (N, terms)."""
    degree = 3 if len(flat) >= 30 else 2 if len(flat) >= 16 else 0
    x, y = ((flat - flat.mean(0)) / np.maximum(np.ptp(flat, axis=0), 1e-9)).T
    return np.column_stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)])
