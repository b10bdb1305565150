"""`station release` and `station rollback`: the gate, the next version, and which one is active."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.releases import (
    Active,
    Manifest,
    ReleaseError,
    changed_files,
    differing,
    home_of,
    numbers_in,
    read_active,
    read_manifest,
    refuse_version,
    version_folder,
)
from station.release.gate import Asked, GateReport, run_gate
from station.release.known_parts import Progress, pin_archived
from station.release.version import activate, user, write_version, writing


@dataclass(frozen=True, slots=True)
class ReleaseReport:
    """What came of it; `number` is that of the active version afterwards, None where there is none."""

    recipe: Path
    home: Path
    did: Literal["released", "finished", "nothing", "refused", "checked"]
    number: int | None
    before: int | None
    gate: GateReport | None

    @property
    def is_refused(self) -> bool:
        """Whether the gate failed."""
        return self.gate is not None and bool(self.gate.failures)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        gate = None if self.gate is None else self.gate
        return {
            "recipe": str(self.recipe), "releases": str(self.home), "did": self.did, "active": self.number,
            "active_before": self.before, "failures": [] if gate is None else list(gate.failures),
            "left_out": [] if gate is None else list(gate.left_out),
            "gate": None if gate is None else gate.gate.model_dump(mode="json"),
        }  # fmt: skip

    def as_text(self) -> str:
        """The gate, and what is active now."""
        lines = [] if self.gate is None else [f"gate of {self.recipe}", *self.gate.as_lines()]
        active = "no version is active" if self.number is None else f"version {self.number} is active"
        where = f"run it with --recipe {self.home}"
        ends = {
            "released": f"released: {active}; {where}",
            "finished": f"a run that was interrupted had written it whole: {active}; {where}",
            "nothing": f"{self.recipe} is version {self.number} already: {active}; {where}",
            "refused": f"NOT released: {active}, as before. To accept a verdict, name its part with --accept",
            "checked": f"the gate passes; nothing was written (--check): {active}",
        }
        return "\n".join([*lines, ends[self.did]])


def release_recipe(
    recipe: Path, why: str, by: str, asked: Asked, progress: Progress, *, only_check: bool = False
) -> ReleaseReport:
    """Run the gate and, where it passes, write the next version and make it active.

    Where the recipe is active already, nothing is done; where an interrupted run had written it whole, it is made
    active. Raises ReleaseError, DocumentError, ModelRefused, CollectionError, ArchiveInUse while another one releases.
    """
    refuse_version(recipe)
    loaded = load_recipe(recipe)
    home = home_of(recipe, loaded.recipe.recipe_id)
    if not why.strip():
        raise ReleaseError("--why is empty: say why this version is released")
    if only_check:
        active = read_active(home)
        number = None if active is None else active.number
        report = run_gate(loaded, _base(home, active), home, asked, progress)
        return ReleaseReport(recipe, home, "refused" if report.failures else "checked", number, number, report)
    with writing(home):
        return _release(loaded, home, why, by or user(), asked, progress)


def _release(loaded: LoadedRecipe, home: Path, why: str, by: str, asked: Asked, progress: Progress) -> ReleaseReport:
    active = read_active(home)
    base = _base(home, active)
    before = None if active is None else active.number
    if base is not None and differing(loaded, base) is None and not _asks_for_more(asked):
        return ReleaseReport(loaded.path, home, "nothing", before, before, None)
    written = _interrupted(home, loaded, active)
    if written is not None:
        activate(home, written.number, by, why, "released")
        return ReleaseReport(loaded.path, home, "finished", written.number, before, None)
    report = run_gate(loaded, base, home, asked, progress)
    if report.failures:
        return ReleaseReport(loaded.path, home, "refused", before, before, report)
    pin_archived((*report.gate.defective, *report.gate.reference), home, loaded.recipe.recipe_id)
    manifest = write_version(home, loaded, report.gate, by, why)
    activate(home, manifest.number, by, why, "released")
    return ReleaseReport(loaded.path, home, "released", manifest.number, before, report)


def _base(home: Path, active: Active | None) -> Manifest | None:
    return None if active is None else read_manifest(home, active.number, active.manifest_sha256(active.number))


def _asks_for_more(asked: Asked) -> bool:
    """Whether the same recipe is to be released with another reference set."""
    return asked.new_reference or bool(asked.inspections) or bool(asked.accept)


def _interrupted(home: Path, loaded: LoadedRecipe, active: Active | None) -> Manifest | None:
    """The latest version, where it is this recipe, whole, and was never active: its run ended just before that."""
    numbers = numbers_in(home)
    ever = set() if active is None else {entry.number for entry in active.activations}
    if not numbers or numbers[-1] in ever:
        return None
    manifest = read_manifest(home, numbers[-1])
    is_this = differing(loaded, manifest) is None and not changed_files(home, manifest)
    return manifest if is_this else None


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """Which version is active now, and which was."""

    home: Path
    number: int
    before: int
    folder: Path

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"releases": str(self.home), "active": self.number, "active_before": self.before}

    def as_text(self) -> str:
        """What is active, and what to run."""
        return (
            f"version {self.number} is active, after version {self.before}; run it with --recipe {self.home}. The "
            "recipe file stays as it is, a draft where its content is another. A station that has prepared another "
            "version goes on with that until its recipe is prepared again"
        )


def roll_back(recipe: Path, number: int, why: str, by: str) -> RollbackReport:
    """Make an earlier (or later) version active again, once all its files have the manifest's hashes.

    Raises ReleaseError for a version that is not there, is damaged or is active already.
    """
    home = releases_of(recipe)
    if not why.strip():
        raise ReleaseError("--why is empty: say why the version is changed")
    if read_active(home) is None:
        raise ReleaseError(f"{home}: no version was ever released: `station release` comes first")
    with writing(home):
        active = read_active(home)
        assert active is not None
        manifest = read_manifest(home, number, active.manifest_sha256(number))
        damaged = changed_files(home, manifest)
        if damaged:
            raise ReleaseError(
                f"{version_folder(home, number)}: {', '.join(damaged)}; restore it from a backup, or name another one"
            )
        if number == active.number:
            raise ReleaseError(f"{home}: version {number} is active already")
        activate(home, number, by or user(), why, "rolled back")
    return RollbackReport(home, number, active.number, version_folder(home, number))


def releases_of(recipe: Path) -> Path:
    """The folder of the releases of a recipe file or of a version's, or that folder itself. Raises ReleaseError."""
    if recipe.is_dir():
        if read_active(recipe) is None:
            raise ReleaseError(f"{recipe}: is no folder of releases (no active.json in it): name a recipe file")
        return recipe
    return home_of(recipe, load_recipe(recipe, need_model=False).recipe.recipe_id)
