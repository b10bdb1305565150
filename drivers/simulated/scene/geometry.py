"""Rays of a pose in the part's own frame, and the direction grids in which the kernels look patches up.

A grid lists, for each direction from the camera or a light, the patches that may be met there: a ray is then tried
against a handful of patches instead of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene import kernels
from drivers.simulated.scene.head import WORKING_DISTANCE_MM
from drivers.simulated.scene.mounted import CENTER_PX, FOCAL_PX, MountedCamera
from drivers.simulated.scene.part import Packed, Placement
from drivers.simulated.scene.sensor import HEIGHT_PX, WIDTH_PX

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

GRID_CELLS = 96
Roi = tuple[int, int, int, int]  # x, y, width, height in binned pixels


@dataclass(frozen=True)
class Standpoint:
    """A camera pose in the frame of a part that lies at `placement`."""

    position: F64  # (3,) mm
    axes: F64  # rows right, up, ahead
    plate: F64  # cos, sin, x, y of the placement: part frame to station frame
    focal_px: float = FOCAL_PX
    center_px: tuple[float, float] = CENTER_PX

    @classmethod
    def of(cls, pose: Pose, placement: Placement, camera: MountedCamera) -> Standpoint:
        """`pose` is where the arm carries a camera that sits as drawn."""
        angle = math.radians(placement.rotation_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        to_part = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
        position, axes = camera.standing(pose)
        shifted = position - np.array([placement.x_mm, placement.y_mm, 0.0])
        plate = np.array([cos, sin, placement.x_mm, placement.y_mm])
        return cls(to_part @ shifted, axes @ to_part.T, plate, camera.focal_px, camera.center_px)

    def head_point(self, position_mm: tuple[float, float, float]) -> F64:
        """A point of the light head (x right, y up, z toward the camera, from the target) in the part frame."""
        right, up, ahead = self.axes
        x, y, z = position_mm
        return np.asarray(self.position + x * right + y * up + (WORKING_DISTANCE_MM - z) * ahead, np.float64)

    @property
    def target(self) -> F64:
        """The target point, at the working distance on the optical axis, in the part frame."""
        return self.head_point((0.0, 0.0, 0.0))

    def rays(self, binning: int, roi: Roi) -> F64:
        """Direction of unit depth at the region's first pixel, its step per column and per row; (9,)."""
        right, up, ahead = self.axes
        first_x = (roi[0] + 0.5) * binning - 0.5 - self.center_px[0]
        first_y = (roi[1] + 0.5) * binning - 0.5 - self.center_px[1]
        first = ahead + (first_x * right - first_y * up) / self.focal_px
        return np.concatenate([first, right * (binning / self.focal_px), -up * (binning / self.focal_px)])


def region(binning: int, roi: Roi | None) -> Roi:
    """The region in binned pixels, all of the sensor for None. Raises ValueError if it leaves the sensor."""
    if binning < 1:
        raise ValueError(f"binning must be 1 or more, found {binning}")
    width, height = WIDTH_PX // binning, HEIGHT_PX // binning
    if roi is None:
        return 0, 0, width, height
    x, y, w, h = roi
    if x < 0 or y < 0 or w < 1 or h < 1 or x + w > width or y + h > height:
        raise ValueError(f"region {roi} leaves the sensor of {width} x {height} pixels at binning {binning}")
    return roi


@dataclass(frozen=True)
class Grid:
    """The patches that may be seen in each direction from one point; layouts in `kernels.py`."""

    frame: F64
    starts: I32
    items: I32


def build_grid(packed: Packed, origin: F64, axes: F64 | None = None) -> Grid:
    """List the patches by direction from `origin`; `axes` (right, up, ahead) if they are given by a camera."""
    if len(packed.patches) == 0:
        frame = np.zeros(17)
        frame[:3] = origin
        frame[3:12] = (np.eye(3) if axes is None else axes).ravel()
        return Grid(frame, np.zeros(2, np.int32), np.zeros(1, np.int32))
    points = packed.corners.reshape(-1, 3)
    if axes is None:
        axes = _axes_toward((points.min(0) + points.max(0)) / 2 - origin)
    seen = (points - origin) @ axes.T
    if seen[:, 2].min() <= 1.0:
        raise ValueError(f"the part reaches behind the camera or a light at {np.round(origin, 1)} mm")
    flat = seen[:, :2] / seen[:, 2:]
    lo, hi = flat.min(0) - 1e-6, flat.max(0) + 1e-6
    per_unit = GRID_CELLS / (hi - lo)
    frame = np.concatenate([origin, axes.ravel(), lo, per_unit, [GRID_CELLS]])
    starts = np.zeros(GRID_CELLS * GRID_CELLS + 1, np.int32)
    items = np.zeros(1, np.int32)
    total = kernels.fill_grid(packed.patches, packed.corners, frame, starts, items, False)
    starts = np.cumsum(starts, dtype=np.int32)
    items = np.zeros(max(total, 1), np.int32)
    kernels.fill_grid(packed.patches, packed.corners, frame, starts.copy(), items, True)
    return Grid(frame, starts, items)


def _axes_toward(direction: F64) -> F64:
    """(3, 3) rows right, up, ahead of a view along `direction`; the roll about it is arbitrary."""
    ahead = direction / np.linalg.norm(direction)
    helper = np.array([1.0, 0.0, 0.0]) if abs(ahead[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    right = np.cross(ahead, helper)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(right, ahead), ahead])


def stack_grids(grids: list[Grid]) -> tuple[F64, I32, I32]:
    """Frames (S, 17), starts (S, cells + 1) into one common list of items."""
    offsets = np.cumsum([0, *(len(grid.items) for grid in grids)])
    starts = np.stack([grid.starts + offset for grid, offset in zip(grids, offsets[:-1], strict=True)])
    frames = np.stack([grid.frame for grid in grids])
    return frames, starts.astype(np.int32), np.concatenate([grid.items for grid in grids])
