"""Where the part lies on the fixture against its reference, from one view, and the picture brought back to it.

Three unknowns, x, y and turn, by least squares on differences of brightness and normals (Lucas and Kanade 1981), from
coarse cells to fine ones; cells that do not fit count less (Tukey's biweight), so that a defect does not pull. Where
that does not settle on something like the reference, a search over MOST_MM and MOST_DEG gives other starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from station.judge.part_warp import Surface, motion_of_pixels, seen_at, surface_at, turned_back
from station.recipe.part_reference_file import CELL_PX, PartReference

MOST_MM, MOST_DEG = 2.5, 2.5  # of the search
STARTS_MM, STARTS_DEG = (-1.8, 0.0, 1.8), (-1.8, 0.0, 1.8)
LEVELS_PX = (16, 8, 4, 2)  # edges of the cells, in pixels of the model's grid
ITERATIONS = {16: 6, 8: 4, 4: 3, 2: 3}
SETTLED = 2e-4  # mm or degrees: a smaller step ends a level
COLOR_SPREAD, NORMAL_SPREAD = 0.02, 0.08  # what differences are measured in: of the brightness' root, of a component
OUTLIER = 4.7  # times the spread of the residuals: from here on a cell counts nothing
LEAST_SPREAD = 0.5
REACH_CELLS = 0.5  # what a place may be off by before an edge counts less
LEAST_SHARE = 0.5  # of a cell's normals must be observable
SEARCH_BELOW = 0.9  # likeness: the search is for what was not found at once
HOLD = 1e-4  # of the cells' weight: what holds a motion that the picture does not show
ROW = 256  # cells that are sampled in a row: OpenCV takes no more than 32767
WORST = 5.0  # residuals count no more than this
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class PartPlacement:
    """How the part lies on the fixture, in the station's axes, against the reference: turned about the origin, then
    shifted. `residual` is the spread of what does not fit, about 1 for a good part; `likeness` the correlation with the
    reference, -1..1."""

    x_mm: float
    y_mm: float
    turn_deg: float
    residual: float
    likeness: float

    @property
    def moved_mm(self) -> float:
        """How far the part's middle, which lies at the station's origin, has moved."""
        return float(np.hypot(self.x_mm, self.y_mm))


@dataclass(frozen=True)
class _Level:
    """The reference's cells of one size that are looked at, listed in N rows of ROW; the last ones may not count."""

    cell_px: int
    surface: Surface
    features: F32  # (4, N, ROW): brightness' root, normal; in units of their spread
    weights: F32  # (4, N, ROW)
    steps: F32  # (3, 4, N, ROW): change of the features with x, y, turn
    steep: F32  # (4, N, ROW): change of the features per cell
    grid: tuple[int, int]


