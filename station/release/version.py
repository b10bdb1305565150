"""Writes a version and makes it active. A kill at any moment leaves the version that was active as it was.

A version is built under a name that starts with a dot, every file synced, the manifest last; then its folder is renamed
to its number. Only after that is `active.json` replaced, in one step.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Literal

from station.archive.lock import WriterLock
from station.documents.atomic import sync_folder, write_atomic, write_synced
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.releases import (
    ACTIVE,
    MANIFEST,
    RECIPE,
    Activation,
    Active,
    Gate,
    Manifest,
    ReleaseError,
    StoredFile,
    numbers_in,
    read_active,
    version_folder,
)

LOCK, PARTIAL = "release.lock", ".partial-"
NAMES = {  # what a file of the recipe is called in a version
    "calibration": "calibration.yaml", "model": "model.onnx", "view_reference": "view_reference.npz",
    "part_reference": "part_reference.npz",
}  # fmt: skip
RESERVED = {RECIPE, MANIFEST, *NAMES.values()}


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """One at a time may release or roll back; what a killed one left unfinished is removed. Raises ArchiveInUse."""
    home.mkdir(parents=True, exist_ok=True)
    lock = WriterLock.take(home, "a release", LOCK)
    try:
        for unfinished in home.glob(f"{PARTIAL}*"):
            shutil.rmtree(unfinished)
        yield
    finally:
        lock.release()


def write_version(home: Path, loaded: LoadedRecipe, gate: Gate, by: str, why: str) -> Manifest:
    """Write the next version, whole or not at all, not active yet. Raises ReleaseError, DocumentError, OSError."""
    number = max(numbers_in(home), default=0) + 1
    partial = home / f"{PARTIAL}{number:04d}-{secrets.token_hex(4)}"
    partial.mkdir()
    files = {name: _copy(partial / name, path, sha256) for name, path, sha256 in _copies(loaded)}
    source = loaded.path.read_bytes()
    if hashlib.sha256(source).hexdigest() != loaded.sha256s["recipe"]:
        raise ReleaseError(f"{loaded.path}: was changed while it was judged: release it again")
    _write_recipe(partial / RECIPE, source, loaded)
    content = (partial / RECIPE).read_bytes()
    files[RECIPE] = StoredFile(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    manifest = Manifest(
        recipe_id=loaded.recipe.recipe_id, number=number, created=datetime.now(UTC), by=by, why=why,
        software=f"facet-station {version('facet-station')}", source=loaded.path.name,
        source_sha256=loaded.sha256s["recipe"], sha256s={**loaded.sha256s, "recipe": files[RECIPE].sha256},
        files=files, gate=gate,
    )  # fmt: skip
    _check_loads(partial / RECIPE, manifest)
    write_synced(partial / MANIFEST, manifest.model_dump_json(indent=1).encode())
    sync_folder(partial)
    folder = version_folder(home, number)
    os.rename(partial, folder)
    sync_folder(home)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)  # a reminder: the manifest's hashes are what is checked
    return manifest


def activate(home: Path, number: int, by: str, why: str, did: Literal["released", "rolled back"]) -> Active:
    """Make a whole version the active one, in one step."""
    before = read_active(home)
    content = (version_folder(home, number) / MANIFEST).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    entry = Activation(number=number, manifest_sha256=sha256, when=datetime.now(UTC), by=by, why=why, did=did)
    active = Active(
        recipe_id=Manifest.model_validate_json(content).recipe_id,
        activations=(*(() if before is None else before.activations), entry),
    )
    write_atomic(home / ACTIVE, active.model_dump_json(indent=1).encode())
    return active


def user() -> str:
    """Who is logged in."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in containers
        return "unknown"


def _copies(loaded: LoadedRecipe) -> Iterator[tuple[str, Path, str]]:
    """Name in the version, file, and SHA-256 of everything that the recipe names."""
    paths = dict(zip(loaded.sha256s, (path for path, _, _ in loaded.files()), strict=True))
    for what, name in NAMES.items():
        if what in paths:
            yield name, paths[what], loaded.sha256s[what]
    flat = loaded.calibration.flat_field
    if flat is not None:
        inside = PurePosixPath(flat.file)
        if inside.is_absolute() or ".." in inside.parts or flat.file in RESERVED:
            raise ReleaseError(
                f"{loaded.calibration_path}: names its flat field as {flat.file!r}, which cannot lie beside a copy of "
                "the record: write record and maps into one folder (`station calibrate field`)"
            )
        yield flat.file, paths["flat_field"], loaded.sha256s["flat_field"]


def _copy(target: Path, source: Path, sha256: str) -> StoredFile:
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ReleaseError(f"{source}: was changed while it was judged: release it again")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_synced(target, content)
    return StoredFile(sha256=sha256, bytes=len(content))


def _write_recipe(path: Path, source: bytes, loaded: LoadedRecipe) -> None:
    """The recipe with its comments, which names the copies beside it and pins their hashes."""
    write_synced(path, source)
    sha256s = loaded.sha256s
    named = {
        what: (NAMES[what], sha256s[what])
        for what in ("calibration", "view_reference", "part_reference")
        if what in sha256s
    }
    update_recipe_values(
        path, sha256=sha256s["model"], model_file=NAMES["model"], calibration=named["calibration"],
        view_reference=named.get("view_reference"), part_reference=named.get("part_reference"),
    )  # fmt: skip


def _check_loads(path: Path, manifest: Manifest) -> None:
    """What was written is a recipe that the engine takes, with the very files that were judged."""
    found = load_recipe(path).sha256s
    if found != manifest.sha256s:
        raise ReleaseError(f"{path.parent}: the copies are not what was judged; release again")
