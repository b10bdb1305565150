"""Releases of a recipe on the disk: which there are, which is active, and whether a recipe is the active one.

```
releases/RECIPE_ID/active.json       every activation: number, who, when, why; the last one counts; replaced as a whole
releases/RECIPE_ID/0003/             one version, beside the recipe; nothing in it ever changes
    recipe.yaml                      names the copies below; any program that takes a recipe takes this one
    calibration.yaml, model.onnx, view_reference.npz, part_reference.npz, flat field
    manifest.json                    SHA-256 of every file, who, when, why, and what the gate found; written last
```
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from station.errors import BadInput
from station.inspection.result import DRAFT, Verdict
from station.recipe.fields import Identifier, Sha256
from station.recipe.loaded import LoadedRecipe

RELEASES, ACTIVE, MANIFEST, RECIPE = "releases", "active.json", "manifest.json", "recipe.yaml"

Number = Annotated[int, Field(ge=1, le=9999)]
Text = Annotated[str, Field(max_length=1000)]
Ratio = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


class ReleaseError(BadInput):
    """A release that is not there, or is not what it was; the text names the file and what to do."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JudgedPart(_Record):
    """A known part, what it should be judged as, and what it was."""

    source: Literal["collection", "archive"]
    folder: Text  # of the collection or archive, seen from the folder of the releases; absolute on another drive
    name: Text  # of the part, or the inspection's id
    kind: Text
    sha256: Sha256  # of the part's own record, which holds the hashes of its frames
    expected: Verdict | None  # None: anything but PASS
    found: Verdict
    highest: Ratio | None  # of its views' scores over their limits; None where none was scored
    reason: Text = ""  # the first one of an UNDECIDED part

    @property
    def is_kept(self) -> bool:
        """Whether it was judged as it should be."""
        return self.found is not Verdict.PASS if self.expected is None else self.found is self.expected


class Gate(_Record):
    """What was checked before the release, and what came of the known parts."""

    checks: dict[str, Text]  # what -> what was found
    defective: tuple[JudgedPart, ...]
    reference: tuple[JudgedPart, ...]
    accepted: tuple[Text, ...] = ()  # parts whose changed verdict a person accepted

    def summary(self) -> str:
        """One line."""
        found = sum(part.is_kept for part in self.defective)
        kept = sum(part.is_kept for part in self.reference)
        accepted = f", {len(self.accepted)} accepted" if self.accepted else ""
        return (
            f"defective {found} of {len(self.defective)} found, reference set {kept} of {len(self.reference)} "
            f"kept{accepted}"
        )


class StoredFile(_Record):
    """What the manifest keeps of a file."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=0, le=2**50)]


class Manifest(_Record):
    """One version: its files, who released it, when and why, and what the gate found."""

    format_version: Literal[1] = 1
    recipe_id: Identifier
    number: Number
    created: datetime
    by: Text
    why: Text
    software: Text
    source: Text  # the name of the recipe file that was released
    source_sha256: Sha256  # of that file
    sha256s: dict[str, Sha256]  # as LoadedRecipe has them, of the recipe in this folder
    files: dict[str, StoredFile]
    gate: Gate


class Activation(_Record):
    """A version was made active."""

    number: Number
    manifest_sha256: Sha256
    when: datetime
    by: Text
    why: Text
    did: Literal["released", "rolled back"]


class Active(_Record):
    """active.json: every version that was made active; the last one counts."""

    format_version: Literal[1] = 1
    recipe_id: Identifier
    activations: Annotated[tuple[Activation, ...], Field(min_length=1)]

    @property
    def number(self) -> int:
        """Of the active version."""
        return self.activations[-1].number

    def manifest_sha256(self, number: int) -> str | None:
        """Of a version's manifest, as it was when that version was made active; None where it never was."""
        return next((a.manifest_sha256 for a in reversed(self.activations) if a.number == number), None)


def home_of(recipe: Path, recipe_id: str) -> Path:
    """The folder of the releases of the recipe in that file, which may itself be a version."""
    folder = recipe.absolute().parent
    return folder.parent if is_version(folder) else folder / RELEASES / recipe_id


