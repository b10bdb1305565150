"""A folder with photographs of one sphere, one light each, as photometric-stereo data sets lay them out.

`filenames.txt` lists the pictures, `mask.png` shows the sphere, `light_directions.txt`, where there is one, holds the
directions that somebody found before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.camera_model import F64
from station.errors import BadInput
from station.photometric_stereo.listing import (
    DIRECTIONS,
    MASK,
    NAMES,
    Names,
    PhotographsError,
    member,
    read_names,
    read_rows,
)
from station.photometric_stereo.picture_files import MAXIMUM_PIXELS, read_header, read_picture

TABLE = DIRECTIONS
MAXIMUM_PICTURES = 1000


class SphereFolderError(BadInput, ValueError):
    """A folder of sphere photographs that cannot be used; the text names file, line, what was found, and the cure."""


@dataclass(frozen=True)
class SphereFolder:
    """Photographs of one sphere, one light each."""

    folder: Path
    names: tuple[str, ...]
    pictures: tuple[NDArray[np.float32], ...]  # (H, W), full scale 1
    mask: NDArray[np.bool_]
    table: F64 | None  # (K, 3) unit vectors, as light_directions.txt gives them


def read_sphere_folder(folder: Path) -> SphereFolder:
    """All pictures of the folder in memory. Raises SphereFolderError, naming the file and, in a text file, the line.

    What the folder names must lie in it, and sizes are compared before any picture is decoded.
    """
    if not folder.is_dir():
        raise SphereFolderError(f"{folder}: no such folder")
    try:
        names = read_names(folder)
        table = _table(folder, len(names.names))
        mask_path = member(folder, MASK)
    except PhotographsError as error:
        raise SphereFolderError(str(error)) from error
    if len(names.names) > MAXIMUM_PICTURES:
        raise SphereFolderError(f"{names.path}: {len(names.names)} pictures listed, at most {MAXIMUM_PICTURES}")
    if mask_path is None:
        raise SphereFolderError(f"{folder / MASK}: missing")
    _check_sizes(folder, names)
    mask = _grey(mask_path) > 0
    return SphereFolder(folder, names.names, tuple(_grey(folder / name) for name in names.names), mask, table)


def _table(folder: Path, count: int) -> F64 | None:
    """(count, 3) unit vectors, be they wrong: finding that out is the caller's work. None without the file."""
    if member(folder, TABLE) is None:
        return None
    rows = read_rows(folder, TABLE, count, (3,))
    lengths = np.linalg.norm(rows.values, axis=1)
    for k, length in enumerate(lengths):
        if not length > 1e-6:
            raise SphereFolderError(f"{rows.where(k)}: a direction of length 0")
    return np.asarray(rows.values / lengths[:, None], np.float64)


def _check_sizes(folder: Path, names: Names) -> None:
    """Raises SphereFolderError for a picture unlike the mask or too large; nothing is decoded."""
    size = _size(folder / MASK)
    for k, name in enumerate(names.names):
        width, height = _size(folder / name)
        if (width, height) != size:
            raise SphereFolderError(
                f"{folder / name} ({NAMES}, line {names.lines[k]}): {width} x {height} px, "
                f"but {MASK} has {size[0]} x {size[1]}; all must be alike"
            )


def _size(path: Path) -> tuple[int, int]:
    header = read_header(path)
    if header is None:
        raise SphereFolderError(f"{path}: not a readable picture, or cut short")
    if header.is_too_large:
        raise SphereFolderError(f"{path}: {header.text}; at most {MAXIMUM_PIXELS / 1e6:g} megapixels are read")
    return header.width_px, header.height_px


def _grey(path: Path) -> NDArray[np.float32]:
    """(H, W), full scale 1: the mean of the colours, but 1 (clipped) where any colour is at full scale."""
    pixels = read_picture(path)
    if pixels is None:
        raise SphereFolderError(f"{path}: not a readable picture, or cut short")
    scale = np.float32(255 if pixels.dtype == np.uint8 else 65535)
    values = pixels.astype(np.float32) / scale
    if values.ndim == 2:
        return values
    grey = values.mean(axis=2)
    grey[(values >= 1).any(axis=2)] = 1
    return np.asarray(grey, np.float32)
