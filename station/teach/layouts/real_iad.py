"""The layout of Real-IAD: pictures of one category in folders, and a JSON file that says which train and which test.

    realiad_1024/CATEGORY/OK/S0001/CATEGORY_0001_OK_C1_TIME.jpg          (or realiad_256, _512, _raw)
    realiad_1024/CATEGORY/NG/KIND/S0001/CATEGORY_0001_NG_KIND_C1_TIME.jpg and ..._mask.png
    realiad_jsons/CATEGORY.json    {"meta": {"prefix", "normal_class"}, "train": [...], "test": [...]}

Every entry has category, anomaly_class, image_path and mask_path (null without a defect in that view); paths begin at
the prefix. Name either the folder of the category, or one of the JSON files (`realiad_jsons_sv/CATEGORY.json` is the
set of one view). C1 to C5 are the views; the part is what stands before `_C1_` in the name of a file. Source:
github.com/Tencent/AnomalyDetection_Real-IAD, README.md and datasets/explicit_dataset.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.teach.layouts.placed import Placed
from station.teach.layouts.source import GOOD, SourcePicture, SourceSet, checked

NAME = "real-iad"
SIZES = ("realiad_1024", "realiad_512", "realiad_256", "realiad_raw")
JSONS = "realiad_jsons"
FIELDS = ("category", "anomaly_class", "image_path", "mask_path")
NORMAL = "OK"
_NAME = re.compile(r"(?P<part>.+)_(?P<view>C[0-9]+)(?:_.*)?")


def is_layout(path: Path) -> bool:
    """Whether `path` is the folder of a category in realiad_SIZE, or a JSON file of splits."""
    if path.is_file():
        return path.suffix.lower() == ".json" and path.resolve().parent.name.startswith(JSONS)
    return path.resolve().parent.name in SIZES and path.is_dir()


def read(path: Path) -> SourceSet:
    """What the JSON file lists. BadInput names the file and the entry that cannot be used."""
    path = path.resolve()
    table, folder = path if path.is_file() else _table_of(path), folder_of(path)
    raw = _content(table)
    normal = str(raw["meta"].get("normal_class", NORMAL))
    found: dict[str, list[tuple[str, str, dict[str, Any], Path]]] = {}
    for split in ("train", "test"):
        for n, entry in enumerate(raw[split]):
            where = f"{table}: {split}[{n}]"
            file = _there(where, folder, str(raw["meta"].get("prefix", "")), _field(where, entry, "image_path"))
            match = _NAME.fullmatch(file.stem)
            if match is None:
                raise BadInput(f"{where}: {file.name} names no view: PART_C1_TIME is expected")
            found.setdefault(match["part"], []).append((split, match["view"], entry, file))
    prefix = str(raw["meta"].get("prefix", ""))
    pictures = [p for part, views in found.items() for p in _views(table, folder, prefix, part, views, normal)]
    noisy = len({p.part for p in pictures if p.split == "train" and p.kind != GOOD})
    note = f"{noisy} defective parts are in the training split; only good parts are learned from."
    views = tuple(sorted({p.view for p in pictures}))
    return checked(SourceSet(NAME, folder.name, tuple(pictures), views, (note,) if noisy else ()), table)


def folder_of(path: Path) -> Path:
    """The category's folder of pictures; of a JSON file, in the largest size that is there. BadInput for none."""
    if path.is_dir():
        return path
    table = path.resolve()
    for root in (table.parent.parent, table.parent.parent.parent):
        for size in SIZES:
            if (root / size / table.stem).is_dir():
                return root / size / table.stem
    raise BadInput(f"{table.parent.parent / SIZES[0] / table.stem} is missing: the pictures of {table} must lie there")


def place(found: SourceSet, picture: SourcePicture) -> Placed:
    """Where a view and its mask go. Parts that are not named as Real-IAD names them get numbers."""
    part = _part_name(found, picture)
    view = f"C{found.views.index(picture.view) + 1}"
    number = re.search(r"_(\d{4,})_", part)
    folder = f"{_sort(picture)}/S{number.group(1) if number else '0000'}"
    at = f"{SIZES[0]}/{found.product}/{folder}/{part}_{view}_0"
    return Placed(f"{at}{{ending}}", mask=f"{at}_mask.png")


