"""Our own data sets and collections as sets of pictures: exported, counted and shown like those of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from station.collection.folder import INDEX as COLLECTION_INDEX
from station.collection.folder import Collection
from station.errors import BadInput
from station.teach.layouts.source import SourcePicture, SourceSet, checked, sha256_of

DATA_SET, COLLECTION = "data set", "collection"
INDEX, PLAIN = "index.json", "plain"


def is_data_set(folder: Path) -> bool:
    """Whether `folder` is a data set of ours."""
    return (folder / INDEX).is_file()


def is_collection(folder: Path) -> bool:
    """Whether `folder` is a collection of raw frames."""
    return (folder / COLLECTION_INDEX).is_file()


def read_data_set(folder: Path) -> SourceSet:
    """The plain views of a data set: the files that were imported where it kept them, else those on its grid.

    BadInput names a file that is missing, or was changed or swapped since the set was written.
    """
    path = folder / INDEX
    try:
        raw = json.loads(path.read_text("utf-8"))
        items = [item for item in raw["items"] if item.get("variant", PLAIN) == PLAIN]
        kept = bool(items) and all("originals" in item for item in items)
        pictures = tuple(_picture(folder, item, kept=kept) for item in items)
        height, width = raw["input_size"]
        product, views = str(raw["product"]), tuple(str(view) for view in raw["views"])
        notes, is_simulated = tuple(raw.get("notes", ())), bool(raw.get("is_simulated"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: field missing or of the wrong kind ({error!r}): make the data set again") from error
    found = SourceSet(
        DATA_SET, product, pictures, views, notes, None if kept else (height, width), is_simulated, is_held_out=True,
        coding="display" if kept else "linear",
    )  # fmt: skip
    return checked(found, folder)


def _picture(folder: Path, item: Mapping[str, Any], *, kept: bool) -> SourcePicture:
    files: dict[str, Path | None] = {}
    for what in ("rgb", "normal", "mask"):
        named = (
            item["originals"].get(what, {}) if kept else {"file": item.get(what), "sha256": item.get(f"{what}_sha256")}
        )
        files[what] = _whole(folder, named.get("file"), named.get("sha256"))
    rgb = files["rgb"]
    if rgb is None:
        raise KeyError("rgb")
    names = [str(item[name]) for name in ("part", "split", "kind")]
    return SourcePicture(names[0], names[1], names[2], rgb, files["mask"], str(item["view"]), files["normal"])


def _whole(folder: Path, file: str | None, sha256: str | None) -> Path | None:
    """The file, if there is one; BadInput where it is not the one that was written."""
    if file is None:
        return None
    path = folder / file
    if not path.is_file():
        raise BadInput(f"{path} is missing: restore it, or make the data set again")
    if sha256 is not None and sha256_of(path) != sha256:
        raise BadInput(
            f"{path} was changed or swapped since the data set was written: restore it, or make the set again"
        )
    return path


def read_collection(folder: Path) -> SourceSet:
    """The frames under the diffuse light, as the camera gave them, with the masks of the parts.

    They are raw: `coding` is linear, a colour camera's are mosaics, and there are no normals before a recipe has solved
    them. CollectionError where the collection cannot be read.
    """
    collection = Collection.open(folder)
    light = diffuse_light(collection)
    pictures = []
    for part in collection.parts():
        home = folder / "parts" / part.name
        for view in collection.about.views:
            if view not in part.frames:
                raise BadInput(
                    f"{home}: {part.name} lacks the view {view!r}: take the part again, or remove its folder"
                )
            mask = part.masks.get(view)
            file = home / part.frames[view][light]["file"]
            pictures.append(SourcePicture(part.name, part.split, part.kind, file, home / mask if mask else None, view))
    about = collection.about
    found = SourceSet(
        COLLECTION, about.product, tuple(pictures), about.views, (), None, about.is_simulated, is_held_out=True,
        coding="linear",
    )  # fmt: skip
    return checked(found, folder)


def diffuse_light(collection: Collection) -> str:
    """The name of the diffuse light; of the first light where none is diffuse."""
    lights = collection.about.lights
    return next((name for name, light in lights.items() if light.kind == "diffuse"), next(iter(lights)))
