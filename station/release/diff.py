"""`station diff`: what two recipes or versions differ in, and which known parts they judged otherwise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.judge.detector import AnomalyDetector
from station.recipe.fields import Recipe
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.releases import (
    RECIPE,
    JudgedPart,
    Manifest,
    differing,
    home_of,
    is_version,
    numbers_in,
    read_active,
    read_manifest,
    recipe_file,
    version_folder,
)
from station.release.releasing import releases_of

FILES = ("calibration", "calibration_sha256", "model.file", "model.sha256", "view_reference", "part_reference")


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A known part that the two judged otherwise."""

    name: str
    kind: str
    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}): {self.a} -> {self.b}"


@dataclass(frozen=True, slots=True)
class RecipeDiff:
    """A and B by name, what differs, and the verdicts: None where one of the two has none."""

    a: str
    b: str
    fields: tuple[tuple[str, Any, Any], ...]  # field -> in A, in B; without limits and files
    limits: tuple[tuple[str, float, float], ...]
    files: tuple[tuple[str, str, str], ...]  # what -> SHA-256 in A and B, "none" where there is no such file
    model: tuple[str, str] | None  # what is known of either, where they differ
    verdicts: tuple[VerdictChange, ...] | None
    compared: int  # known parts that both have judged

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.fields or self.limits or self.files or self.verdicts)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "a": self.a, "b": self.b, "fields": {name: [x, y] for name, x, y in self.fields},
            "limits": {view: [x, y] for view, x, y in self.limits},
            "files": {what: [x, y] for what, x, y in self.files},
            "model": None if self.model is None else list(self.model), "compared_parts": self.compared,
            "verdicts": None if self.verdicts is None else [
                {"name": v.name, "kind": v.kind, "a": v.a, "b": v.b} for v in self.verdicts
            ],
        }  # fmt: skip

    def as_text(self) -> str:
        """A line for each difference."""
        lines = [f"{self.a}  ->  {self.b}"]
        lines += [f"  {name}: {x} -> {y}" for name, x, y in self.fields]
        lines += [f"  limit of {view}: {_limit(x)} -> {_limit(y)}{_change(x, y)}" for view, x, y in self.limits]
        lines += [f"  {what}: {x[:12]} -> {y[:12]}" for what, x, y in self.files]
        if self.model is not None:
            lines += [f"    model of A: {self.model[0]}", f"    model of B: {self.model[1]}"]
        if self.verdicts is None:
            lines.append("  verdicts: not both were released, so there are none to compare (`station release --check`)")
        else:
            lines.append(
                f"  verdicts: {len(self.verdicts)} of {self.compared} known parts that both have judged changed"
            )
            lines += [f"    {change}" for change in self.verdicts]
        if self.is_same:
            lines.append("  no difference")
        return "\n".join(lines)


def diff(a: str, b: str) -> RecipeDiff:
    """Compare two of: a recipe file, `RECIPE@N` for its version N, a version's folder, the folder of its releases.

    Raises DocumentError, ReleaseError, ModelRefused.
    """
    of_a, of_b = load_recipe(_file(a)), load_recipe(_file(b))
    files = tuple(_files(of_a, of_b))
    model = None
    if any(what == "model" for what, _, _ in files):
        model = _about_model(of_a), _about_model(of_b)
    manifests = _manifest(of_a), _manifest(of_b)
    verdicts, compared = _verdicts(*manifests)
    return RecipeDiff(
        a, b, tuple(_fields(of_a.document.validated(Recipe), of_b.document.validated(Recipe))),
        tuple(_limits(of_a, of_b)), files, model, verdicts, compared,
    )  # fmt: skip


def _file(name: str) -> Path:
    found = re.fullmatch(r"(.+)@(\d{1,4})", name)
    if found is None or Path(name).exists():
        return recipe_file(Path(name))
    home, number = releases_of(Path(found[1])), int(found[2])
    read_manifest(home, number)
    return version_folder(home, number) / RECIPE


def _manifest(loaded: LoadedRecipe) -> Manifest | None:
    """Of a version's recipe; of a file, that of the version which it is, the active one first."""
    home = home_of(loaded.path, loaded.recipe.recipe_id)
    if is_version(loaded.path.absolute().parent):
        return read_manifest(home, int(loaded.path.absolute().parent.name))
    active = read_active(home)
    numbers = sorted(numbers_in(home), key=lambda n: (active is None or n != active.number, -n))
    found = (read_manifest(home, number) for number in numbers)
    return next((manifest for manifest in found if differing(loaded, manifest) is None), None)


def _fields(a: Recipe, b: Recipe) -> Iterator[tuple[str, Any, Any]]:
    of_a, of_b = (dict(_flat(recipe.model_dump(mode="json"))) for recipe in (a, b))
    for name in sorted({*of_a, *of_b}):
        x, y = of_a.get(name, "none"), of_b.get(name, "none")
        is_told_elsewhere = name.startswith(FILES) or name.endswith(".limit")
        if x != y and not is_told_elsewhere:
            yield name, x, y


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Field names with dots; entries of viewpoints and lights by their names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(v, Mapping) and "name" in v for v in value):
        for inner in value:
            yield from _flat({k: v for k, v in inner.items() if k != "name"}, f"{name}.{inner['name']}")
    else:
        yield name, value


def _limits(a: LoadedRecipe, b: LoadedRecipe) -> Iterator[tuple[str, float, float]]:
    of_a, of_b = ({v.name: v.limit for v in loaded.recipe.viewpoints} for loaded in (a, b))
    for view in dict.fromkeys([*of_a, *of_b]):
        x, y = of_a.get(view, math.nan), of_b.get(view, math.nan)
        if x != y:
            yield view, x, y


def _limit(value: float) -> str:
    return "no such view" if math.isnan(value) else f"{value:g}"


def _change(a: float, b: float) -> str:
    return "" if math.isnan(a) or math.isnan(b) else f" ({b / a - 1:+.1%})"


def _files(a: LoadedRecipe, b: LoadedRecipe) -> Iterator[tuple[str, str, str]]:
    for what in sorted(({*a.sha256s} | {*b.sha256s}) - {"recipe"}):
        x, y = a.sha256s.get(what, "none"), b.sha256s.get(what, "none")
        if x != y:
            yield what, x, y


def _about_model(loaded: LoadedRecipe) -> str:
    about = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256).metadata
    return (
        f"trained {about.created[:16]} on {about.training.get('n_parts', '?')} parts, limits from "
        f"{about.calibration.n_parts} held out, encoder {about.encoder.get('id', '?')}"
    )


def _verdicts(a: Manifest | None, b: Manifest | None) -> tuple[tuple[VerdictChange, ...] | None, int]:
    if a is None or b is None:
        return None, 0
    of_a, of_b = _judged(a), _judged(b)
    both = [key for key in of_a if key in of_b]
    changes = [
        VerdictChange(of_a[key].name, of_a[key].kind, of_a[key].found.value, of_b[key].found.value)
        for key in both
        if of_a[key].found is not of_b[key].found
    ]
    return tuple(changes), len(both)


def _judged(manifest: Manifest) -> dict[tuple[str, str], JudgedPart]:
    return {(part.name, part.sha256): part for part in (*manifest.gate.defective, *manifest.gate.reference)}
