"""What is written beside an exported set, so that its import gives the same parts, views, splits and files.

No public layout has a split to calibrate on, and most have neither free names of parts nor of views. `exported.json`
keeps them, with the hash of every file. Programs that do not know it pass over it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.teach.layouts.source import SourcePicture, SourceSet, sha256_of

FILE = "exported.json"
FORMAT_VERSION = 1


def write_exported(home: Path, found: SourceSet, written: Mapping[SourcePicture, SourcePicture]) -> None:
    """`written` has for each picture of the set the one whose files lie under `home`."""
    document = {
        "format_version": FORMAT_VERSION,
        "product": found.product,
        "views": list(found.views),
        "grid": found.grid,
        "is_simulated": found.is_simulated,
        "notes": list(found.notes),
        "pictures": [_record(home, picture, files) for picture, files in written.items()],
    }
    write_atomic(home / FILE, json.dumps(document, indent=1).encode())


def _record(home: Path, picture: SourcePicture, files: SourcePicture) -> dict[str, Any]:
    record: dict[str, Any] = {name: getattr(picture, name) for name in ("part", "view", "split", "kind")}
    for what, path in files.files:
        record[what], record[f"{what}_sha256"] = path.relative_to(home).as_posix(), sha256_of(path)
    return record


def restored(found: SourceSet, home: Path) -> SourceSet:
    """The set as it was exported, where `home` says so; the set as its layout reads it otherwise.

    BadInput names a file that is missing, or was changed or swapped since it was exported.
    """
    path = home / FILE
    if not path.is_file():
        return found
    try:
        raw = json.loads(path.read_text("utf-8"))
        if raw["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {raw['format_version']}, this station reads {FORMAT_VERSION}")
        known = {(home / record["rgb"]).resolve(): record for record in raw["pictures"]}
        views, grid = tuple(str(v) for v in raw["views"]), raw["grid"]
        pictures = tuple(_restored(picture, known.get(picture.file.resolve()), home) for picture in found.pictures)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: cannot be used ({error!r}): export the set again, or remove this file") from error
    _refuse_lost(path, known)
    shown = {picture.view for picture in pictures}
    extra = tuple(sorted(shown - set(views)))
    return replace(
        found, pictures=pictures, product=str(raw["product"]), views=tuple(v for v in views if v in shown) + extra,
        grid=None if grid is None else (int(grid[0]), int(grid[1])), is_simulated=bool(raw["is_simulated"]),
        notes=tuple(raw["notes"]), is_held_out=True,
    )  # fmt: skip


def _restored(picture: SourcePicture, record: Mapping[str, Any] | None, home: Path) -> SourcePicture:
    """With the names it had; a picture that was added since stays as its layout reads it."""
    if record is None:
        return picture
    for what, file in picture.files:
        if record.get(what) is None or (home / record[what]).resolve() != file.resolve():
            raise BadInput(f"{file}: is no {what} of {record['part']} / {record['view']} by {home / FILE}: remove it")
        if sha256_of(file) != record[f"{what}_sha256"]:
            raise BadInput(f"{file} was changed or swapped since it was exported ({home / FILE}): restore it")
    part, view, split, kind = (str(record[name]) for name in ("part", "view", "split", "kind"))
    return replace(picture, part=part, view=view, split=split, kind=kind)


def _refuse_lost(path: Path, known: Mapping[Path, Mapping[str, Any]]) -> None:
    for record in known.values():
        for what in ("rgb", "normal", "mask"):
            if record.get(what) and not (path.parent / record[what]).is_file():
                raise BadInput(f"{path.parent / record[what]} is missing, {path} lists it: restore it, or export again")