class PartTracker:
    """Finds the part of one view and brings it back. Pictures are (3, H, W) float32 on the model's grid."""

    def __init__(self, reference: PartReference) -> None:
        self.reference = reference
        self._levels = [level for edge in LEVELS_PX if (level := _level(reference, edge)) is not None]
        if not self._levels:
            raise ValueError("the reference shows no part")
        self._back = _Back(reference)

    def find(self, rgb: F32, normals: F32, shift_px: tuple[float, float] = (0.0, 0.0)) -> PartPlacement:
        """The placement in a picture in which the fixture stands `shift_px` (right, down) from the reference's."""
        pyramid = {level.cell_px: features_of(rgb, normals, level.cell_px) for level in self._levels}
        found = self._refined(pyramid, np.zeros(3), shift_px)
        if found.likeness >= SEARCH_BELOW:
            return found
        start = self._searched(pyramid, shift_px)
        other = self._refined(pyramid, start, shift_px)
        return other if other.likeness > found.likeness else found

    @property
    def information(self) -> F64:
        """(3, 3): how well the reference's finest cells show x, y (per mm) and turn (per degree)."""
        level = self._levels[-1]
        rows = level.steps.reshape(3, -1).astype(np.float64)
        return np.asarray((rows * level.weights.ravel()) @ rows.T, np.float64)

    def bring_back(
        self, rgb: F32, normals: F32, placement: PartPlacement, shift_px: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[F32, F32]:
        """Colours and normals where the reference has the part; the normals are turned with it.

        Camera's shift and part's placement are undone by one resampling.
        """
        colors, directions, _ = self.bring_what_is_seen(rgb, normals, placement, shift_px)
        return colors, directions

    def bring_what_is_seen(
        self, rgb: F32, normals: F32, placement: PartPlacement, shift_px: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[F32, F32, NDArray[np.bool_]]:
        """The same, 0 where the part lies outside the picture, and where it lies inside, (H, W)."""
        return self._back.bring(rgb, normals, placement, shift_px)

    def _refined(self, pyramid: dict[int, tuple[F32, F32]], start: F64, shift_px: tuple[float, float]) -> PartPlacement:
        place = start.copy()
        for level in self._levels:
            for _ in range(ITERATIONS[level.cell_px]):
                step = self._step(level, pyramid[level.cell_px], place, shift_px)
                place = place - step
                if np.abs(step).max() < SETTLED:
                    break
        level = self._levels[-1]
        off, weights, seen = self._off(level, pyramid[level.cell_px], place, shift_px)
        total = max(float(weights.sum()), 1e-9)
        residual = float(np.sqrt((weights * np.minimum(off**2, WORST**2)).sum() / total))
        x, y, turn = (float(v) for v in place)
        return PartPlacement(x, y, turn, residual, _correlation(level.features, seen, weights))

    def _searched(self, pyramid: dict[int, tuple[F32, F32]], shift_px: tuple[float, float]) -> F64:
        level = self._levels[0]
        best, least = np.zeros(3), np.inf
        for x in STARTS_MM:
            for y in STARTS_MM:
                for turn in STARTS_DEG:
                    place = np.array([x, y, turn])
                    for _ in range(3):
                        place = place - self._step(level, pyramid[level.cell_px], place, shift_px)
                    off, weights, _ = self._off(level, pyramid[level.cell_px], place, shift_px)
                    cost = float((weights * np.minimum(np.abs(off), WORST)).sum() / max(float(weights.sum()), 1e-9))
                    if cost < least and np.hypot(place[0], place[1]) < 2 * MOST_MM and abs(place[2]) < 2 * MOST_DEG:
                        best, least = place, cost
        return best

    def _off(
        self, level: _Level, picture: tuple[F32, F32], place: F64, shift_px: tuple[float, float]
    ) -> tuple[F32, F32, F32]:
        """(4, N, ROW) each: the picture less the reference, in spreads; the weights; the picture."""
        camera = self.reference.camera
        u, v = seen_at(camera, level.surface, *(float(p) for p in place))
        at_u = (u + np.float32(shift_px[0] + 0.5)) / level.cell_px - np.float32(0.5)
        at_v = (v + np.float32(shift_px[1] + 0.5)) / level.cell_px - np.float32(0.5)
        seen, share = (
            sampled(planes, np.asarray(at_u, np.float32), np.asarray(at_v, np.float32)) for planes in picture
        )
        seen[1:] = np.einsum("ij,jrc->irc", turned_back(camera, float(place[2])), seen[1:])
        inside = (at_u > -0.5) & (at_v > -0.5) & (at_u < level.grid[1] - 0.5) & (at_v < level.grid[0] - 0.5)
        weights = level.weights * inside
        weights[1:] *= share > LEAST_SHARE
        # a part that is brighter as a whole has not moved
        at = weights[0] * level.features[0]
        gain = float((at * level.features[0]).sum() / max(float((at * seen[0]).sum()), 1e-9))
        seen[0] *= np.float32(np.clip(gain, 0.7, 1.4))
        return seen - level.features, weights, seen

    def _step(self, level: _Level, picture: tuple[F32, F32], place: F64, shift_px: tuple[float, float]) -> F64:
        off, weights, _ = self._off(level, picture, place, shift_px)
        used = off[weights > 0]
        if used.size < 20:
            return np.zeros(3)
        spread = max(1.4826 * float(np.median(np.abs(used))), LEAST_SPREAD)
        # at an edge a cell is off because the place is: that much is no defect
        fits = np.clip(1 - (off / (np.float32(OUTLIER) * (spread + REACH_CELLS * level.steep))) ** 2, 0, None) ** 2
        weights = (weights * fits).ravel()
        rows = level.steps.reshape(3, -1)
        weighted = rows * weights
        square = (weighted @ rows.T).astype(np.float64)
        right = (weighted @ off.ravel()).astype(np.float64)
        square += HOLD * np.diag(np.diag(square).max() * np.ones(3))
        return np.asarray(np.linalg.solve(square + 1e-9 * np.eye(3), right), np.float64)


def features_of(rgb: F32, normals: F32, cell_px: int) -> tuple[F32, F32]:
    """(4, h, w) brightness' root and normals on cells, in spreads; and the share (h, w) of observable normals."""
    size = (rgb.shape[2] // cell_px, rgb.shape[1] // cell_px)
    height, width = size[1] * cell_px, size[0] * cell_px

    def shrunk(plane: NDArray[np.float32]) -> F32:
        return np.asarray(cv2.resize(plane[:height, :width], size, interpolation=cv2.INTER_AREA), np.float32)

    grey = shrunk(rgb.mean(axis=0))
    mean = np.stack([shrunk(plane) for plane in normals])
    share = shrunk((normals[2] != 0).astype(np.float32))
    return _scaled(grey, mean, share), share


def _scaled(grey: F32, mean: F32, share: F32) -> F32:
    root = np.sqrt(np.maximum(grey, 0)) / np.float32(COLOR_SPREAD)
    directions = mean / np.maximum(share, np.float32(1e-3)) / np.float32(NORMAL_SPREAD)
    return np.concatenate([root[None], directions])


def sampled(planes: F32, x: F32, y: F32) -> F32:
    """What (h, w) or (..., h, w) shows at these cells, in the shape of `x` and `y`; the border repeats."""
    if planes.ndim == 2:
        return np.asarray(cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    return np.stack([sampled(plane, x, y) for plane in planes])


def _level(reference: PartReference, cell_px: int) -> _Level | None:
    """The reference on cells of that edge; None where no cell of the part is left."""
    factor = cell_px // CELL_PX
    h, w = (size // factor for size in reference.weight.shape)
    size, inside = (w, h), (slice(None, h * factor), slice(None, w * factor))

    def shrunk(plane: F32) -> F32:
        return np.asarray(cv2.resize(plane[inside], size, interpolation=cv2.INTER_AREA), np.float32)

    share = shrunk((reference.normals[2] != 0).astype(np.float32))
    features = _scaled(shrunk(reference.colors.mean(axis=0)), np.stack([shrunk(n) for n in reference.normals]), share)
    weight, heights = shrunk(reference.weight), shrunk(reference.heights_mm)
    used = weight > 0.05
    if np.count_nonzero(used) < 20:
        return None
    weights = np.stack([weight, *([np.where(share > LEAST_SHARE, weight, 0) / 3] * 3)]).astype(np.float32)
    known = _slope_known(share)
    slopes = np.stack([[_slope(plane, *order) for order in ((1, 0), (0, 1))] for plane in features])  # (4, 2, h, w)
    slopes[1:] *= known
    listed = np.flatnonzero(used)
    spare = -len(listed) % ROW
    cells = np.pad(listed, (0, spare), mode="edge").reshape(-1, ROW)
    features, slopes, weights = (a.reshape(*a.shape[:-2], -1)[..., cells] for a in (features, slopes, weights))
    weights.reshape(4, -1)[:, len(listed) :] = 0
    u, v = (np.asarray((index + 0.5) * cell_px - 0.5, np.float32) for index in (cells % w, cells // w))
    surface = surface_at(reference.camera, u, v, heights.ravel()[cells])
    motion = motion_of_pixels(reference.camera, surface) / np.float32(cell_px)  # (3, 2, ...) cells
    steps = np.einsum("pdrc,kdrc->pkrc", motion, slopes)
    per_degree = turned_back(reference.camera, 0.5) - turned_back(reference.camera, -0.5)
    steps[2, 1:] += np.einsum("ij,jrc->irc", per_degree, features[1:]) * (weights[1:] > 0)
    steep = np.sqrt((slopes**2).sum(axis=1))
    return _Level(cell_px, surface, features, weights, steps.astype(np.float32), steep, (h, w))


def _slope(plane: F32, right: int, down: int) -> F32:
    return np.asarray(cv2.Sobel(plane, cv2.CV_32F, right, down, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REPLICATE))


def _slope_known(share: F32) -> NDArray[np.bool_]:
    """Where all neighbours have a normal."""
    return np.asarray(cv2.erode(share, np.ones((3, 3), np.uint8)) > LEAST_SHARE)


def _correlation(wanted: F32, seen: F32, weights: F32) -> float:
    """Of both, each kind of feature about its own mean."""
    total = weights.sum(axis=(1, 2), keepdims=True) + np.float32(1e-9)
    a = wanted - (weights * wanted).sum(axis=(1, 2), keepdims=True) / total
    b = seen - (weights * seen).sum(axis=(1, 2), keepdims=True) / total
    size = float(np.sqrt((weights * a * a).sum() * (weights * b * b).sum()))
    return float((weights * a * b).sum()) / size if size > 0 else 0.0


class _Back:
    """Resamples what surrounds the region: the rest of the picture is not judged, and is handed on as it is."""

    MARGIN_PX = 8

    def __init__(self, reference: PartReference) -> None:
        self._camera = reference.camera
        height, width = reference.region.shape
        rows, columns = (np.flatnonzero(reference.region.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            raise ValueError("the region is empty")
        m = self.MARGIN_PX
        self._rows = slice(max(0, int(rows[0]) - m), min(height, int(rows[-1]) + m + 1))
        self._columns = slice(max(0, int(columns[0]) - m), min(width, int(columns[-1]) + m + 1))
        heights = cv2.resize(reference.heights_mm, (width, height), interpolation=cv2.INTER_LINEAR)
        heights = np.asarray(heights, np.float32)[self._rows, self._columns]
        v, u = np.mgrid[self._rows, self._columns].astype(np.float32)
        self._surface = surface_at(self._camera, u, v, heights)

    def bring(
        self, rgb: F32, normals: F32, placement: PartPlacement, shift_px: tuple[float, float]
    ) -> tuple[F32, F32, NDArray[np.bool_]]:
        u, v = seen_at(self._camera, self._surface, placement.x_mm, placement.y_mm, placement.turn_deg)
        u, v = u + np.float32(shift_px[0]), v + np.float32(shift_px[1])
        colors, directions = rgb.copy(), normals.copy()
        at = (slice(None), self._rows, self._columns)
        height, width = rgb.shape[1:]
        inside = (u > -0.5) & (v > -0.5) & (u < width - 0.5) & (v < height - 0.5)
        colors[at] = _resampled(rgb, u, v) * inside
        directions[at] = _resampled_normals(normals, u, v, turned_back(self._camera, placement.turn_deg)) * inside
        seen = np.ones((height, width), np.bool_)
        seen[self._rows, self._columns] = inside
        return colors, directions, seen


def _resampled(planes: F32, u: F32, v: F32, how: int = cv2.INTER_CUBIC) -> F32:
    return np.stack([cv2.remap(plane, u, v, how, borderMode=cv2.BORDER_REPLICATE) for plane in planes])


def _resampled_normals(normals: F32, u: F32, v: F32, turn: F32) -> F32:
    """Of unit length, or 0 0 0 where less than half of what is mixed is observable."""
    share = cv2.remap((normals[2] != 0).astype(np.float32), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mixed = np.einsum("ij,jhw->ihw", turn, _resampled(normals, u, v, cv2.INTER_LINEAR))
    length = np.sqrt((mixed**2).sum(axis=0))
    usable = (share >= LEAST_SHARE) & (length > 1e-6)
    return np.where(usable, mixed / np.maximum(length, np.float32(1e-6)), np.float32(0)).astype(np.float32)
