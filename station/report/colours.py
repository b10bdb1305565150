"""Colours for score maps, normals and images, on scales that never depend on the single picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LIMIT_POSITION = 0.5  # where the limit lies on the colour scale; the scale ends at twice the limit
SCALE_END = 1.0 / LIMIT_POSITION  # the score at the top of the scale, in limits

# Okabe-Ito hues: blue under the limit, yellow to vermilion over it, told apart by every kind of
# colour vision; the step in lightness at the limit is visible in grey as well.
_UNDER_STOPS = ((0.0, (0, 70, 140, 0)), (0.5, (0, 114, 178, 50)), (1.0, (86, 180, 233, 120)))
_OVER_STOPS = ((0.0, (240, 228, 66, 190)), (0.5, (230, 159, 0, 215)), (1.0, (213, 60, 0, 235)))
_NOT_FINITE = (204, 121, 167, 255)
_STEPS = 256
_HATCH_PERIOD_PX = 12
_HATCH_GREYS = (120, 150)


def _ramp(stops: tuple[tuple[float, tuple[int, int, int, int]], ...]) -> NDArray[np.uint8]:
    positions = [position for position, _ in stops]
    at = np.linspace(0.0, 1.0, _STEPS)
    channels = [np.interp(at, positions, [colour[c] for _, colour in stops]) for c in range(4)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


_TABLE: NDArray[np.uint8] = np.concatenate(
    [_ramp(_UNDER_STOPS), _ramp(_OVER_STOPS), np.array([_NOT_FINITE], dtype=np.uint8)]
)


def _require_limit(limit: float) -> None:
    if not (math.isfinite(limit) and limit > 0):
        raise ValueError(f"limit: {limit!r} has no place on the colour scale; a limit is a finite number above 0")


def colour_map(scores: NDArray[np.float32], limit: float) -> NDArray[np.uint8]:
    """Scores (h, w) as RGBA (h, w, 4): the same score under the same limit has the same colour everywhere.

    Transparent at 0, blue up to and including the limit, yellow to vermilion from there to twice
    the limit and beyond; pink where the score is not finite. Raises ValueError for a limit <= 0.
    """
    _require_limit(limit)
    ratio = np.asarray(scores, dtype=np.float64) / limit
    finite = np.isfinite(ratio)
    ratio = np.where(finite, ratio, 0.0)
    over = ratio > 1.0
    position = np.clip(np.where(over, ratio - 1.0, ratio), 0.0, 1.0) * (_STEPS - 1)
    index = position.round().astype(np.int16) + np.where(over, _STEPS, 0)
    index[~finite] = 2 * _STEPS
    return np.asarray(_TABLE[index], dtype=np.uint8)


def colour_bar(height_px: int, width_px: int, ground: int = 128) -> NDArray[np.uint8]:
    """The scale from 0 (bottom) to twice the limit (top) on a grey ground, RGB (height, width, 3).

    A black line lies at the limit, `LIMIT_POSITION` of the height.
    """
    scores = np.linspace(SCALE_END, 0.0, height_px, dtype=np.float32)[:, None].repeat(width_px, axis=1)
    bar = over_ground(colour_map(scores, 1.0), np.full((height_px, width_px, 3), ground, dtype=np.uint8))
    middle = round((height_px - 1) * (1.0 - LIMIT_POSITION))
    bar[max(middle - 1, 0) : middle + 1] = 0
    return bar


def over_ground(rgba: NDArray[np.uint8], ground: NDArray[np.uint8], opacity: float = 1.0) -> NDArray[np.uint8]:
    """RGBA (h, w, 4) laid over an opaque RGB ground (h, w, 3)."""
    alpha = rgba[..., 3:].astype(np.float32) * (opacity / 255.0)
    mixed = rgba[..., :3] * alpha + ground * (1.0 - alpha)
    return np.asarray(mixed.round(), dtype=np.uint8)


def limit_segments(scores: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    """The line where the scores (h, w) cross the limit, as segments (n, 2, 2) of (x, y) in map pixels.

    Marching squares with linear interpolation; pixel centres at integers. Regions over the limit
    are closed at the map's edge. A score that is not finite counts as over the limit.
    """
    _require_limit(limit)
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


def hatch(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Diagonal grey stripes (H, W): the sign for 'nothing is known here'."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    stripe = ((rows + columns) // (_HATCH_PERIOD_PX // 2)) % 2
    return np.asarray(np.asarray(_HATCH_GREYS)[stripe], dtype=np.uint8)


def normals_to_rgb(normals: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Normals (3, H, W) as RGB (H, W, 3) by (n + 1) / 2; hatched grey where they are 0 0 0 or not finite."""
    rgb = np.empty((*normals.shape[1:], 3), dtype=np.uint8)
    known = np.zeros(normals.shape[1:], dtype=np.bool_)
    for channel in range(3):
        plane = normals[channel]
        finite = np.isfinite(plane)
        known |= finite & (plane != 0)
        rgb[..., channel] = np.clip(np.where(finite, plane, 0.0) * 127.5 + 128.0, 0.0, 255.0)
    unknown = ~known
    if unknown.any():
        rgb[unknown] = hatch(normals.shape[1:])[unknown][:, None]
    return rgb


def _srgb_table() -> NDArray[np.uint8]:
    linear = np.linspace(0.0, 1.0, 4096)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray((coded * 255).round(), dtype=np.uint8)


_SRGB = _srgb_table()


def linear_to_srgb(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear 0..1 of any shape as sRGB 0..255 (IEC 61966-2-1); outside values are clipped, NaN is black."""
    scaled = np.clip(np.nan_to_num(linear, nan=0.0) * np.float32(4095.0) + np.float32(0.5), 0.0, 4095.0)
    return np.asarray(_SRGB[scaled.astype(np.uint16)], dtype=np.uint8)
