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
from station.photometric_stereo.picture_files import read_picture

NAMES, TABLE, MASK = "filenames.txt", "light_directions.txt", "mask.png"
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
    table: F64 | None  # (K, 3), as light_directions.txt gives them


def read_sphere_folder(folder: Path) -> SphereFolder:
    """All pictures of the folder in memory. Raises SphereFolderError, naming the file and, in a text file, the line."""
    if not folder.is_dir():
        raise SphereFolderError(f"{folder}: no such folder")
    names = [line for _, line in _lines(folder / NAMES)]
    if not 0 < len(names) <= MAXIMUM_PICTURES:
        raise SphereFolderError(f"{folder / NAMES}: {len(names)} pictures listed, expected 1 to {MAXIMUM_PICTURES}")
    if len(set(names)) < len(names):
        raise SphereFolderError(f"{folder / NAMES}: a file is listed twice; one picture per light")
    mask = _grey(folder / MASK) > 0
    pictures = []
    for name in names:
        picture = _grey(folder / name)
        if picture.shape != mask.shape:
            raise SphereFolderError(
                f"{folder / name}: {picture.shape[1]} x {picture.shape[0]} px, "
                f"but {MASK} has {mask.shape[1]} x {mask.shape[0]}; all must be alike"
            )
        pictures.append(picture)
    return SphereFolder(folder, tuple(names), tuple(pictures), mask, _table(folder / TABLE, len(names)))


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SphereFolderError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SphereFolderError(f"{path}: not a text file (byte {error.start})") from error
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


def _grey(path: Path) -> NDArray[np.float32]:
    """(H, W), full scale 1: the mean of the colours, but 1 (clipped) where any colour is at full scale."""
    pixels = read_picture(path) if path.is_file() else None
    if pixels is None:
        raise SphereFolderError(f"{path}: {'not a readable picture, or cut short' if path.is_file() else 'missing'}")
    scale = np.float32(255 if pixels.dtype == np.uint8 else 65535)
    values = pixels.astype(np.float32) / scale
    if values.ndim == 2:
        return values
    grey = values.mean(axis=2)
    grey[(values >= 1).any(axis=2)] = 1
    return np.asarray(grey, np.float32)


def _table(path: Path, count: int) -> F64 | None:
    """(count, 3) unit vectors; None where there is no such file."""
    if not path.exists():
        return None
    rows = []
    for number, line in _lines(path):
        try:
            row = [float(word) for word in line.replace(",", " ").split()]
        except ValueError as error:
            raise SphereFolderError(f"{path}, line {number}: {error}") from error
        if len(row) != 3 or not np.isfinite(row).all() or not np.linalg.norm(row) > 1e-6:
            raise SphereFolderError(f"{path}, line {number}: {line!r}, expected three figures x y z of a direction")
        rows.append(row)
    if len(rows) != count:
        raise SphereFolderError(f"{path}: {len(rows)} rows for {count} pictures in {NAMES}")
    table = np.array(rows, np.float64)
    return np.asarray(table / np.linalg.norm(table, axis=1, keepdims=True))
