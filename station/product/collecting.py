"""Parts into a collection, one after the other: captured as an inspection captures them, and refused as it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame
from station.archive.lock import COLLECTION_LOCK_FILE, WriterLock
from station.collection.folder import Collection, CollectionError, check_part_name
from station.inspection.reasons import Reason
from station.judge.capture_judge import CaptureJudge
from station.judge.fixture_picture import FixturePicture, cell_edge_px, fixture_picture
from station.judge.parts_before import MOST_PARTS
from station.product.places import Mask, masks_at
from station.product.ready_rig import Capture, captured
from station.product.splits import GOOD, next_split
from station.recipe.fields import Identifier
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.rig.devices import Rig
from station.teach.fit_for_recipe import about_of

KIND: TypeAdapter[str] = TypeAdapter(Identifier)
HINT_AT = 10  # good parts to train: of six, one off its seat still lit the fixture by 2.1 % otherwise than the others
EXAMPLES = "such as good, scratch or missing_pin"


@dataclass(frozen=True, slots=True)
class Known:
    """What a person knows of a part: its kind, where its defect lies (view -> rectangle or mask file), and the rest."""

    kind: str = GOOD
    split: str | None = None
    by: str = ""
    note: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What is kept beside kind and split."""
        return {name: text for name, text in (("by", self.by), ("note", self.note)) if text}


@dataclass(frozen=True, slots=True)
class Taken:
    """A part that was added, with its split; or that was refused, with the reasons."""

    name: str
    kind: str
    split: str
    reasons: tuple[Reason, ...] = ()


def check_kind(kind: str) -> str:
    """The kind as it was given. Raises CollectionError for one that cannot be a folder's name in a data set."""
    try:
        return KIND.validate_python(kind)
    except ValidationError:
        raise CollectionError(
            f"{kind!r} is no kind: small letters, digits, dashes and underscores, {EXAMPLES}"
        ) from None


def recipe_to_collect(path: Path) -> LoadedRecipe:
    """The recipe with the references that it names; it need not have a model. Raises DocumentError."""
    return load_recipe(path, need_model=False, need_references=True)


@contextmanager
def collecting(folder: Path, loaded: LoadedRecipe, *, is_simulated: bool) -> Iterator[Collector]:
    """The collection in `folder`, made if absent, for this one writer.

    Raises CollectionError for one that was taken otherwise, ArchiveInUse where another program writes to it.
    """
    about = about_of(loaded, loaded.recipe.capture.pixel_format, is_simulated=is_simulated)
    with adding_to(Collection.create(folder, about), loaded) as collector:
        yield collector


@contextmanager
def adding_to(collection: Collection, loaded: LoadedRecipe) -> Iterator[Collector]:
    """A collection that is there, for this one writer. Raises ArchiveInUse where another program writes to it."""
    lock = WriterLock.take(collection.folder, "collecting parts", COLLECTION_LOCK_FILE)
    try:
        yield Collector(collection, loaded)
    finally:
        lock.release()


class Collector:
    """Adds sound captures to a collection, and nothing else."""

    def __init__(self, collection: Collection, loaded: LoadedRecipe) -> None:
        """The latest good parts that the collection holds are read: they witness the next ones."""
        self.collection = collection
        self.judge = CaptureJudge(loaded)
        self._loaded = loaded
        self._lights = [light.name for light in loaded.recipe.lights]
        self.parts = {part.name: part for part in collection.parts()}
        good = [part for part in self.parts.values() if part.kind == GOOD]
        good.sort(key=lambda part: str(part.facts.get("taken", "")))
        for part in good[-MOST_PARTS:]:
            self.judge.keep({view: self._pictures(collection.frames(part, view)) for view in collection.about.views})

    def take(self, rig: Rig, name: str, known: Known, masks: Callable[[], Mapping[str, Mask]] | None = None) -> Taken:
        """Capture the part that lies in the fixture, and add it where the capture is sound.

        `masks`, which is asked after the capture, gives (H, W) of the frames' size; they go before `known.places`.
        Raises DeviceError, PlaceError, CollectionError; nothing is added then.
        """
        check_part_name(name)
        capture = captured(rig, self._loaded, self.judge, name)
        found = masks() if masks is not None and not capture.reasons else None
        return self.add(name, name, capture, known, found)

    def add(
        self, name: str, part_id: str, capture: Capture, known: Known, masks: Mapping[str, Mask] | None = None,
        taken: datetime | None = None,
    ) -> Taken:  # fmt: skip
        """The same for a capture that `judge` has judged last, of the part `part_id`, at the time `taken` or now."""
        others = [part for part in self.parts.values() if part.name != name]
        split = known.split or next_split(known.kind, part_id, others)
        if capture.reasons:
            return Taken(name, known.kind, split, capture.reasons)
        frames, poses = by_view(capture.frames)
        shape = next(iter(next(iter(frames.values())).values())).pixels.shape
        where = {**masks_at(known.places, (shape[0], shape[1])), **(masks or {})}
        when = (taken or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        facts = {"part_id": part_id, **known.facts(), "taken": when, "made_under": capture.provenance}
        self.collection.add(name, known.kind, split, frames, where, facts, poses)
        self.parts[name] = self.collection.part(name)
        if known.kind == GOOD:
            self.judge.keep()
        return Taken(name, known.kind, split)

    def next_name(self) -> str:
        """A name that no part has: what a person gets who gives none."""
        number = len(self.parts) + 1
        while self.collection.holds(f"part-{number:04}"):
            number += 1
        return f"part-{number:04}"

    def hint(self, recipe: Path) -> str:
        """What would prove the next captures better; empty where nothing would."""
        good = sum(part.kind == GOOD and part.split == "train" for part in self.parts.values())
        if self.judge.has_references or good < HINT_AT:
            return ""
        return (
            f"{good} good parts to train are there; a view reference of them proves camera and lamps in every further "
            f"capture: station view-reference {recipe} --collection {self.collection.folder}"
        )

    def _pictures(self, frames: Mapping[str, Frame]) -> dict[str, FixturePicture]:
        cell_px = cell_edge_px(next(iter(frames.values())).pixels.shape[1])
        return {name: fixture_picture(frames[name], cell_px) for name in self._lights}


def by_view(frames: tuple[CapturedFrame, ...]) -> tuple[dict[str, dict[str, Frame]], dict[str, tuple[float, ...]]]:
    """View -> light -> frame, the dark one too; and view -> where the arm stood."""
    found: dict[str, dict[str, Frame]] = {}
    poses: dict[str, tuple[float, ...]] = {}
    for each in frames:
        found.setdefault(each.step.view, {})[each.step.light] = each.frame
        poses[each.step.view] = each.position.as_tuple()
    return found, poses
