"""`station calibrate bind`: a recipe uses one released record and no other, by its SHA-256."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from calibration.record import Calibration
from station.calibrate.records import RecordError
from station.documents import load_document
from station.recipe import load_recipe
from station.recipe_calibration import expiry_problem, release_problems
from station.recipe_edit import update_recipe_values


@dataclass(frozen=True)
class BindReport:
    recipe: str
    record: str
    calibration_id: str
    sha256: str
    expires: str | None
    released_by: str | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        who = f"released by {self.released_by}, valid until {self.expires}"
        return f"{self.recipe} uses {self.calibration_id} ({who})\nSHA-256 {self.sha256}"


def bind_recipe(record: Path, recipe: Path, now: datetime | None = None) -> BindReport:
    """Write the record's place and hash into the recipe; the recipe stays as it was where that would not load.

    Raises RecordError for a record that is not released or has expired, DocumentError for the recipe.
    """
    calibration = load_document(record, Calibration)
    problems = [*release_problems(calibration), expiry_problem(calibration, now)]
    for problem in (p for p in problems if p is not None):
        raise RecordError(f"{record}: {problem}")
    sha256 = hashlib.sha256(record.read_bytes()).hexdigest()
    before = recipe.read_bytes() if recipe.is_file() else b""
    file = Path(os.path.relpath(record.resolve(), recipe.resolve().parent)).as_posix()
    update_recipe_values(recipe, calibration=(file, sha256))
    try:
        load_recipe(recipe, need_model=False, now=now)
    except BaseException:
        recipe.write_bytes(before)
        raise
    about = calibration.provenance
    assert about is not None
    return BindReport(str(recipe), str(record), calibration.calibration_id, sha256, about.expires, about.released_by)
