"""Regions that a person has set in the recipe's part references: training keeps them."""

from __future__ import annotations

from pathlib import Path

from station.recipe.loaded import LoadedRecipe
from station.recipe.part_reference_file import part_misfits, read_part_references
from station.teach.archived_parts import NoReference


def edited_reference_file(loaded: LoadedRecipe, grid: tuple[int, int]) -> Path | None:
    """The file of the recipe's part references, where a person has set a region in them; else None.

    They count as a whole: a region is drawn on the reference's own picture. Raises NoReference where they do not hold
    for the recipe or the data set's `grid` (H, W), so that an edit is never lost in silence; PartReferenceError.
    """
    choice = loaded.recipe.part_reference
    if choice is None:
        return None
    path = loaded.path.parent / choice.file
    found = read_part_references(path, choice.sha256)
    if not found.edited:
        return None
    views = [viewpoint.name for viewpoint in loaded.recipe.viewpoints]
    is_aimed = loaded.recipe.reference_camera is not None
    why = list(part_misfits(found, views, loaded.sha256s["calibration"], is_aimed=is_aimed))
    if found.grid != grid:
        why.append(f"its grid is {found.grid[1]} x {found.grid[0]}, the pictures' {grid[1]} x {grid[0]}")
    if why:
        raise NoReference(
            f"{path}: regions of {', '.join(found.edited)} were set by hand, and they do not fit any more "
            f"({'; '.join(why)}): take part_reference out of {loaded.path}, train, and set the regions anew"
        )
    return path
