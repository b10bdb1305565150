"""Parts of which it is known how they should be judged: collected ones, and archived inspections."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drivers.protocols import Frame
from station.archive import Archive
from station.archive.folder import MANIFEST
from station.archive.pins import pin_as_named
from station.archive.store import DATABASE
from station.collection.folder import PART, PARTS, CollectedPart, Collection
from station.inspection.result import Verdict
from station.inspection.words import GivenWord, Word, is_good
from station.judge.detector import AnomalyDetector
from station.recipe.loaded import LoadedRecipe
from station.recipe.releases import JudgedPart, ReleaseError
from station.release.frames_judge import FramesJudge
from station.teach.archived_parts import archived_frames
from station.teach.fit_for_recipe import check_collection

GOOD = "good"
Progress = Callable[[str, float], None]
Frames = dict[str, dict[str, Frame]]


@dataclass(frozen=True, slots=True)
class KnownPart:
    """Where the part's frames are, and what verdict it should get; `expected` None: anything but PASS."""

    source: Literal["collection", "archive"]
    folder: Path  # of the collection or archive
    name: str
    kind: str
    sha256: str
    expected: Verdict | None

    @property
    def key(self) -> tuple[str, str]:
        """Which part it is, wherever its folder lies."""
        return self.name, self.sha256


def collected_part(folder: Path, part: CollectedPart, expected: Verdict | None) -> KnownPart:
    """Of a collection."""
    record = folder / PARTS / part.name / PART
    return KnownPart("collection", folder, part.name, part.kind, _sha256(record), expected)


def collected_tests(folder: Path) -> tuple[list[KnownPart], list[KnownPart]]:
    """A collection's test parts: the defective ones, which must not PASS, and the good ones. Raises CollectionError."""
    parts = list(Collection.open(folder).parts("test"))
    defective = [collected_part(folder, part, None) for part in parts if part.kind != GOOD]
    return defective, [collected_part(folder, part, Verdict.PASS) for part in parts if part.kind == GOOD]


def archived_inspections(folder: Path, inspections: Sequence[str]) -> list[KnownPart]:
    """Archived inspections with the verdict that a person's latest word makes of the machine's.

    Raises ReleaseError for one that is UNDECIDED and of which nobody said what it is; ArchiveError.
    """
    with Archive.open(folder, read_only=True) as store:
        words = store.words()
        return [archived_part(folder, store, name, words.get(name, ())) for name in inspections]


def archived_part(folder: Path, store: Archive, name: str, words: Sequence[GivenWord]) -> KnownPart:
    """One of them; see `archived_inspections`."""
    verdict = store.load_figures(name).verdict
    good = is_good(verdict.value, words[-1].word) if words else None
    if words and words[-1].word is Word.CANNOT_TELL:
        raise ReleaseError(f"{folder}: of {name} a person said cannot-tell: it proves nothing, name another part")
    expected = verdict if good is None else (Verdict.PASS if good else Verdict.FAIL)
    if expected is Verdict.UNDECIDED:
        raise ReleaseError(f"{folder}: {name} is UNDECIDED, and nobody said what it is: say it with `station word`")
    kind = "archived" if good is None else (GOOD if good else "defective")
    return KnownPart("archive", folder, name, kind, _sha256(store.folder(name) / MANIFEST), expected)


def recorded(parts: Iterable[JudgedPart], home: Path) -> list[KnownPart]:
    """The known parts of a release in `home`, as its manifest records them."""
    return [
        KnownPart(p.source, Path(os.path.normpath(home / p.folder)), p.name, p.kind, p.sha256, p.expected)
        for p in parts
    ]


def judged(
    parts: Sequence[KnownPart], loaded: LoadedRecipe, detector: AnomalyDetector, home: Path, progress: Progress
) -> list[JudgedPart]:
    """Every part as the recipe judges it now, by the judge itself.

    Raises ReleaseError for a part that is no longer what it was, and for what does not fit the recipe CollectionError,
    NoReference, ArchiveError.
    """
    found, judge, checked = [], FramesJudge(loaded, detector), set[Path]()
    for n, part in enumerate(parts):
        if part.source == "collection" and part.folder not in checked:
            check_collection(loaded, Collection.open(part.folder))
            checked.add(part.folder)
        result = judge.judged(part.name, _frames(part, loaded))
        found.append(
            JudgedPart(
                source=part.source, folder=_seen_from(home, part.folder), name=part.name, kind=part.kind,
                sha256=part.sha256, expected=part.expected, found=result.verdict, highest=result.highest,
                reason=result.reason,
            )
        )  # fmt: skip
        progress(f"judging, {part.name}", (n + 1) / len(parts))
    return found


def pin_archived(parts: Sequence[JudgedPart], home: Path, recipe_id: str) -> None:
    """Keep the raw frames of the archived ones for good: later releases are judged by them.

    Raises ReleaseError for one that was thinned since it was judged.
    """
    for folder in {part.folder for part in parts if part.source == "archive"}:
        archive = Path(os.path.normpath(home / folder))
        names = [part.name for part in parts if part.source == "archive" and part.folder == folder]
        gone = pin_as_named(archive / DATABASE, names, f"reference set of {recipe_id}")
        if gone:
            raise ReleaseError(f"{archive}: the raw frames of {gone[0]} were thinned meanwhile: name another part")


def _frames(part: KnownPart, loaded: LoadedRecipe) -> Frames:
    if part.source == "archive":
        with Archive.open(part.folder, read_only=True) as store:
            _check(part, store.folder(part.name) / MANIFEST)
            return archived_frames(loaded, store, part.name)
    collection = Collection.open(part.folder)
    _check(part, part.folder / PARTS / part.name / PART)
    known = collection.part(part.name)
    return {v.name: collection.frames(known, v.name) for v in loaded.recipe.viewpoints if v.name in known.frames}


def _check(part: KnownPart, record: Path) -> None:
    if not record.is_file():
        raise ReleaseError(f"{record}: is missing: restore the part {part.name}, or define the set anew")
    if _sha256(record) != part.sha256:
        raise ReleaseError(f"{record}: is another part than it was: restore {part.name}, or define the set anew")


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror or error}); restore it from a backup") from error


def _seen_from(home: Path, folder: Path) -> str:
    """Relative, so that recipes and collections may be moved together; absolute on another drive of Windows."""
    try:
        return Path(os.path.relpath(folder.absolute(), home.absolute())).as_posix()
    except ValueError:
        return folder.absolute().as_posix()
