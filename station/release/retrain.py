"""`station retrain`: what people said of archived parts goes into a collection, and the next draft learns from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from station.archive import Archive, ArchiveNotFound
from station.collection.folder import Collection, CollectionError
from station.documents.atomic import write_atomic
from station.inspection.result import Verdict
from station.inspection.words import GivenWord, Word, is_good
from station.judge.detector import AnomalyDetector
from station.product.collecting import Collector, Known, adding_to, recipe_to_collect
from station.product.from_archive import add_inspection, archived_name, holds_inspection
from station.product.splits import id_of
from station.recipe.edit import update_recipe_values
from station.recipe.fields import Recipe
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.releases import (
    JudgedPart,
    home_of,
    is_version,
    read_active,
    read_manifest,
    recipe_file,
    refuse_version,
)
from station.release.known_parts import GOOD, KnownPart, Progress, archived_part, collected_tests, judged, recorded
from station.teach.fit_for_recipe import check_collection
from station.teach.learned import has_learned, keep_model, record_of
from station.teach.trained_recipe import TrainedRecipe
from station.teach.training import ReadySet, fitted, ready_set, show_progress

if TYPE_CHECKING:
    from station.teach.training import Preset

DRAFT_SUFFIX, DEFECTIVE = ".draft", "defective"


@dataclass(frozen=True, slots=True)
class Taught:
    """What became of the words: how many of each, and how many parts the collection received now."""

    words: dict[str, int]
    added_good: int
    added_defective: int
    of_another: int  # inspections of another product
    parts: tuple[KnownPart, ...]  # those that say what a part is
    refused: Mapping[str, str] = field(default_factory=dict)  # inspection -> why its capture teaches nothing

    @property
    def what_is_new(self) -> str:
        """What of it a training can learn from."""
        if self.added_good:
            return f"{self.added_good} good parts are new to learn from"
        return (
            "the words add no good part to learn from: unless the collection has grown otherwise, the draft keeps the "
            "model of its base, and what is new is judged by the gate alone"
        )

    def as_lines(self) -> list[str]:
        """For the screen."""
        said = ", ".join(f"{n} {word}" for word, n in self.words.items()) or "none"
        others = f"; {self.of_another} on parts of another product" if self.of_another else ""
        return [
            f"words: {said}{others}",
            f"added to the collection: {self.added_good} good parts to train on, {self.added_defective} defective test "
            "parts; cannot-tell is left out, and a confirmed PASS teaches nothing new",
            *([] if self.added_good else [self.what_is_new]),
            *(
                f"  {name} was not added, for its frames would teach what is wrong: {why}"
                for name, why in self.refused.items()
            ),
        ]


@dataclass(frozen=True, slots=True)
class RetrainReport:
    """The draft, what it learned, and the verdicts of known parts before and after."""

    draft: Path
    base: str  # with what the draft is compared
    taught: Taught
    trained: TrainedRecipe | None  # None: there was nothing new to learn, and the draft has its base's model
    changes: tuple[tuple[JudgedPart, JudgedPart], ...]  # before, after
    compared: int

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "draft": str(self.draft), "base": self.base, "words": self.taught.words,
            "added_good": self.taught.added_good, "added_defective": self.taught.added_defective,
            "refused": dict(self.taught.refused), "what_is_new": self.taught.what_is_new,
            "trained": None if self.trained is None else self.trained.as_dict(), "compared_parts": self.compared,
            "changes": [
                {"name": a.name, "kind": a.kind, "before": a.found, "after": b.found, "expected": b.expected}
                for a, b in self.changes
            ],
        }  # fmt: skip

    def as_text(self) -> str:
        """The training's own text, then the words and every verdict that changes."""
        kept = (
            f"nothing new to learn: {self.draft} keeps the model of {self.base}, which learned these good parts with "
            "these settings; station train --data COLLECTION trains all the same"
        )
        lines = [kept if self.trained is None else self.trained.as_text(), *self.taught.as_lines()]
        lines.append(f"{self.base} -> {self.draft}: {len(self.changes)} of {self.compared} known parts change")
        for before, after in self.changes:
            is_right = "as it should be" if after.is_kept else "NOT as it should be"
            lines.append(
                f"  {after.name} ({after.kind}): {before.found.value} {_ratio(before)} -> {after.found.value} "
                f"{_ratio(after)}, {is_right}"
            )
        return "\n".join([*lines, f"{self.draft} is a draft; release it with `station release`"])


