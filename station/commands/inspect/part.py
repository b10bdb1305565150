"""One part from the fixture to the archive, with its contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from station.commands.exit_codes import ExitCode
from station.commands.inspect.ready_engine import ready_engine
from station.commands.inspect.sheet import sheet_document, sheet_line, try_contact_sheet
from station.inspection.result import Inspection, Verdict
from station.report.inspection_text import inspection_document, inspection_lines, stage_lines


@dataclass(frozen=True, slots=True)
class InspectReport:
    """One inspection, the files written for it, whether a device's fault ended it, and why it is not stored if so.

    `sheet_problem` says why there is no contact sheet; it changes neither verdict nor exit code.
    """

    inspection: Inspection
    contact_sheet: Path
    archive: Path
    device_fault: bool
    unstored_problem: str = ""
    sheet_problem: str = ""

    @property
    def exit_code(self) -> ExitCode:
        """FAULT for what is not stored, DONE for a PASS; else FAULT if a device ended the inspection, FOUND if none."""
        if self.unstored_problem:
            return ExitCode.FAULT
        if self.inspection.verdict is Verdict.PASS:
            return ExitCode.DONE
        return ExitCode.FAULT if self.device_fault else ExitCode.FOUND

    def as_dict(self) -> dict[str, object]:
        """The `--json` document: the inspection's own, with the paths of contact sheet and archive."""
        files = {**sheet_document(self.contact_sheet, self.sheet_problem), "archive": str(self.archive)}
        return {**inspection_document(self.inspection), **files, "is_stored": not self.unstored_problem}

    def as_text(self) -> str:
        """The inspection in words, the wall time per stage, and where the files are."""
        lines = inspection_lines(self.inspection) + stage_lines(self.inspection)
        return "\n".join([*lines, sheet_line(self.contact_sheet, self.sheet_problem), f"archive: {self.archive}"])


def inspect_part(rig: Path, recipe: Path, part_id: str, out: Path) -> InspectReport:
    """Inspect the part in the fixture; archive under `out/archive`, contact sheet `out/<inspection id>.png`.

    Raises DocumentError, ModelRefused and DeviceError before anything is captured. A device fault after that
    makes the part UNDECIDED and is reported in the result, and so does an archive that does not take the record.
    A contact sheet that cannot be written is reported beside the verdict.
    """
    with ready_engine(rig, recipe, out / "archive") as engine:
        inspection = engine.inspect(part_id)
        sheet = out / f"{inspection.inspection_id}.png"
        problem = try_contact_sheet(inspection, sheet)
        return InspectReport(
            inspection, sheet, out / "archive", engine.ended_by_device, engine.unstored_problem, problem
        )
