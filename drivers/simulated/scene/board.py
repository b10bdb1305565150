"""A ChArUco board in the fixture: where it lies, how it was made, and its picture averaged over each pixel's area.

Markers are of DICT_4X4_250 as OpenCV draws them, so that the station's detector reads what a printed board would show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene.geometry import Roi, Standpoint
from drivers.simulated.scene.head import Light, LightHead
from drivers.simulated.scene.jit import kernel
from drivers.simulated.scene.mounted import MountedCamera, rotation
from drivers.simulated.scene.part import Placement, make_part
from drivers.simulated.scene.scene import Scene, ViewTruth, lamp
from drivers.simulated.scene.sensor import Sensor

F64 = NDArray[np.float64]

COLS, ROWS, SQUARE_MM = 24, 20, 3.0
CELLS_PER_SQUARE = 8  # a marker of 6 x 6 cells with one cell of white round it: 3/4 of a square
WHITE, BLACK, PLATE = 0.8, 0.05, 0.055  # albedo
_RAYS_PER_SIDE = 4  # of one pixel: edges are averaged over its area
_GEOMETRY = 24


@dataclass(frozen=True, slots=True)
class BoardPlacement:
    """The board's middle in the station frame, and how it lies: turned in its plane, then leaned over.

    At rest it lies face up with its rows along the station's x. `lean_deg` is the direction toward which its
    face leans by `tilt_deg` (0 is +x, 90 is +y).
    """

    x_mm: float = 0.0
    y_mm: float = 0.0
    z_mm: float = 8.0
    tilt_deg: float = 0.0
    lean_deg: float = 0.0
    rotation_deg: float = 0.0

    def frame(self) -> F64:
        """(4, 4): from a frame in the board (x along a row, y down its columns, z into it, origin in the middle)
        to the station's."""
        lean = math.radians(self.lean_deg)
        axis = np.array([-math.sin(lean), math.cos(lean), 0.0]) * math.radians(self.tilt_deg)
        turn = rotation(np.array([0.0, 0.0, math.radians(self.rotation_deg)]))
        out = np.eye(4)
        out[:3, :3] = rotation(axis) @ turn @ np.diag([1.0, -1.0, -1.0])
        out[:3, 3] = (self.x_mm, self.y_mm, self.z_mm)
        return out


@dataclass(frozen=True, slots=True)
class BoardMake:
    """How this board differs from its drawing: its middle above its rim in um, its pitch too long in percent."""

    bow_um: float = 0.0
    pitch_percent: float = 0.0


@lru_cache(maxsize=1)
def printed_cells() -> NDArray[np.uint8]:
    """(ROWS, COLS) x CELLS_PER_SQUARE of 0 or 1: black or white."""
    words = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_250)
    board = cv2.aruco.CharucoBoard((COLS, ROWS), SQUARE_MM, 0.75 * SQUARE_MM, words)
    image = board.generateImage((COLS * CELLS_PER_SQUARE, ROWS * CELLS_PER_SQUARE), marginSize=0, borderBits=1)
    return (np.asarray(image) > 127).astype(np.uint8)


class BoardScene(Scene):
    """A Scene whose part is a board; the truth about parts is not offered."""

    def __init__(
        self, placement: BoardPlacement, make: BoardMake, head: LightHead | None = None, sensor: Sensor | None = None,
        seed: int = 0, threads: int = 2, camera: MountedCamera | None = None,
    ) -> None:  # fmt: skip
        super().__init__(make_part("empty", 0), head, sensor, seed, threads, camera)
        self.placement = placement
        self.make = make

    def truth(self, pose: Pose, binning: int, roi: Roi | None = None) -> ViewTruth:  # noqa: ARG002 - see above
        """Raises ValueError: a board has no part's truth."""
        raise ValueError("a board lies in the fixture: there is no truth of a part's normals; load a part first")

    def shadow(self, pose: Pose, channel: int, binning: int, roi: Roi | None = None) -> NDArray[np.bool_]:  # noqa: ARG002 - the board's drawing is its truth
        """Raises ValueError: a board's shadows are not computed."""
        raise ValueError("a board lies in the fixture: its shadows are not computed; load a part first")

    def _render(self, pose: Pose, light: Light, binning: int, area: Roi, pixel_format: str) -> NDArray[np.float32]:
        stand = Standpoint.of(pose, Placement(), self.camera)
        geometry = np.zeros(_GEOMETRY)
        frame = self.placement.frame()
        geometry[:3] = stand.position
        geometry[3:6] = frame[:3, 3]
        geometry[6:15] = frame[:3, :3].T.ravel()
        geometry[15] = SQUARE_MM / CELLS_PER_SQUARE * (1.0 + 0.01 * self.make.pitch_percent)
        geometry[16] = self.make.bow_um * 1e-3
        geometry[17:20] = stand.head_point(light.position_mm)
        geometry[20:23] = stand.axes[2]
        geometry[23] = 1.0 if light.is_dome else 0.0
        out = np.zeros((area[3], area[2]), np.float32)
        weights = self.sensor.responses(pixel_format).sum(axis=1)
        origin = np.array(area[:2], np.int32)
        rays, beam = stand.rays(binning, area), lamp(stand, light)
        cells = printed_cells()
        self._by_rows(
            area[3], lambda a, b: board_rows(cells, geometry, rays, beam, weights, origin, out, a, b)
        )  # fmt: skip
        return out


