"""Photographs with bounced light taken off: what `station solve --refine bounced` does behind the first solution.

Light bounces across the whole picture, so it cannot be solved in blocks of rows: the rectangle round the mask is held
in memory at once, under all lights. See docs/bounced-light.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.blocks import SolvedPhotographs, blank_map, frames_of_rows, mask_rectangle, write_block
from station.photometric_stereo.bounced.refine import LEAST_CELL_PX, MOST_BYTES, bytes_needed, without_bounced_light
from station.photometric_stereo.photographs import Photographs, PhotographsError
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.uncertainty import SensorNoise

FEWEST_LIGHTS = 4  # three lights fit any plane: no light could be found to be unlit


def check_refinable(folder: Path, photographs: Photographs, settings: SolverSettings) -> None:
    """Raises PhotographsError where light that bounces cannot be taken off: method, number of lights, memory."""
    if settings.method != "masked":
        raise PhotographsError(
            f"{folder}: --refine bounced finds lit lights of its own, and --method {settings.method} would not count; "
            "leave the method at masked, or leave the refinement out"
        )
    count = photographs.pictures.count
    if count < FEWEST_LIGHTS:
        raise PhotographsError(
            f"{folder}: --refine bounced needs {FEWEST_LIGHTS} lights or more to find those that do not reach a pixel, "
            f"there are {count}; take more photographs, or leave the refinement out"
        )
    if min(photographs.mask.shape) < LEAST_CELL_PX:
        height, width = photographs.mask.shape
        raise PhotographsError(
            f"{folder}: pictures of {width} x {height} pixels; --refine bounced needs {LEAST_CELL_PX} each way, leave "
            "it out"
        )
    top, bottom, columns = _rectangle(photographs.mask)
    pixels = (bottom - top) * (columns.stop - columns.start)
    needed = bytes_needed(pixels, count)
    if needed > MOST_BYTES:
        raise PhotographsError(
            f"{folder}: --refine bounced would take {needed / 1e9:.1f} GB for the mask's {pixels / 1e6:.1f} megapixels "
            f"under {count} lights ({MOST_BYTES / 1e9:.1f} GB are the limit); bin the pictures, draw a smaller mask, "
            "or choose fewer --lights"
        )


def without_bounced(
    photographs: Photographs, first: SolvedPhotographs, settings: SolverSettings, noise: SensorNoise
) -> SolvedPhotographs:
    """The mask's normals with bounced light taken off, and (H, W) degrees that 95 % of their errors stay within.

    Pixels beside the mask count as neighbours that send light. `first` keeps the map without the refinement. Lights
    are far, so nothing depends on a pixel's size. Call `check_refinable` before the first solution is paid for.
    """
    mask = photographs.mask
    top, bottom, columns = _rectangle(mask)
    frames = frames_of_rows(photographs, top, bottom, columns)
    found = without_bounced_light(frames, photographs.lights, settings, noise)
    result, doubt = blank_map(mask.shape), np.full(mask.shape, np.nan, np.float32)
    at = np.s_[top:bottom, columns]
    doubt[at] = np.where(mask[at], found.p95_deg, np.nan)
    write_block(result, found.normal_map, mask, top, columns)
    seen = result.observable[at]
    share = float(np.median(found.bounced_share[seen])) if seen.any() else None
    return SolvedPhotographs(result, doubt, "p95", first.normal_map, share)


def _rectangle(mask: NDArray[np.bool_]) -> tuple[int, int, slice]:
    """First and last row (exclusive), and columns, round the mask; LEAST_CELL_PX each way at least."""
    top, bottom, columns = mask_rectangle(mask)
    top, bottom = _widened(top, bottom, mask.shape[0])
    return top, bottom, slice(*_widened(columns.start, columns.stop, mask.shape[1]))


def _widened(first: int, last: int, size: int) -> tuple[int, int]:
    """The range, or LEAST_CELL_PX from as near as possible."""
    first = max(min(first, size - LEAST_CELL_PX), 0)
    return first, max(last, first + LEAST_CELL_PX)
