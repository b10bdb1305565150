"""What must hold before a recipe is released: its files, its model's self-test, and the verdicts on known parts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from station.inspection.result import NO_NORMALS, Verdict
from station.judge.detector import MAP_TOLERANCE, SCORE_TOLERANCE, AnomalyDetector
from station.judge.part_checks import why_part_unknown
from station.judge.view_proof import why_unproven
from station.recipe.loaded import LoadedRecipe
from station.recipe.releases import Gate, JudgedPart, Manifest, ReleaseError
from station.release.known_parts import (
    KnownPart,
    Progress,
    archived_inspections,
    collected_tests,
    judged,
    recorded,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks of the gate."""

    collection: Path | None = None  # its test parts are judged
    archive: Path | None = None
    inspections: tuple[str, ...] = ()  # archived ones that the reference set is to hold from now on
    accept: tuple[str, ...] = ()  # parts whose verdict may be another one than it was or should be
    new_reference: bool = False  # define the reference set anew


@dataclass(frozen=True, slots=True)
class GateReport:
    """What was found, a line for each verdict that must not be, and the parts that the new reference set leaves out."""

    gate: Gate
    failures: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def as_lines(self) -> list[str]:
        """For the screen."""
        lines = [f"  {what}: {found}" for what, found in self.gate.checks.items()]
        lines.append(f"  verdicts: {self.gate.summary()}")
        if self.left_out:
            lines.append(
                f"  not in the reference set, for their verdict is not what they are: {', '.join(self.left_out)}"
            )
        return lines + [f"  FAILS: {text}" for text in self.failures]


def run_gate(loaded: LoadedRecipe, base: Manifest | None, home: Path, asked: Asked, progress: Progress) -> GateReport:
    """Check the recipe, whose files were read and hashed, and judge the known parts; `base` is the active release.

    Raises ModelRefused for a model that does not fit or fails its self-test, ReleaseError where there is nothing to
    judge by or a part is no longer there, and what does not fit the recipe as CollectionError or NoReference.
    """
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    detector.check_fits(loaded.recipe)
    detector.check_regions(loaded)
    defective, reference, is_new = _known(base, home, asked)
    parts = {part.key: part for part in (*defective, *reference)}
    _check_accepted(asked.accept, parts.values())
    found = {(part.name, part.sha256): part for part in judged(list(parts.values()), loaded, detector, home, progress)}
    missed = [_as_expected(found[part.key], None) for part in defective]
    in_set = [_as_expected(found[part.key], part.expected) for part in reference]
    left_out: tuple[str, ...] = ()
    if is_new:
        named = set(asked.inspections)
        left_out = tuple(p.name for p in in_set if not p.is_kept and p.name not in named)
        in_set = [p for p in in_set if p.is_kept or p.name in named]
        if not in_set:
            raise ReleaseError(
                f"{loaded.path}: no known part is judged as what it is, so there is no reference set: train it, or "
                "choose its limits anew"
            )
    return _report(_checks(loaded, detector), missed, in_set, _accepted(base, asked, missed, in_set), left_out)


def _known(base: Manifest | None, home: Path, asked: Asked) -> tuple[list[KnownPart], list[KnownPart], bool]:
    """The defective parts, the reference set, and whether the set is defined now."""
    if asked.inspections and asked.archive is None:
        raise ReleaseError("name the archive of the --reference inspections with --archive")
    named = [] if asked.archive is None else archived_inspections(asked.archive, asked.inspections)
    good: list[KnownPart] = []
    defective = [] if base is None else recorded(base.gate.defective, home)
    if asked.collection is not None:
        defective, good = collected_tests(asked.collection)
    if base is not None and not asked.new_reference:
        before = (part for part in base.gate.reference if part.name not in base.gate.accepted)
        kept = {part.key: part for part in (*recorded(before, home), *named)}
        if not kept:
            raise ReleaseError(
                f"{home}: every part of the reference set was accepted with another verdict, so that none is left: "
                "define the set anew with --new-reference"
            )
        return defective, list(kept.values()), False
    reference = [*good, *(replace(part, expected=Verdict.FAIL) for part in defective), *named]
    if not reference:
        raise ReleaseError(
            "the first release defines the reference set: name a --collection with test parts (`station collect`), or "
            "archived inspections with --archive DIR --reference ID"
        )
    return defective, reference, True


