"""Archived inspections become parts of a collection: production feeds training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from station.archive import Archive
from station.collection.folder import Collection, CollectionError
from station.recipe.fields import DARK
from station.recipe.loaded import LoadedRecipe
from station.teach.archived_parts import archived_frames


def archived_name(inspection_id: str) -> str:
    """What the part is called in a collection."""
    return f"archived-{inspection_id}"


def add_archived(
    loaded: LoadedRecipe, collection: Collection, store: Archive, inspection_id: str, kind: str, split: str,
    facts: Mapping[str, Any],
) -> bool:  # fmt: skip
    """Add the frames of an archived inspection as a part of this kind and split; False where it is there already.

    Raises CollectionError where it is there as something else, or its frames are of another size or format than the
    collection's; NoReference where it was taken otherwise than the recipe takes parts; ArchiveError.
    """
    name = archived_name(inspection_id)
    if collection.holds(name):
        there = collection.part(name)
        if (there.kind, there.split) != (kind, split):
            raise CollectionError(
                f"{collection.folder}: holds {name} as {there.kind}, {there.split}; now it is {kind}, {split}: remove "
                f"the folder {collection.folder / 'parts' / name}, and the prepared data set beside the collection"
            )
        return False
    store.pin([inspection_id], f"collection {collection.folder.resolve()}")
    frames = {
        view: {light: frame for light, frame in of_view.items() if light != DARK}
        for view, of_view in archived_frames(loaded, store, inspection_id).items()
    }
    found = next(iter(next(iter(frames.values())).values()))
    shape = _shape(collection)
    if found.pixel_format != collection.about.pixel_format or shape not in (None, found.pixels.shape):
        raise CollectionError(
            f"{inspection_id}: its frames are {found.pixel_format} {found.pixels.shape}, those of {collection.folder} "
            f"{collection.about.pixel_format} {shape}: name a collection that was taken as the part was"
        )
    collection.add(name, kind, split, frames, facts={"inspection_id": inspection_id, **facts})
    return True


def _shape(collection: Collection) -> tuple[int, ...] | None:
    """Of the first part's first frame; None of an empty collection."""
    for part in collection.parts():
        frames = collection.frames(part, next(iter(part.frames)))
        return next(iter(frames.values())).pixels.shape
    return None