def retrain(
    recipe: Path, collection: Path, archive: Path, *, steps: int | None = None, disturbed: int = 10,
    encoder: str | None = None, preset_name: Preset = "sound", progress: Progress = show_progress,
) -> RetrainReport:  # fmt: skip
    """Add the parts of the archive's words to the collection, train a draft on it, and judge known parts by both.

    Where the base learned the same good parts with the same settings, a training would end with its weights: the
    draft keeps its model, and parts that are judged by the same files are judged once.

    A draft that is there already is trained again and keeps its other fields. Raises CollectionError where the
    collection does not fit or holds a part as something else than the last word says, NoReference for an inspection
    that was taken otherwise, and what `train` raises.
    """
    refuse_version(recipe)
    loaded = recipe_to_collect(recipe)
    store_of_parts = Collection.open(collection)
    check_collection(loaded, store_of_parts)
    taught = take_words(loaded, store_of_parts, archive)
    progress(taught.what_is_new, 1.0)
    base = _base(recipe, loaded)
    known = _known_parts(base, collection, taught)
    home = home_of(recipe, loaded.recipe.recipe_id)
    judging = load_recipe(base)
    before = _judged(known, judging, home, progress)  # the recipe itself may be the draft
    draft = draft_of(recipe, loaded)
    ready = ready_set(None, collection, draft, steps, preset_name=preset_name, encoder=encoder)
    trained = None
    record = _record_of_base(recipe, judging, ready)
    if record is not None:
        keep_model(record, judging, ready.loaded)
    else:
        trained = fitted(ready, disturbed)
    now = load_recipe(draft)
    after = before if _judge_alike(judging, now) else _judged(known, now, home, progress)
    changes = tuple((a, b) for a, b in zip(before, after, strict=True) if a.found is not b.found)
    return RetrainReport(draft, _name(base), taught, trained, changes, len(known))


def take_words(loaded: LoadedRecipe, collection: Collection, archive: Path) -> Taught:
    """Add what people said to the collection, good parts to train on, defective ones to test on. Last words count.

    A capture that would be refused on a rig is not added, and `loaded` has the references that it is proven by.
    """
    if not archive.is_dir():
        raise ArchiveNotFound(
            f"{archive}: no such folder; name the folder `archive` below the --out of `station inspect`"
        )
    counted: Counter[str] = Counter()
    added: Counter[bool] = Counter()
    parts, of_another = [], 0
    refused: dict[str, str] = {}
    with Archive.open(archive, read_only=True) as store, adding_to(collection, loaded) as collector:
        for inspection_id, words in store.words().items():
            found = store.load_figures(inspection_id)
            if found.product != loaded.recipe.product:
                of_another += 1
                continue
            word = words[-1]
            counted[word.word.value] += 1
            good = is_good(found.verdict.value, word.word)
            if good is None:
                _refuse_if_held(collection, inspection_id, word)
                continue
            parts.append(archived_part(archive, store, inspection_id, words))
            if not (good and word.word is Word.CONFIRMED):
                known = _known(word, found.part_id, collector, good=good)
                if not holds_inspection(collection, inspection_id, known.kind):
                    taken = add_inspection(collector, loaded, store, inspection_id, known)
                    added[good] += not taken.reasons
                    refused |= {inspection_id: str(taken.reasons[0])} if taken.reasons else {}
    return Taught(dict(counted), added[True], added[False], of_another, tuple(parts), refused)


def _known(word: GivenWord, part_id: str, collector: Collector, *, good: bool) -> Known:
    """What the word makes of the part. A good one trains, unless other captures of it are in another split."""
    is_new = all(part.kind != GOOD or id_of(part) != part_id for part in collector.parts.values())
    split = ("train" if is_new else None) if good else "test"
    note = f"{word.word.value} ({word.when:%Y-%m-%d}): {word.reason}"
    return Known(GOOD if good else DEFECTIVE, split, word.by, note)


