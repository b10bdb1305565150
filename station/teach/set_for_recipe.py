"""A set from elsewhere made ready to teach a recipe: views joined by name, pictures on the grid that the judge uses.

A recipe judges what its own camera takes under its own lights. A folder cannot prove that its pictures are such, but
much that would make the model judge something else shows: other views, another size, another brightness, grey instead
of colour. All of that is refused. Normals count only where they are said to come from the recipe's own solver.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from station.errors import BadInput
from station.recipe.loaded import LoadedRecipe
from station.teach.dataset import stereo_settings
from station.teach.fit_for_recipe import grid_of
from station.teach.layouts.bring import read_from_elsewhere
from station.teach.layouts.decoded import read_linear, size_of
from station.teach.layouts.pictures import INDEX, Progress, silent, write_set
from station.teach.layouts.source import (
    GOOD,
    SourcePicture,
    SourceSet,
    digests_of,
    refuse_too_few,
    set_sha256,
)

LOOKED_AT = 12  # good training pictures of each view, evenly chosen
BAYER_SHARES = np.array([0.25, 0.5, 0.25], np.float32)  # of a mosaic's pixels in blue, green, red
SAME_CHANNELS = 1e-4  # of full scale: no camera's colours are as equal as that
WHOLE = "The whole picture is judged, and nothing brings the part to its place: parts must lie as they do in the set."
SAME_SOLVER = "That its normals were solved as the recipe solves them was said by a person, and is not proven."


def set_for_recipe(
    folder: Path,
    loaded: LoadedRecipe,
    view_of: Mapping[str, str] | None = None,
    *,
    same_solver: bool = False,
    progress: Progress = silent,
) -> Path:
    """The data set `NAME-for-RECIPE_ID-prepared` beside `folder`, from which `station train` can teach the recipe.

    `view_of` gives a view of the set the name that it has in the recipe; others are joined by their own names.
    `same_solver` says that the set's normals were solved as the recipe solves them; without it they are left out. The
    set is written anew where a file, the recipe's grid or its settings changed.

    Raises BadInput for a recipe with a part reference or without reference levels, and for a set of another product,
    of views, sizes, colours or brightness that are not the recipe's, or of too few good parts.
    """
    folder = folder.resolve()
    _refuse_part_reference(loaded, folder)
    found = _joined(_of_product(read_from_elsewhere(folder), loaded, folder), loaded, view_of or {}, folder)
    if not found.is_held_out:
        refuse_too_few(found, folder)
    grid = _common_grid(found, loaded)
    _refuse_other_light(found, loaded, grid)
    keeps_normals = same_solver and found.has_normals
    if found.has_normals and not keeps_normals:
        left_out = (
            "The set's normals are left out: it does not say by which solver they were made, and the recipe judges "
            "those of its own (--same-solver says that they are alike)."
        )
        found = _without_normals(replace(found, notes=(*found.notes, left_out)))
    found = replace(found, grid=grid, notes=(*found.notes, *([SAME_SOLVER] if keeps_normals else []), WHOLE))
    about = _about(loaded, keeps_normals=keeps_normals)
    out = folder.with_name(f"{folder.stem if folder.is_file() else folder.name}-for-{loaded.recipe.recipe_id}-prepared")
    return out if _is_there(out, found, about) else write_set(found, out, progress, about=about)


def capture_shape(loaded: LoadedRecipe) -> tuple[int, int]:
    """(H, W) in pixels of the frames that the recipe takes."""
    binning = loaded.recipe.capture.binning
    return loaded.calibration.image_height // binning, loaded.calibration.image_width // binning


def _refuse_part_reference(loaded: LoadedRecipe, folder: Path) -> None:
    if loaded.recipe.part_reference is not None:
        raise BadInput(
            f"{loaded.path}: field part_reference: the judge would cut pictures to the part and move it to its "
            f"reference, and {folder} has no raw frames from which a model learns that: take the field out, or train "
            "from a collection"
        )


def _of_product(found: SourceSet, loaded: LoadedRecipe, folder: Path) -> SourceSet:
    """The set, called as the recipe calls it; BadInput where it is of another product."""
    product = loaded.recipe.product
    if _plain(found.product) != _plain(product):
        raise BadInput(
            f"{folder}: is of {found.product!r}, {loaded.path} is for {product!r}: name the right recipe, or give the "
            "set's folder the name of the product"
        )
    return replace(found, product=product)


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_").replace("-", "_")


def _joined(found: SourceSet, loaded: LoadedRecipe, view_of: Mapping[str, str], folder: Path) -> SourceSet:
    """With the recipe's views alone, in its order and by its names."""
    wanted = [viewpoint.name for viewpoint in loaded.recipe.viewpoints]
    for own, name in view_of.items():
        if own not in found.views:
            raise BadInput(f"--view-of {own}={name}: {folder} has no view {own!r}, only {', '.join(found.views)}")
        if name not in wanted:
            raise BadInput(f"--view-of {own}={name}: {loaded.path} has no view {name!r}, only {', '.join(wanted)}")
    names = {own: view_of.get(own, own) for own in found.views}
    doubled = [name for name in wanted if list(names.values()).count(name) > 1]
    if doubled:
        both = " and ".join(own for own, name in names.items() if name == doubled[0])
        raise BadInput(f"{folder}: {both} would both be the view {doubled[0]!r}: give one of them another --view-of")
    lacking = [name for name in wanted if name not in names.values()]
    if lacking:
        raise BadInput(
            f"{folder}: has the views {', '.join(found.views)}, and none of them is {lacking[0]!r} of {loaded.path}: "
            f"join them with --view-of SETVIEW={lacking[0]}, or leave out --recipe"
        )
    others = [own for own, name in names.items() if name not in wanted]
    notes = (f"Views of the set that the recipe has not are left out: {', '.join(others)}.",) if others else ()
    pictures = [replace(p, view=names[p.view]) for p in found.pictures if names[p.view] in wanted]
    pictures.sort(key=lambda p: (p.split, p.part, wanted.index(p.view)))
    return replace(found, views=tuple(wanted), pictures=tuple(pictures), notes=(*found.notes, *notes))


