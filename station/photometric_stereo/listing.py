"""The text files of a folder in DiLiGenT's layout: names, directions and strengths, each error with its line.

A folder may come from anywhere: what its files name must lie in the folder itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from station.errors import BadInput
from station.photometric_stereo.picture_files import is_file, is_inside

NAMES, DIRECTIONS, STRENGTHS = "filenames.txt", "light_directions.txt", "light_intensities.txt"
MASK, TRUTH = "mask.png", "Normal_gt.mat"
LARGEST_TEXT_BYTES = 16 << 20
UNIT_TOLERANCE = 0.05  # of a direction's length


class PhotographsError(BadInput, ValueError):
    """A file of the folder is missing or wrong; the text names file and line, and says what was found."""


@dataclass(frozen=True)
class Rows:
    """A table of figures, one row per picture, and the line in which each row stands."""

    path: Path
    values: NDArray[np.float64]  # (K, n)
    lines: tuple[int, ...]

    def where(self, k: int) -> str:
        """File and line of row k, for an error."""
        return f"{self.path}, line {self.lines[k]}"


@dataclass(frozen=True)
class Names:
    """The pictures of the folder in order, and the line in which each stands."""

    path: Path
    names: tuple[str, ...]
    lines: tuple[int, ...]

    def where(self, k: int) -> str:
        """File and line of name k, for an error."""
        return f"{self.path}, line {self.lines[k]}"


def member(folder: Path, name: str) -> Path | None:
    """The file `name` of the folder, or None where there is none. Raises PhotographsError for one outside."""
    path = folder / name
    if not is_inside(path, folder):
        raise PhotographsError(f"{path}: leads out of the folder; put the file itself there")
    return path if is_file(path) else None


def read_names(folder: Path) -> Names:
    """filenames.txt. Raises PhotographsError with the line of a name twice listed, missing, or outside the folder."""
    path = folder / NAMES
    lines = _lines(folder, NAMES)
    if not lines:
        raise PhotographsError(f"{path}: empty, expected one file name per line")
    seen: dict[str, int] = {}
    for number, name in lines:
        where = f"{path}, line {number}"
        if name in seen:
            raise PhotographsError(
                f"{where}: {name!r} is listed twice (first in line {seen[name]}); name each file once"
            )
        if not is_inside(folder / name, folder):
            raise PhotographsError(f"{where}: {name!r} leads out of the folder; put the file itself there")
        if not is_file(folder / name):
            raise PhotographsError(f"{where}: {name!r} is not in the folder")
        seen[name] = number
    return Names(path, tuple(seen), tuple(seen.values()))


def read_directions(folder: Path, count: int) -> Rows:
    """light_directions.txt: (K, 3) unit vectors in front of the camera's plane.

    Raises PhotographsError with the line of a direction that is not of length 1, or that comes from behind.
    """
    rows = read_rows(folder, DIRECTIONS, count, (3,))
    lengths = np.linalg.norm(rows.values, axis=1)
    for k, (row, length) in enumerate(zip(rows.values, lengths, strict=True)):
        if not abs(length - 1) <= UNIT_TOLERANCE:
            raise PhotographsError(f"{rows.where(k)}: a direction of length {length:.4g}, expected 1")
        if row[2] <= 0:
            raise PhotographsError(
                f"{rows.where(k)}: z is {row[2]:g}, a light from behind the part; "
                "directions are x right, y up, z toward the camera, and z must be above 0"
            )
    return Rows(rows.path, rows.values / lengths[:, None], rows.lines)


def read_strengths(folder: Path, count: int) -> Rows | None:
    """light_intensities.txt: (K, 3) or (K, 1), all above 0; None without the file. Raises PhotographsError."""
    if member(folder, STRENGTHS) is None:
        return None
    rows = read_rows(folder, STRENGTHS, count, (1, 3))
    for k, row in enumerate(rows.values):
        if not (row > 0).all():
            raise PhotographsError(f"{rows.where(k)}: strength {' '.join(f'{v:g}' for v in row)} is not above 0")
    return rows


def _lines(folder: Path, name: str) -> list[tuple[int, str]]:
    """(number from 1, text) of each line that is not blank."""
    path = member(folder, name)
    if path is None:
        raise PhotographsError(f"{folder / name}: missing")
    if path.stat().st_size > LARGEST_TEXT_BYTES:
        raise PhotographsError(f"{path}: {path.stat().st_size} bytes, expected a short list")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PhotographsError(f"{path}: not a text file ({error.reason} at byte {error.start})") from error
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def read_rows(folder: Path, name: str, count: int, widths: Sequence[int]) -> Rows:
    """One row per picture, its length among `widths` and the same for all. Raises PhotographsError with the line."""
    path = folder / name
    found: list[list[float]] = []
    lines: list[int] = []
    for number, line in _lines(folder, name):
        try:
            row = [float(word) for word in line.replace(",", " ").split()]
        except ValueError as error:
            raise PhotographsError(f"{path}, line {number}: {error}") from error
        if len(row) not in widths or not np.isfinite(row).all():
            expected = " or ".join(map(str, widths))
            raise PhotographsError(f"{path}, line {number}: {line!r}, expected {expected} finite figures")
        if found and len(row) != len(found[0]):
            raise PhotographsError(
                f"{path}, line {number}: {len(row)} figures, but line {lines[0]} has {len(found[0])}"
            )
        found.append(row)
        lines.append(number)
    if len(found) != count:
        raise PhotographsError(f"{path}: {len(found)} rows for {count} files in {NAMES}, expected one row per file")
    return Rows(path, np.array(found, np.float64), tuple(lines))
