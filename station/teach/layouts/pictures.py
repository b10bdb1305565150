"""Pictures from elsewhere as a data set: one grid for all, linear light in 16-bit PNG, normals packed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.teach.dataset import write_picture
from station.teach.layouts.decoded import (
    constant_direction,
    looks_like_normals,
    packed_normals,
    read_linear,
    read_mask,
    size_of,
)
from station.teach.layouts.source import (
    SourcePicture,
    SourceSet,
    digests_of,
    refuse_doubles,
    set_sha256,
)

STRIDE_PX = 6  # of the tokens: both sides of the grid are multiples of it
LONGEST_PX = 456
SHORTEST_PX = 60
INDEX, ORIGINALS = "index.json", "originals"
Progress = Callable[[str, float], None]


def silent(_what: str, _share: float) -> None:
    """Reports to nobody."""


def write_set(
    found: SourceSet, out: Path, progress: Progress = silent, *, keep: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Write every picture, normals and mask on one grid into `out`, and `index.json` last; returns `out`.

    With `keep` the files themselves are copied too, byte for byte, so that the set can be exported as it was.
    `about` holds fields of the index that the caller knows better, such as the solver of the normals.
    Constant normals are left out, and the index says so. BadInput for a file that cannot be read or used, and for two
    files of the same content; there is no index then.
    """
    digests = digests_of(found)
    refuse_doubles(found, digests)
    sizes = [_agreed_size(picture) for picture in found.pictures]
    without = constant_normals(found, progress)
    if without is None and found.has_normals:
        refuse_doubles(found, digests, "normal")
    grid = found.grid or common_grid(sizes)
    items: list[dict[str, Any]] = []
    _refuse_like_names(found)
    for n, picture in enumerate(found.pictures):
        entry = _write(picture, out, grid, has_normals=without is None, linear=found.coding == "linear")
        items.append({**entry, **(_kept(picture, out, digests) if keep else {})})
        progress("reading pictures", (n + 1) / len(found.pictures))
    index = {**_index(found, items, grid, without, digests), **(about or {})}
    write_atomic(out / INDEX, json.dumps(index, indent=1).encode())
    return out


def _index(
    found: SourceSet, items: list[dict[str, Any]], grid: tuple[int, int], without: str | None, digests: dict[Path, str]
) -> dict[str, Any]:
    return {
        "format_version": 1,
        "product": found.product,
        "views": list(found.views),
        "input_size": list(grid),
        "color": "rgb",
        "is_simulated": found.is_simulated,
        "layout": found.layout,
        "layout_sha256": set_sha256(found, digests),
        "has_masks": found.has_masks,
        "notes": [*found.notes, *([without] if without else [])],
        "alignment": "unknown",  # training looks
        "photometric_stereo": {},
        "reference_levels": {},
        "items": sorted(items, key=lambda e: (e["split"], e["part"], found.views.index(e["view"]))),
    }


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


def _agreed_size(picture: SourcePicture) -> tuple[int, int]:
    """(H, W) of the picture; BadInput where normals or mask have another, or picture and normals are swapped."""
    size = size_of(picture.file)
    for what, path in picture.files:
        if (other := size_of(path)) != size:
            raise BadInput(
                f"{path} is {other[1]} x {other[0]} px, but its picture is not ({size[1]} x {size[0]}, "
                f"{picture.where}): replace this {what}"
            )
    return size