def _check_accepted(accept: Iterable[str], parts: Iterable[KnownPart]) -> None:
    names = {part.name for part in parts}
    unknown = [name for name in accept if name not in names]
    if unknown:
        raise ReleaseError(f"--accept {unknown[0]}: no such part is judged; there are {', '.join(sorted(names))}")


def _as_expected(part: JudgedPart, expected: Verdict | None) -> JudgedPart:
    return part.model_copy(update={"expected": expected})


def _accepted(
    base: Manifest | None, asked: Asked, missed: list[JudgedPart], in_set: list[JudgedPart]
) -> tuple[str, ...]:
    """The names that are accepted now, or were, of defective parts that are still missed."""
    before = () if base is None else base.gate.accepted
    still = {part.name for part in missed if not part.is_kept and part.name in before}
    now = {part.name for part in (*missed, *in_set) if not part.is_kept and part.name in asked.accept}
    return tuple(sorted(still | now))


def _report(
    checks: dict[str, str], missed: list[JudgedPart], in_set: list[JudgedPart], accepted: tuple[str, ...],
    left_out: tuple[str, ...],
) -> GateReport:  # fmt: skip
    failures = [
        f"{told(part)}; it is defective ({part.kind})"
        for part in missed
        if not part.is_kept and part.name not in accepted
    ]
    said = {part.name for part in missed if not part.is_kept}
    failures += [
        f"{told(part)}; the reference set has {part.expected}"
        for part in in_set
        if not part.is_kept and part.name not in accepted and part.name not in said
    ]
    gate = Gate(checks=checks, defective=tuple(missed), reference=tuple(in_set), accepted=accepted)
    return GateReport(gate, tuple(failures), left_out)


def told(part: JudgedPart) -> str:
    """The part, its verdict, and how near to its limits it lies or why it is UNDECIDED."""
    why = part.reason or ("no score" if part.highest is None else f"{part.highest:.2f} of the limit")
    return f"{part.name}: {part.found.value} ({why})"


def _checks(loaded: LoadedRecipe, detector: AnomalyDetector) -> dict[str, str]:
    hashes = ", ".join(f"{what} {sha256[:12]}" for what, sha256 in loaded.sha256s.items())
    pinned = "" if loaded.recipe.model.sha256 else "; the recipe did not pin its model, the release does"
    kind = "scores and maps" if detector.metadata.golden.kind == "sample" else "scores"
    parity = (
        f"onnxruntime gives torch's golden {kind} of the export: score within {detector.golden_difference:.1e} "
        f"(allowed {SCORE_TOLERANCE:g}), map within {MAP_TOLERANCE:g}{_export_record(loaded, detector)}"
    )
    proofs = {"camera and lamps": why_unproven(loaded), "the part's place": why_part_unknown(loaded)}
    proven = [f"{what}: {'yes' if why is None else f'NO, {why}'}" for what, why in proofs.items()]
    return {
        "hashes": f"{hashes}{pinned}",
        "self-test": f"{detector.model_id}, {len(detector.metadata.views)} views",
        "parity": parity,
        "proven in pictures": "; ".join(proven),
        **({"judged": NO_NORMALS} if loaded.recipe.model.judges == "pictures" else {}),
    }


def _export_record(loaded: LoadedRecipe, detector: AnomalyDetector) -> str:
    """What the export measured on stored views with torch at hand, where the training's record is of this model."""
    path = loaded.path.with_name(f"{loaded.path.stem}.training.json")
    try:
        record = json.loads(path.read_bytes()) if path.is_file() else {}
        if record.get("sha256") != detector.sha256:
            return "; no record of its training lies beside the recipe"
        found = record["parity"]
        return (
            f"; at its export, with stored views: map {found['map_difference']:.1e}, score "
            f"{found['score_difference']:.1e}, {found['label_flips']} label flips"
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{path}: cannot be read ({error}); restore it, or train again") from error
