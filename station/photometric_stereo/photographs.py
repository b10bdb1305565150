"""Reads a folder of photographs in the layout of the DiLiGenT benchmark (Shi et al., 2016).

`filenames.txt` (one per line), `light_directions.txt` (one row x y z per file; x right, y up, z toward the
camera), and, where there are any, `light_intensities.txt` (one row of RGB, or one figure, per file),
`mask.png` and `Normal_gt.mat` (key `Normal_gt`, H x W x 3). Photographs are taken to be linear.

A value is the weighted sum of a pixel's colours, each divided by its light's strength (over the mean of all strengths),
and clipped at full scale: the benchmark's own reading. All that can be refused is refused before a picture is decoded;
then one picture is decoded at a time.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame, Pixels
from station.photometric_stereo.lights import DirectionalLights, LightGeometryError, check_lights
from station.photometric_stereo.listing import (
    DIRECTIONS,
    MASK,
    TRUTH,
    Names,
    PhotographsError,
    Rows,
    member,
    read_directions,
    read_names,
    read_strengths,
)
from station.photometric_stereo.picture_files import MAXIMUM_PIXELS, PictureHeader, read_header, read_picture
from station.photometric_stereo.radiometry import grey_values
from station.photometric_stereo.settings import ColourWeights
from station.photometric_stereo.spool import GreyPictures

__all__ = ["Photographs", "PhotographsError", "read_photographs"]

COLOUR_WEIGHTS: dict[ColourWeights, tuple[float, float, float]] = {
    "luma": (0.298936021293775, 0.587043074451121, 0.114020904255103),  # ITU-R BT.601 as MATLAB's rgb2gray has it
    "equal": (1 / 3, 1 / 3, 1 / 3),
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
}
FOLDED_ROWS = 256  # of a colour picture at a time


@dataclass(frozen=True)
class Photographs:
    """What the folder holds, ready to be solved."""

    pictures: GreyPictures  # in the order of the lights; each light's colour and strength are already taken out
    lights: DirectionalLights  # of strength 1
    condition: float  # of L^T L
    mask: NDArray[np.bool_]  # (H, W) True on the part
    truth: NDArray[np.float64] | None  # (3, H, W) unit normals, 0 where there are none
    step: float  # of one count of the files, in values of full scale 1: what a weak light's file resolves


def read_photographs(
    folder: Path,
    lights: Sequence[str] | None = None,
    weights: ColourWeights = "luma",
    *,
    spool_folder: Path | None = None,
) -> Photographs:
    """Read the folder, or only the lights named (by file name, or by number from 0).

    Many large pictures wait in an invisible file in `spool_folder` (default: the system's). Raises PhotographsError,
    which names the file and, in a text file, the line.
    """
    if not folder.is_dir():
        raise PhotographsError(f"{folder}: no such folder")
    names = read_names(folder)
    directions = read_directions(folder, len(names.names))
    strengths = read_strengths(folder, len(names.names))
    keep = _selection(names.names, lights, folder)
    table = DirectionalLights(tuple(names.names[i] for i in keep), directions.values[keep], np.ones(len(keep)))
    try:
        condition = check_lights(table)
    except LightGeometryError as error:
        raise PhotographsError(f"{folder / DIRECTIONS}: {error}") from error
    header = _alike(folder, names, keep)
    _check_colours(header, strengths, keep, names)
    shape = (header.height_px, header.width_px)
    mask, truth = _mask(folder, shape), _truth(folder, shape)
    shares = _shares(header, strengths, keep, weights)
    pictures = _read(folder, names, keep, header, shares, spool_folder)
    step = 1 / (2**header.bits - 1) * (1.0 if shares is None else float(np.median(shares.sum(axis=1))))
    return Photographs(pictures, table, condition, mask, truth, step)


def _selection(names: Sequence[str], wanted: Sequence[str] | None, folder: Path) -> list[int]:
    """Indices of the lights wanted by file name or number, in that order; all for None. Raises PhotographsError."""
    if wanted is None:
        return list(range(len(names)))
    keep: list[int] = []
    for word in wanted:
        index = names.index(word) if word in names else int(word) if word.isdecimal() else -1
        if not 0 <= index < len(names):
            listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise PhotographsError(f"{folder}: no light {word!r}; there are 0 to {len(names) - 1}, or {listed}")
        if index in keep:
            raise PhotographsError(f"{folder}: light {word!r} was asked for twice")
        keep.append(index)
    return keep


def _alike(folder: Path, names: Names, keep: Sequence[int]) -> PictureHeader:
    """The header that all pictures share; nothing is decoded. Raises PhotographsError for one unlike the first."""
    first: PictureHeader | None = None
    for k in keep:
        header = _header(folder / names.names[k], f" ({names.path.name}, line {names.lines[k]})")
        if first is None:
            first = header
        elif header != first:
            raise PhotographsError(
                f"{folder / names.names[k]} ({names.path.name}, line {names.lines[k]}): {header.text}, but "
                f"{names.names[keep[0]]} is {first.text}; all must be alike"
            )
    assert first is not None  # three lights at least
    return first


def _header(path: Path, listed: str = "") -> PictureHeader:
    """Raises PhotographsError for what is no picture, or too large a one."""
    header = read_header(path)
    if header is None:
        raise PhotographsError(f"{path}{listed}: not a readable picture, or cut short")
    if header.is_too_large:
        raise PhotographsError(
            f"{path}{listed}: {header.text}; at most {MAXIMUM_PIXELS / 1e6:g} megapixels are read, crop or bin them"
        )
    return header


def _check_colours(header: PictureHeader, strengths: Rows | None, keep: Sequence[int], names: Names) -> None:
    """Raises PhotographsError where a light's colour cannot be taken out of a grey picture."""
    if strengths is None or header.colours == 3 or strengths.values.shape[1] == 1:
        return
    for k in keep:
        if not np.allclose(strengths.values[k], strengths.values[k, 0]):
            raise PhotographsError(
                f"{strengths.where(k)}: a colour, but {names.names[k]} is a grey picture; give one figure per light"
            )


def _shares(
    header: PictureHeader, strengths: Rows | None, keep: Sequence[int], weights: ColourWeights
) -> NDArray[np.float64] | None:
    """(K, 3) what each colour adds to the value, or (K, 1) for grey; None where grey counts stay as they are."""
    if header.colours == 1:
        if strengths is None:
            return None
        return np.asarray(strengths.values.mean() / strengths.values[keep][:, :1])
    given = np.array([COLOUR_WEIGHTS[weights]])
    if strengths is None:
        return np.repeat(given, len(keep), axis=0)
    return np.asarray(given * strengths.values.mean() / strengths.values[keep])


def _read(
    folder: Path, names: Names, keep: Sequence[int], header: PictureHeader, shares: NDArray[np.float64] | None,
    spool_folder: Path | None,
) -> GreyPictures:  # fmt: skip
    """Every picture decoded once, folded to grey, and put away."""
    shape = (header.height_px, header.width_px)
    is_8_bit = shares is None and header.bits == 8
    dtype = np.dtype(np.uint8 if is_8_bit else np.uint16)
    pictures = GreyPictures(len(keep), shape, dtype, clips=shares is not None, folder=spool_folder)
    for k, i in enumerate(keep):
        pixels = read_picture(folder / names.names[i])
        listed = f"{folder / names.names[i]} ({names.path.name}, line {names.lines[i]})"
        if pixels is None:
            raise PhotographsError(f"{listed}: not a readable picture, or cut short")
        if pixels.shape[:2] != shape or 8 * pixels.itemsize != header.bits:
            raise PhotographsError(f"{listed}: the file's header says {header.text}, its pixels are {pixels.shape}")
        if (pixels.ndim == 3) != (header.colours == 3):  # alpha made three of one, or a palette was grey
            pixels = cast(Pixels, pixels[..., 1] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))
        for top in range(0, shape[0], FOLDED_ROWS):
            rows = pixels[top : top + FOLDED_ROWS]
            pictures.put(k, top, *((rows, None) if shares is None else _folded(rows, shares[k])))
    return pictures