def constant_normals(found: SourceSet, progress: Progress = silent) -> str | None:
    """A sentence where the normals of all pictures are constant and say nothing; None otherwise, or without normals.

    BadInput where those of some pictures alone are, where a file of normals has one channel, and where picture and
    normals are swapped.
    """
    if not found.has_normals:
        return None
    flat: list[SourcePicture] = []
    directions = set()
    for n, picture in enumerate(found.pictures):
        assert picture.normal is not None
        direction = constant_direction(picture.normal)
        if direction is not None:
            flat.append(picture)
            directions.add(tuple(round(c, 2) for c in direction))
        elif looks_like_normals(picture.file) and not looks_like_normals(picture.normal):
            raise BadInput(f"{picture.file} holds normals, and {picture.normal} a picture: swap these two files")
        progress("looking at normals", (n + 1) / len(found.pictures))
    if not flat:
        return None
    if len(flat) < len(found.pictures):
        raise BadInput(
            f"{flat[0].normal}: the normals of {flat[0].where} are the same everywhere, as of {len(flat)} of "
            f"{len(found.pictures)} pictures; those of others are not: replace them, or remove all normals"
        )
    which = " ".join(f"{c:g}" for c in next(iter(directions))) if len(directions) == 1 else "one for each picture"
    return f"The normals of all {len(flat)} pictures are constant ({which}) and say nothing: they are left out."


def _refuse_like_names(found: SourceSet) -> None:
    """BadInput for two views whose names differ only in characters that a file's name cannot have."""
    seen: dict[tuple[str, ...], SourcePicture] = {}
    for picture in found.pictures:
        name = tuple(_file_name(text).lower() for text in (picture.split, picture.kind, picture.part, picture.view))
        first = seen.setdefault(name, picture)
        if first is not picture:
            raise BadInput(
                f"{picture.file} and {first.file}: {picture.where} and {first.where} differ too little: rename one"
            )


def _write(
    picture: SourcePicture, out: Path, grid: tuple[int, int], *, has_normals: bool, linear: bool
) -> dict[str, Any]:
    """Write one view's picture, normals and mask; returns its entry in the index."""
    rgb = np.round(np.clip(read_linear(picture.file, grid, linear=linear), 0, 1) * 65535).astype(np.uint16)
    where = Path(picture.split) / _file_name(picture.kind)
    name = f"{_file_name(picture.part)}_{_file_name(picture.view)}.png"
    entry: dict[str, Any] = {"part": picture.part, "view": picture.view, "split": picture.split, "kind": picture.kind}
    entry["source"], entry["normal"], entry["mask"] = picture.file.name, None, None
    entry["rgb"] = (where / "rgb" / name).as_posix()
    entry["rgb_sha256"] = write_picture(out / entry["rgb"], rgb)
    if has_normals and picture.normal is not None:
        packed = packed_normals(picture.normal, grid)
        entry["normal"] = (where / "normal" / name).as_posix()
        entry["normal_sha256"] = write_picture(out / entry["normal"], packed[::-1].transpose(1, 2, 0))
    if picture.mask is not None:
        entry["mask"] = (where / "mask" / name).as_posix()
        entry["mask_sha256"] = write_picture(out / entry["mask"], _mask(picture, grid))
    return entry


def _kept(picture: SourcePicture, out: Path, digests: Mapping[Path, str]) -> dict[str, Any]:
    """Copies of the files themselves, and their entry in the index."""
    folder = Path(ORIGINALS) / picture.split / _file_name(picture.kind) / _file_name(picture.part)
    kept = {}
    for what, path in picture.files:
        ending = "" if what == "rgb" else f"_{what}"
        copy = folder / f"{_file_name(picture.view)}{ending}{path.suffix.lower()}"
        (out / folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / copy)
        kept[what] = {"file": copy.as_posix(), "sha256": digests[path]}
    return {"originals": kept}


def _file_name(text: str) -> str:
    """The text as part of a file's name on every system; what is not letter, digit, dot or dash becomes _."""
    return "".join(c if c.isalnum() or c in ".-_" else "_" for c in text).strip(".") or "_"


def _mask(picture: SourcePicture, grid: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) 255 where at least half of a pixel is defective, or most of it for a defect smaller than that."""
    assert picture.mask is not None
    mask = read_mask(picture.mask, picture.file)
    if mask.shape == grid:
        return mask.astype(np.uint8) * np.uint8(255)
    share = cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    marked = share >= min(0.5, float(share.max()))
    return marked.astype(np.uint8) * np.uint8(255)
