"""The layout of MVTec AD: pictures of one product, sorted by folder; nothing but their folder has to be told.

    train/good/NAME.png   test/good/NAME.png   test/KIND/NAME.png   ground_truth/KIND/NAME_mask.png

Pictures may be grey or coloured, of 8 or 16 bits and of any size. A set without the folder ground_truth has no masks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from station.errors import BadInput
from station.teach.layouts.pictures import write_set
from station.teach.layouts.source import SourcePicture

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
CALIBRATE_EVERY = 5  # one in so many good training parts is held out to calibrate on
FEWEST_TRAIN = 25  # so that five are held out, one per fold of the cross-calibration


@dataclass(frozen=True, slots=True)
class _Shelf:
    """One folder of pictures of one kind."""

    split: str
    kind: str
    files: tuple[Path, ...]


def is_layout(folder: Path) -> bool:
    """Whether `folder` looks like this layout: it has train/good, and no index of a data set of ours."""
    return (folder / "train" / "good").is_dir() and not (folder / "index.json").exists()


def dataset_from_layout(folder: Path, out: Path) -> Path:
    """Write the pictures in `folder` as a data set in `out` and return `out`.

    Every fifth training picture, in the order of names, is held out as a `calibrate` part. BadInput names what is
    missing, doubled or unreadable; nothing is written before all files have been looked at.
    """
    shelves = _shelves(folder)
    masks = _masks(folder, shelves)
    pictures = [picture for shelf in shelves for picture in _parts(shelf, masks)]
    _refuse_doubles(pictures)
    write_set(pictures, out, product=folder.resolve().name, source_sha256=layout_sha256(folder), has_masks=bool(masks))
    return out


def layout_sha256(folder: Path) -> str:
    """Of the names and contents of all pictures and masks: another value, another set."""
    found = hashlib.sha256()
    for part in ("train", "test", "ground_truth"):
        for file in sorted(p for p in (folder / part).rglob("*") if p.suffix.lower() in PICTURES):
            found.update(file.relative_to(folder).as_posix().encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _shelves(folder: Path) -> list[_Shelf]:
    """train/good, then every folder of test, each with its pictures."""
    train = folder / "train" / "good"
    if not train.is_dir():
        raise BadInput(f"{train} is missing: good pictures to learn from must lie there")
    strange = [p.name for p in (folder / "train").iterdir() if p.is_dir() and p.name != "good"]
    if strange:
        raise BadInput(f"{folder / 'train' / strange[0]}: training uses good parts alone; move this folder to test")
    shelves = [_Shelf("train", "good", _files(train))]
    if len(shelves[0].files) < FEWEST_TRAIN:
        raise BadInput(f"{train} holds {len(shelves[0].files)} pictures; training needs {FEWEST_TRAIN} at least")
    test = folder / "test"
    kinds = sorted(p for p in test.iterdir() if p.is_dir()) if test.is_dir() else []
    return shelves + [_Shelf("test", kind.name, _files(kind)) for kind in kinds]


def _files(folder: Path) -> tuple[Path, ...]:
    """The folder's pictures in the order of their names; BadInput for none, or for two of one name."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)
    if not found:
        raise BadInput(f"{folder} holds no picture: fill the folder, or remove it")
    for one, other in pairwise(found):
        if one.stem == other.stem:
            raise BadInput(f"{one} and {other.name} have the same name: keep one of them")
    return tuple(found)


def _masks(folder: Path, shelves: list[_Shelf]) -> dict[Path, Path]:
    """The mask of every defective picture, or none where there is no ground_truth; BadInput for a missing one."""
    truth = folder / "ground_truth"
    if not truth.is_dir():
        return {}
    found = {}
    for shelf in shelves:
        for file in shelf.files if shelf.kind != "good" else ():
            names = [f"{file.stem}{ending}" for ending in ("_mask.png", ".png")]
            masks = [truth / shelf.kind / name for name in names if (truth / shelf.kind / name).is_file()]
            if not masks:
                raise BadInput(f"{file} has no mask: {truth / shelf.kind / names[0]} is missing")
            found[file] = masks[0]
    return found


def _parts(shelf: _Shelf, masks: dict[Path, Path]) -> list[SourcePicture]:
    found = []
    for n, file in enumerate(shelf.files):
        held_out = shelf.split == "train" and n % CALIBRATE_EVERY == CALIBRATE_EVERY // 2
        split = "calibrate" if held_out else shelf.split
        found.append(SourcePicture(f"{shelf.split}_{shelf.kind}_{file.stem}", split, shelf.kind, file, masks.get(file)))
    return found


def _refuse_doubles(pictures: list[SourcePicture]) -> None:
    """BadInput for two files of the same content: a part must not be judged that was learned from, nor count twice."""
    seen: dict[str, Path] = {}
    for picture in pictures:
        digest = hashlib.sha256(picture.file.read_bytes()).hexdigest()
        first = seen.setdefault(digest, picture.file)
        if first != picture.file:
            raise BadInput(f"{picture.file} is the same picture as {first}: remove one of them")
