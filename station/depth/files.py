"""A view's depth on disk: 16-bit PNG in steps of a micrometre or more, a picture with colour bars, and a mesh (PLY).

NAME_depth.png         (H, W) 16 bits: height = (value - 32768) x depth_step, 0 is unknown; larger is nearer
NAME_std.png           (H, W) 16 bits: standard deviation = (value - 1) x std_step, 0 is unknown; by a model only
NAME_reliability.png   (H, W) 8 bits: 255 x reliability of the integrated height
NAME.png               picture, normals and maps to look at
NAME.ply               triangles in the view's own axes, x right, y up, z toward the camera, with colours
depth.json             method, unit, steps, pixel sizes and files
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.depth_views import DepthView
from station.depth.panels import draw_panels, height_panel, normals_panel, picture_panel, span_of
from station.documents.atomic import write_atomic
from station.report.display_rgb import linear_to_srgb
from station.report.figure_grid import write_picture

F32 = NDArray[np.float32]
ORIGIN, TOP = 32768, 65535
LEAST_STEP = 0.001  # mm: +-32.7 mm in 16 bits; a larger relief has steps of 0.002, 0.005, 0.01 ...
STEPS: tuple[float, ...] = tuple(LEAST_STEP * factor * 10.0**power for power in range(7) for factor in (1, 2, 5))
PANEL_PX = 420
TORN_PX = 4.0  # a triangle that rises by more than so many pixels spans a step, and is left out of the mesh


@dataclass(frozen=True, slots=True)
class FoundDepth:
    """What a method found of one view; lengths in mm, or in pixels where a pixel's size is unknown."""

    name: str
    view: DepthView
    height: F32  # (H, W) finite everywhere
    std: F32 | None  # (H, W); None where the method has none
    shown: NDArray[np.bool_]  # (H, W) where the method claims a height
    unit: str


@dataclass(frozen=True, slots=True)
class DepthFiles:
    """The files of one view, and how their values are read."""

    name: str
    files: tuple[str, ...]
    depth_step: float
    std_step: float | None
    pixel: float  # size on the part
    height_range: tuple[float, float]


def write_depth(out: Path, found: FoundDepth) -> DepthFiles:
    """Write one view's files; each appears whole or not at all, and the folder is made if absent."""
    out.mkdir(parents=True, exist_ok=True)
    step = step_for(float(np.abs(found.height[found.shown]).max(initial=0.0)), ORIGIN - 1)
    counts = np.round(found.height.astype(np.float64) / step) + ORIGIN
    names = [f"{found.name}_depth.png", f"{found.name}_reliability.png", f"{found.name}.png", f"{found.name}.ply"]
    _write_png(out / names[0], np.where(found.shown, np.clip(counts, 1, TOP), 0).astype(np.uint16))
    _write_png(out / names[1], np.round(found.view.reliability * 255).astype(np.uint8))
    write_picture(_sheet(found), out / names[2])
    write_atomic(out / names[3], ply_bytes(found))
    std_step = None
    if found.std is not None:
        std_step = step_for(float(found.std[found.shown].max(initial=0.0)), TOP - 1)
        spread = np.clip(np.round(found.std.astype(np.float64) / std_step) + 1, 1, TOP)
        names.insert(1, f"{found.name}_std.png")
        _write_png(out / names[1], np.where(found.shown, spread, 0).astype(np.uint16))
    values = found.height[found.shown]
    span = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return DepthFiles(found.name, tuple(names), step, std_step, found.view.pixel_mm, span)


def step_for(largest: float, counts: int) -> float:
    """The finest step, 1, 2 or 5 times a power of ten of 0.001 mm and more, that reaches so far in so many counts."""
    return next((step for step in STEPS if largest <= step * counts), STEPS[-1])


def read_depth(path: Path, step: float) -> F32:
    """(H, W) height of a `NAME_depth.png`; NaN where unknown. Raises OSError for a file that is no such picture."""
    counts = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if counts is None or counts.dtype != np.uint16 or counts.ndim != 2:
        raise OSError(f"{path}: is no grey picture of 16 bits")
    height = (counts.astype(np.float64) - ORIGIN) * step
    return np.where(counts == 0, np.nan, height).astype(np.float32)


def ply_bytes(found: FoundDepth) -> bytes:
    """A binary PLY (Turk, 1994) of the pixels where a height is claimed; no triangle spans a step."""
    index = np.full(found.shown.shape, -1, np.int32)
    index[found.shown] = np.arange(int(found.shown.sum()), dtype=np.int32)
    rows, columns = np.nonzero(found.shown)
    points = np.zeros(len(rows), [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    size = found.view.pixel_mm
    height = found.height[found.shown]
    points["xyz"] = np.stack([columns * size, -rows * size, height], axis=1)
    points["rgb"] = linear_to_srgb(np.moveaxis(found.view.picture, 0, 2))[found.shown]
    triangles = _triangles(index, found.height, TORN_PX * size)
    faces = np.zeros(len(triangles), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, triangles
    head = (
        f"ply\nformat binary_little_endian 1.0\ncomment lengths in {found.unit}; x right, y up, z toward the camera\n"
        f"element vertex {len(points)}\nproperty float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return head.encode("ascii") + points.tobytes() + faces.tobytes()


def _triangles(index: NDArray[np.int32], height: F32, most: float) -> NDArray[np.int32]:
    """(T, 3) counter-clockwise seen from the camera: two for each square of four known pixels."""
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    corners = np.stack([height[:-1, :-1], height[:-1, 1:], height[1:, :-1], height[1:, 1:]])
    whole = (np.minimum(np.minimum(a, b), np.minimum(c, d)) >= 0) & (np.ptp(corners, axis=0) <= most)
    first = np.stack([a[whole], c[whole], b[whole]], axis=1)
    second = np.stack([b[whole], c[whole], d[whole]], axis=1)
    return np.concatenate([first, second]).astype(np.int32)


def _sheet(found: FoundDepth) -> Image.Image:
    view, unit = found.view, found.unit
    span = span_of(found.height, found.shown)
    panels = [
        picture_panel("picture", view.picture),
        normals_panel("normals (hatched: unobserved)", view.normals),
        height_panel("height", found.height, found.shown, span, unit),
    ]
    if found.std is None:
        panels.append(height_panel("reliability of the height", view.reliability, view.mask, (0.0, 1.0), ""))
    else:
        most = float(np.quantile(found.std[found.shown], 0.99)) if found.shown.any() else 1.0
        panels.append(height_panel("standard deviation", found.std, found.shown, (0.0, max(most, 1e-3)), unit))
    return draw_panels(found.name, [("", panels)], PANEL_PX, "height is relative: mean 0 over what was observed")


def _write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise OSError(f"{path}: could not be encoded")
    write_atomic(path, encoded.tobytes())
