"""Views with depth on disk: one `.npz` a view and one `dataset.json`, which data, model and benchmark share.

Maps are (H, W) in the picture's order, origin top left; vectors are x right, y up, z toward the camera. Heights are mm
along the optical axis toward the camera: larger is nearer, and only differences mean anything. This module needs numpy
alone, so that `station depth --method integrate` runs where no torch is.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INDEX = "dataset.json"
FORMAT_VERSION = 1
SPLITS = ("train", "calibrate", "test")

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]


class DepthDataError(Exception):
    """A view or a folder of views cannot be used; the text names the file, what was found and the cure."""


@dataclass(frozen=True, slots=True)
class DepthView:
    """What is measured of one view, and what is true of it. Without truth `valid` is False everywhere."""

    picture: F32  # (3, H, W) linear, 0..1
    normals: F32  # (3, H, W) unit vectors; 0 0 0 where unobserved
    mask: Bools  # (H, W) the normal was observed
    integrated: F32  # (H, W) mm, height from the normals alone, mean 0 over `mask`; finite everywhere
    reliability: F32  # (H, W) 0..1, of `integrated`
    depth: F32  # (H, W) mm, true height, mean 0 over `valid`; 0 elsewhere
    valid: Bools  # (H, W) the truth exists
    steps: Bools  # (H, W) within 1 mm of a discontinuity of the true height
    pixel_mm: float  # size of a pixel on the part

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        height, width = self.mask.shape
        return int(height), int(width)

    @property
    def has_truth(self) -> bool:
        """Whether any pixel has a true height."""
        return bool(self.valid.any())

    def cut(self, top: int, left: int, height: int, width: int) -> DepthView:
        """A part of the view; its two heights have mean 0 anew. Raises ValueError where it leaves the view."""
        if top < 0 or left < 0 or top + height > self.shape[0] or left + width > self.shape[1]:
            raise ValueError(f"{height} x {width} at {top}, {left} leaves a view of {self.shape}")
        where = (..., slice(top, top + height), slice(left, left + width))
        maps = {f.name: np.ascontiguousarray(getattr(self, f.name)[where]) for f in fields(self)[:-1]}
        maps["integrated"] = centred(maps["integrated"], maps["mask"])
        maps["depth"] = np.where(maps["valid"], centred(maps["depth"], maps["valid"]), np.float32(0))
        return DepthView(**maps, pixel_mm=self.pixel_mm)


@dataclass(frozen=True, slots=True)
class DepthItem:
    """One file of a folder of views."""

    file: str  # name inside the folder
    split: str  # train, calibrate or test
    product: str  # what was made: `generated`, or a product's name
    kind: str  # which shape or view of it
    part: str  # files of one part share this name; intervals are over parts


@dataclass(frozen=True, slots=True)
class DepthIndex:
    """The content of `dataset.json`."""

    folder: Path
    seed: int
    generator: str  # the command that made it
    items: tuple[DepthItem, ...]

    def of(self, split: str) -> tuple[DepthItem, ...]:
        """The items of one split, in the index's order."""
        return tuple(item for item in self.items if item.split == split)

    def read(self, item: DepthItem) -> DepthView:
        """The view of one item. Raises DepthDataError."""
        return read_view(self.folder / item.file)


def centred(height: F32, where: Bools) -> F32:
    """The height with mean 0 over `where` (all of it where nothing is)."""
    chosen = height[where] if where.any() else height
    return np.asarray(height - np.float32(chosen.mean(dtype=np.float64)), np.float32)


def write_view(path: Path, view: DepthView) -> None:
    """Write one view; a bit of a mask takes a byte before compression. The folder is made if absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    maps: dict[str, Any] = {f.name: getattr(view, f.name) for f in fields(view)}
    with path.open("wb") as file:
        np.savez_compressed(file, **maps)


def read_view(path: Path) -> DepthView:
    """Read one view. Raises DepthDataError for a file that is missing, broken, or lacks a key."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            maps = {f.name: stored[f.name] for f in fields(DepthView)}
    except FileNotFoundError:
        raise DepthDataError(f"{path} is missing: make the folder again") from None
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise DepthDataError(f"{path}: no view with depth ({error}): make the folder again") from error
    pixel_mm = float(maps.pop("pixel_mm"))
    _check(path, maps)
    return DepthView(**maps, pixel_mm=pixel_mm)


def _check(path: Path, maps: dict[str, NDArray[Any]]) -> None:
    shape = maps["mask"].shape
    for name, found in maps.items():
        expected = (3, *shape) if name in ("picture", "normals") else shape
        kind = np.bool_ if name in ("mask", "valid", "steps") else np.float32
        if found.shape != expected or found.dtype != kind:
            raise DepthDataError(
                f"{path}: {name} is {found.dtype} {found.shape}, expected {np.dtype(kind)} {expected}: "
                "make the folder again"
            )


def write_index(folder: Path, seed: int, generator: str, items: Sequence[DepthItem]) -> None:
    """Write `dataset.json`, last of all: a folder without it is unfinished."""
    content = {
        "format_version": FORMAT_VERSION,
        "seed": seed,
        "generator": generator,
        "splits": sorted({item.split for item in items}, key=SPLITS.index),
        "files": [asdict(item) for item in items],
    }
    partial = folder / f".{INDEX}.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / INDEX)


def read_index(folder: Path) -> DepthIndex:
    """Read `dataset.json`. Raises DepthDataError if it is missing or broken, or a file that it lists is missing."""
    path = folder / INDEX
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        items = tuple(DepthItem(**{f.name: str(entry[f.name]) for f in fields(DepthItem)}) for entry in raw["files"])
        index = DepthIndex(folder, int(raw["seed"]), str(raw["generator"]), items)
    except FileNotFoundError:
        raise DepthDataError(f"{path} is missing: give a folder that `station depth data` wrote") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DepthDataError(f"{path}: not readable ({error!r}): make the folder again") from error
    for item in items:
        if item.split not in SPLITS:
            raise DepthDataError(f"{path}: {item.file} has the split {item.split!r}; there are {', '.join(SPLITS)}")
        if not (folder / item.file).is_file():
            raise DepthDataError(f"{path}: {item.file} is missing: make the folder again")
    return index
