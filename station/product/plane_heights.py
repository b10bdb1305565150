"""How high the part stands over each view's target plane, found from the views of one good part.

Lamps ride with the camera, so that no two views show the same shading. What they do share is what was solved: a
surface's direction in the station frame, and its brightness under the diffuse light. For a cell of one view every
height over the fixture is a point that the other calibrated cameras see at a known place; the height is right where
they see there what this view sees (plane sweep, Collins 1996).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.judge.part_place import features_of, sampled
from station.judge.part_warp import seen_at, surface_at
from station.recipe.loaded import LoadedRecipe
from station.recipe.part_reference_file import ViewCamera
from station.teach.fit_for_recipe import grid_of
from station.teach.part_reference import view_cameras
from station.teach.prepared_view import ViewPreparer

HEIGHTS_MM = np.arange(-2.0, 40.1, 1.0)  # over the fixture, that are tried
FEWEST_VIEWS = 2
EDGE_PX = 4  # of a cell, on the model's grid: a third of a millimetre
AROUND = (5, 5)  # cells that have about the same height
USUAL = 25.0  # spreads: what a view's median brightness counts; a camera that stands elsewhere sees it otherwise
WORST = 5.0  # spreads that a feature may differ by: more is another thing in front
AGREE = 2  # of the other views must see it: what one view sees is hidden from some
SURE = 0.8  # of a spread: how much better the best height must fit than most
ON_FIXTURE_MM = 1.5  # lower cells are the fixture's
LEAST_CELLS = 40
STEP_MM = 0.5  # what the steps between heights and the cells' size leave unsure
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
    """The same from a part's frames, view -> light -> frame, at the binning of the recipe. Empty for a single view."""
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
    """Per view the part's mean height; a view is absent where too little of the part shows its height.

    `distance_mm` is the working distance, at which each camera's target plane lies.
    """
    seen = {view: _seen(pictures[view], cameras[view]) for view in pictures}
    found = {}
    for view, own in seen.items():
        costs = np.stack([_costs(own, other) for name, other in seen.items() if name != view])
        chosen = [np.delete(costs, n, axis=0) for n in range(len(costs))] if len(costs) > 1 else []
        middle, *others = (_height(own, some, distance_mm) for some in (costs, *chosen))
        known = [height for height in others if height is not None]
        if middle is not None and len(known) == len(others):
            found[view] = PlaneHeight(round(middle, 1), round(_unsure(known), 1))
    return found


def _unsure(heights: Sequence[float]) -> float:
    """Twice the standard error: by the jackknife over the other views, and what the steps leave."""
    spread = np.sqrt((len(heights) - 1) * np.var(heights)) if len(heights) > 1 else 2.0
    return float(2 * np.hypot(spread, STEP_MM))


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


def _costs(own: _Seen, other: _Seen) -> F32:
    """(heights, h, w): by how many spreads the other view differs from this one, were the cell's point so high."""
    u, v = _cells(own.share.shape)
    h, w = own.share.shape
    found = np.empty((len(HEIGHTS_MM), h, w), np.float32)
    for n, height_mm in enumerate(HEIGHTS_MM):
        surface = surface_at(own.camera, u, v, np.full((h, w), height_mm, np.float32))
        x, y = seen_at(other.camera, surface, 0.0, 0.0, 0.0)
        at_x, at_y = (np.asarray((a + 0.5) / EDGE_PX - 0.5, np.float32) for a in (x, y))
        features, share = (sampled(planes, at_x, at_y) for planes in (other.features, other.share))
        off = np.minimum(np.abs(features - own.features), WORST)
        off[1:] *= (share > 0.5) & (own.share > 0.5)
        inside = (at_x > 0) & (at_y > 0) & (at_x < w - 1) & (at_y < h - 1)
        found[n] = cv2.blur(np.where(inside, off.mean(axis=0), WORST).astype(np.float32), AROUND)
    return found


def _height(own: _Seen, costs: F32, distance_mm: float) -> float | None:
    """Mean height over the target plane of what the others, (others, heights, h, w), show to be the part.

    None of too few cells.
    """
    heights, is_sure = _swept(np.mean(np.sort(costs, axis=0)[: min(AGREE, len(costs))], axis=0, dtype=np.float32))
    on_part = is_sure & (heights > ON_FIXTURE_MM)
    if np.count_nonzero(on_part) < LEAST_CELLS:
        return None
    u, v = _cells(heights.shape)
    surface = surface_at(own.camera, u[on_part], v[on_part], heights[on_part])
    middle = np.array([surface.x_mm.mean(), surface.y_mm.mean(), surface.z_mm.mean()])
    ahead, eye = own.camera.to_station[:3, 2], own.camera.to_station[:3, 3]
    return distance_mm - float(ahead @ (middle - eye))


def _swept(costs: F32) -> tuple[F32, NDArray[np.bool_]]:
    """(h, w) heights over the fixture in mm at which the costs (heights, h, w) are least, and where that is sure."""
    best = costs.argmin(axis=0)
    gain = np.median(costs, axis=0) - costs.min(axis=0)
    inner = np.clip(best, 1, len(HEIGHTS_MM) - 2)
    a, b, c = (np.take_along_axis(costs, (inner + d)[None], axis=0)[0] for d in (-1, 0, 1))
    off = np.clip((a - c) / np.maximum(2 * (a - 2 * b + c), 1e-6), -0.5, 0.5)
    heights = HEIGHTS_MM[inner] + off * (HEIGHTS_MM[1] - HEIGHTS_MM[0])
    return heights.astype(np.float32), (gain > SURE) & (best == inner)
