"""Which archived inspections the releases and collections below a folder name: their raw frames have to stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from station.archive.ids import is_inspection_id
from station.collection.folder import INDEX, Collection
from station.errors import BadInput
from station.product.from_archive import archived_name
from station.recipe.releases import ACTIVE, numbers_in, read_manifest

_OF_A_COLLECTION = archived_name("")  # what stands before the inspection's id


def named_below(folder: Path) -> dict[str, str]:
    """Inspection -> what names it, of every release and collection below `folder`.

    Raises BadInput for a folder that is not there, ReleaseError and CollectionError for what is broken.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; name one that holds releases or collections")
    return dict([*_of_releases(folder), *_of_collections(folder)])


def _of_releases(folder: Path) -> Iterator[tuple[str, str]]:
    for active in sorted(folder.rglob(ACTIVE)):
        for number in numbers_in(active.parent):
            manifest = read_manifest(active.parent, number)
            for part in (*manifest.gate.defective, *manifest.gate.reference):
                if part.source == "archive":
                    yield part.name, f"reference set of {manifest.recipe_id}"


def _of_collections(folder: Path) -> Iterator[tuple[str, str]]:
    for index in sorted(folder.rglob(INDEX)):
        for part in Collection.open(index.parent).parts():
            name = part.name.removeprefix(_OF_A_COLLECTION)
            if is_inspection_id(name):
                yield name, f"collection {index.parent.resolve()}"
