"""A set of pictures from elsewhere before it is read: which file shows which view of which part, and its checks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from station.errors import BadInput

GOOD = "good"
VIEW = "view"  # the name of the one view of a layout that has no views
GOOD_NAMES = frozenset({"good", "ok", "normal"})  # as others call it, in any case
CALIBRATE_EVERY = 5  # one in so many good training parts is held out to calibrate on
FEWEST_TRAIN = 25  # so that five are held out, one per fold of the cross-calibration
Coding = Literal["display", "linear"]


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """One view of one part: its files, and where the part belongs."""

    part: str
    split: str  # train, calibrate or test
    kind: str  # good, or the defect's kind
    file: Path
    mask: Path | None
    view: str = VIEW
    normal: Path | None = None

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.part} / {self.view}"

    @property
    def files(self) -> Iterator[tuple[str, Path]]:
        """What and file, of all that there are."""
        for what, path in (("rgb", self.file), ("normal", self.normal), ("mask", self.mask)):
            if path is not None:
                yield what, path


@dataclass(frozen=True, slots=True)
class SourceSet:
    """All pictures of one product, in the order of parts and views."""

    layout: str
    product: str
    pictures: tuple[SourcePicture, ...]
    views: tuple[str, ...] = (VIEW,)
    notes: tuple[str, ...] = ()  # what was passed over, or looks odd; for people
    grid: tuple[int, int] | None = None  # (H, W) in pixels, of pictures that are on the model's grid already
    is_simulated: bool = False
    # Whether the set says itself which parts are held out to calibrate on; otherwise every fifth is.
    is_held_out: bool = False
    coding: Coding = "display"  # of 16-bit pictures without a gAMA chunk: sRGB, or proportional to light

    @property
    def has_normals(self) -> bool:
        """Whether pictures have normals: all of them, or none."""
        return bool(self.pictures) and self.pictures[0].normal is not None

    @property
    def has_masks(self) -> bool:
        """Whether any picture has a mask."""
        return any(picture.mask is not None for picture in self.pictures)

    @property
    def parts(self) -> dict[str, list[SourcePicture]]:
        """Part -> its views."""
        found: dict[str, list[SourcePicture]] = {}
        for picture in self.pictures:
            found.setdefault(picture.part, []).append(picture)
        return found

    def only(self, view: str) -> SourceSet:
        """The set with one view alone. BadInput names the views where it is not among them."""
        if view not in self.views:
            raise BadInput(f"{self.product} has no view {view!r}; it has {', '.join(self.views)}")
        return replace(self, views=(view,), pictures=tuple(p for p in self.pictures if p.view == view))


def is_good(name: str) -> bool:
    """Whether a folder or a label means a good part."""
    return name.lower() in GOOD_NAMES


def checked(found: SourceSet, where: Path) -> SourceSet:
    """The set, in order, with held-out parts chosen where it names none.

    Raises BadInput for no pictures, a part in two splits or of two kinds, a view that is missing or doubled, a mask of
    a good part, and normals of some pictures alone.
    """
    if not found.pictures:
        raise BadInput(
            f"{where} holds no picture that belongs to this layout ({found.layout}): fill it, or name another"
        )
    seen: dict[tuple[str, str], SourcePicture] = {}
    first: dict[str, SourcePicture] = {}
    for picture in found.pictures:
        other = seen.setdefault((picture.part, picture.view), picture)
        if other is not picture:
            raise BadInput(f"{picture.file} and {other.file} both show {picture.where}: keep one of them")
        known = first.setdefault(picture.part, picture)
        if (known.split, known.kind) != (picture.split, picture.kind):
            raise BadInput(
                f"{picture.file}: {picture.part} is {picture.kind} in {picture.split} here, and {known.kind} in "
                f"{known.split} by {known.file}: a part has one kind and one split"
            )
        if picture.kind == GOOD and picture.mask is not None:
            raise BadInput(f"{picture.mask} is the mask of a good part: remove it, or name the kind of the defect")
    _refuse_missing_views(found, first)
    _refuse_some_normals(found)
    ordered = tuple(sorted(found.pictures, key=lambda p: (p.split, p.part, found.views.index(p.view))))
    return replace(found, pictures=ordered if found.is_held_out else _held_out(ordered))


def _refuse_missing_views(found: SourceSet, first: dict[str, SourcePicture]) -> None:
    there = {(picture.part, picture.view) for picture in found.pictures}
    for part, picture in first.items():
        for view in found.views:
            if (part, view) not in there:
                raise BadInput(
                    f"{picture.file.parent}: {part} lacks the view {view!r}, others have "
                    f"{', '.join(found.views)}: add it, or remove the part"
                )


def _refuse_some_normals(found: SourceSet) -> None:
    bare = [picture for picture in found.pictures if picture.normal is None]
    if bare and len(bare) < len(found.pictures):
        raise BadInput(f"{bare[0].file}: {bare[0].where} has no normals, other pictures have: add them, or remove all")


def _held_out(pictures: Sequence[SourcePicture]) -> tuple[SourcePicture, ...]:
    """Every fifth good training part, in the order of names, becomes a `calibrate` part."""
    parts = list(dict.fromkeys(p.part for p in pictures if (p.split, p.kind) == ("train", GOOD)))
    chosen = set(parts[CALIBRATE_EVERY // 2 :: CALIBRATE_EVERY])
    return tuple(replace(p, split="calibrate") if p.part in chosen else p for p in pictures)


def refuse_too_few(found: SourceSet, where: Path) -> None:
    """BadInput for fewer good parts than training needs."""
    count = len({p.part for p in found.pictures if p.split != "test" and p.kind == GOOD})
    if count < FEWEST_TRAIN:
        raise BadInput(f"{where} holds {count} good parts to learn from; training needs {FEWEST_TRAIN} at least")


def digests_of(found: SourceSet) -> dict[Path, str]:
    """File -> SHA-256 of its content, of every file of the set."""
    return {path: sha256_of(path) for picture in found.pictures for _, path in picture.files}


def sha256_of(path: Path) -> str:
    """Of a file's content. BadInput where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}): restore or remove it") from error


def set_sha256(found: SourceSet, digests: dict[Path, str]) -> str:
    """Of all that a set says and of all its files: another value, another set."""
    whole = hashlib.sha256(f"{found.layout} {found.product} {found.views}".encode())
    for picture in found.pictures:
        known = [picture.part, picture.view, picture.split, picture.kind]
        whole.update(repr([*known, *((what, digests[path]) for what, path in picture.files)]).encode())
    return whole.hexdigest()


def refuse_doubles(found: SourceSet, digests: dict[Path, str], what: Literal["rgb", "normal"] = "rgb") -> None:
    """BadInput for two files of the same content: a part must not be judged that was learned from, nor count twice."""
    seen: dict[str, Path] = {}
    name = {"rgb": "picture", "normal": "normals"}[what]
    for picture in found.pictures:
        path = dict(picture.files)[what]
        first = seen.setdefault(digests[path], path)
        if first != path:
            raise BadInput(f"{path} is the same {name} as {first}: remove one of them, or restore the right file")
