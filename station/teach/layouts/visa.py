"""The layout of VisA: pictures of one object, and a table that says which of them train and which test.

    OBJECT/Data/Images/Normal|Anomaly/NAME.JPG   OBJECT/Data/Masks/Anomaly/NAME.png   OBJECT/image_anno.csv
    split_csv/1cls.csv        object,split,label,image,mask with paths from the folder that holds OBJECT

`image_anno.csv` (image,label,mask) names the kinds of defects; without it every defect is an `anomaly`. A mask marks a
kind by its number, and any number counts. The same set in the tree of MVTec AD, as its authors' script writes it, is
read as that. Source: github.com/amazon-science/spot-diff, README.md, utils/prepare_data.py and split_csv/1cls.csv.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.teach.layouts.placed import Placed
from station.teach.layouts.source import GOOD, SourcePicture, SourceSet, checked, is_good

NAME = "visa"
SPLIT_FILES = ("split_csv/1cls.csv", "../split_csv/1cls.csv")
ANNOTATIONS = "image_anno.csv"
SPLIT_FIELDS = ("object", "split", "label", "image", "mask")
ANNOTATION_FIELDS = ("image", "label", "mask")


def is_layout(folder: Path) -> bool:
    """Whether `folder` is one object of VisA."""
    return (folder / "Data" / "Images").is_dir()


def read(folder: Path) -> SourceSet:
    """What the table of splits lists of this object. BadInput names file and line, or what is missing."""
    name, root = folder.resolve().name, folder.resolve().parent
    table = next((folder / file for file in SPLIT_FILES if (folder / file).is_file()), None)
    if table is None:
        raise BadInput(f"{root / SPLIT_FILES[0]} is missing: it says which pictures train and which test")
    kinds = _kinds(folder)
    pictures = []
    for line, row in _rows(table, SPLIT_FIELDS):
        if row["object"] == name:
            pictures.append(_picture(f"{table.resolve()}:{line}", root, row, kinds))
    if not pictures:
        raise BadInput(f"{table.resolve()} lists no picture of {name!r}: restore the table, or the folder's name")
    _refuse_unlisted(folder, {picture.file for picture in pictures}, table)
    return checked(SourceSet(NAME, name, tuple(pictures)), folder)


def place(found: SourceSet, picture: SourcePicture) -> Placed:
    """Where a picture and its mask go."""
    sort = "Normal" if picture.kind == GOOD else "Anomaly"
    name = picture.part
    for known in ("normal_", "anomaly_"):
        name = name.removeprefix(known)
    at = f"{found.product}/Data"
    return Placed(f"{at}/Images/{sort}/{name}{{ending}}", mask=f"{at}/Masks/{sort}/{name}.png")


def finish(found: SourceSet, out: Path, placed: Mapping[SourcePicture, Placed]) -> None:
    """Write both tables."""
    splits, kinds = [], []
    for picture, files in placed.items():
        mask = files.mask or ""
        label, kind = ("normal", "normal") if picture.kind == GOOD else ("anomaly", picture.kind.replace("+", ", "))
        split = "test" if picture.split == "test" else "train"
        splits.append((found.product, split, label, files.picture, mask))
        kinds.append((files.picture, kind, mask))
    _write(out / SPLIT_FILES[0], SPLIT_FIELDS, splits)
    _write(out / found.product / ANNOTATIONS, ANNOTATION_FIELDS, kinds)


def _picture(where: str, root: Path, row: Mapping[str, str], kinds: Mapping[str, str]) -> SourcePicture:
    if row["split"] not in ("train", "test"):
        raise BadInput(f"{where}: split {row['split']!r}: write train or test")
    file, good = _there(where, root, row["image"]), is_good(row["label"])
    if not good and not row["mask"] and row["split"] == "test":
        raise BadInput(f"{where}: {row['image']} is a picture of a defect and has no mask: name its mask")
    mask = None if good or not row["mask"] else _there(where, root, row["mask"])
    kind = GOOD if good else kinds.get(row["image"], "anomaly")
    part = f"{'normal' if good else 'anomaly'}_{file.stem}"  # both folders number their pictures from 0
    return SourcePicture(part, row["split"], kind, file, mask)


def _there(where: str, root: Path, path: str) -> Path:
    file = root / path
    if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
        raise BadInput(f"{where}: {file} is missing: restore it, or remove the line")
    return file


def _kinds(folder: Path) -> dict[str, str]:
    """Picture -> kinds of its defects, of several joined by +; nothing without the table of annotations."""
    table = folder / ANNOTATIONS
    if not table.is_file():
        return {}
    return {
        row["image"]: "+".join(k.strip() for k in row["label"].split(",")) for _, row in _rows(table, ANNOTATION_FIELDS)
    }


def _rows(table: Path, fields: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Line number and fields of every row; BadInput for a table without these fields."""
    try:
        text = table.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{table}: cannot be read ({error}): restore the table") from error
    reader = csv.DictReader(io.StringIO(text))
    lacking = [f for f in fields if f not in (reader.fieldnames or ())]
    if lacking:
        raise BadInput(f"{table}:1: has no column {lacking[0]!r}; its first line must be {','.join(fields)}")
    rows = [(reader.line_num, {f: (row[f] or "").strip() for f in fields}) for row in reader]
    return [(line, row) for line, row in rows if row[fields[0]]]


def _refuse_unlisted(folder: Path, listed: set[Path], table: Path) -> None:
    """BadInput for a picture on the disk of which the table says nothing."""
    known = {file.resolve() for file in listed}
    for file in sorted((folder / "Data" / "Images").rglob("*.*")):
        if file.is_file() and not file.name.startswith(".") and file.resolve() not in known:
            raise BadInput(f"{file} is not in {table.resolve()}: list it there, or remove it")


def _write(path: Path, fields: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.getvalue().encode())
