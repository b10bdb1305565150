"""The line on which a score map crosses its limit, as geometry and as drawn into a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from station.report.heat_map import SCALE_END, require_limit

_OUTLINE_RGB = (0, 0, 0)
_OUTLINE_HALO_RGB = (255, 255, 255)
_SUBPIXEL_BITS = 4


def draw_outline(rgb: NDArray[np.uint8], scores: NDArray[np.float32], limit: float) -> None:
    """Draw the outline into RGB (H, W, 3), in place; the map (h, w) covers the picture from edge to edge.

    Black with a white halo, so that it shows on every colour of the heat map. Raises ValueError for a limit <= 0.
    """
    segments = limit_segments(scores, limit)
    scale = np.array([rgb.shape[1] / scores.shape[1], rgb.shape[0] / scores.shape[0]])
    points = (((segments + 0.5) * scale - 0.5) * (1 << _SUBPIXEL_BITS)).round().astype(np.int32)
    for colour, thickness in ((_OUTLINE_HALO_RGB, 3), (_OUTLINE_RGB, 1)):
        cv2.polylines(rgb, list(points), False, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def limit_segments(scores: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    """The line where the scores (h, w) cross the limit, as segments (n, 2, 2) of (x, y) in map pixels.

    Marching squares with linear interpolation; pixel centres at integers. Regions over the limit
    are closed at the map's edge. A score that is not finite counts as over the limit.
    """
    require_limit(limit)
    height, width = scores.shape
    field = np.where(np.isfinite(scores), np.asarray(scores, dtype=np.float64), SCALE_END * limit) - limit
    field = np.pad(np.clip(field, -limit, limit), 1, constant_values=-limit)
    corners = (field[:-1, :-1], field[:-1, 1:], field[1:, 1:], field[1:, :-1])  # clockwise from the top left
    steps = ((0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 1.0), (1.0, 1.0, -1.0, 0.0), (0.0, 1.0, 0.0, -1.0))
    crossings = [_edge_crossing(corners[i], corners[(i + 1) % 4], steps[i]) for i in range(4)]
    parts = [_cell_segments(crossings[i], crossings[j], corners, (i, j)) for i in range(4) for j in range(i + 1, 4)]
    segments = np.concatenate(parts) - 1.0
    segments[..., 0] = segments[..., 0].clip(-0.5, width - 0.5)
    segments[..., 1] = segments[..., 1].clip(-0.5, height - 0.5)
    return np.asarray(segments, dtype=np.float32)


def _edge_crossing(
    start: NDArray[np.float64], end: NDArray[np.float64], step: tuple[float, float, float, float]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether each cell's edge is crossed, and where: (h, w) and (h, w, 2) in padded map pixels."""
    crossed = (start > 0) != (end > 0)
    share = np.where(crossed, start, 0.0) / np.where(crossed, start - end, 1.0)
    rows, columns = np.indices(start.shape)
    x0, y0, dx, dy = step
    return crossed, np.stack([columns + x0 + dx * share, rows + y0 + dy * share], axis=-1)


def _cell_segments(
    first: tuple[NDArray[np.bool_], NDArray[np.float64]],
    second: tuple[NDArray[np.bool_], NDArray[np.float64]],
    corners: tuple[NDArray[np.float64], ...],
    edges: tuple[int, int],
) -> NDArray[np.float64]:
    """The segments between two edges: of cells that cross these two only, or of saddles, which cut two corners."""
    count = sum(((corners[k] > 0) != (corners[(k + 1) % 4] > 0)).astype(np.int8) for k in range(4))
    both = first[0] & second[0]
    wanted = both & (count == 2)
    if edges in ((0, 3), (1, 2)):  # a saddle is cut at its top left and bottom right corners
        wanted |= both & (count == 4)
    return np.stack([first[1][wanted], second[1][wanted]], axis=1)
