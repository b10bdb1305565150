"""Corners of a board to a hundredth of a pixel, by fitting two crossing edges to the pixels round each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from calibration.camera_model import F64

BLUR_PX = (0.1, 0.3, 0.6, 1.0, 1.6)  # sigma of lens and focus, besides the pixel's own area
MOST_PX, ROUNDS, SAMPLED = 11, 8, 12
STILL_PX, STILL_SHARE = 1e-3, 0.95  # moves of this share of the corners below this end the search


def fit_corners(
    grey: NDArray[np.uint8] | NDArray[np.float32], start: F64, slopes: F64, reach_mm: float, clear_mm: float
) -> tuple[F64, F64]:
    """Corners (N, 2) px, and the fit's rms (N,) over the corner's contrast; nan where none could be fitted.

    `start` (N, 2) px lies within about a pixel of each corner; `slopes` (N, 2, 2) are px per mm of the board there.
    Pixels count within `reach_mm` of the corner along both axes, and only where an edge is nearer than `clear_mm`:
    farther from both there may be a marker. The model is a + b E(d1) E(d2), with d1 and d2 the distances from the two
    edges, which run along the board's axes, and E as in `_edge`.
    """
    windows = _cut(grey, start, slopes, reach_mm)
    some = np.linspace(0, len(start) - 1, min(SAMPLED, len(start))).astype(int)
    probe = _cut(grey, start[some], slopes[some], reach_mm)
    trials = [np.nanmedian(_fit(probe, slopes[some], reach_mm, clear_mm, sigma)[1]) for sigma in BLUR_PX]
    shift, rms = _fit(windows, slopes, reach_mm, clear_mm, BLUR_PX[int(np.argmin(trials))])
    lost = ~np.isfinite(shift).all(axis=1) | (np.linalg.norm(shift - (start - windows.middle), axis=1) > 3.0)
    out = windows.middle + shift
    out[lost], rms[lost] = np.nan, np.nan
    return out, rms


class _Windows:
    """The pixels round each corner: values (N, n), places (n, 2) from the middle pixel, inside the picture (N, n)."""

    def __init__(self, values: F64, places: F64, inside: NDArray[np.bool_], middle: F64, start: F64) -> None:
        self.values, self.places, self.inside, self.middle, self.start = values, places, inside, middle, start


def _cut(grey: NDArray[np.uint8] | NDArray[np.float32], start: F64, slopes: F64, reach_mm: float) -> _Windows:
    """The window round each corner, of one size for all: the median reach of a corner, at most MOST_PX."""
    reach_px = reach_mm * np.abs(slopes).sum(axis=2).max(axis=1)
    half = int(np.clip(np.ceil(np.median(reach_px)), 2, MOST_PX))
    step = np.arange(-half, half + 1)
    x, y = (axis.ravel() for axis in np.meshgrid(step, step))
    middle = np.round(start)
    columns = middle[:, :1].astype(int) + x
    rows = middle[:, 1:].astype(int) + y
    height, width = grey.shape
    inside = (columns >= 0) & (rows >= 0) & (columns < width) & (rows < height)
    values = np.asarray(grey[rows.clip(0, height - 1), columns.clip(0, width - 1)], np.float64)
    return _Windows(values, np.column_stack([x, y]).astype(np.float64), inside, middle, start)


def _fit(windows: _Windows, slopes: F64, reach_mm: float, clear_mm: float, sigma: float) -> tuple[F64, F64]:
    """The corners' shifts (N, 2) px from the middle pixels, and rms (N,), for one blur; all corners at once."""
    inverse = np.linalg.inv(slopes)  # rows: gradient of u, gradient of v, in mm per px
    normals = inverse / np.linalg.norm(inverse, axis=2, keepdims=True)
    shift = windows.start - windows.middle
    rms = np.full(len(shift), np.nan)
    for _ in range(ROUNDS):
        away = windows.places[None] - shift[:, None]
        u, v = (np.abs(np.einsum("nki,ni->nk", away, inverse[:, axis])) for axis in (0, 1))
        used = windows.inside & (np.maximum(u, v) < reach_mm) & (np.minimum(u, v) < clear_mm)
        d1, d2 = (np.einsum("nki,ni->nk", away, normals[:, axis]) for axis in (0, 1))
        e1, g1 = _edge(d1, normals[:, 0], sigma)
        e2, g2 = _edge(d2, normals[:, 1], sigma)
        gain = _gain(windows.values, e1 * e2, used)
        slope_1, slope_2 = g1 * e2, e1 * g2
        along = -(slope_1[..., None] * normals[:, None, 0] + slope_2[..., None] * normals[:, None, 1])
        columns = np.concatenate(
            [along * gain[:, None, None], np.ones_like(e1)[..., None], (e1 * e2)[..., None]], axis=2
        )
        weighed = columns * used[..., None]
        matrix = np.einsum("nki,nkj->nij", weighed, columns)
        enough = (used.sum(axis=1) >= 12) & (np.linalg.cond(matrix) < 1e14)
        rest = windows.values - gain[:, None] * e1 * e2
        right = np.einsum("nki,nk->ni", weighed, rest)
        answer = np.full((len(shift), 4), np.nan)
        answer[enough] = np.linalg.solve(matrix[enough], right[enough][..., None])[..., 0]
        left = (rest - np.einsum("nki,ni->nk", columns, answer)) * used
        rms = np.sqrt((left**2).sum(axis=1) / np.maximum(used.sum(axis=1), 1)) / np.maximum(np.abs(gain), 1e-9)
        move = np.clip(answer[:, :2], -1.0, 1.0)
        shift = shift + move
        if np.isfinite(move).any() and float(np.nanquantile(np.abs(move), STILL_SHARE)) < STILL_PX:
            break
    return shift, rms


def _edge(distance: F64, normals: F64, sigma: float) -> tuple[F64, F64]:
    """A step from -1 to 1 as square pixels see it through a blur, and its slope; (N, n).

    A pixel's area projected on the edge's normal is a box of its larger component, exact here, and one of the
    smaller, whose variance is added to the blur's.
    """
    wide = np.abs(normals).max(axis=1)[:, None]
    narrow = np.abs(normals).min(axis=1)[:, None]
    soft = np.sqrt(sigma**2 + narrow**2 / 12)
    ends = [(distance + side * wide / 2) / (np.sqrt(2) * soft) for side in (1.0, -1.0)]
    steps = [erf(end) for end in ends]
    # the integral of erf(t) is t erf(t) + exp(-t^2) / sqrt(pi)
    whole = [end * step + np.exp(-(end**2)) / np.sqrt(np.pi) for end, step in zip(ends, steps, strict=True)]
    return (whole[0] - whole[1]) * np.sqrt(2) * soft / wide, (steps[0] - steps[1]) / wide


def _gain(values: F64, shape: F64, used: NDArray[np.bool_]) -> F64:
    """(N,) least-squares gain of `shape` in `values`, with an offset."""
    count = np.maximum(used.sum(axis=1), 1)
    mean_s = (shape * used).sum(axis=1) / count
    mean_v = (values * used).sum(axis=1) / count
    centred = (shape - mean_s[:, None]) * used
    return np.asarray(
        (centred * (values - mean_v[:, None])).sum(axis=1) / np.maximum((centred**2).sum(axis=1), 1e-12), np.float64
    )
