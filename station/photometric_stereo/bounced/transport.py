"""Light that bounces between the cells of a relief: what each sees of the others, and what they send it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from station.photometric_stereo.bounced.kernels import STEEP, gather
from station.photometric_stereo.bounced.relief import Relief

F64 = NDArray[np.float64]
AZIMUTHS, LONGEST_CELLS, ENTRIES_PER_CELL = 16, 60, 400
BOUNCES = 4
BORDER_CELLS = 16
BRIGHT_SHARE = 0.5  # of the brightest cells' albedo (98 % quantile): brighter cells are the part


@dataclass(frozen=True)
class Cells:
    """What the first solution says of (h, w) cells; K lights."""

    normals: F64  # (3, h, w)
    albedo: F64  # (h, w) relative
    known: NDArray[np.bool_]  # (h, w)
    lit: F64  # (h, w, K) share of the cell that light k reaches
    lights: F64  # (h, w, K, 3)


@dataclass(frozen=True)
class Transport:
    """Bounced light is matrix @ (what cells and walls send)."""

    matrix: csr_matrix  # (cells, 2 cells): cells first, then the wall under each cell's rim
    direct: F64  # (2 cells, K) irradiance of cells and walls by the lights themselves
    foot: NDArray[np.intp]  # (cells,) the cell at the foot of each wall
    albedo: F64  # (cells,) relative
    shape: tuple[int, int]  # with the border
    beyond: F64  # (h, w) see `kernels.gather`


def transport_of(cells: Cells, relief: Relief) -> Transport:
    """What the cells see of each other above their horizons (Max, 1988; Bavoil et al., 2008), and walls of steps."""
    inside = np.pad(np.ones(cells.known.shape, np.bool_), BORDER_CELLS)
    cells, relief = _beyond_the_border(cells, relief)
    height, width = cells.known.shape
    count = height * width
    starts = np.zeros(count + 1, np.int64)
    columns, weights = np.zeros(count * ENTRIES_PER_CELL, np.int32), np.zeros(count * ENTRIES_PER_CELL, np.float32)
    is_part = np.asarray(cells.known & (cells.albedo > BRIGHT_SHARE * np.quantile(cells.albedo[cells.known], 0.98)))
    beyond = np.zeros((height, width))
    number = gather(
        relief.z_mm, relief.slopes, cells.normals, cells.known, inside, AZIMUTHS, LONGEST_CELLS, relief.cell_mm,
        starts, columns, weights, is_part, beyond,
    )  # fmt: skip
    if number < 0:
        raise RuntimeError("the cells see more of each other than was planned for")
    matrix = csr_matrix((weights[:number], columns[:number], starts), (count, 2 * count))
    shaded = np.maximum(np.einsum("hwkc,chw->hwk", cells.lights, cells.normals), 0) * cells.lit
    walls, foot = _walls(cells, relief)
    direct = np.concatenate([shaded.reshape(count, -1), walls])
    return Transport(matrix, direct, foot, cells.albedo.ravel(), (height, width), _inside(beyond))


def _beyond_the_border(cells: Cells, relief: Relief) -> tuple[Cells, Relief]:
    """The same with BORDER_CELLS more on each side, which go on as the cells at the border begin them."""
    edge = BORDER_CELLS
    (height, width), step = cells.known.shape, relief.cell_mm
    y, x = (np.arange(-edge, n + edge) - np.clip(np.arange(-edge, n + edge), 0, n - 1) for n in (height, width))

    def grown(plane: NDArray[Any]) -> NDArray[Any]:
        return np.pad(plane, [(0, 0)] * (plane.ndim - 2) + [(edge, edge)] * 2, mode="edge")

    slopes = grown(relief.slopes)
    z_mm = grown(relief.z_mm) + (slopes[0] * x[None, :] - slopes[1] * y[:, None]) * step
    last = [(edge, edge)] * 2
    more = Cells(
        grown(cells.normals), grown(cells.albedo), grown(cells.known),
        np.pad(cells.lit, [*last, (0, 0)], mode="edge"), np.pad(cells.lights, [*last, (0, 0), (0, 0)], mode="edge"),
    )  # fmt: skip
    return more, Relief(z_mm, slopes, step)


def _inside(plane: F64) -> F64:
    """Without the border that was added."""
    return plane[BORDER_CELLS:-BORDER_CELLS, BORDER_CELLS:-BORDER_CELLS]


def bounced(transport: Transport, white: float) -> F64:
    """(h, w, K) bounced irradiance, where a light that is faced gives 1; `white` is the albedo value of white."""
    cells = len(transport.albedo)
    albedo = np.minimum(transport.albedo / white, 0.98)[:, None]
    found = np.zeros((cells, transport.direct.shape[1]))
    for _ in range(BOUNCES):
        sent = np.concatenate(
            [
                albedo * (transport.direct[:cells] + found),
                albedo * (transport.direct[cells:] + found[transport.foot]),
            ]
        )
        found = transport.matrix @ sent
    return np.ascontiguousarray(_inside(found.reshape(*transport.shape, -1)))


def _walls(cells: Cells, relief: Relief) -> tuple[F64, NDArray[np.intp]]:
    """(cells, K) irradiance of the wall under each cell's rim, and the cell at its foot.

    The wall faces down the steps that the slopes do not explain; it is lit as far as rim and foot are on the average.
    """
    z, step = relief.z_mm, relief.cell_mm
    height, width = z.shape
    across = np.diff(z, axis=1) - (relief.slopes[0, :, 1:] + relief.slopes[0, :, :-1]) / 2 * step
    down = np.diff(z, axis=0) + (relief.slopes[1, 1:] + relief.slopes[1, :-1]) / 2 * step
    across, down = np.where(np.abs(across) > STEEP * step, across, 0), np.where(np.abs(down) > STEEP * step, down, 0)
    facing = np.zeros((2, height, width))  # x right, y up; away from the rim
    facing[0, :, 1:] -= np.maximum(across, 0)  # higher than its left neighbour: faces left
    facing[0, :, :-1] += np.maximum(-across, 0)
    facing[1, 1:] += np.maximum(down, 0)  # higher than its upper neighbour: faces up
    facing[1, :-1] -= np.maximum(-down, 0)
    length = np.hypot(facing[0], facing[1])
    facing = facing / np.where(length > 0, length, 1)
    y, x = np.mgrid[:height, :width]
    foot_y = np.clip(y - np.round(1.3 * facing[1]).astype(int), 0, height - 1)
    foot_x = np.clip(x + np.round(1.3 * facing[0]).astype(int), 0, width - 1)
    lit = (cells.lit + cells.lit[foot_y, foot_x]) / 2
    toward = np.maximum(np.einsum("hwkc,chw->hwk", cells.lights[..., :2], facing), 0)
    return (toward * lit).reshape(height * width, -1), (foot_y * width + foot_x).ravel()
