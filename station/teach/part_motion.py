"""How good parts lie against each other, and how high their surface is, told from their pictures alone.

Every view of a part shows the same motion on the fixture. Parts that lie at several places show a surface's height:
a point at another height would have been seen elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from station.judge.part_place import PartPlacement, PartTracker, features_of, sampled
from station.judge.part_warp import Surface, seen_at, surface_at, turned_back
from station.recipe.part_reference_file import CELL_PX, PartReference, ViewCamera

HEIGHTS_MM = np.arange(-3.0, 30.1, 1.5).astype(np.float32)  # that are tried
PLACED_MM = 0.4  # a part that lies nearer to the reference shows no heights
FEWEST_PLACED, MOST_PLACED = 3, 10
AROUND = (9, 9)  # cells that have about the same height
SURE = 0.6  # of a feature's spread: how much better the best height must fit
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """Turned about the station's z axis, then shifted."""

    x_mm: float
    y_mm: float
    turn_deg: float

    def after(self, first: Motion) -> Motion:
        """`first`, then this one."""
        turn = np.radians(self.turn_deg)
        return Motion(
            float(np.cos(turn) * first.x_mm - np.sin(turn) * first.y_mm + self.x_mm),
            float(np.sin(turn) * first.x_mm + np.cos(turn) * first.y_mm + self.y_mm),
            self.turn_deg + first.turn_deg,
        )

    def back(self) -> Motion:
        """What undoes it."""
        turn = np.radians(self.turn_deg)
        return Motion(
            float(-np.cos(turn) * self.x_mm - np.sin(turn) * self.y_mm),
            float(np.sin(turn) * self.x_mm - np.cos(turn) * self.y_mm),
            -self.turn_deg,
        )

    @property
    def size_mm(self) -> float:
        """A degree counts as what it moves at 20 mm."""
        return float(np.hypot(np.hypot(self.x_mm, self.y_mm), 20 * np.radians(self.turn_deg)))


def common_motions(trackers: Mapping[str, PartTracker], parts: Sequence[Mapping[str, tuple[F32, F32]]]) -> list[Motion]:
    """Per part the motion that its views agree on, each view counting by what it shows."""
    return [_common(trackers, part) for part in parts]


def _common(trackers: Mapping[str, PartTracker], part: Mapping[str, tuple[F32, F32]]) -> Motion:
    square, right = np.zeros((3, 3)), np.zeros(3)
    for view, tracker in trackers.items():
        found = tracker.find(*part[view])
        counts = tracker.information * max(found.likeness, 1e-3) / max(found.residual, 0.1) ** 2
        square += counts
        right += counts @ [found.x_mm, found.y_mm, found.turn_deg]
    return Motion(*(float(v) for v in np.linalg.solve(square, right)))


