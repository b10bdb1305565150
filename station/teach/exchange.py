"""`station dataset import` and `export`: which way a set goes, by the name of the layout."""

from __future__ import annotations

from pathlib import Path

from station.collection.folder import Collection
from station.errors import BadInput
from station.recipe.loaded import load_recipe
from station.teach.joined_collections import NAME as COLLECTION
from station.teach.joined_collections import join_collections
from station.teach.layouts.bring import Imported, import_set
from station.teach.layouts.export import Exported, export_set
from station.teach.layouts.known import LAYOUTS, Layout, read_any
from station.teach.layouts.ours import is_collection
from station.teach.prepare import prepare
from station.teach.training import show_progress


def import_from(layout: str, folder: Path, out: Path) -> Imported:
    """Read `folder` in the layout of that name. BadInput for an unknown name, and as the readers say."""
    if layout == COLLECTION:
        return join_collections(folder, out, show_progress)
    return import_set(_known(layout).name, folder, out, show_progress)


def export_to(
    data: Path, layout: str, out: Path, *, view: str | None = None, recipe: Path | None = None, linear: bool = False
) -> Exported:
    """Write a set in the layout of that name.

    A collection is solved by its recipe first, into the data set NAME-prepared beside it. BadInput for an unknown
    layout, a collection without a recipe, and as readers and `export_set` say.
    """
    if layout == COLLECTION:
        return _as_collection(data, out)
    known = _known(layout)
    if is_collection(data):
        if recipe is None:
            raise BadInput(f"{data} holds raw frames: name the recipe that solves them with --recipe")
        prepared = data.resolve().with_name(f"{data.resolve().name}-prepared")
        prepare(load_recipe(recipe, need_model=False), Collection.open(data), prepared, show_progress)
        data = prepared
    elif recipe is not None:
        raise BadInput(f"{recipe}: --recipe solves the frames of a collection, and {data} is none: leave it out")
    return export_set(read_any(data), known, out, view=view, linear=linear, progress=show_progress)


def _as_collection(data: Path, out: Path) -> Exported:
    if not is_collection(data):
        raise BadInput(f"{data} is no collection, and raw frames cannot be made from pictures: name another layout")
    joined = join_collections(data, out, show_progress)
    return Exported(joined.folder, joined.layout, joined.pictures, joined.notes)


def _known(layout: str) -> Layout:
    if layout not in LAYOUTS:
        raise BadInput(f"there is no layout {layout!r}; there are {', '.join([*LAYOUTS, COLLECTION])}")
    return LAYOUTS[layout]