def _folded(rows: Pixels, shares: NDArray[np.float64]) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Values of 16 bits, and where a colour was clipped."""
    bits = 8 * rows.dtype.itemsize
    colours = rows if rows.ndim == 3 else rows[..., None]
    frame, clipped = grey_values(Frame(colours, f"RGB{bits}", bits, 0.0, 1.0, 0.0, 0, 0), shares)
    return np.asarray(frame.pixels, np.uint16), clipped


def _mask(folder: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) True where the mask has any colour; all True without a mask. Raises PhotographsError."""
    path = member(folder, MASK)
    if path is None:
        return np.ones(shape, np.bool_)
    header = _header(path)
    if (header.height_px, header.width_px) != shape:
        raise PhotographsError(
            f"{path}: {header.width_px} x {header.height_px} pixels, frames have {shape[1]} x {shape[0]}"
        )
    pixels = read_picture(path)
    if pixels is None:
        raise PhotographsError(f"{path}: not a readable picture, or cut short")
    mask = np.asarray((pixels > 0).reshape(*pixels.shape[:2], -1).any(axis=2))
    if not mask.any():
        raise PhotographsError(f"{path}: black all over, nothing is left to solve")
    return mask


def _truth(folder: Path, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """(3, H, W) unit normals of Normal_gt.mat, 0 where unknown; None without the file. Raises PhotographsError.

    The shape is read first: a compressed array of any size takes a few kilobytes.
    """
    path = member(folder, TRUTH)
    if path is None:
        return None
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        found = {name: size for name, size, _ in whosmat(path)}
        if "Normal_gt" not in found:
            raise PhotographsError(f"{path}: no variable 'Normal_gt', only {', '.join(found) or 'nothing'}")
        if found["Normal_gt"] != (*shape, 3):
            raise PhotographsError(f"{path}: Normal_gt has shape {found['Normal_gt']}, expected {(*shape, 3)}")
        truth = np.asarray(loadmat(path, variable_names=["Normal_gt"])["Normal_gt"], np.float64)
    except PhotographsError:
        raise
    except (MatReadError, NotImplementedError, ValueError, TypeError, OSError, LookupError, zlib.error) as error:
        raise PhotographsError(f"{path}: not a MATLAB file up to version 7.2 ({error})") from error
    length = np.linalg.norm(truth, axis=2, keepdims=True)
    unit = np.where(np.isfinite(length) & (length > 0.5), truth / np.where(length > 0, length, 1), 0)
    return np.ascontiguousarray(unit.transpose(2, 0, 1))
