"""A frame on the coarse grid on which the fixture is looked at, and how sharp it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame

GRID_WIDTH = 171  # cells: 0.33 mm each on a field of 56 mm
BLOCK = 4  # a cell is a whole multiple of so many pixels: two mosaics of 2 x 2, for the two scales of sharpness
NOISE_ROWS = 4  # of rows that hold the mosaic's first colours, one in so many is looked at
Levels = NDArray[np.float32]


class GridMismatch(ValueError):
    """A frame that does not fit the grid; the text gives both sizes."""


@dataclass(frozen=True)
class FixturePicture:
    """`levels` (h, w): means of square cells over black, as shares of full scale. `cell_px`: their edge in pixels.

    `sharpness` is the energy of differences between neighbours at half a cell over that at a whole cell: blur takes
    from the finer scale first. A darker part changes neither it nor the shares between two such figures.
    """

    levels: Levels
    cell_px: int
    sharpness: float
    exposure_us: float
    gain_db: float
    noise: float = 0.0  # spread of one pixel's noise, share of full scale; see `_noise`


def cell_edge_px(width_px: int) -> int:
    """The edge of a cell for pictures of that width: some GRID_WIDTH cells in a row."""
    return BLOCK * max(1, round(width_px / (BLOCK * GRID_WIDTH)))


def fixture_picture(frame: Frame, cell_px: int) -> FixturePicture:
    """The frame's cells; rows and columns that fill no cell are left out, colours are mixed.

    Raises GridMismatch for a frame smaller than a few cells.
    """
    height, width = (size // cell_px for size in frame.pixels.shape[:2])
    if height < 8 or width < 8:
        raise GridMismatch(f"a frame of {frame.pixels.shape[:2]} pixels holds no grid of {cell_px} px cells")
    pixels = frame.pixels if frame.pixels.ndim == 2 else frame.pixels.mean(axis=2)
    used = np.ascontiguousarray(pixels[: height * cell_px, : width * cell_px])
    fine = cv2.resize(used, (2 * width, 2 * height), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = (fine - np.float32(frame.black_level_dn)) / np.float32(frame.full_scale_dn - frame.black_level_dn)
    levels = np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    coarse = _difference_energy(levels)
    sharpness = _difference_energy(fine) / coarse if coarse > 0 else 0.0
    return FixturePicture(levels, cell_px, sharpness, frame.exposure_us, frame.gain_db, _noise(frame))


def _noise(frame: Frame) -> float:
    """The spread of pixels' noise in the picture's smooth half: texture and edges make no more than half of a picture.

    From differences of second order between pixels of one colour in a mosaic, along rows (Immerkaer 1996 does it along
    both); their weights 1 -2 1 enlarge a pixel's noise by the root of 6.
    """
    rows = frame.pixels[:: NOISE_ROWS * 2].astype(np.float32)
    rows = rows if rows.ndim == 2 else rows[:, :, 1]
    off = rows[:, 4:] - 2 * rows[:, 2:-2] + rows[:, :-4]
    off = np.abs(off)
    few = off[off <= 3 * float(np.median(off))]  # the median alone has steps of whole counts
    spread = float(few.mean()) / 0.7255 / float(np.sqrt(6))  # the mean of a normal |z| up to 3 medians is 0.7255
    return spread / (frame.full_scale_dn - frame.black_level_dn)


def _difference_energy(levels: Levels) -> float:
    return float(np.mean(np.diff(levels, axis=1) ** 2) + np.mean(np.diff(levels, axis=0) ** 2))
