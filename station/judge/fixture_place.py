"""Where the fixture stands in a picture against its reference: shift, turn, scale, to hundredths of a cell.

A coarse shift comes from correlation (up to MOST_CELLS), the rest from least squares on brightness differences
(Lucas and Kanade 1981, here with a similarity, a gain and an offset), cells that do not fit being left out. The part
is not looked at: it lies elsewhere each time, and may be defective.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from station.judge.fixture_picture import Levels

MOST_CELLS = 12  # of shift, in x and in y
ITERATIONS = 12
SETTLED_CELLS = 2e-3  # a smaller step ends the iteration
TEXTURE_CELLS = 4.0  # sigma of the mean that texture is measured against
TEXTURE_CLIP = 0.15  # relative: edges of the part shall not outweigh the fixture
LEVELS_CLIP = 1.6  # times the fixture's median: the part's brightness shall not spread into its surroundings
OUTLIER = 4.0  # times the spread of the residuals
LEAST_SPREAD = 0.002  # of a level
LIKE, LIKE_SHARE = 0.1, 0.5  # relative difference of a cell that may still be the fixture; of the cells, at least
BEYOND = -1e6  # the level outside of a picture: even a trace of it shows
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """How the fixture lies over its reference, in cells, image axes (x right, y down), about the picture's centre."""

    dx_cells: float
    dy_cells: float
    scale: float  # 1 = as in the reference
    turn_rad: float
    likeness: float  # correlation of the textures once they lie over each other, -1..1
    onto_reference: NDArray[np.float32]  # (2, 3), for cv2.warpAffine with WARP_INVERSE_MAP

    @property
    def shift_cells(self) -> float:
        return float(np.hypot(self.dx_cells, self.dy_cells))


