"""Whether a collection can teach a recipe: refused with what was found and what to do, before anything is solved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from station.collection.folder import About, CollectedPart, Collection, CollectionError, LightTaken
from station.recipe.loaded import LoadedRecipe

STRIDE_PX = 6  # of the model's tokens: both sides of its grid are multiples
MOST_COLUMNS = 800  # of the grid; a finer one costs time and finds little more
FEWEST_GOOD = 5  # parts to train on, and to calibrate on
SAME_USE = 0.01  # relative, of exposures and brightness; dB of gain


def about_of(loaded: LoadedRecipe, pixel_format: str, *, is_simulated: bool) -> About:
    """What a collection states that is taken by this recipe, in this format."""
    recipe = loaded.recipe
    lights = {
        light.name: LightTaken(light.channel, light.kind, light.exposure_us, light.brightness, recipe.capture.gain_db)
        for light in recipe.lights
    }
    views = tuple(viewpoint.name for viewpoint in recipe.viewpoints)
    return About(recipe.product, views, lights, pixel_format, loaded.sha256s["calibration"], is_simulated)


def check_collection(loaded: LoadedRecipe, collection: Collection) -> None:
    """Raises CollectionError: of another product, calibration, pixel format, views or use of the lights."""
    about, recipe = collection.about, loaded.recipe
    where = collection.folder / "collection.json"
    wanted = loaded.sha256s["calibration"]
    if about.product != recipe.product:
        raise CollectionError(
            f"{where}: of {about.product!r}, the recipe is for {recipe.product!r}: name the right one"
        )
    if about.calibration_sha256 != wanted:
        raise CollectionError(
            f"{where}: taken under calibration {about.calibration_sha256[:12]}, the recipe names {wanted[:12]}: "
            "collect parts under the recipe's calibration, or name the recipe of that time"
        )
    if about.pixel_format.startswith("Mono") == recipe.capture.is_color:
        raise CollectionError(
            f"{where}: taken as {about.pixel_format}, the recipe has {recipe.capture.pixel_format}: name another one"
        )
    missing = [v.name for v in recipe.viewpoints if v.name not in about.views]
    if missing:
        raise CollectionError(f"{where}: lacks the view {missing[0]!r} of the recipe: collect the parts anew")
    for light in recipe.lights:
        taken = about.lights.get(light.name)
        use = (light.channel, light.kind, light.exposure_us, light.brightness, recipe.capture.gain_db)
        found = None if taken is None else (
            taken.channel, taken.kind, taken.exposure_us, taken.brightness, taken.gain_db,
        )  # fmt: skip
        if found is None or not _same_use(found, use):
            raise CollectionError(
                f"{where}: light {light.name!r} was {_told(found)}, the recipe has {_told(use)}: collect the parts "
                "anew, or name the recipe of that time"
            )


def check_parts(loaded: LoadedRecipe, collection: Collection, parts: Sequence[CollectedPart]) -> None:
    """Raises CollectionError: a view or frame is missing, a part stands in two splits, or there are too few."""
    lights = [light.name for light in loaded.recipe.lights]
    for part in parts:
        for view in (v.name for v in loaded.recipe.viewpoints):
            absent = [name for name in lights if name not in part.frames.get(view, {})]
            if absent:
                raise CollectionError(
                    f"{collection.folder}: part {part.name} lacks {view}/{absent[0]}: take it anew, or "
                    "remove its folder"
                )
    _check_duplicates(collection, parts, lights)
    for split in ("train", "calibrate"):
        count = sum(part.split == split and part.kind == "good" for part in parts)
        if count < FEWEST_GOOD:
            raise CollectionError(
                f"{collection.folder}: {count} good parts to {split}, at least {FEWEST_GOOD} are needed, best of "
                "several batches: collect more"
            )


def _check_duplicates(collection: Collection, parts: Iterable[CollectedPart], lights: Sequence[str]) -> None:
    """A frame under a light has noise, so that two equal ones are one exposure; a dark one may be 0 everywhere."""
    owner: dict[str, CollectedPart] = {}
    for part in parts:
        for of_view in part.frames.values():
            for about in (of_view[name] for name in lights if name in of_view):
                other = owner.setdefault(about["sha256"], part)
                if other.name != part.name:
                    raise CollectionError(
                        f"{collection.folder}: {part.name} ({part.split}) and {other.name} ({other.split}) share a "
                        f"frame ({about['file']}): they are one part; remove one of the two folders"
                    )


def as_taken(loaded: LoadedRecipe, shape: tuple[int, int]) -> LoadedRecipe:
    """The recipe at the binning of frames of `shape` (H, W): a collection may be coarser than what will be inspected.

    Raises CollectionError for frames that are no binned picture of the calibrated sensor.
    """
    sensor = (loaded.calibration.image_height, loaded.calibration.image_width)
    for binning in (1, 2, 4, 8):
        if (sensor[0] // binning, sensor[1] // binning) == shape:
            capture = loaded.recipe.capture.model_copy(update={"binning": binning})
            return replace(loaded, recipe=loaded.recipe.model_copy(update={"capture": capture}))
    raise CollectionError(
        f"frames of {shape[1]} x {shape[0]} pixels are no picture of the calibrated sensor, {sensor[1]} x {sensor[0]}, "
        "whole or binned by 2, 4 or 8: collect the parts anew"
    )


def grid_of(shape: tuple[int, int]) -> tuple[int, int]:
    """The model's grid (H, W) for frames of `shape`: their means over the smallest blocks that give one.

    Raises CollectionError where no whole block does.
    """
    height, width = shape
    for factor in range(1, min(shape) // STRIDE_PX + 1):
        h, w = height // factor, width // factor
        fits = (h * factor, w * factor) == shape and h % STRIDE_PX == 0 and w % STRIDE_PX == 0
        if fits and w <= MOST_COLUMNS:
            return h, w
    raise CollectionError(
        f"frames of {width} x {height} pixels: no whole number of them makes a grid of at most {MOST_COLUMNS} columns "
        f"whose sides are multiples of {STRIDE_PX}: choose another capture.binning, or a region of the sensor"
    )


def _same_use(a: tuple[int, str, float, float, float], b: tuple[int, str, float, float, float]) -> bool:
    alike = all(math.isclose(x, y, rel_tol=SAME_USE) for x, y in zip(a[2:4], b[2:4], strict=True))
    return a[:2] == b[:2] and alike and abs(a[4] - b[4]) <= SAME_USE


def _told(use: tuple[int, str, float, float, float] | None) -> str:
    if use is None:
        return "not used"
    return f"{use[1]} on channel {use[0]} for {use[2]:g} us at {use[3]:g} and {use[4]:g} dB"
