"""An engine that is ready to inspect: files checked first, then devices open and homed, then the recipe prepared."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from station.archive import Archive
from station.commands.say import printable
from station.documents.errors import DocumentError
from station.engine.engine import Engine
from station.engine.preparation import RecipeFiles, read_recipe_files
from station.rig.file import load_rig
from station.rig.owner import owned_rig


def check_files(rig: Path, recipe: Path) -> RecipeFiles:
    """Read rig file, recipe and model, and check every viewpoint against the rig file's travel.

    Raises DocumentError, ModelRefused. The arm checks its reach once more when the recipe is prepared.
    """
    rig_file = load_rig(rig)
    travel = rig_file.travel()
    files = read_recipe_files(recipe, rig_file.inference)
    loaded = files.loaded
    for viewpoint in loaded.recipe.viewpoints:
        for name, value in viewpoint.pose.model_dump().items():
            minimum, maximum = travel.get(name, (value, value))
            if not minimum <= value <= maximum:
                where = loaded.line_of(f"viewpoints.{viewpoint.name}.pose.{name}")
                text = f"{where}: viewpoint {viewpoint.name!r}: {name} = {value:g} is outside the travel"
                cure = "correct the pose, or the axis in the rig file if the machine reaches further"
                raise DocumentError(recipe, (f"{text} {minimum:g} .. {maximum:g} of {rig}; {cure}",))
    return files


def opened_archive(folder: Path, purpose: str) -> Archive:
    """The archive, open for writing; prints on stderr what it found of a station that died. Raises ArchiveError."""
    archive = Archive.open(folder, purpose=purpose)
    for note in archive.notes:
        print(f"archive: {printable(note)}", file=sys.stderr)
    return archive


@contextmanager
def ready_engine(rig: Path, recipe: Path, archive: Path) -> Iterator[Engine]:
    """An engine with its devices open, homed, and the recipe prepared; closed again whatever happens.

    Raises DocumentError or ModelRefused for what is wrong with a file before anything moves or is written,
    DeviceError and StationFault once devices and archive are opened.
    """
    files = check_files(rig, recipe)
    with owned_rig(rig, "an inspection"), opened_archive(archive, "an inspection") as store:
        engine = Engine(rig, store)
        try:
            engine.initialize()
            engine.prepare_recipe(files)
            yield engine
        finally:
            waited = engine.unstored_problem
            engine.close()
            if waited and not engine.unstored_problem:
                print("archive: the inspection could be stored after all, with its own verdict", file=sys.stderr)
