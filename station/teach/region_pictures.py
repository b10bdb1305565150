"""`station region`: the part's region in each view, shown as pictures, and set from edited ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.part_reference_file import PartReference, PartReferences, part_references_bytes
from station.teach.part_region import with_region

OUTSIDE, EDGE = 0.35, (0, 200, 255)  # how bright the rest is shown; the outline's colour, blue green red


class RegionError(BadInput):
    """A recipe without regions, or a mask that does not fit; the text names it and what to do."""


def show_regions(recipe: Path, folder: Path) -> list[Path]:
    """Write `VIEW.png`, the reference with its region's outline, and `VIEW_mask.png`, which may be edited.

    Raises RegionError, DocumentError, OSError.
    """
    references = _references(load_recipe(recipe))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for view, reference in references.views.items():
        mask = reference.region.astype(np.uint8) * np.uint8(255)
        for name, picture in ((f"{view}.png", overlay(reference)), (f"{view}_mask.png", mask)):
            ok, encoded = cv2.imencode(".png", picture)
            if not ok:
                raise RegionError(f"{folder / name}: a picture of {picture.shape} cannot be stored as PNG")
            write_atomic(folder / name, encoded.tobytes())
            written.append(folder / name)
    return written


def set_regions(recipe: Path, masks: Mapping[str, Path]) -> Path:
    """A new reference file with these masks (8 bits, not 0 = part), named by the recipe from now on; returned.

    It notes which views were set: the next training keeps these references instead of finding the regions anew.
    Raises RegionError, DocumentError, OSError.
    """
    loaded = load_recipe(recipe)
    references = _references(loaded)
    views = dict(references.views)
    for view, path in masks.items():
        if view not in views:
            raise RegionError(f"{recipe}: no view is named {view!r}; there are {', '.join(views)}")
        views[view] = with_region(views[view], _mask(path, references.grid))
    edited = tuple(view for view in views if view in masks or view in references.edited)
    return write_part_references(recipe, loaded.recipe.recipe_id, replace(references, views=views, edited=edited))


def write_part_references(recipe: Path, recipe_id: str, references: PartReferences) -> Path:
    """Write the file beside the recipe, and put its name and hash into the recipe; the file before stays."""
    content = part_references_bytes(references)
    sha256 = hashlib.sha256(content).hexdigest()
    file = recipe.parent / "references" / f"{recipe_id}-part-{sha256[:12]}.npz"
    file.parent.mkdir(exist_ok=True)
    write_atomic(file, content)
    update_recipe_values(recipe, part_reference=(f"references/{file.name}", sha256))
    return file


def overlay(reference: PartReference) -> NDArray[np.uint8]:
    """(H, W, 3) blue green red: the reference, darker outside the region, with the region's outline."""
    height, width = reference.region.shape
    colors = np.sqrt(np.clip(reference.colors, 0, 1)).transpose(1, 2, 0)[:, :, ::-1]
    picture = cv2.resize(np.ascontiguousarray(colors), (width, height), interpolation=cv2.INTER_LINEAR)
    picture = picture * np.where(reference.region, 1.0, OUTSIDE)[:, :, None]
    drawn = np.round(picture * 255).astype(np.uint8)
    edges, _ = cv2.findContours(reference.region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, edges, -1, EDGE, 1)
    return drawn


def _references(loaded: LoadedRecipe) -> PartReferences:
    if loaded.part_references is None:
        raise RegionError(f"{loaded.path} names no part_reference: it knows no region; train it on placed parts first")
    return loaded.part_references


def _mask(path: Path, grid: tuple[int, int]) -> NDArray[np.bool_]:
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise RegionError(f"{path}: is no picture that can be read; name a PNG mask")
    if mask.shape != grid:
        raise RegionError(
            f"{path}: {mask.shape[1]} x {mask.shape[0]} pixels, the model's grid is {grid[1]} x {grid[0]}"
        )
    if not mask.any():
        raise RegionError(f"{path}: is 0 everywhere; a region must have pixels")
    return np.asarray(mask > 0)
