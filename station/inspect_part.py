"""`station inspect`: one part from the fixture to the archive, with its contact sheet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from station.archive import Archive
from station.contact_sheet import write_contact_sheet
from station.engine import Engine
from station.exit_codes import ExitCode
from station.inspection import Inspection, Verdict
from station.report_text import inspection_document, inspection_lines, stage_lines


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


@contextmanager
def ready_engine(rig: Path, recipe: Path, archive: Path) -> Iterator[Engine]:
    """An engine with its devices open, homed, and the recipe prepared; closed again whatever happens."""
    with Archive.open(archive) as store:
        engine = Engine(rig, store)
        try:
            engine.initialize()
            engine.prepare_recipe(recipe)
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
