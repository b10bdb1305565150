"""Solves photographs in blocks of rows, so that memory grows with the pictures' size and not with their number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame, Pixels
from station.photometric_stereo.memory import empty_map
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.photographs import Photographs
from station.photometric_stereo.radiometry import SATURATED
from station.photometric_stereo.reference import weighted_least_squares
from station.photometric_stereo.robust_support import solve_supported
from station.photometric_stereo.settings import SolverSettings
from station.photometric_stereo.solve import PhotometricStereo
from station.photometric_stereo.uncertainty import SensorNoise, predicted_uncertainty

BLOCK_BYTES = 64 << 20  # of counts under all lights, taken at a time
NOISE_PICTURES, NOISE_PAIRS = 16, 200_000  # that the dark noise is measured on
DARKEST_SHARE = 0.1  # of the mask's pixels in each picture
DARK_SIGMAS = 6.0  # of noise: what a pixel's signal must reach before anything is said of it
DARK_STEPS = 2.0  # of the files' own counts, at least
MOST_DARK_FRACTION = 0.01
UncertaintyLevel = Literal["rms", "p95"]  # rms expected of the noise alone; what 95 % of all errors stay within


@dataclass(frozen=True)
class SolvedPhotographs:
    """All planes are 0 (uncertainty NaN) outside the mask."""

    normal_map: NormalMap
    uncertainty_deg: NDArray[np.float32]  # (H, W) as `level` says
    level: UncertaintyLevel
    first: NormalMap  # before a refinement; `normal_map` itself where there was none
    bounced_share: float | None  # of the signal, median over the observable pixels; None where nobody looked for it


def solve_photographs(photographs: Photographs, settings: SolverSettings, noise: SensorNoise) -> SolvedPhotographs:
    """The normals of the mask's rectangle, block by block; every pixel as if the picture were solved in one piece."""
    mask, pictures = photographs.mask, photographs.pictures
    result = blank_map(mask.shape)
    uncertainty = np.full(mask.shape, np.nan, np.float32)
    top, bottom, columns = mask_rectangle(mask)
    width = columns.stop - columns.start
    rows = max(1, BLOCK_BYTES // (pictures.count * width * pictures.dtype.itemsize))
    solver = PhotometricStereo(photographs.lights, (min(rows, bottom - top), width), settings)
    for first in range(top, bottom, rows):
        last = min(first + rows, bottom)
        if last - first != solver.shape[0]:
            solver = PhotometricStereo(photographs.lights, (last - first, width), settings)
        frames = _into(solver, photographs, first, last, columns)
        block = solve_supported(solver)
        at = np.s_[first:last, columns]
        expected = predicted_uncertainty(frames, photographs.lights, block, noise, settings, stride=1)
        uncertainty[at] = np.where(mask[at], expected.rms_deg, np.nan)
        write_block(result, block, mask, first, columns)
        solver.recycle(block)
    return SolvedPhotographs(result, uncertainty, "rms", result, None)


def _into(solver: PhotometricStereo, photographs: Photographs, first: int, last: int, columns: slice) -> list[Frame]:
    """Adds the rows to the solver; gives the frames with clipped pixels at full scale."""
    solver.begin()
    frames = []
    for k in range(photographs.pictures.count):
        frame, clipped = _cut(photographs, k, first, last, columns)
        solver.add(k, frame, *(() if clipped is None else (clipped,)))
        frames.append(_marked(frame, clipped))
    return frames


def frames_of_rows(photographs: Photographs, first: int, last: int, columns: slice) -> list[Frame]:
    """The rows `first` to `last` (exclusive) of every picture, with clipped pixels at full scale."""
    return [_marked(*_cut(photographs, k, first, last, columns)) for k in range(photographs.pictures.count)]


def _cut(
    photographs: Photographs, k: int, first: int, last: int, columns: slice
) -> tuple[Frame, NDArray[np.bool_] | None]:
    """A piece of picture `k`, and where a colour was clipped in it; None where none can be."""
    frame = photographs.pictures.frame(k, first, last)
    clipped = photographs.pictures.clipped(k, first, last)
    frame = replace(frame, pixels=cast(Pixels, np.ascontiguousarray(frame.pixels[:, columns])))
    return frame, None if clipped is None else clipped[:, columns]


def _marked(frame: Frame, clipped: NDArray[np.bool_] | None) -> Frame:
    return frame if clipped is None else replace(frame, pixels=np.where(clipped, SATURATED, frame.pixels))


def mask_rectangle(mask: NDArray[np.bool_]) -> tuple[int, int, slice]:
    """First and last row (exclusive), and columns, that hold a pixel of the mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, slice(int(columns[0]), int(columns[-1]) + 1)


def blank_map(shape: tuple[int, ...]) -> NormalMap:
    """A map (H, W) of nothing: all planes 0."""
    result = empty_map((shape[0], shape[1]))
    for plane in (*_planes(result), result.normals):
        plane[:] = 0
    return result


def _planes(result: NormalMap) -> tuple[NDArray[np.generic], ...]:
    return result.albedo, result.lit_count, result.residual, result.observable, result.saturated


def write_block(result: NormalMap, block: NormalMap, mask: NDArray[np.bool_], first: int, columns: slice) -> None:
    """Copy the block's pixels of the mask into the whole map."""
    at = np.s_[first : first + len(block.albedo), columns]
    inside = mask[at]
    result.normals[:, *at] = block.normals * inside
    for plane, piece in zip(_planes(result), _planes(block), strict=True):
        plane[at] = np.where(inside, piece, 0)


def dark_fraction(photographs: Photographs) -> float:
    """What a pixel's signal must reach, as a fraction of full scale: DARK_SIGMAS of the pictures' own dark noise.

    The noise is that of neighbouring pixels in the darkest tenth of the mask. At least DARK_STEPS counts of the files,
    and at most a hundredth, which a picture of 8 bits has and a dark object in a 16-bit one may lie under.
    """
    pictures, mask = photographs.pictures, photographs.mask
    y, x = np.nonzero(mask[:, :-1] & mask[:, 1:])
    step = max(1, y.size // NOISE_PAIRS)
    y, x = y[::step], x[::step]
    least = DARK_STEPS * photographs.step
    if y.size == 0:
        return min(max(least, 1e-6), MOST_DARK_FRACTION)
    sigmas = []
    for k in range(0, pictures.count, max(1, pictures.count // NOISE_PICTURES)):
        frame = pictures.frame(k, 0, pictures.shape[0])
        left, right = (frame.pixels[y, columns].astype(np.float64) for columns in (x, x + 1))
        dark = left + right <= np.quantile(left + right, DARKEST_SHARE)
        sigmas.append(1.4826 * float(np.median(np.abs(left - right)[dark])) / np.sqrt(2) / frame.full_scale_dn)
    return min(max(DARK_SIGMAS * float(np.median(sigmas)), least, 1e-6), MOST_DARK_FRACTION)


def whole_normals(photographs: Photographs, result: NormalMap) -> NDArray[np.float32]:
    """(3, H, W) a unit normal at every pixel of the mask: where none is observable, that of plain least squares.

    Published figures count every pixel of the mask.
    """
    normals = result.normals.copy()
    y, x = np.nonzero(photographs.mask & ~result.observable)
    for start in range(0, y.size, 1 << 16):
        at = y[start : start + (1 << 16)], x[start : start + (1 << 16)]
        values = np.stack([f.pixels[0].astype(np.float64) for f in photographs.pictures.sampled(*at, marked=False)])
        g, _ = weighted_least_squares(values, np.ones_like(values), photographs.lights.directions)
        length = np.linalg.norm(g, axis=1, keepdims=True)
        found = np.where(length > 0, g / np.where(length > 0, length, 1), (0.0, 0.0, 1.0))
        normals[:, at[0], at[1]] = found.T
    return normals