class FixtureTracker:
    """Finds one view's fixture. `levels` (h, w) is its reference under one light, `fixture` (h, w) where to look."""

    def __init__(self, levels: Levels, fixture: NDArray[np.bool_]) -> None:
        self._shape = levels.shape
        fixture = cv2.erode(fixture.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)  # for derivatives
        self._fixture = fixture
        self._levels = levels[fixture].astype(np.float32)
        if not len(self._levels):
            raise ValueError("the reference shows no fixture")
        self._median = float(np.median(self._levels))
        low = _mean_around(levels, fixture)
        texture = np.where(fixture, _clipped_texture(levels, low), 0.0)
        self._spectrum = np.conj(np.fft.rfft2(texture, self._padded))
        self._low = low[fixture]
        self._texture = self._levels / self._low
        self._steps = self._derivatives(levels)

    def find(self, levels: Levels) -> Place:
        """The fixture's place in a picture of the same grid, taken under the same light."""
        x, y = self._coarse(levels)
        place = np.array([x, y, 0.0, 0.0])  # dx, dy, scale - 1, turn
        for _ in range(ITERATIONS):
            seen = self._seen(levels, self._onto(place))
            step = self._step(seen)
            place -= step
            if np.abs(step * (1, 1, self._shape[1] / 2, self._shape[1] / 2)).max() < SETTLED_CELLS:
                break
        onto = self._onto(place)
        likeness = self._likeness(self._seen(levels, onto))
        dx, dy, along, across = float(place[0]), float(place[1]), 1.0 + float(place[2]), float(place[3])
        return Place(dx, dy, float(np.hypot(along, across)), float(np.arctan2(across, along)), likeness, onto)

    @property
    def _padded(self) -> tuple[int, int]:
        return self._shape[0] + 2 * MOST_CELLS, self._shape[1] + 2 * MOST_CELLS

    def _coarse(self, levels: Levels) -> tuple[int, int]:
        """Whole cells in x and y at which the textures agree best."""
        shown = np.minimum(levels, np.float32(LEVELS_CLIP * self._median))
        around = np.asarray(cv2.GaussianBlur(shown, (0, 0), TEXTURE_CELLS), np.float32)
        texture = _clipped_texture(shown, around)
        agreement = np.fft.irfft2(np.fft.rfft2(texture, self._padded) * self._spectrum, self._padded)
        reach = np.arange(-MOST_CELLS, MOST_CELLS + 1)
        near = agreement[np.ix_(reach, reach)]
        y, x = np.unravel_index(int(near.argmax()), near.shape)
        return int(reach[x]), int(reach[y])

    def _derivatives(self, levels: Levels) -> NDArray[np.float32]:
        """(N, 6): change of each cell with dx, dy, scale, turn, gain and offset."""
        gx, gy = (cv2.Sobel(levels, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
        height, width = self._shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        x, y = x - (width - 1) / 2, y - (height - 1) / 2
        sel = self._fixture
        ones = np.full(len(self._levels), self._median, np.float32)
        columns = (gx[sel], gy[sel], (gx * x + gy * y)[sel], (gy * x - gx * y)[sel], self._levels, ones)
        return np.stack(columns, axis=-1)

    def _onto(self, place: F64) -> NDArray[np.float32]:
        dx, dy, grown, turn = place
        cx, cy = (self._shape[1] - 1) / 2, (self._shape[0] - 1) / 2
        a, b = 1 + grown, turn
        return np.array([[a, -b, cx + dx - a * cx + b * cy], [b, a, cy + dy - b * cx - a * cy]], np.float32)

    def _seen(self, levels: Levels, onto: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) the picture where the reference's fixture cells should be; far below 0 outside of the picture."""
        return moved(levels, onto)[self._fixture]

    def _weights(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """1 over the level for cells that fit, 0 for the rest."""
        off = seen / self._levels - 1
        off -= np.median(off)
        spread = max(1.4826 * float(np.median(np.abs(off))), LEAST_SPREAD)
        fits = (np.abs(off) < OUTLIER * spread) & (seen > 0)
        return np.where(fits, 1 / self._levels, 0).astype(np.float32)

    def _step(self, seen: NDArray[np.float32]) -> F64:
        weights = self._weights(seen)
        rows = self._steps * weights[:, None]
        square = (rows.T @ rows).astype(np.float64)
        right = (rows.T @ ((seen - self._levels) * weights)).astype(np.float64)
        size = np.sqrt(np.diag(square)) + 1e-12  # the columns have different units
        found = np.linalg.lstsq(square / np.outer(size, size), right / size, rcond=1e-8)[0] / size
        return np.asarray(found[:4], np.float64)

    def _likeness(self, seen: NDArray[np.float32]) -> float:
        """Of the cells that agree within LIKE; 0 where these are fewer than LIKE_SHARE of all."""
        brightness = seen / self._levels
        like = np.abs(brightness / max(float(np.median(brightness)), 1e-6) - 1) < LIKE
        if np.count_nonzero(like) < LIKE_SHARE * len(seen):
            return 0.0
        texture, wanted = seen[like] / self._low[like], self._texture[like]
        if not (np.std(texture) > 0 and np.std(wanted) > 0):
            return 0.0
        return float(np.corrcoef(texture, wanted)[0, 1])


def moved(levels: Levels, onto: NDArray[np.float32]) -> Levels:
    """The picture resampled onto the reference; far below 0 where it does not reach."""
    size = (levels.shape[1], levels.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(levels, onto, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=BEYOND), np.float32
    )


def _mean_around(levels: Levels, fixture: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The mean of the fixture's cells around each cell."""
    inside = fixture.astype(np.float32)
    total, weight = (cv2.GaussianBlur(a, (0, 0), TEXTURE_CELLS) for a in (levels * inside, inside))
    return np.asarray(total / np.maximum(weight, 1e-2), np.float32)


def _clipped_texture(levels: Levels, low: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(levels / np.maximum(low, 1e-6) - 1, -TEXTURE_CLIP, TEXTURE_CLIP)