def _refuse_if_held(collection: Collection, inspection_id: str, word: GivenWord) -> None:
    """A part of which it can no longer be told what it is must not go on teaching."""
    name = archived_name(inspection_id)
    if collection.holds(name):
        raise CollectionError(
            f"{collection.folder}: holds {name}, of which {word.by} said {word.word.value} since: remove the folder "
            f"{collection.folder / 'parts' / name}, and the prepared data set beside the collection"
        )


def draft_of(recipe: Path, loaded: LoadedRecipe) -> Path:
    """The draft beside the recipe, with a model file of its own; made from the recipe where there is none yet."""
    if recipe.stem.endswith(DRAFT_SUFFIX):
        return recipe
    draft = recipe.with_name(f"{recipe.stem}{DRAFT_SUFFIX}{recipe.suffix}")
    if not draft.exists():
        write_atomic(draft, recipe.read_bytes())
    model = Path(loaded.document.validated(Recipe).model.file)
    name = model.with_name(f"{model.stem}{DRAFT_SUFFIX}{model.suffix}").as_posix()
    if load_recipe(draft, need_model=False).recipe.model.file != name:
        update_recipe_values(draft, model_file=name)
    return draft


def _record_of_base(recipe: Path, base: LoadedRecipe, ready: ReadySet) -> Path | None:
    """The record that says that the base's model is what this training would end with; None where it is not.

    The draft must bring parts to the same place, too.
    """
    draft = ready.loaded.recipe.part_reference
    same_place = (None if draft is None else draft.sha256) == base.sha256s.get("part_reference")
    records = (record_of(path) for path in (recipe, ready.loaded.path))
    learned = (record for record in records if has_learned(record, base.sha256s["model"], ready.learned))
    return next(learned, None) if same_place else None


def _judge_alike(a: LoadedRecipe, b: LoadedRecipe) -> bool:
    """Whether two recipes judge any part alike: the same files but for their names, and the same fields."""
    files = ("calibration", "flat_field", "view_reference", "part_reference", "model")
    return all(a.sha256s.get(f) == b.sha256s.get(f) for f in files) and _fields(a.recipe) == _fields(b.recipe)


def _fields(recipe: Recipe) -> dict[str, object]:
    """All but names of files and of the recipe itself; hashes of files are compared by themselves."""
    named = {"recipe_id", "revision", "calibration", "calibration_sha256", "view_reference", "part_reference"}
    judges = recipe.model.judges
    return {**recipe.model_dump(exclude={*named, "model"}), "judges": judges}


def _base(recipe: Path, loaded: LoadedRecipe) -> Path:
    """The active release where there is one, else the recipe."""
    home = home_of(recipe, loaded.recipe.recipe_id)
    return recipe if read_active(home) is None else recipe_file(home)


def _known_parts(base: Path, collection: Path, taught: Taught) -> list[KnownPart]:
    """The reference set and defective parts of the release, else the collection's test parts; then the words' parts."""
    folder = base.absolute().parent
    if is_version(folder):
        gate = read_manifest(folder.parent, int(folder.name)).gate
        found = recorded((*gate.defective, *gate.reference), folder.parent)
    else:
        defective, good = collected_tests(collection)
        found = [*defective, *good]
    said = {part.name for part in taught.parts}
    kept = {part.key: part for part in found if part.name.removeprefix("archived-") not in said}
    return [*kept.values(), *taught.parts]


def _judged(known: list[KnownPart], loaded: LoadedRecipe, home: Path, progress: Progress) -> list[JudgedPart]:
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    return judged(known, loaded, detector, home, progress)


def _name(base: Path) -> str:
    folder = base.absolute().parent
    return f"version {int(folder.name)}" if is_version(folder) else str(base)


def _ratio(part: JudgedPart) -> str:
    return "" if part.found is Verdict.UNDECIDED or part.highest is None else f"({part.highest:.2f} of the limit)"
