"""`station models`: a recipe's versions, which is active, by whom and why, and whether each is still whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from station.recipe.releases import (
    Active,
    Manifest,
    ReleaseError,
    changed_files,
    numbers_in,
    read_active,
    read_manifest,
)
from station.release.releasing import releases_of


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of a recipe, ascending; `damage` names what is wrong with one."""

    home: Path
    active: Active | None
    manifests: tuple[Manifest, ...]
    damage: dict[int, tuple[str, ...]]

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "releases": str(self.home),
            "active": None if self.active is None else self.active.number,
            "versions": [
                {**m.model_dump(mode="json"), "damage": list(self.damage.get(m.number, ()))} for m in self.manifests
            ],
            "unreadable": {number: list(found) for number, found in self.damage.items() if number not in self._read()},
            "activations": [] if self.active is None else [a.model_dump(mode="json") for a in self.active.activations],
        }

    def as_text(self) -> str:
        """Two lines a version, then every activation."""
        if not self.manifests and not self.damage:
            return f"{self.home}: no version was released yet; every result says DRAFT"
        lines = [str(self.home)]
        for m in self.manifests:
            mark = "  ACTIVE" if self.active is not None and self.active.number == m.number else ""
            lines.append(f"  version {m.number}{mark}  {m.created:%Y-%m-%d %H:%M} UTC, {m.by}: {m.why}")
            lines.append(f"    model {m.sha256s['model'][:12]} from {m.source}; {m.gate.summary()}")
        lines += [f"  version {n} is DAMAGED: {'; '.join(found)}" for n, found in self.damage.items() if found]
        if self.active is not None:
            lines.append("activations")
            lines += [
                f"  {a.when:%Y-%m-%d %H:%M} UTC  {a.did} {a.number}, {a.by}: {a.why}" for a in self.active.activations
            ]
        return "\n".join(lines)

    def _read(self) -> set[int]:
        return {manifest.number for manifest in self.manifests}


def versions_of(recipe: Path) -> Versions:
    """Every version, each file hashed. Raises ReleaseError, DocumentError."""
    home = releases_of(recipe)
    active = read_active(home)
    manifests: list[Manifest] = []
    damage: dict[int, tuple[str, ...]] = {}
    for number in numbers_in(home):
        try:
            manifest = read_manifest(home, number, None if active is None else active.manifest_sha256(number))
        except ReleaseError as error:
            damage[number] = (str(error),)
            continue
        manifests.append(manifest)
        if changed := changed_files(home, manifest):
            damage[number] = tuple(changed)
    return Versions(home, active, tuple(manifests), damage)
