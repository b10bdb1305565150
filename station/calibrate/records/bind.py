"""`station calibrate bind`: ties a recipe to one released record by its SHA-256.

A recipe learned under one camera and one set of lights. Binding it to another record keeps what it learned under, so
that levels, picture and arm poses can be corrected, and warns of what cannot be.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from calibration.record import Calibration
from station.calibrate.errors import RecordError
from station.documents.document import load_document, read_document
from station.recipe.aimed_views import reference_camera
from station.recipe.binding import expiry_problem, release_problems
from station.recipe.edit import update_recipe_values
from station.recipe.fields import Recipe, ReferenceCamera, ReferenceLight
from station.recipe.loaded import load_recipe
from station.recipe.reference_lights import moved_lights, reference_lights, strengths_now, with_use

USUAL_STRENGTH = (0.7, 1.4)  # over the strength at training; beyond, frames clip or show noise unknown to the model


@dataclass(frozen=True)
class BindReport:
    """What was written into the recipe, and what the engineer is warned of."""

    recipe: str
    record: str
    calibration_id: str
    sha256: str
    expires: str | None
    released_by: str | None
    warnings: tuple[str, ...] = ()
    aimed_mm: float = 0.0  # the farthest that the arm now goes from a pose of the recipe

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        return asdict(self)

    def as_text(self) -> str:
        """What the recipe uses now, how far the arm departs from its poses, and the warnings."""
        who = f"released by {self.released_by}, valid until {self.expires}"
        lines = [f"{self.recipe} uses {self.calibration_id} ({who})", f"SHA-256 {self.sha256}"]
        if self.aimed_mm > 0:
            lines.append(f"viewpoints are aimed for this camera: the arm goes up to {self.aimed_mm:.2f} mm elsewhere")
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])


def bind_recipe(record: Path, recipe: Path, now: datetime | None = None) -> BindReport:
    """Writes the record's path and SHA-256 into the recipe; the recipe stays as it was where it would not load then.

    A recipe that learned under another calibration, and does not say so yet, gets that calibration's lights and camera
    written down as `reference_lights` and `reference_camera`. Raises RecordError for a record that is not released or
    has expired, DocumentError for the recipe.
    """
    calibration = load_document(record, Calibration)
    problems = [*release_problems(calibration), expiry_problem(calibration, now)]
    for problem in (p for p in problems if p is not None):
        raise RecordError(f"{record}: {problem}")
    sha256 = hashlib.sha256(record.read_bytes()).hexdigest()
    before = recipe.read_bytes() if recipe.is_file() else b""
    file = Path(os.path.relpath(record.resolve(), recipe.resolve().parent)).as_posix()
    lights, camera = _learned_with(recipe)
    update_recipe_values(recipe, calibration=(file, sha256), reference_lights=lights, reference_camera=camera)
    try:
        loaded = load_recipe(recipe, need_model=False, now=now)
    except BaseException:
        recipe.write_bytes(before)
        raise
    about = calibration.provenance
    assert about is not None
    return BindReport(
        str(recipe), str(record), calibration.calibration_id, sha256, about.expires, about.released_by,
        tuple(_warnings(loaded.recipe, calibration)), _aimed_mm(read_document(recipe).validated(Recipe), loaded.recipe),
    )  # fmt: skip


def _aimed_mm(written: Recipe, aimed: Recipe) -> float:
    """The largest distance in mm between a pose as written and as aimed for the record's camera."""
    poses = zip(written.viewpoints, aimed.viewpoints, strict=True)
    return max(math.dist(a.as_pose().as_tuple()[:3], b.as_pose().as_tuple()[:3]) for a, b in poses)


def _learned_with(path: Path) -> tuple[dict[str, ReferenceLight] | None, ReferenceCamera | None]:
    """Lights and camera of the recipe's present calibration, if it learned under that and does not say so yet.

    A recipe that names its lights but not its camera has its poses for the arm alone; they are left as they are.
    """
    document = read_document(path)
    recipe = document.validated(Recipe)
    if recipe.reference_lights:
        return with_use(recipe), None
    if not recipe.reference_levels or recipe.model.sha256 is None:  # a first recipe has levels of one look alone
        return None, None
    file = path.parent / recipe.calibration
    before = load_document(file, Calibration)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if recipe.calibration_sha256 not in (None, found):
        text = f"{file} has SHA-256 {found}, but the recipe learned under {recipe.calibration_sha256}"
        raise RecordError(f"{document.where(('calibration',))}: {text}; restore that file, or train the recipe again")
    try:
        return reference_lights(before, recipe.lights, recipe.capture.gain_db), reference_camera(before)
    except KeyError as error:
        raise RecordError(f"{path}: {error.args[0]}; the recipe learned under other lights: train it again") from error


def _warnings(recipe: Recipe, calibration: Calibration) -> Iterator[str]:
    """Lights that give another level, or stand elsewhere, than when the model learned."""
    least, most = USUAL_STRENGTH
    other = {n: s for n, s in strengths_now(recipe, calibration).items() if not least <= s <= most}
    if other:
        levels = ", ".join(f"{name} {strength:.2f}" for name, strength in other.items())
        yield (
            f"lights give another level than when the model learned ({levels} times as much): frames may saturate or "
            "be noisy; set their exposures so that they give what they gave"
        )
    moved = moved_lights(recipe, calibration)
    if moved:
        worst = max(moved, key=lambda name: moved[name])
        yield (
            f"{len(moved)} of {len(recipe.directional_lights)} lights stand elsewhere than when the model learned "
            f"({worst} by {moved[worst]:.1f} degrees): shadows lie elsewhere and good parts may fail; train the model "
            "on parts seen under these lights"
        )
