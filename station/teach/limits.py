"""`station limits`: a recipe's limits chosen anew, at a stated risk on the part, from the scores that its model keeps.

No export is needed: the model's file holds the scores of the good parts that were held out from its training. What is
written into the recipe is noted beside it, in `RECIPE.limits.jsonl`: one line of JSON a change, the latest last.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.part_limits import PartLimits, Risk, limits_by_risk, parts_above, upper_bound
from station.archive import Archive
from station.archive.records import InspectionRecord
from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.inspection.result import Verdict
from station.judge.detector import AnomalyDetector
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.teach.archived_parts import NoReference


class LimitsNotFound(BadInput, ValueError):
    """Limits cannot be chosen, or not written; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class ArchivedParts:
    """What the limits would have made of archived parts that this model has scored, by the limits alone."""

    inspections: int  # looked at
    judged: int  # of them: every view scored by this model, and none UNDECIDED
    failed_then: int
    failed_now: int
    newly_failed: tuple[str, ...]  # inspections
    newly_passed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LimitsReport:
    """The limits that the recipe has, those that were chosen, and what both do to known parts."""

    recipe: str
    before: dict[str, float]
    chosen: PartLimits
    above_before: int  # held-out parts with a view above the recipe's limits
    archived: ArchivedParts | None
    log: str | None  # the file in which the change was noted; None where nothing was written

    def as_dict(self) -> dict[str, object]:
        """The fields of `station limits --json`."""
        archived = self.archived
        return {
            "recipe": self.recipe,
            "before": self.before,
            **self.chosen.as_dict(),
            "above_before": self.above_before,
            "archived": None if archived is None else {name: getattr(archived, name) for name in archived.__slots__},
            "log": self.log,
        }

    def as_text(self) -> str:
        """The limits with their promise, then what is there now, archived parts, and what was written."""
        n, found = self.chosen.n_parts, ", ".join(f"{view} {limit:g}" for view, limit in self.before.items())
        bound = upper_bound(self.above_before, n, self.chosen.risk.confidence)
        lines = [
            self.chosen.as_text(),
            f"  now in the recipe: {found}; {self.above_before} of the {n} held-out parts lie above, which promises at "
            f"most {bound:.2%}",
        ]
        if self.archived is not None:
            lines += _archived_lines(self.archived)
        written = f"written; noted in {self.log}" if self.log else "not written; --write puts them into the recipe"
        return "\n".join([*lines, f"{self.recipe}: {written}"])


def _archived_lines(found: ArchivedParts) -> list[str]:
    lines = [
        f"  archived: {found.judged} of the last {found.inspections} inspections were decided by this model; "
        f"{found.failed_then} FAILed then, {found.failed_now} would now"
    ]
    for what, ids in (("would FAIL now", found.newly_failed), ("would PASS now", found.newly_passed)):
        if ids:
            lines.append(f"    {what}: {', '.join(ids[:10])}{' and more' if len(ids) > 10 else ''}")
    return lines


def choose_limits(
    recipe: Path, risk: Risk, *, archive: Path | None = None, last: int = 100, write: bool = False, why: str = ""
) -> LimitsReport:
    """The limits at this risk; written into the recipe and noted beside it where `write` is True.

    Raises LimitsNotFound for a model without held-out scores, DocumentError for the recipe, ModelRefused, ArchiveError.
    """
    loaded = load_recipe(recipe)
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    before = {v.name: v.limit for v in loaded.recipe.viewpoints}
    scores = _held_out(loaded, detector, tuple(before))
    try:
        chosen = limits_by_risk(scores, risk, detector.metadata.learned_scores)
    except ValueError as error:
        raise LimitsNotFound(f"model {loaded.model_path}: {error}") from error
    archived = None if archive is None else archived_parts_under(loaded, archive, last, before, chosen.limits)
    log = None
    if write:
        log = str(write_limits(recipe, before, chosen, why or "chosen with station limits"))
    return LimitsReport(str(recipe), before, chosen, parts_above(scores, before), archived, log)


