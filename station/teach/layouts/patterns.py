"""Layouts that are patterns of paths: {split}, {kind}, {part}, {view} name what a piece of a path says, * is anything.

Files are joined by these names and never by their order: a missing, doubled or left-over file is named. The patterns of
a folder are those of its `layout.yaml` if it has one, else the first of the known ones that fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from station.documents.document import load_document
from station.errors import BadInput
from station.teach.layouts.decoded import PICTURES
from station.teach.layouts.source import GOOD, VIEW, SourcePicture, SourceSet, checked, is_good

FILE = "layout.yaml"
_TOKEN = re.compile(r"\{(split|kind|part|view)\}|\*|[^{*]+|.")
Key = tuple[str, str, str, str]  # split, kind, part, view


class Patterns(BaseModel):
    """The paths of a layout, under the product's folder. Several patterns of one kind are alternatives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    picture: Annotated[tuple[str, ...], Field(min_length=1, description="Where pictures lie.")]
    normal: Annotated[tuple[str, ...], Field(description="Where normals lie; none: pictures alone.")] = ()
    mask: Annotated[tuple[str, ...], Field(description="Where masks of defects lie.")] = ()
    product: Annotated[str | None, Field(description="Name of the product; default: the folder's.")] = None


def own_patterns(folder: Path) -> Patterns | None:
    """The patterns that the folder's own `layout.yaml` states; DocumentError for one that cannot be used."""
    return load_document(folder / FILE, Patterns) if (folder / FILE).is_file() else None


def fits(folder: Path, patterns: Patterns) -> bool:
    """Whether any picture of train lies where the patterns say."""
    train = folder / "train"
    if not train.is_dir() or (folder / "index.json").exists():
        return False
    return any(_matched(folder, train.rglob("*"), patterns.picture))


def read(folder: Path, patterns: Patterns, layout: str, product: str, view: str = VIEW) -> SourceSet:
    """The set that lies there; `view` is the name of the one view where patterns have no {view}.

    BadInput names the first file that is missing, doubled, or belongs to no picture.
    """
    files = sorted(
        p for split in ("train", "test") for p in (folder / split).rglob("*") if p.suffix.lower() in PICTURES
    )
    pictures, normals, masks = (_by_key(folder, files, patterns, what, view) for what in ("picture", "normal", "mask"))
    _refuse_strays(normals, pictures, "normals")
    _refuse_strays(masks, pictures, "mask")
    found = [
        SourcePicture(key[2], key[0], key[1], file, masks.get(key), key[3], normals.get(key))
        for key, file in pictures.items()
    ]
    if masks:
        _refuse_unmarked(found)
    views = tuple(sorted({p.view for p in found}))
    return checked(SourceSet(layout, patterns.product or product, tuple(_of_one_part(found)), views), folder)


def _of_one_part(pictures: Sequence[SourcePicture]) -> Iterable[SourcePicture]:
    """The pictures; where one name of a part stands in several folders, the folders become part of the name.

    Layouts that number the parts of every folder from 1 mean different parts.
    """
    places: dict[str, set[tuple[str, str]]] = {}
    for picture in pictures:
        places.setdefault(picture.part, set()).add((picture.split, picture.kind))
    for p in pictures:
        part = p.part if len(places[p.part]) == 1 else f"{p.split}_{p.kind}_{p.part}"
        yield SourcePicture(part, p.split, p.kind, p.file, p.mask, p.view, p.normal)


def _by_key(folder: Path, files: Sequence[Path], patterns: Patterns, what: str, view: str) -> dict[Key, Path]:
    found: dict[Key, Path] = {}
    for file, named in _matched(folder, files, getattr(patterns, what)):
        kind = named.get("kind", GOOD)
        kind = GOOD if is_good(kind) else kind
        key = (named.get("split", "train"), kind, named.get("part", file.stem), named.get("view", view))
        first = found.setdefault(key, file)
        if first != file:
            raise BadInput(f"{file} and {first} are both the {what} of {key[2]} / {key[3]}: keep one of them")
    return found


def _matched(folder: Path, files: Iterable[Path], patterns: Sequence[str]) -> Iterable[tuple[Path, dict[str, str]]]:
    """Files with what their paths say, by the first pattern that fits."""
    expressions = [expression(pattern) for pattern in patterns]
    for file in files:
        path = file.relative_to(folder).as_posix()
        for each in expressions:
            if (match := each.fullmatch(path)) and file.suffix.lower() in PICTURES:
                yield file, match.groupdict()
                break


def expression(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression; BadInput for a word in braces that is none of the four."""
    found, seen = "", set()
    for token in _TOKEN.finditer(pattern):
        word = token.group(1)
        if word:
            found += f"(?P={word})" if word in seen else f"(?P<{word}>[^/]+?)"
            seen.add(word)
        elif token.group() == "*":
            found += "[^/]*"
        elif token.group() == "{":
            raise BadInput(f"{FILE}: {pattern!r}: braces hold split, kind, part or view")
        else:
            found += re.escape(token.group())
    return re.compile(found)


def _refuse_strays(files: dict[Key, Path], pictures: dict[Key, Path], what: str) -> None:
    for key, file in files.items():
        if key not in pictures:
            raise BadInput(
                f"{file}: {what} of {key[2]} / {key[3]}, whose picture is missing: restore it, or remove this"
            )


def _refuse_unmarked(pictures: Sequence[SourcePicture]) -> None:
    """BadInput for a defective part of which no view has a mask, in a set that has masks."""
    marked = {p.part for p in pictures if p.mask is not None}
    for picture in pictures:
        if picture.kind != GOOD and picture.part not in marked:
            raise BadInput(f"{picture.file}: no view of {picture.part} ({picture.kind}) has a mask: add it")
