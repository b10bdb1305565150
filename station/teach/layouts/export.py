"""A set written in a layout of others: files as they are where the layout can hold them, else as its readers expect."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from station.errors import BadInput
from station.report.display_rgb import linear_to_srgb
from station.teach.layouts.decoded import GAMMA_ONE, PNG_SIGNATURE, decoded, is_linear, read_linear
from station.teach.layouts.exported import write_exported
from station.teach.layouts.known import Layout
from station.teach.layouts.pictures import Progress, silent
from station.teach.layouts.placed import Placed
from station.teach.layouts.source import SourcePicture, SourceSet

_HEAD = 8 + 25  # signature and IHDR


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    folder: Path  # to be named by other commands
    layout: str
    pictures: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The fields of `station dataset export --json`."""
        return {"folder": str(self.folder), "layout": self.layout, "pictures": self.pictures, "notes": list(self.notes)}

    def as_text(self) -> str:
        """For the screen."""
        return "\n".join([f"{self.layout}: {self.pictures} pictures in {self.folder}", *self.notes])


def export_set(
    found: SourceSet, layout: Layout, out: Path, *, view: str | None = None, linear: bool = False,
    progress: Progress = silent,
) -> Exported:  # fmt: skip
    """Write `found` into `out` in that layout, with `exported.json` last; an import gives the same set again.

    Files from elsewhere are copied byte for byte. Pictures of our own are linear light of 16 bits: they become sRGB of
    8 bits, which other programs expect, or with `linear` stay as they are under a gAMA chunk of 1.0. `view` chooses one
    of several; a layout of one view needs it. BadInput for a folder that holds something, and for files that collide.
    """
    found = _shown(found, layout, view)
    home = out / layout.home.format(product=found.product)
    if home.exists() and any(home.iterdir()):
        raise BadInput(f"{home} holds something already: remove it, or name another folder with --out")
    root = home if layout.is_placed_at_home else out
    placed = {picture: _final(layout.place(found, picture), picture, found, layout) for picture in found.pictures}
    _refuse_collisions(placed)
    written: dict[SourcePicture, SourcePicture] = {}
    write = _picture_writer(found, linear=linear)
    for n, (picture, files) in enumerate(placed.items()):
        written[picture] = _write(root, picture, files, write)
        progress(f"writing {layout.name}", (n + 1) / len(placed))
    layout.finish(found, out, placed)
    write_exported(home, found, written)
    return Exported(home, layout.name, len(placed), _notes(found, layout, linear=linear))


def _shown(found: SourceSet, layout: Layout, view: str | None) -> SourceSet:
    if view is not None:
        return found.only(view)
    if len(found.views) > 1 and not layout.has_views:
        raise BadInput(
            f"{layout.name} shows one view of a part, {found.product} has {', '.join(found.views)}: "
            "choose one with --view"
        )
    return found


def _final(files: Placed, picture: SourcePicture, found: SourceSet, layout: Layout) -> Placed:
    """With the endings, and without what there is not."""
    copied = found.coding == "display"
    picture_ending = picture.file.suffix if copied else ".png"
    normal = files.normal if picture.normal is not None and layout.has_normals else None
    mask = files.mask if picture.mask is not None else None
    return Placed(
        files.picture.replace("{ending}", picture_ending),
        normal and normal.replace("{ending}", picture.normal.suffix if picture.normal else ""),
        mask,
    )


def _refuse_collisions(placed: dict[SourcePicture, Placed]) -> None:
    """BadInput for two pictures that would be one file, also where capitals do not count."""
    seen: dict[str, SourcePicture] = {}
    for picture, files in placed.items():
        first = seen.setdefault(files.picture.lower(), picture)
        if first is not picture:
            raise BadInput(f"{picture.where} and {first.where} would both be {files.picture}: rename one of the parts")


def _picture_writer(found: SourceSet, *, linear: bool) -> Callable[[Path, Path], None]:
    if found.coding == "display":
        return _copied
    return _as_linear if linear else _as_display


def _write(root: Path, picture: SourcePicture, files: Placed, write: Callable[[Path, Path], None]) -> SourcePicture:
    for path in (files.picture, files.normal, files.mask):
        if path is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
    write(picture.file, root / files.picture)
    if files.normal is not None and picture.normal is not None:
        _copied(picture.normal, root / files.normal)
    if files.mask is not None and picture.mask is not None:
        _copy_mask(picture.mask, root / files.mask)
    return replace(
        picture,
        file=root / files.picture,
        normal=None if files.normal is None else root / files.normal,
        mask=None if files.mask is None else root / files.mask,
    )


def _copied(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _copy_mask(source: Path, target: Path) -> None:
    """Masks are PNG in every layout; another format is written anew, with the same counts."""
    if source.suffix.lower() == ".png":
        _copied(source, target)
        return
    target.write_bytes(_encoded(decoded(source)))


def _as_display(source: Path, target: Path) -> None:
    """8 bits, sRGB."""
    target.write_bytes(_encoded(linear_to_srgb(read_linear(source, linear=True))))


def _as_linear(source: Path, target: Path) -> None:
    """The same counts, with a chunk that says what they are."""
    content = source.read_bytes() if source.suffix.lower() == ".png" else _encoded(decoded(source))
    target.write_bytes(content if is_linear(source) else with_gamma_one(content))


def _encoded(picture: NDArray[np.uint8]) -> bytes:
    ok, encoded = cv2.imencode(".png", picture)
    if not ok:
        raise RuntimeError(f"OpenCV could not encode a picture of {picture.shape} {picture.dtype}")
    return encoded.tobytes()


def with_gamma_one(png: bytes) -> bytes:
    """The same PNG with a gAMA chunk of 1.0 behind its head (ISO/IEC 15948, 11.3.2.2)."""
    if not png.startswith(PNG_SIGNATURE):
        raise ValueError("no PNG")
    body = b"gAMA" + struct.pack(">I", GAMMA_ONE)
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_HEAD] + chunk + png[_HEAD:]


def _notes(found: SourceSet, layout: Layout, *, linear: bool) -> tuple[str, ...]:
    """What the layout does not hold."""
    notes = list(found.notes)
    if found.has_normals and not layout.has_normals:
        notes.append(f"{layout.name} has no place for normals: they were left out.")
    if not found.has_normals and layout.has_normals:
        notes.append("The set has no normals: the pictures alone were written.")
    if found.coding == "linear" and linear:
        notes.append(
            "The pictures are linear light of 16 bits; programs that pass over a gAMA chunk show them too dark."
        )
    elif found.coding == "linear":
        notes.append("The pictures were converted from linear light to sRGB of 8 bits; --linear keeps their 16 bits.")
    return tuple(notes)
