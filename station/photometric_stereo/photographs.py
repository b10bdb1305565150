"""Reads a folder of photographs in the layout of the DiLiGenT benchmark (Shi et al., 2016).

`filenames.txt` (one per line), `light_directions.txt` (one row x y z per file; x right, y up, z toward the
camera), and, where there are any, `light_intensities.txt` (one row of RGB, or one figure, per file),
`mask.png` and `Normal_gt.mat` (key `Normal_gt`, H x W x 3). Photographs are taken to be linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drivers.protocols import Frame, Pixels
from station.errors import BadInput
from station.photometric_stereo.lights import DirectionalLights, LightGeometryError, check_lights
from station.photometric_stereo.radiometry import grey_frame


class PhotographsError(BadInput, ValueError):
    """A file of the folder is missing or wrong; the text names file and line, and says what was found."""


@dataclass(frozen=True)
class Photographs:
    """What the folder holds, ready to be solved."""

    frames: tuple[Frame, ...]  # grey, in the order of the lights; per-light colour is already taken out
    lights: DirectionalLights
    condition: float  # of L^T L
    mask: NDArray[np.bool_]  # (H, W) True on the part
    truth: NDArray[np.float64] | None  # (3, H, W) unit normals, 0 where there are none


def read_photographs(folder: Path, lights: Sequence[str] | None = None) -> Photographs:
    """Read the folder, or only the lights named (by file name, or by number from 0).

    Raises PhotographsError, which names the file and line.
    """
    if not folder.is_dir():
        raise PhotographsError(f"{folder}: no such folder")
    names = _names(folder / "filenames.txt")
    directions = _rows(folder / "light_directions.txt", len(names), (3,))
    strengths = _strengths(folder / "light_intensities.txt", len(names))
    keep = _selection(names, lights, folder)
    table = _lights([names[i] for i in keep], directions[keep], folder)
    try:
        condition = check_lights(table)
    except LightGeometryError as error:
        raise PhotographsError(f"{folder / 'light_directions.txt'}: {error}") from error
    pictures = [_picture(folder, names[i], i + 1, strengths) for i in keep]
    _check_alike(pictures, [names[i] for i in keep], folder)
    frames = tuple(
        grey_frame(_frame(p, k), w) for k, (p, w) in enumerate(zip(pictures, _weights(strengths, keep), strict=True))
    )
    if strengths is not None and pictures[0].ndim == 2:
        mean = strengths[keep].mean(axis=1)
        table = DirectionalLights(table.names, table.directions, mean / mean.mean())
    shape = frames[0].pixels.shape
    return Photographs(
        frames, table, condition, _mask(folder / "mask.png", shape), _truth(folder / "Normal_gt.mat", shape)
    )


def _lines(path: Path) -> list[tuple[int, str]]:
    """(number from 1, text) of each line that is not blank."""
    if not path.is_file():
        raise PhotographsError(f"{path}: missing")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PhotographsError(f"{path}: not a text file ({error.reason} at byte {error.start})") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _names(path: Path) -> list[str]:
    """The file names in order. Raises PhotographsError for an empty list, a name listed twice, or a missing file."""
    lines = _lines(path)
    if not lines:
        raise PhotographsError(f"{path}: empty, expected one file name per line")
    seen: dict[str, int] = {}
    for number, name in lines:
        if name in seen:
            raise PhotographsError(
                f"{path}, line {number}: {name!r} is listed twice (first in line {seen[name]}); name each file once"
            )
        if not (path.parent / name).is_file():
            raise PhotographsError(f"{path}, line {number}: {name!r} is not in the folder")
        seen[name] = number
    return list(seen)


def _rows(path: Path, count: int, widths: tuple[int, ...]) -> NDArray[np.float64]:
    """(count, n) figures of a text file, one row per file, n among `widths`. Raises PhotographsError with the line."""
    rows = []
    for number, line in _lines(path):
        try:
            row = [float(word) for word in line.replace(",", " ").split()]
        except ValueError as error:
            raise PhotographsError(f"{path}, line {number}: {error}") from error
        if len(row) not in widths or not np.isfinite(row).all():
            expected = " or ".join(map(str, widths))
            raise PhotographsError(f"{path}, line {number}: {line!r}, expected {expected} finite figures")
        rows.append(row)
    if len({len(row) for row in rows}) > 1:
        raise PhotographsError(f"{path}: rows of different length")
    if len(rows) != count:
        raise PhotographsError(
            f"{path}: {len(rows)} rows for {count} files in filenames.txt, expected one row per file"
        )
    return np.array(rows, np.float64)


def _strengths(path: Path, count: int) -> NDArray[np.float64] | None:
    """(N, 3) or (N, 1), or None where there is no such file."""
    if not path.exists():
        return None
    values = _rows(path, count, (1, 3))
    bad = ~(values > 0).all(axis=1)
    if bad.any():
        raise PhotographsError(f"{path}: row {int(np.argmax(bad)) + 1} is not above 0: {values[np.argmax(bad)]}")
    return values


def _selection(names: list[str], wanted: Sequence[str] | None, folder: Path) -> list[int]:
    """Indices of the lights wanted by file name or number, in that order; all for None. Raises PhotographsError."""
    if wanted is None:
        return list(range(len(names)))
    keep = []
    for word in wanted:
        index = names.index(word) if word in names else int(word) if word.isdigit() else -1
        if not 0 <= index < len(names):
            raise PhotographsError(
                f"{folder}: no light {word!r}; there are 0 to {len(names) - 1}, or {', '.join(names)}"
            )
        if index in keep:
            raise PhotographsError(f"{folder}: light {word!r} was asked for twice")
        keep.append(index)
    return keep


def _lights(names: list[str], directions: NDArray[np.float64], folder: Path) -> DirectionalLights:
    """Far lights of strength 1. Raises PhotographsError for a direction that is not of unit length."""
    lengths = np.linalg.norm(directions, axis=1)
    bad = (lengths < 1e-6) | (np.abs(lengths - 1) > 0.05)
    if bad.any():
        k = int(np.argmax(bad))
        raise PhotographsError(
            f"{folder / 'light_directions.txt'}: row of {names[k]!r} has length {lengths[k]:.4g}, expected 1"
        )
    return DirectionalLights(tuple(names), directions / lengths[:, None], np.ones(len(names)))


def _picture(folder: Path, name: str, line: int, strengths: NDArray[np.float64] | None) -> Pixels:
    """(H, W) or, where light has a colour to be taken out or the file has colour, (H, W, 3) RGB."""
    path = folder / name
    pixels = read_picture(path)
    if pixels is None:
        raise PhotographsError(f"{path} (filenames.txt, line {line}): not a readable picture, or cut short")
    if pixels.ndim == 2 and strengths is not None and strengths.shape[1] == 3:
        flat = bool(np.allclose(strengths, strengths[:, :1]))
        if not flat:
            raise PhotographsError(f"{path}: grey picture, but light_intensities.txt holds colours that differ")
    return pixels


def read_picture(path: Path) -> Pixels | None:
    """(H, W) or (H, W, 3) RGB, 8 or 16 bit; None for what is not a whole picture. PNG, TIFF, TGA, JPEG."""
    data = path.read_bytes()
    if path.suffix.lower() == ".tga":
        return _read_tga(path)
    if data[:4] == b"\x89PNG" and b"IEND" not in data[-16:]:
        return None
    if data[:2] == b"\xff\xd8" and b"\xff\xd9" not in data[-1024:]:
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3):
        return None
    if pixels.ndim == 3:
        pixels = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., 0]
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, np.uint8)
    return np.ascontiguousarray(pixels, np.uint16)


def _read_tga(path: Path) -> Pixels | None:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if image.mode in ("L", "LA", "1") else "RGB"))
    except (OSError, SyntaxError):
        return None
    return pixels


def _check_alike(pictures: Sequence[Pixels], names: Sequence[str], folder: Path) -> None:
    first = pictures[0]
    for name, picture in zip(names, pictures, strict=True):
        if picture.shape != first.shape or picture.dtype != first.dtype:
            raise PhotographsError(
                f"{folder / name}: {_described(picture)}, but {names[0]} is {_described(first)}; all must be alike"
            )


def _described(picture: Pixels) -> str:
    colours = "colour" if picture.ndim == 3 else "grey"
    return f"{picture.shape[1]} x {picture.shape[0]} pixels, {8 * picture.dtype.itemsize} bit, {colours}"


def _weights(strengths: NDArray[np.float64] | None, keep: list[int]) -> list[NDArray[np.float64] | None]:
    """Per light, colour weights that take its RGB intensity out; one factor for all keeps the grey at or under 1."""
    if strengths is None:
        return [None] * len(keep)
    weights = 1 / np.broadcast_to(strengths[keep], (len(keep), 3))
    return list(weights / weights.sum(axis=1).max())


def _frame(pixels: Pixels, index: int) -> Frame:
    bits = 8 * pixels.dtype.itemsize
    kind = "RGB" if pixels.ndim == 3 else "Mono"
    return Frame(pixels, f"{kind}{bits}", bits, 0.0, 1.0, 0.0, 0, index)


def _mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) True where the mask has any colour; all True without a mask. Raises PhotographsError."""
    if not path.exists():
        return np.ones(shape, np.bool_)
    pixels = read_picture(path)
    if pixels is None:
        raise PhotographsError(f"{path}: not a readable picture, or cut short")
    mask = np.asarray((pixels > 0).reshape(*pixels.shape[:2], -1).any(axis=2))
    if mask.shape != shape:
        raise PhotographsError(f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels, frames have {shape[1]} x {shape[0]}")
    if not mask.any():
        raise PhotographsError(f"{path}: black all over, nothing is left to solve")
    return mask


def _truth(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """(3, H, W) unit normals of Normal_gt.mat, 0 where unknown; None without the file. Raises PhotographsError."""
    if not path.exists():
        return None
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path)
    except (MatReadError, NotImplementedError, ValueError, TypeError, OSError) as error:
        raise PhotographsError(f"{path}: not a MATLAB file up to version 7.2 ({error})") from error
    if "Normal_gt" not in content:
        found = ", ".join(key for key in content if not key.startswith("__"))
        raise PhotographsError(f"{path}: no variable 'Normal_gt', only {found or 'nothing'}")
    truth = np.asarray(content["Normal_gt"], np.float64)
    if truth.shape != (*shape, 3):
        raise PhotographsError(f"{path}: Normal_gt has shape {truth.shape}, expected {(*shape, 3)}")
    length = np.linalg.norm(truth, axis=2, keepdims=True)
    unit = np.where(np.isfinite(length) & (length > 0.5), truth / np.where(length > 0, length, 1), 0)
    return np.ascontiguousarray(unit.transpose(2, 0, 1))
