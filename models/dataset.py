"""The data set on disk: one `index.json` that joins colour, normals and mask by part and view.

Pictures are 16-bit PNG on the model's grid. Colour is linear, 65535 for 1; a component of a normal is
round(32767 n) + 32768, and 32768 three times where the normal is unobservable. Masks are 8-bit, not 0 on a defect.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.config import TrainConfig

INDEX, PLAIN = "index.json", "plain"
CONSTANT_COUNTS = 2  # of 16 bits: normals that differ by no more say nothing
LOOKED_AT = 8  # files of normals, evenly chosen: real ones are never constant, so that a few tell


class DatasetError(Exception):
    """The data set cannot be used; the text names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One view of one part."""

    part: str
    view: str
    split: str  # train, calibrate or test
    kind: str  # good, or the defect's kind
    rgb: Path
    normal: Path | None  # None for all items of a set of pictures alone
    mask: Path | None
    variant: str = PLAIN  # or the disturbance under which the same part was solved again


@dataclass(frozen=True, slots=True)
class Dataset:
    """The content of `index.json`; every file that it lists was there when it was read."""

    folder: Path
    product: str
    views: tuple[str, ...]
    input_size: tuple[int, int]  # H, W
    photometric_stereo: dict[str, Any]  # how the normals were solved; goes into the model's metadata
    items: tuple[Item, ...]
    sha256: str  # of index.json, which holds the hash of every picture
    regions: Mapping[str, Path] = field(default_factory=dict)  # per view: a picture that is not 0 on the part
    alignment: str = "placed"  # free: parts lie anywhere, no place means anything; unknown: training finds out

    @property
    def has_normals(self) -> bool:
        """Whether items have normals: all of them, or none."""
        return self.items[0].normal is not None

    def of(self, split: str, kind: str | None = None) -> tuple[Item, ...]:
        """The views of one split, of one kind of part or of all, in the index's order."""
        return tuple(i for i in self.items if i.split == split and (kind is None or i.kind == kind))


def load_dataset(folder: Path) -> Dataset:
    """Read and check `<folder>/index.json`.

    Raises DatasetError for a missing or broken index, a missing picture, a part without one of the views, and a part
    in two splits.
    """
    path = folder / INDEX
    try:
        text = path.read_bytes()
        raw = json.loads(text)
    except FileNotFoundError:
        raise DatasetError(f"{path} is missing: give the folder that `station dataset simulate` wrote") from None
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}:{error.lineno}: not JSON ({error.msg}): make the data set again") from error
    try:
        items = tuple(_item(folder, entry) for entry in raw["items"])
        height, width = raw["input_size"]
        views, settings = tuple(raw["views"]), dict(raw["photometric_stereo"])
        product, alignment = str(raw["product"]), str(raw.get("alignment", "placed"))
        regions = {str(view): folder / file for view, file in raw.get("regions", {}).items()}
        if alignment not in ("placed", "free", "unknown"):
            raise ValueError(f"alignment {alignment!r}; placed, free or unknown")
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path}: field missing or of the wrong kind ({error!r}): make the data set again"
        ) from error
    _check(path, items, views)
    sha256 = hashlib.sha256(text).hexdigest()
    return Dataset(folder, product, views, (int(height), int(width)), settings, items, sha256, regions, alignment)


def _item(folder: Path, entry: dict[str, Any]) -> Item:
    mask = entry.get("mask")
    return Item(
        part=str(entry["part"]),
        view=str(entry["view"]),
        split=str(entry["split"]),
        kind=str(entry["kind"]),
        rgb=folder / entry["rgb"],
        normal=folder / entry["normal"] if entry["normal"] else None,
        mask=folder / mask if mask else None,
        variant=str(entry.get("variant", PLAIN)),
    )