def is_version(folder: Path) -> bool:
    """Whether the folder is a released version."""
    return re.fullmatch(r"\d{4}", folder.name) is not None and (folder / MANIFEST).is_file()


def version_folder(home: Path, number: int) -> Path:
    """Where version `number` lies."""
    return home / f"{number:04d}"


def numbers_in(home: Path) -> list[int]:
    """The numbers of all whole versions, ascending."""
    return sorted(int(path.name) for path in home.glob("[0-9]" * 4) if is_version(path))


def read_active(home: Path) -> Active | None:
    """Which version is active; None where none was ever released. Raises ReleaseError."""
    path = home / ACTIVE
    if not path.is_file():
        return None
    try:
        return Active.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"{path}: cannot be used ({_first(error)}); restore it from a backup") from error


def read_manifest(home: Path, number: int, sha256: str | None = None) -> Manifest:
    """The manifest of a version, whose file must have that SHA-256 if one is given. Raises ReleaseError."""
    path = version_folder(home, number) / MANIFEST
    try:
        content = path.read_bytes()
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise ReleaseError(f"{path}: was changed since it was released; restore it from a backup")
        return Manifest.model_validate_json(content)
    except FileNotFoundError:
        known = ", ".join(map(str, numbers_in(home))) or "none"
        raise ReleaseError(f"{home}: there is no version {number}; there are: {known}") from None
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"{path}: cannot be used ({_first(error)}); restore it from a backup") from error


def changed_files(home: Path, manifest: Manifest) -> list[str]:
    """The files of the version that are missing or no longer have the manifest's SHA-256."""
    folder, found = version_folder(home, manifest.number), []
    for name, stored in manifest.files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != stored.sha256:
            found.append(f"{name} was changed")
    return found


def recipe_file(path: Path) -> Path:
    """`path` itself; for a folder, the recipe in it: of a version, or the active one of a recipe's releases.

    Raises ReleaseError for a folder that is neither.
    """
    if not path.is_dir():
        return path
    if is_version(path.absolute()):
        return path / RECIPE
    active = read_active(path)
    if active is None:
        raise ReleaseError(
            f"{path}: is a folder without an active release (no {ACTIVE} in it): name a recipe file, or the folder "
            "that `station release` names"
        )
    return version_folder(path, active.number) / RECIPE


def release_of(loaded: LoadedRecipe) -> str:
    """What a verdict's provenance says: the active release's number, or `draft: ` and why it is not that."""
    home = home_of(loaded.path, loaded.recipe.recipe_id)
    try:
        active = read_active(home)
        if active is None:
            return f"{DRAFT}: {loaded.path.name} was never released"
        manifest = read_manifest(home, active.number, active.manifest_sha256(active.number))
    except ReleaseError as error:
        return f"{DRAFT}: {error}"
    different = differing(loaded, manifest)
    if different is None:
        return str(active.number)
    return f"{DRAFT}: {loaded.path.name} is not the active release {active.number}, which has another {different}"


def differing(loaded: LoadedRecipe, manifest: Manifest) -> str | None:
    """The first file in which the recipe differs from the version (recipe, model ...); None where all are its own.

    The recipe is the version's where it is that file, or has the content of the file that was released.
    """
    if loaded.sha256s["recipe"] not in (manifest.sha256s["recipe"], manifest.source_sha256):
        return "recipe"
    names = (set(loaded.sha256s) | set(manifest.sha256s)) - {"recipe"}
    return next((n for n in sorted(names) if loaded.sha256s.get(n) != manifest.sha256s.get(n)), None)


def refuse_version(recipe: Path) -> None:
    """Raise ReleaseError for a recipe that lies in a version's folder: what was released never changes."""
    if is_version(recipe.absolute().parent):
        raise ReleaseError(f"{recipe}: was released and never changes; change the draft, and release that")


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors()[0]
        return f"{'.'.join(map(str, found['loc'])) or 'as a whole'}: {found['msg']}"
    return str(error)
