"""How high the part stands over each view's target plane, found from the views of one good part.

Lamps ride with the camera, so that no two views show the same shading. What they do share is what was solved: a
surface's direction in the station frame, and its brightness under the diffuse light. For a cell of one view every
height over the fixture is a point that the other calibrated cameras see at a known place; the height is right where
they see there what this view sees (plane sweep, Collins 1996). A cell that fits as well on the fixture is the fixture.
The points of all views together are what each camera sees of the part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.judge.part_place import features_of, sampled
from station.judge.part_warp import Surface, seen_at, surface_at
from station.recipe.loaded import LoadedRecipe
from station.recipe.part_reference_file import ViewCamera
from station.teach.fit_for_recipe import grid_of
from station.teach.part_reference import view_cameras
from station.teach.prepared_view import ViewPreparer

HEIGHTS_MM = np.arange(-2.0, 40.1, 1.0)  # over the fixture, that are tried
FIXTURE = np.flatnonzero(np.abs(HEIGHTS_MM) <= 1.0)
FEWEST_VIEWS = 3  # with two, nothing tells how sure a height is
EDGE_PX = 4  # of a cell, on the model's grid: a third of a millimetre
AROUND = (5, 5)  # cells that have about the same height
USUAL = 25.0  # spreads: what a view's median brightness counts; a camera that stands elsewhere sees it otherwise
WORST = 5.0  # spreads that a feature may differ by: more is another thing in front
UNSEEN = 9.0  # outside the other view's picture
AGREE = 2  # of the other views must see it: what one view sees is hidden from some
PER_MM = 0.04  # of a spread: chance finds a likeness at any height, and most parts are low
SURE = 0.4  # of a spread: by how much a height must fit better than the fixture
LOWEST_MM = 1.5  # of the part: lower points are the fixture's
LEAST_CELLS = 40
MOST_UNSURE_MM = 5.0  # it would cost half a degree: no better than no height
FLOOR_MM = 1.2  # rms of what was found less the truth: 15 views of three simulated parts (docs/product.md)
BLOCK = np.ones((3, 3), np.uint8)
F32 = NDArray[np.float32]
Picture = tuple[F32, F32]  # rgb and normals, (3, H, W) each, on the model's grid


@dataclass(frozen=True, slots=True)
class PlaneHeight:
    """The part's mean height over a view's target plane, toward its camera, and how far off it may be (k = 2)."""

    mm: float
    unsure_mm: float

    def as_text(self) -> str:
        """For the screen."""
        return f"{self.mm:.1f} +- {self.unsure_mm:.1f} mm"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A view's features (4, h, w) on cells, the normals turned into the station frame; and the share of normals."""

    features: F32
    share: F32
    camera: ViewCamera


def plane_heights_of(loaded: LoadedRecipe, frames: Mapping[str, Mapping[str, Frame]]) -> dict[str, PlaneHeight]:
    """The same from a part's frames, view -> light -> frame, at the recipe's binning. Empty for too few views."""
    if len(frames) < FEWEST_VIEWS:
        return {}
    height, width = next(iter(next(iter(frames.values())).values())).pixels.shape[:2]
    grid = grid_of((height, width))
    preparer = ViewPreparer(loaded, (height, width), grid)
    pictures = {view: preparer.on_grid(view, of_view) for view, of_view in frames.items()}
    return plane_heights(pictures, view_cameras(loaded, grid), loaded.calibration.working_distance_mm)


def plane_heights(
    pictures: Mapping[str, Picture], cameras: Mapping[str, ViewCamera], distance_mm: float
) -> dict[str, PlaneHeight]:
    """Per view the part's mean height; a view is absent where the height is less sure than MOST_UNSURE_MM.

    `distance_mm` is the working distance, at which each camera's target plane lies.
    """
    seen = {view: _seen(pictures[view], cameras[view]) for view in pictures}
    costs = {view: {other: _costs(seen[view], seen[other]) for other in seen if other != view} for view in seen}
    whole = _heights(seen, costs, None, distance_mm)
    without = [_heights(seen, costs, left_out, distance_mm) for left_out in seen]
    found = {}
    for view, height in whole.items():
        others = [heights[view] for heights in without if view in heights]
        unsure_mm = _unsure(others) if len(others) == len(seen) else np.inf
        if unsure_mm <= MOST_UNSURE_MM:
            found[view] = PlaneHeight(round(height, 1), round(unsure_mm, 1))
    return found


def _unsure(heights: Sequence[float]) -> float:
    """Twice the standard error: by the jackknife over the views, and FLOOR_MM."""
    return float(2 * np.hypot(np.sqrt((len(heights) - 1) * np.var(heights)), FLOOR_MM))


def _seen(picture: Picture, camera: ViewCamera) -> _Seen:
    features, share = features_of(*picture, EDGE_PX)
    flip = np.diag([1.0, -1.0, -1.0])  # from normals' axes (x right, y up, z back) to the camera's (y down, z ahead)
    features[1:] = np.einsum("ij,jhw->ihw", (camera.to_station[:3, :3] @ flip).astype(np.float32), features[1:])
    features[0] *= np.float32(USUAL / max(float(np.median(features[0])), 1e-6))
    return _Seen(features, share, camera)