def _check(path: Path, items: tuple[Item, ...], views: tuple[str, ...]) -> None:
    """Every part in one split, with each view once, and every file there; DatasetError names the first that is not."""
    if not items:
        raise DatasetError(f"{path} lists no pictures: make the data set with at least one part")
    seen: set[tuple[str, str, str, str]] = set()
    split_of: dict[str, str] = {}
    for item in items:
        key = (item.split, item.part, item.view, item.variant)
        if key in seen:
            raise DatasetError(f"{path}: {item.part} / {item.view} ({item.variant}) is listed twice in {item.split}")
        seen.add(key)
        if item.view not in views:
            raise DatasetError(f"{path}: {item.part} has the view {item.view!r}; the set's views are {views}")
        if split_of.setdefault(item.part, item.split) != item.split:
            raise DatasetError(f"{path}: {item.part} is in {split_of[item.part]} and in {item.split}: keep one of them")
        for file in (item.rgb, item.normal, item.mask):
            if file is not None and not file.is_file():
                raise DatasetError(f"{path}: {item.part} / {item.view}: {file} is missing")
    if len({item.normal is None for item in items}) > 1:
        bare = next(item for item in items if item.normal is None)
        raise DatasetError(f"{path}: {bare.part} / {bare.view} has no normals, others have: give all of them, or none")
    for split, part, _, variant in seen:
        absent = [v for v in views if (split, part, v, variant) not in seen]
        if absent:
            raise DatasetError(f"{path}: {part} in {split} lacks the view {absent[0]!r}")


def _read_16_bit(path: Path) -> NDArray[np.float32]:
    """(3, H, W) raw counts, RGB order."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 3:
        raise DatasetError(f"{path} is missing, or not a 16-bit RGB picture")
    return np.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1).astype(np.float32))


def read_rgb(path: Path, config: TrainConfig) -> NDArray[np.float32]:
    """(3, H, W) float32 linear 0..1; for a mono model, grey three times. DatasetError if it cannot be read.

    A grey picture stays as bright as a camera without colour filters gave it: the judge scales none either.
    """
    rgb = _read_16_bit(path) / np.float32(65535)
    if config.color == "rgb" or not np.ptp(rgb, axis=0).any():
        return rgb
    gray = np.tensordot(np.array(config.mono_weights, np.float32), rgb, axes=1)
    return np.ascontiguousarray(np.broadcast_to(gray, rgb.shape))


def read_normals(path: Path) -> NDArray[np.float32]:
    """(3, H, W) float32 unit vectors, x right, y up, z to the camera; exactly 0 0 0 where unobservable."""
    normals = (_read_16_bit(path) - np.float32(32768)) / np.float32(32767)
    length = np.sqrt((normals**2).sum(axis=0))
    seen = length > 0.5
    return np.where(seen, normals / np.maximum(length, np.float32(1e-6)), np.float32(0))


def constant_normals(dataset: Dataset) -> str | None:
    """A sentence where the normals of a set are the same everywhere and say nothing; None otherwise.

    Raises DatasetError where those of some pictures alone are.
    """
    chosen = [item for item in dataset.of("train", "good") if item.normal is not None]
    chosen = chosen[:: max(1, len(chosen) // LOOKED_AT)][:LOOKED_AT]
    flat = [item for item in chosen if item.normal is not None and _is_constant(item.normal)]
    if not flat:
        return None
    if len(flat) < len(chosen):
        raise DatasetError(
            f"{flat[0].normal}: the normals of {flat[0].part} / {flat[0].view} are the same everywhere, those of other "
            "parts are not: make the data set again"
        )
    return f"The normals of {dataset.folder} are constant and say nothing: they are left out."


def sound(dataset: Dataset) -> Dataset:
    """The set without its normals where they are constant: no spread, nothing to whiten. DatasetError as above."""
    if constant_normals(dataset) is None:
        return dataset
    return replace(dataset, items=tuple(replace(item, normal=None) for item in dataset.items))


def _is_constant(path: Path) -> bool:
    """Whether all observable normals of a file are the same."""
    counts = _read_16_bit(path)
    seen = (counts != 32768).any(axis=0)
    return not seen.any() or float(np.ptp(counts[:, seen], axis=1).max()) <= CONSTANT_COUNTS


def regions_of(dataset: Dataset) -> NDArray[np.bool_]:
    """(V, H, W) where the part is in each view; everywhere in a view without a region."""
    whole = np.ones(dataset.input_size, bool)
    files = [dataset.regions.get(view) for view in dataset.views]
    return np.stack([whole if file is None else read_mask(file, dataset.input_size) for file in files])


def read_mask(path: Path | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W); all False for a view without a mask file."""
    if path is None:
        return np.zeros(shape, bool)
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None or mask.shape != shape:
        raise DatasetError(f"{path} is missing, or not a grey picture of {shape[1]} x {shape[0]} pixels")
    return np.asarray(mask > 0)