def risk_of(overkill: float, confidence: float) -> Risk:
    """What is asked for. Raises LimitsNotFound for shares that do not lie between 0 and 1."""
    try:
        return Risk(overkill, confidence)
    except ValueError as error:
        raise LimitsNotFound(str(error)) from error


def _held_out(loaded: LoadedRecipe, detector: AnomalyDetector, views: Sequence[str]) -> dict[str, Sequence[float]]:
    """Of the recipe's views, which may be fewer than the model's."""
    found = detector.metadata.held_out_scores
    missing = [view for view in views if view not in found]
    if missing:
        raise LimitsNotFound(
            f"model {loaded.model_path}: it keeps no scores of held-out parts for view {missing[0]!r} (it was trained "
            f"{detector.metadata.created[:10]}): train it anew with `station train`"
        )
    return {view: found[view] for view in views}


def write_limits(recipe: Path, before: Mapping[str, float], chosen: PartLimits, why: str) -> Path:
    """Put the limits into the recipe and note the change; returns the log's path. The recipe changes with its log.

    Raises DocumentError, and LimitsNotFound where the log cannot be written: the recipe is then as it was.
    """
    log = log_of(recipe)
    content = recipe.read_bytes()
    update_recipe_values(recipe, limits=chosen.limits)
    try:
        note_limits(recipe, before, chosen, why)
    except OSError as error:
        write_atomic(recipe, content)
        raise LimitsNotFound(
            f"{log}: cannot be written ({error.strerror or error}); the limits were not changed"
        ) from error
    return log


def log_of(recipe: Path) -> Path:
    """Where changes of a recipe's limits are noted."""
    return recipe.with_name(f"{recipe.stem}.limits.jsonl")


def note_limits(recipe: Path, before: Mapping[str, float], chosen: PartLimits, why: str) -> None:
    """Add who, when, from, to and why to the log. Raises OSError."""
    log = log_of(recipe)
    entry = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": _user(),
        "why": why,
        "from": dict(before),
        "to": chosen.limits,
        "overkill": chosen.risk.overkill,
        "confidence": chosen.risk.confidence,
        "n_parts": chosen.n_parts,
        "above": chosen.above,
        "promised": round(chosen.promised, 5),
    }
    earlier = log.read_bytes() if log.exists() else b""
    write_atomic(log, earlier + json.dumps(entry).encode() + b"\n")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in containers
        return "unknown"


def archived_parts_under(
    loaded: LoadedRecipe, archive: Path, last: int, before: Mapping[str, float], after: Mapping[str, float]
) -> ArchivedParts:
    """The last inspections by this model: what the limits `before` and `after` make of their scores."""
    if not archive.is_dir():
        raise NoReference(f"{archive}: no such folder; name the archive that `station inspect` wrote with --archive")
    with Archive.open(archive, read_only=True) as store:
        inspections = [store.load_figures(row.inspection_id) for row in store.history(last)]
    model = loaded.sha256s["model"]
    judged = [found for one in inspections if (found := _scores(one, model, tuple(before))) is not None]
    then = {name: _fails(scores, before) for name, scores in judged}
    now = {name: _fails(scores, after) for name, scores in judged}
    return ArchivedParts(
        len(inspections),
        len(judged),
        sum(then.values()),
        sum(now.values()),
        tuple(name for name in then if now[name] and not then[name]),
        tuple(name for name in then if then[name] and not now[name]),
    )


def _scores(inspection: InspectionRecord, model: str, views: Sequence[str]) -> tuple[str, dict[str, float]] | None:
    """The inspection's id and score per view; None where another model judged it, or a view was UNDECIDED."""
    if inspection.provenance.get("model") != model:
        return None
    found = {
        v.view: v.pred_score
        for v in inspection.views
        if v.pred_score is not None and v.verdict is not Verdict.UNDECIDED
    }
    return (inspection.inspection_id, found) if set(found) == set(views) else None


def _fails(scores: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    return any(not score <= limits[view] for view, score in scores.items())