def _cells(shape: tuple[int, ...]) -> tuple[F32, F32]:
    """The middles (x, y) of the cells in pixels of the model's grid, (h, w) each."""
    v, u = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    middle = np.float32((EDGE_PX - 1) / 2)
    return u * EDGE_PX + middle, v * EDGE_PX + middle


@dataclass(frozen=True, slots=True)
class _Cost:
    """(heights, h, w): by how many spreads another view differs, were the cell's point so high; whether it is seen."""

    spreads: F32
    is_inside: NDArray[np.bool_]


def _costs(own: _Seen, other: _Seen) -> _Cost:
    u, v = _cells(own.share.shape)
    h, w = own.share.shape
    found = _Cost(np.empty((len(HEIGHTS_MM), h, w), np.float32), np.empty((len(HEIGHTS_MM), h, w), np.bool_))
    for n, height_mm in enumerate(HEIGHTS_MM):
        surface = surface_at(own.camera, u, v, np.full((h, w), height_mm, np.float32))
        x, y = seen_at(other.camera, surface, 0.0, 0.0, 0.0)
        at_x, at_y = (np.asarray((a + 0.5) / EDGE_PX - 0.5, np.float32) for a in (x, y))
        features, share = (sampled(planes, at_x, at_y) for planes in (other.features, other.share))
        off = np.minimum(np.abs(features - own.features), WORST)
        known = ((share > 0.5) & (own.share > 0.5)).astype(np.float32)
        off = (off[0] + known * off[1:].sum(axis=0)) / (1 + 3 * known)
        inside = (at_x > 0) & (at_y > 0) & (at_x < w - 1) & (at_y < h - 1)
        around = np.maximum(cv2.blur(inside.astype(np.float32), AROUND), 1e-3)
        found.spreads[n] = np.where(inside, cv2.blur(off * inside, AROUND) / around, UNSEEN)
        found.is_inside[n] = inside
    return found


def _heights(
    seen: Mapping[str, _Seen], costs: Mapping[str, Mapping[str, _Cost]], left_out: str | None, distance_mm: float
) -> dict[str, float]:
    """Per view the mean height toward its camera, by the points that all views but `left_out` find on the part."""
    points = []
    for view, own in seen.items():
        if view != left_out:
            points.append(_points(own, [cost for other, cost in costs[view].items() if other != left_out]))
    cloud = np.concatenate(points, axis=1)
    found = {view: _height(cloud, of_view, distance_mm) for view, of_view in seen.items()}
    return {view: height for view, height in found.items() if height is not None}


def _points(own: _Seen, costs: Sequence[_Cost]) -> F32:
    """(3, N) in the station frame: what this view and the best of the others show to be the part."""
    agree = min(AGREE, len(costs))
    spreads = np.mean(np.sort([cost.spreads for cost in costs], axis=0)[:agree], axis=0, dtype=np.float32)
    spreads += PER_MM * np.maximum(HEIGHTS_MM, 0).astype(np.float32)[:, None, None]
    best = spreads.argmin(axis=0)
    inner = np.clip(best, 1, len(HEIGHTS_MM) - 2)
    a, b, c = (np.take_along_axis(spreads, (inner + d)[None], axis=0)[0] for d in (-1, 0, 1))
    off = np.clip((a - c) / np.maximum(2 * (a - 2 * b + c), 1e-6), -0.5, 0.5)
    heights = (HEIGHTS_MM[inner] + off * (HEIGHTS_MM[1] - HEIGHTS_MM[0])).astype(np.float32)
    is_known = sum(cost.is_inside[FIXTURE].all(axis=0).astype(np.int8) for cost in costs) >= agree
    gain = spreads[FIXTURE].min(axis=0) - spreads.min(axis=0)
    on_part = is_known & (own.share > 0.5) & (best == inner) & (gain > SURE) & (heights > LOWEST_MM)
    on_part = cv2.morphologyEx(on_part.astype(np.uint8), cv2.MORPH_OPEN, BLOCK) > 0
    u, v = _cells(heights.shape)
    surface = surface_at(own.camera, u[on_part], v[on_part], heights[on_part])
    return np.stack([surface.x_mm, surface.y_mm, surface.z_mm])


def _height(points: F32, view: _Seen, distance_mm: float) -> float | None:
    """Mean over the cells of the view in which points lie, each with the nearest to the camera; None of too few."""
    ahead, eye = view.camera.to_station[:3, 2], view.camera.to_station[:3, 3]
    toward_mm = np.asarray(distance_mm - ahead @ (points - eye[:, None]), np.float32)
    u, v = seen_at(view.camera, Surface(*points), 0.0, 0.0, 0.0)
    middle = (EDGE_PX - 1) / 2
    column, row = (np.round((a - middle) / EDGE_PX).astype(np.intp) for a in (u, v))
    inside = (row >= 0) & (column >= 0) & (row < view.share.shape[0]) & (column < view.share.shape[1])
    nearest = np.full(view.share.shape, -1e9, np.float32)
    np.maximum.at(nearest, (row[inside], column[inside]), toward_mm[inside])
    nearest = np.asarray(cv2.dilate(nearest, BLOCK), np.float32)  # closes what lies between points
    covered = nearest > -1e6
    return float(nearest[covered].mean()) if np.count_nonzero(covered) >= LEAST_CELLS else None
