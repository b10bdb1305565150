"""`station dataset import collection`: the parts of one collection copied whole into another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from station.collection.folder import CollectedPart, Collection, CollectionError
from station.teach.layouts.bring import Imported

NAME = "collection"
Progress = Callable[[str, float], None]


def join_collections(source: Path, out: Path, progress: Progress) -> Imported:
    """Copy every part of `source` into the collection `out`, which is made where absent. Parts that it has stay.

    Every frame is checked against its hash. Raises CollectionError: `out` was taken otherwise (another calibration,
    product, lights, views), or has another part of that name, or a frame is missing or was changed.
    """
    taken = Collection.open(source)
    into = Collection.create(out, taken.about)
    parts = list(taken.parts())
    fresh = [part for part in parts if not _is_there(into, part)]
    for n, part in enumerate(fresh):
        frames = {view: taken.frames(part, view) for view in part.frames}
        shape = next(iter(next(iter(frames.values())).values())).pixels.shape[:2]
        masks = {view: taken.mask(part, view, (shape[0], shape[1])) for view in part.masks}
        into.add(part.name, part.kind, part.split, frames, masks, part.facts, part.poses)
        progress(f"copying {part.name}", (n + 1) / len(fresh))
    there = len(parts) - len(fresh)
    notes = (f"{there} of {len(parts)} parts were there already.",) if there else ()
    n_pictures = sum(len(of_view) for part in parts for of_view in part.frames.values())
    return Imported(out, NAME, n_pictures, taken.about.views, notes)


def _is_there(into: Collection, part: CollectedPart) -> bool:
    """Whether the part is there with the same frames. Raises CollectionError for another part of that name."""
    if not into.holds(part.name):
        return False
    there = into.part(part.name)
    if _content(there) != _content(part):
        raise CollectionError(f"{into.folder}: has another part {part.name!r}: rename the folder of one of the two")
    return True


def _content(part: CollectedPart) -> object:
    """What was taken; names of files count takes, and do not matter."""
    hashes = {view: {light: a["sha256"] for light, a in of_view.items()} for view, of_view in part.frames.items()}
    return part.kind, part.split, hashes, sorted(part.masks)
