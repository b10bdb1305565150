"""The contact sheet of an inspection that has its verdict already."""

from __future__ import annotations

from pathlib import Path

from station.inspection.result import Inspection
from station.report.contact_sheet import write_contact_sheet


def try_contact_sheet(inspection: Inspection, path: Path) -> str:
    """Write the sheet and return why it could not be written; empty where it was.

    A full disk takes neither archive nor sheet: the verdict, and that it is not stored, must still be reported.
    """
    try:
        write_contact_sheet(inspection, path)
    except OSError as error:
        return str(error)
    return ""


def sheet_line(path: Path, problem: str) -> str:
    """Where the sheet is, or why there is none."""
    return f"contact sheet not written: {problem}" if problem else f"contact sheet: {path}"


def sheet_document(path: Path, problem: str) -> dict[str, str | None]:
    """The sheet in a `--json` document: its path, null where it is not written, and then why."""
    return {"contact_sheet": None, "contact_sheet_problem": problem} if problem else {"contact_sheet": str(path)}