@kernel
def _cell_at(cells: NDArray[np.uint8], g: F64, dx: float, dy: float, dz: float, hit: F64) -> float:
    """Albedo where the ray ends; the point in hit[0:3]; hit[3]: 1 on the board, 0 on the plate; hit[4]: how far, in mm
    of the board, the albedo is the same all round, at least; hit[5] ray parameter, hit[6] cosine to the board."""
    rows, columns = cells.shape
    half_u, half_v = 0.5 * columns * g[15], 0.5 * rows * g[15]
    px, py, pz = g[0] - g[3], g[1] - g[4], g[2] - g[5]
    dw = dx * g[12] + dy * g[13] + dz * g[14]
    ow = px * g[12] + py * g[13] + pz * g[14]
    du, dv = dx * g[6] + dy * g[7] + dz * g[8], dx * g[9] + dy * g[10] + dz * g[11]
    ou, ov = px * g[6] + py * g[7] + pz * g[8], px * g[9] + py * g[10] + pz * g[11]
    hit[3] = hit[4] = 0.0
    if dw > 0.0:  # w points into the board: it is seen from its face only
        height, u, v, t = 0.0, 0.0, 0.0, 0.0
        for _ in range(3 if g[16] != 0.0 else 1):
            t = (-height - ow) / dw
            u, v = ou + t * du, ov + t * dv
            height = g[16] * (1.0 - (u * u + v * v) / (half_u * half_u + half_v * half_v))
        quiet = 8.0 * g[15]
        if t > 0.0 and abs(u) < half_u + quiet and abs(v) < half_v + quiet:
            hit[3] = 1.0
            hit[0], hit[1], hit[2] = g[0] + t * dx, g[1] + t * dy, g[2] + t * dz
            x, y = (u + half_u) / g[15], (v + half_v) / g[15]
            i, j = math.floor(x), math.floor(y)
            hit[4] = min(min(x - i, i + 1.0 - x), min(y - j, j + 1.0 - y)) * g[15]
            hit[5], hit[6] = t, dw / math.sqrt(dx * dx + dy * dy + dz * dz)
            if i < 0 or j < 0 or i >= columns or j >= rows or cells[int(j), int(i)] > 0:
                return WHITE
            return BLACK
    t = -g[2] / dz if dz < 0.0 else 1e6
    hit[0], hit[1], hit[2] = g[0] + t * dx, g[1] + t * dy, g[2] + t * dz
    return PLATE


@kernel
def board_rows(
    cells: NDArray[np.uint8], g: F64, rays: F64, light: F64, weights: F64, origin: NDArray[np.int32],
    out: NDArray[np.float32], row_0: int, row_1: int,
) -> None:  # fmt: skip
    """Signal of a matt board under one light at level 1, electrons per microsecond.

    g: 0:3 camera, 3:6 board's middle, 6:9 9:12 12:15 its axes, 15 cell mm, 16 bow mm, 17:20 light,
    20:23 optical axis, 23 is a dome; light as in `scene.lamp`; weights (4,) of a grey by Bayer place.
    """
    hit = np.zeros(7)
    step = 1.0 / _RAYS_PER_SIDE
    pixel = math.sqrt(rays[3] * rays[3] + rays[4] * rays[4] + rays[5] * rays[5])
    for row in range(row_0, row_1):
        for column in range(out.shape[1]):
            dx = rays[0] + column * rays[3] + row * rays[6]
            dy = rays[1] + column * rays[4] + row * rays[7]
            dz = rays[2] + column * rays[5] + row * rays[8]
            albedo = _cell_at(cells, g, dx, dy, dz, hit)
            if hit[4] * hit[6] < 0.75 * pixel * hit[5] or hit[3] == 0.0:  # its half diagonal may reach another cell
                albedo = 0.0
                for j in range(_RAYS_PER_SIDE):
                    y = row + (j + 0.5) * step - 0.5
                    for i in range(_RAYS_PER_SIDE):
                        x = column + (i + 0.5) * step - 0.5
                        albedo += step * step * _cell_at(
                            cells, g, rays[0] + x * rays[3] + y * rays[6], rays[1] + x * rays[4] + y * rays[7],
                            rays[2] + x * rays[5] + y * rays[8], hit,
                        )  # fmt: skip
                _cell_at(cells, g, dx, dy, dz, hit)
            nx, ny, nz = (-g[12], -g[13], -g[14]) if hit[3] > 0.0 else (0.0, 0.0, 1.0)
            if g[23] > 0.0:
                shade = 0.5 * (1.0 - (nx * g[20] + ny * g[21] + nz * g[22])) * light[3]
            else:
                lx, ly, lz = g[17] - hit[0], g[18] - hit[1], g[19] - hit[2]
                distance = math.sqrt(lx * lx + ly * ly + lz * lz)
                facing = (nx * lx + ny * ly + nz * lz) / distance
                lobe = -(light[0] * lx + light[1] * ly + light[2] * lz) / distance
                shade = max(facing, 0.0) * max(lobe, 0.0) ** light[4] * light[3] / (distance * distance)
            shorten = 1.0 / (dx * dx + dy * dy + dz * dz)
            colour = ((row + origin[1]) & 1) * 2 + ((column + origin[0]) & 1)
            out[row, column] = albedo * weights[colour] * shade * shorten * shorten / math.pi


def compile_board_kernels() -> None:
    """As `compile_kernels`, for the board."""
    scene = BoardScene(BoardPlacement(), BoardMake(), threads=1)
    scene.photograph(
        Pose(0.0, 0.0, 258.0, 0.0, -90.0), {1: 1.0, 9: 1.0}, exposure_us=1000.0, gain_db=0.0, pixel_format="Mono8",
        binning=8, roi=(0, 0, 8, 8), frame_seed=0,
    )  # fmt: skip
