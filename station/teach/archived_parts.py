"""Archived good parts as pictures of the fixture, taken as the recipe would take them now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from drivers.protocols import Frame
from station.archive import Archive, ArchivedFrame
from station.collection.folder import Collection
from station.errors import BadInput
from station.judge.fixture_picture import FixturePicture, cell_edge_px, fixture_picture
from station.recipe.fields import DARK
from station.recipe.loaded import LoadedRecipe

MOST_COLLECTED = 30  # parts: more show nothing new
SAME_EXPOSURE, SAME_GAIN_DB = 0.01, 0.1  # cameras round what is commanded; both are about 1 % of light

Pictures = Mapping[str, Mapping[str, FixturePicture]]  # view -> light -> picture, of one part


class NoReference(BadInput, ValueError):
    """These parts do not show the fixture; the text says what was found and what to do."""


def fixture_pictures(frames: Mapping[str, Frame]) -> dict[str, FixturePicture]:
    """Of one view's frames, per light."""
    return {light: fixture_picture(frame, cell_edge_px(frame.pixels.shape[1])) for light, frame in frames.items()}


def archived_parts(loaded: LoadedRecipe, archive: Path, inspections: Sequence[str]) -> Iterable[Pictures]:
    """The pictures of each of these inspections. Raises NoReference, ArchiveError."""
    if not archive.is_dir():
        raise NoReference(f"{archive}: no such folder; name the archive that `station inspect` wrote with --archive")
    with Archive.open(archive, read_only=True) as store:
        store.pin(inspections, f"view reference of {loaded.recipe.recipe_id}")
        for inspection_id in inspections:
            frames = archived_frames(loaded, store, inspection_id)
            yield {
                view: fixture_pictures({light: frame for light, frame in of_view.items() if light != DARK})
                for view, of_view in frames.items()
            }


def archived_frames(loaded: LoadedRecipe, store: Archive, inspection_id: str) -> dict[str, dict[str, Frame]]:
    """View -> light -> frame of an inspection, as this recipe takes them; the dark frame too, where it was kept.

    A frame that was taken again stands for the one before. Raises NoReference for an inspection under another
    calibration, exposure or gain, or without a frame that the recipe asks for; ArchiveError.
    """
    lights = [light.name for light in loaded.recipe.lights]
    check_calibration(loaded, inspection_id, store.load_figures(inspection_id).provenance.get("calibration"))
    frames: dict[str, dict[str, Frame]] = {v.name: {} for v in loaded.recipe.viewpoints}
    for archived in store.load_frames(inspection_id):
        if archived.view in frames and archived.light in lights:
            check_settings(loaded, inspection_id, archived)
            frames[archived.view][archived.light] = archived.frame
        elif archived.view in frames and archived.light == DARK:
            frames[archived.view][DARK] = archived.frame
    missing = [f"{v}/{n}" for v, of_view in frames.items() for n in lights if n not in of_view]
    if missing:
        raise NoReference(f"{inspection_id} lacks {', '.join(missing)}: name inspections under this recipe")
    return frames


def collected_parts(loaded: LoadedRecipe, folder: Path) -> Iterable[Pictures]:
    """The pictures of a collection's good training parts, MOST_COLLECTED at most.

    Raises NoReference for a collection that was taken under another calibration, or lacks the recipe's views or lights;
    CollectionError.
    """
    collection = Collection.open(folder)
    check_calibration(loaded, str(folder), collection.about.calibration_sha256)
    views = [viewpoint.name for viewpoint in loaded.recipe.viewpoints]
    lights = [light.name for light in loaded.recipe.lights]
    missing = sorted({*views, *lights} - {*collection.about.views, *collection.about.lights})
    if missing:
        raise NoReference(f"{folder} lacks {', '.join(missing)}: name a collection that was taken by this recipe")
    for part in islice(collection.parts("train", "good"), MOST_COLLECTED):
        frames = {view: collection.frames(part, view) for view in views}
        yield {view: fixture_pictures({name: of_view[name] for name in lights}) for view, of_view in frames.items()}


def check_calibration(loaded: LoadedRecipe, inspection_id: str, found: str | None) -> None:
    """What is made of the parts is stamped with the present calibration. Raises NoReference."""
    wanted = loaded.sha256s["calibration"]
    if found != wanted:
        under = "an unknown calibration" if found is None else f"calibration {found[:12]}"
        raise NoReference(
            f"{inspection_id} was inspected under {under}, the recipe names {wanted[:12]}: name good parts that were "
            "inspected under the recipe's calibration"
        )


def check_settings(loaded: LoadedRecipe, inspection_id: str, archived: ArchivedFrame) -> None:
    """The same for exposure and gain, as the recipe has them now. Raises NoReference."""
    frame, gain_db = archived.frame, loaded.recipe.capture.gain_db
    exposure_us = next(light.exposure_us for light in loaded.recipe.lights if light.name == archived.light)
    is_exposed_so = math.isclose(frame.exposure_us, exposure_us, rel_tol=SAME_EXPOSURE)
    if not (is_exposed_so and math.isclose(frame.gain_db, gain_db, abs_tol=SAME_GAIN_DB)):
        raise NoReference(
            f"{inspection_id}: {archived.view}/{archived.light} was taken with {frame.exposure_us:g} us and "
            f"{frame.gain_db:g} dB, the recipe has {exposure_us:g} us and {gain_db:g} dB: name good parts that were "
            "inspected with the recipe's exposures and gain"
        )