def finish(found: SourceSet, out: Path, placed: Mapping[SourcePicture, Placed]) -> None:
    """Write the JSON file of splits."""
    root = f"{SIZES[0]}/{found.product}/"
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for picture, files in placed.items():
        splits["test" if picture.split == "test" else "train"].append({
            "category": found.product,
            "anomaly_class": _code(picture.kind),
            "image_path": files.picture.removeprefix(root),
            "mask_path": None if files.mask is None else files.mask.removeprefix(root),
        })  # fmt: skip
    document = {"meta": {"prefix": f"{found.product}/", "normal_class": NORMAL}, **splits}
    (out / JSONS).mkdir(parents=True, exist_ok=True)
    write_atomic(out / JSONS / f"{found.product}.json", json.dumps(document, indent=1).encode())


def _views(
    table: Path,
    folder: Path,
    prefix: str,
    part: str,
    views: Sequence[tuple[str, str, dict[str, Any], Path]],
    normal: str,
) -> list[SourcePicture]:
    """Of one part, whose kind is that of the views that show its defect."""
    kinds = {str(_field(f"{table}: {part}", e, "anomaly_class")) for _, _, e, _ in views} - {normal}
    if len(kinds) > 1:
        raise BadInput(f"{table}: {part} has the classes {', '.join(sorted(kinds))}: a part has one kind of defect")
    kind = next(iter(kinds), GOOD)
    found = []
    for split, view, entry, file in views:
        mask = entry.get("mask_path")
        marked = None if mask is None or kind == GOOD else _there(f"{table}: {part}", folder, prefix, str(mask))
        found.append(SourcePicture(part, split, kind, file, marked, view))
    return found


def _field(where: str, entry: Any, name: str) -> str:
    if not isinstance(entry, dict) or name not in entry:
        raise BadInput(f"{where}: has no {name!r}; an entry has {', '.join(FIELDS)}")
    return str(entry[name])


def _content(table: Path) -> dict[str, Any]:
    try:
        raw = json.loads(table.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{table}: cannot be read ({error}): restore the file") from error
    except json.JSONDecodeError as error:
        raise BadInput(f"{table}:{error.lineno}: not JSON ({error.msg}): restore the file") from error
    if not isinstance(raw, dict) or not all(isinstance(raw.get(k), t) for k, t in _PARTS):
        raise BadInput(f"{table}: has no meta, train and test: name a JSON file of Real-IAD's splits")
    return raw


_PARTS = (("meta", dict), ("train", list), ("test", list))


def _there(where: str, folder: Path, prefix: str, path: str) -> Path:
    """The file, from the folder that the prefix names, or from the category's."""
    tried = [folder.parent / prefix / path, folder / path]
    file = next((file for file in tried if file.is_file()), None)
    if file is None or not file.resolve().is_relative_to(folder.parent):
        raise BadInput(f"{where}: {tried[-1]} is missing: restore it, or remove the entry")
    return file


def _table_of(folder: Path) -> Path:
    root = folder.parent.parent
    tried = [root / JSONS / f"{folder.name}.json", root / JSONS / JSONS / f"{folder.name}.json"]
    table = next((table for table in tried if table.is_file()), None)
    if table is None:
        raise BadInput(f"{tried[0]} is missing: it says which pictures of {folder} train and which test")
    return table


def _sort(picture: SourcePicture) -> str:
    return NORMAL if picture.kind == GOOD else f"NG/{_code(picture.kind)}"


def _code(kind: str) -> str:
    """The anomaly class: Real-IAD's own are two capital letters; other kinds keep their name."""
    return NORMAL if kind == GOOD else kind


def _part_name(found: SourceSet, picture: SourcePicture) -> str:
    """CATEGORY_0001_OK or CATEGORY_0001_NG_KIND, as the key of a part is formed from the name of a file."""
    if re.fullmatch(rf"{re.escape(found.product)}_\d{{4,}}_[A-Z]\w*", picture.part):
        return picture.part
    number = sorted({p.part for p in found.pictures}).index(picture.part) + 1
    code = re.sub(r"[^A-Z]", "_", _sort(picture).replace("/", "_").upper()).strip("_")
    return f"{found.product}_{number:04d}_{code}"
