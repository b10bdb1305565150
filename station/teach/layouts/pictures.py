"""Foreign pictures brought to the data set's format: one grid for all, linear light, 16-bit PNG, no normals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.teach.dataset import write_picture
from station.teach.layouts.source import SourcePicture

VIEW = "view"
STRIDE_PX = 6  # of the tokens: both sides of the grid are multiples of it
LONGEST_PX = 456
SHORTEST_PX = 60


def write_set(
    pictures: Sequence[SourcePicture], out: Path, *, product: str, source_sha256: str, has_masks: bool
) -> None:
    """Write every picture and mask on one grid, and `index.json` last. BadInput for a file that cannot be read."""
    grid = common_grid([_size(p.file) for p in pictures])
    items = [_write(picture, out, grid) for picture in pictures]
    index = {
        "format_version": 1,
        "product": product,
        "views": [VIEW],
        "input_size": list(grid),
        "color": "rgb",
        "is_simulated": False,
        "layout_sha256": source_sha256,
        "has_masks": has_masks,
        "alignment": "unknown",  # training looks
        "photometric_stereo": {},
        "reference_levels": {},
        "items": sorted(items, key=lambda e: (e["split"], e["part"])),
    }
    write_atomic(out / "index.json", json.dumps(index, indent=1).encode())


def common_grid(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """One (H, W) in pixels for pictures of these (H, W).

    It has their median proportion. Its longest side is 456 px, or the median picture's where that is shorter; both
    sides are multiples of the token stride.
    """
    tall, wide = np.array(sizes, np.float64).T
    proportion = float(np.exp(np.median(np.log(wide / tall))))
    longest = min(float(LONGEST_PX), float(np.median(np.maximum(tall, wide))))
    height, width = (longest, longest * proportion) if proportion <= 1 else (longest / proportion, longest)
    return _whole(height), _whole(width)


def _whole(pixels: float) -> int:
    return max(SHORTEST_PX, round(pixels / STRIDE_PX) * STRIDE_PX)


def _decoded(file: Path) -> NDArray[Any]:
    """The picture as stored; BadInput where it is none of 8 or 16 bits."""
    picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED) if file.stat().st_size else None
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        raise BadInput(f"{file} is not a picture of 8 or 16 bits that can be read: replace or remove it")
    return np.asarray(picture)


def _size(file: Path) -> tuple[int, int]:
    height, width = _decoded(file).shape[:2]
    return height, width


def read_linear(file: Path, grid: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W, 3) BGR linear 0..1 on `grid`, from a display (sRGB) picture; grey becomes three equal channels.

    A picture of another proportion is stretched. Light is averaged, not display values. BadInput if it is unreadable.
    """
    raw = _decoded(file)
    planes = raw[:, :, None] if raw.ndim == 2 else raw
    planes = planes[:, :, :3] if planes.shape[2] >= 3 else planes[:, :, :1]
    linear = _linear_of(raw.dtype)[planes]
    small = cv2.resize(linear, grid[::-1], interpolation=_interpolation(raw.shape[:2], grid))
    small = small[:, :, None] if small.ndim == 2 else small
    return np.broadcast_to(small, (*grid, 3))


@cache
def _linear_of(dtype: np.dtype[Any]) -> NDArray[np.float32]:
    """Linear light for every stored value, by IEC 61966-2-1."""
    count = np.iinfo(dtype).max + 1
    value = np.arange(count) / (count - 1)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _interpolation(size: tuple[int, ...], grid: tuple[int, int]) -> int:
    shrinks = size[0] >= grid[0] and size[1] >= grid[1]
    return cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR


def _write(picture: SourcePicture, out: Path, grid: tuple[int, int]) -> dict[str, Any]:
    """Write one part's picture and mask; returns its entry in the index."""
    rgb = np.round(np.clip(read_linear(picture.file, grid), 0, 1) * 65535).astype(np.uint16)
    where = Path(picture.split) / picture.kind
    entry: dict[str, Any] = {"part": picture.part, "view": VIEW, "split": picture.split, "kind": picture.kind}
    entry["source"], entry["normal"], entry["mask"] = picture.file.name, None, None
    entry["rgb"] = (where / "rgb" / f"{picture.part}.png").as_posix()
    entry["rgb_sha256"] = write_picture(out / entry["rgb"], rgb)
    if picture.mask is not None:
        entry["mask"] = (where / "mask" / f"{picture.part}.png").as_posix()
        entry["mask_sha256"] = write_picture(out / entry["mask"], _mask(picture, grid))
    return entry


def _mask(picture: SourcePicture, grid: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) 255 where any pixel of the defect falls; BadInput for an empty mask or one of another size."""
    assert picture.mask is not None
    mask = _decoded(picture.mask)
    mask = mask.max(axis=2) if mask.ndim == 3 else mask
    if mask.shape != _size(picture.file):
        raise BadInput(f"{picture.mask} is {mask.shape[1]} x {mask.shape[0]} px, but its picture is not: replace it")
    if not mask.any():
        raise BadInput(f"{picture.mask} marks no pixel, but {picture.file} is a picture of a defect: draw the defect")
    share = cv2.resize((mask > 0).astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    marked = share >= min(0.5, float(share.max()))
    return marked.astype(np.uint8) * np.uint8(255)
