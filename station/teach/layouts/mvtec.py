"""The layout of MVTec AD: pictures of one product, sorted by folder; nothing but their folder has to be given.

    train/good/NAME.png   test/good/NAME.png   test/KIND/NAME.png   ground_truth/KIND/NAME_mask.png

Pictures may be grey or coloured, of 8 or 16 bits and of any size. A set without the folder ground_truth has no masks.
Source: Bergmann et al., IJCV 2021, doi 10.1007/s11263-020-01400-4, and the sets as they are distributed.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from station.errors import BadInput
from station.teach.layouts.decoded import PICTURES
from station.teach.layouts.pictures import write_set
from station.teach.layouts.placed import Placed
from station.teach.layouts.source import GOOD, SourcePicture, SourceSet, checked, is_good, refuse_too_few

NAME = "mvtec"


def is_layout(folder: Path) -> bool:
    """Whether `folder` looks like this layout: pictures lie in train/good, and there is no index of a set of ours."""
    good = folder / "train" / "good"
    return good.is_dir() and not (folder / "index.json").exists() and not any(p.is_dir() for p in good.iterdir())


def read(folder: Path) -> SourceSet:
    """What lies there. BadInput names what is missing or doubled."""
    train = folder / "train" / "good"
    if not train.is_dir():
        raise BadInput(f"{train} is missing: good pictures to learn from must lie there")
    strange = [p.name for p in (folder / "train").iterdir() if p.is_dir() and not is_good(p.name)]
    if strange:
        raise BadInput(f"{folder / 'train' / strange[0]}: training uses good parts alone; move this folder to test")
    shelves = [("train", train), *(("test", kind) for kind in _folders(folder / "test"))]
    truth = folder / "ground_truth"
    pictures = [picture for split, shelf in shelves for picture in _pictures(split, shelf, truth)]
    if truth.is_dir():
        _refuse_lost_masks(truth, {p.mask for p in pictures})
    return checked(SourceSet(NAME, folder.resolve().name, tuple(pictures)), folder)


def dataset_from_layout(folder: Path, out: Path) -> Path:
    """Write the pictures in `folder` as a data set in `out` and return `out`.

    Every fifth training picture, in the order of names, is held out as a `calibrate` part. BadInput names what is
    missing, doubled or unreadable.
    """
    found = read(folder)
    refuse_too_few(found, folder / "train" / "good")
    return write_set(found, out)


def place(_found: SourceSet, picture: SourcePicture) -> Placed:
    """Where a picture and its mask go."""
    split = "test" if picture.split == "test" else "train"
    name = re.sub(rf"^{split}_{re.escape(picture.kind)}_", "", picture.part)
    mask = f"ground_truth/{picture.kind}/{name}_mask.png"
    return Placed(f"{split}/{picture.kind}/{name}{{ending}}", mask=mask)


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _files(folder: Path) -> tuple[Path, ...]:
    """The folder's pictures in the order of their names; BadInput for none, or for two of one name."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)
    if not found:
        raise BadInput(f"{folder} holds no picture: fill the folder, or remove it")
    for one, other in pairwise(found):
        if one.stem == other.stem:
            raise BadInput(f"{one} and {other.name} have the same name: keep one of them")
    return tuple(found)


def _pictures(split: str, shelf: Path, truth: Path) -> list[SourcePicture]:
    """Of one folder; without `truth` there are no masks."""
    kind = GOOD if is_good(shelf.name) else shelf.name
    has_masks = kind != GOOD and truth.is_dir()
    return [
        SourcePicture(
            f"{split}_{kind}_{file.stem}", split, kind, file, _mask(file, truth / kind) if has_masks else None
        )
        for file in _files(shelf)
    ]


def _mask(file: Path, folder: Path) -> Path:
    """The mask of a defective picture; BadInput for a missing one."""
    names = [f"{file.stem}{ending}" for ending in ("_mask.png", ".png")]
    masks = [folder / name for name in names if (folder / name).is_file()]
    if not masks:
        raise BadInput(f"{file} has no mask: {folder / names[0]} is missing")
    return masks[0]


def _refuse_lost_masks(truth: Path, used: set[Path | None]) -> None:
    """BadInput for a mask without a picture: one of the two was renamed, or is gone."""
    for folder in _folders(truth):
        for mask in sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES):
            if mask not in used:
                raise BadInput(
                    f"{mask} is the mask of no picture in test/{folder.name}: restore the picture, or remove it"
                )
