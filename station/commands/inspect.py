"""`station inspect`: one part from the fixture to the archive, with its contact sheet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from station.archive import Archive
from station.commands.exit_codes import ExitCode
from station.documents.errors import DocumentError
from station.engine.engine import Engine
from station.engine.preparation import RecipeFiles, read_recipe_files
from station.inspection.result import Inspection, Verdict
from station.report.contact_sheet import write_contact_sheet
from station.report.text import inspection_document, inspection_lines, stage_lines
from station.rig.file import load_rig


@dataclass(frozen=True, slots=True)
class InspectReport:
    inspection: Inspection
    contact_sheet: Path
    archive: Path
    device_fault: bool

    @property
    def exit_code(self) -> ExitCode:
        if self.inspection.verdict is Verdict.PASS:
            return ExitCode.DONE
        return ExitCode.FAULT if self.device_fault else ExitCode.FOUND

    def as_dict(self) -> dict[str, object]:
        paths = {"contact_sheet": str(self.contact_sheet), "archive": str(self.archive)}
        return {**inspection_document(self.inspection), **paths}

    def as_text(self) -> str:
        lines = inspection_lines(self.inspection) + stage_lines(self.inspection.processing_times_ms)
        return "\n".join([*lines, f"contact sheet: {self.contact_sheet}", f"archive: {self.archive}"])


def check_files(rig: Path, recipe: Path) -> RecipeFiles:
    """Read rig file, recipe and model, and check every viewpoint against the rig file's travel.

    Raises DocumentError, ModelRefused. The arm checks its reach once more when the recipe is prepared.
    """
    travel = load_rig(rig).travel()
    files = read_recipe_files(recipe)
    loaded = files.loaded
    for viewpoint in loaded.recipe.viewpoints:
        for name, value in viewpoint.pose.model_dump().items():
            minimum, maximum = travel.get(name, (value, value))
            if not minimum <= value <= maximum:
                where = loaded.line_of(f"viewpoints.{viewpoint.name}.pose.{name}")
                text = f"{where}: viewpoint {viewpoint.name!r}: {name} = {value:g} is outside the travel"
                raise DocumentError(recipe, (f"{text} {minimum:g} .. {maximum:g} of {rig}",))
    return files


@contextmanager
def ready_engine(rig: Path, recipe: Path, archive: Path) -> Iterator[Engine]:
    """An engine with its devices open, homed, and the recipe prepared; closed again whatever happens.

    What is wrong with a file is told before anything moves or is written.
    """
    files = check_files(rig, recipe)
    with Archive.open(archive) as store:
        engine = Engine(rig, store)
        try:
            engine.initialize()
            engine.prepare_recipe(files)
            yield engine
        finally:
            engine.close()


def inspect_part(rig: Path, recipe: Path, part_id: str, out: Path) -> InspectReport:
    """Raises DocumentError, ModelRefused, DeviceError before anything is captured."""
    with ready_engine(rig, recipe, out / "archive") as engine:
        inspection = engine.inspect(part_id)
        sheet = out / f"{inspection.inspection_id}.png"
        write_contact_sheet(inspection, sheet)
        return InspectReport(inspection, sheet, out / "archive", engine.ended_by_device)