def _without_normals(found: SourceSet) -> SourceSet:
    return replace(found, pictures=tuple(replace(picture, normal=None) for picture in found.pictures))


def _common_grid(found: SourceSet, loaded: LoadedRecipe) -> tuple[int, int]:
    """The model's grid (H, W), of which pictures and frames are whole multiples; BadInput where there is none."""
    taken = capture_shape(loaded)
    first = size_of(found.pictures[0].file)
    for picture in found.pictures:
        size = size_of(picture.file)
        if size != first or not (_is_multiple(size, taken) or _is_multiple(taken, size)):
            raise BadInput(
                f"{picture.file} is {size[1]} x {size[0]} px, {loaded.path} takes {taken[1]} x {taken[0]}: pictures "
                "must all have one size, the camera's own or that averaged over whole blocks; replace them, or leave "
                "out --recipe"
            )
    return grid_of(min(first, taken))


def _is_multiple(large: tuple[int, int], small: tuple[int, int]) -> bool:
    factor = large[0] // small[0]
    return factor >= 1 and large == (factor * small[0], factor * small[1])


def _refuse_other_light(found: SourceSet, loaded: LoadedRecipe, grid: tuple[int, int]) -> None:
    """BadInput where a view is brighter or darker than the recipe's reference, or grey where its camera sees colour."""
    recipe = loaded.recipe
    light = next(light.name for light in recipe.lights if light.kind == "diffuse")
    for view in found.views:
        level = recipe.reference_levels.get(view, {}).get(light)
        if level is None:
            raise BadInput(
                f"{loaded.path}: field reference_levels.{view}.{light} is missing, so that nothing says how bright "
                "this camera's pictures are: make the recipe with station product new, without --no-look"
            )
        chosen = _evenly([p for p in found.pictures if (p.view, p.split, p.kind) == (view, "train", GOOD)])
        pictures = [read_linear(p.file, grid, linear=found.coding == "linear") for p in chosen]
        _refuse_other_colors(chosen, pictures, is_color=recipe.capture.is_color)
        share = float(np.mean([np.mean(p, axis=(0, 1)) @ BAYER_SHARES for p in pictures])) / level
        bounds = recipe.light_level_limits
        if not bounds.weak_below <= share <= bounds.strong_above:
            raise BadInput(
                f"{found.product}, view {view}: good pictures of the set are {share:.2f} times as bright as those of "
                f"the recipe under {light} ({bounds.weak_below:g} to {bounds.strong_above:g} would be alike): another "
                "exposure, light or white balance took them, and limits from them would not hold; leave out --recipe"
            )


def _evenly(pictures: Sequence[SourcePicture]) -> Sequence[SourcePicture]:
    return pictures[:: max(1, len(pictures) // LOOKED_AT)][:LOOKED_AT]


def _refuse_other_colors(
    chosen: Sequence[SourcePicture], pictures: Sequence[NDArray[np.float32]], *, is_color: bool
) -> None:
    for picture, planes in zip(chosen, pictures, strict=True):
        has_colors = bool(np.ptp(planes, axis=2).max() > SAME_CHANNELS)
        if has_colors != is_color:
            seen, taken = ("colours", "grey pictures") if has_colors else ("grey alone", "colours")
            raise BadInput(f"{picture.file} shows {seen}, the recipe's camera gives {taken}: leave out --recipe")


def _about(loaded: LoadedRecipe, *, keeps_normals: bool) -> dict[str, Any]:
    """What the index says beside the pictures: the recipe's own levels stay, and so does its solver where it counts."""
    recipe = loaded.recipe
    return {
        "color": "rgb" if recipe.capture.is_color else "mono",
        "photometric_stereo": stereo_settings(recipe) if keeps_normals else {"method": "none", "lights": []},
        "reference_levels": {view: dict(levels) for view, levels in recipe.reference_levels.items()},
    }


def _is_there(out: Path, found: SourceSet, about: Mapping[str, Any]) -> bool:
    """Whether an earlier run wrote just this."""
    index = out / INDEX
    try:
        raw = json.loads(index.read_text("utf-8")) if index.is_file() else {}
    except ValueError:
        return False  # it is written anew
    wanted = {
        **json.loads(json.dumps(about)), "layout_sha256": set_sha256(found, digests_of(found)),
        "input_size": list(found.grid or ()),
    }  # fmt: skip
    return all(raw.get(name) == value for name, value in wanted.items())