def most_common(motions: Sequence[Motion]) -> Motion:
    """Where most parts lie: the mean of those around the motion that has the nearest neighbours."""
    apart = np.array([[a.after(b.back()).size_mm for b in motions] for a in motions])
    near = np.sort(apart, axis=1)[:, : max(2, (len(motions) + 1) // 3)].mean(axis=1)
    middle = int(near.argmin())
    around = apart[middle] <= max(2 * float(near[middle]), 0.05)
    values = np.array([[m.x_mm, m.y_mm, m.turn_deg] for m, is_near in zip(motions, around, strict=True) if is_near])
    return Motion(*(float(v) for v in values.mean(axis=0)))


def cells_of(shape: tuple[int, int]) -> tuple[F32, F32]:
    """The middles (x, y) of the reference's cells in pixels of the model's grid, (h, w) each."""
    v, u = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    middle = np.float32((CELL_PX - 1) / 2)
    return u * CELL_PX + middle, v * CELL_PX + middle


def as_reference_has_it(
    camera: ViewCamera, picture: tuple[F32, F32], motion: Motion, heights_mm: F32
) -> tuple[F32, F32]:
    """(4, h, w) features on the reference's cells of a part that was moved so, and the share (h, w) of normals."""
    shape = heights_mm.shape
    u, v = (a.ravel() for a in cells_of(shape))
    surface = surface_at(camera, u, v, heights_mm.ravel())
    x, y = seen_at(camera, surface, motion.x_mm, motion.y_mm, motion.turn_deg)
    at_x, at_y = (np.asarray((a + 0.5) / CELL_PX - 0.5, np.float32).reshape(shape) for a in (x, y))
    seen, share = (sampled(planes, at_x, at_y) for planes in picture)
    seen[1:] = np.einsum("ij,jhw->ihw", turned_back(camera, motion.turn_deg), seen[1:])
    return seen, share


def surface_heights(
    camera: ViewCamera, pictures: Sequence[tuple[F32, F32]], motions: Sequence[Motion], wanted: F32, weight: F32,
) -> tuple[F32, F32]:  # fmt: skip
    """Per cell the height (h, w) in mm at which the moved parts agree best with `wanted` (4, h, w) features.

    And how sure that is, 0 where the pictures show no height.
    """
    placed = placed_parts(motions)
    if len(placed) < FEWEST_PLACED:
        return np.zeros(weight.shape, np.float32), np.zeros(weight.shape, np.float32)
    costs = np.stack([_cost(camera, pictures, motions, placed, wanted, weight, float(height)) for height in HEIGHTS_MM])
    best = costs.argmin(axis=0)
    least = costs.min(axis=0)
    gain = np.median(costs, axis=0) - least
    inner = np.clip(best, 1, len(HEIGHTS_MM) - 2)
    a, b, c = (np.take_along_axis(costs, (inner + d)[None], axis=0)[0] for d in (-1, 0, 1))
    off = np.clip((a - c) / np.maximum(2 * (a - 2 * b + c), 1e-6), -0.5, 0.5)
    found = HEIGHTS_MM[inner] + off * (HEIGHTS_MM[1] - HEIGHTS_MM[0])
    sure = np.where((gain > SURE) & (weight > 0), gain, 0).astype(np.float32)
    return found.astype(np.float32), sure


def placed_parts(motions: Sequence[Motion]) -> list[int]:
    """Those that lie far enough from the reference to show heights, at most MOST_PLACED, the farthest first."""
    sizes = [motion.size_mm for motion in motions]
    return [int(n) for n in np.argsort(sizes)[::-1] if sizes[n] > PLACED_MM][:MOST_PLACED]


def left_over(
    camera: ViewCamera, pictures: Sequence[tuple[F32, F32]], motions: Sequence[Motion], wanted: F32, weight: F32
) -> float:
    """What the moved parts differ from `wanted` by, at the best heights for these motions."""
    placed = placed_parts(motions)
    costs = np.stack(
        [_cost(camera, pictures, motions, placed, wanted, weight, float(height)) for height in HEIGHTS_MM[::2]]
    )
    return float((costs.min(axis=0) * weight).sum() / weight.sum())


def _cost(
    camera: ViewCamera, pictures: Sequence[tuple[F32, F32]], motions: Sequence[Motion], placed: Sequence[int],
    wanted: F32, weight: F32, height_mm: float,
) -> F32:  # fmt: skip
    total = np.zeros(weight.shape, np.float32)
    for n in placed:
        seen, share = as_reference_has_it(camera, pictures[n], motions[n], np.full(weight.shape, height_mm, np.float32))
        off = np.minimum(np.abs(seen - wanted), 5)
        off[1:] *= (share > 0.5) / 3
        total += off.sum(axis=0)
    return np.asarray(cv2.blur(total / len(placed), AROUND), np.float32)


def heights_together(
    cameras: Mapping[str, ViewCamera], found: Mapping[str, tuple[F32, F32]], before_mm: Mapping[str, F32]
) -> dict[str, F32]:
    """Every view's heights (h, w) in mm: its own where it is sure, else what other views saw there, else as before.

    A camera that looks straight down sees hardly any height; those that look from the side see it well.
    """
    points = {view: _points(cameras[view], *found[view]) for view in found}
    heights = {}
    for view, (own, sure) in found.items():
        others = [points[other] for other in found if other != view]
        seen, known = _seen_by(cameras[view], own.shape, others)
        rough = filled_in(seen, known, before_mm[view])
        heights[view] = filled_in(own, sure, rough)
    return heights


def _points(camera: ViewCamera, heights_mm: F32, sure: F32) -> F32:
    """(3, N) in the station frame, of the cells that are sure."""
    u, v = cells_of(heights_mm.shape)
    is_sure = sure > 0
    surface = surface_at(camera, u[is_sure], v[is_sure], heights_mm[is_sure])
    return np.stack([surface.x_mm, surface.y_mm, surface.z_mm])


def _seen_by(camera: ViewCamera, shape: tuple[int, int], clouds: Sequence[F32]) -> tuple[F32, F32]:
    """(h, w) heights of the points that the camera would see, the highest of a cell, and 1 where there is one.

    Without clouds, as of a recipe with one view, nothing is known anywhere.
    """
    x, y, z = np.concatenate([np.zeros((3, 0), np.float32), *clouds], axis=1)
    u, v = seen_at(camera, Surface(x, y, z), 0.0, 0.0, 0.0)
    column, row = (np.round((a - (CELL_PX - 1) / 2) / CELL_PX).astype(np.intp) for a in (u, v))
    inside = (row >= 0) & (column >= 0) & (row < shape[0]) & (column < shape[1])
    heights = np.full(shape, -1e9, np.float32)
    np.maximum.at(heights, (row[inside], column[inside]), z[inside])
    heights = np.asarray(cv2.dilate(heights, np.ones((3, 3), np.uint8)), np.float32)
    known = heights > -1e6
    return np.where(known, heights, 0).astype(np.float32), known.astype(np.float32)


def filled_in(values: F32, sure: F32, otherwise: F32) -> F32:
    """Means of what is sure around, near before far; `otherwise` weighs a little everywhere."""
    total, weight = otherwise * 1e-3, np.full(values.shape, 1e-3, np.float32)
    for sigma, share in ((2.0, 1.0), (6.0, 0.1), (18.0, 0.02)):
        total = total + share * cv2.GaussianBlur(values * sure, (0, 0), sigma)
        weight = weight + share * cv2.GaussianBlur(sure, (0, 0), sigma)
    return np.asarray(total / weight, np.float32)


def on_cells(picture: tuple[F32, F32]) -> tuple[F32, F32]:
    """(4, h, w) features and (h, w) share of a picture on the model's grid."""
    return features_of(*picture, CELL_PX)


def aligned(
    reference: PartReference, pictures: Sequence[tuple[F32, F32]], motions: Sequence[Motion]
) -> list[tuple[F32, F32]]:
    """The pictures as the judge brings them back, by the motions that all views agree on."""
    tracker = PartTracker(reference)
    places = [PartPlacement(m.x_mm, m.y_mm, m.turn_deg, 0.0, 1.0) for m in motions]
    return [tracker.bring_back(*picture, place) for picture, place in zip(pictures, places, strict=True)]


def mean_picture(pictures: Sequence[tuple[F32, F32]]) -> tuple[F32, F32]:
    """Mean colours, and mean directions of the normals where at least half of the pictures have one."""
    colors = np.asarray(np.mean([rgb for rgb, _ in pictures], axis=0, dtype=np.float32))
    total = np.sum([normals for _, normals in pictures], axis=0, dtype=np.float32)
    share = np.mean([normals[2] != 0 for _, normals in pictures], axis=0)
    length = np.sqrt((total**2).sum(axis=0))
    usable = (share >= 0.5) & (length > 1e-6)
    return colors, np.where(usable, total / np.maximum(length, 1e-6), 0).astype(np.float32)
