"""`station dataset import`, and what `train` and `evaluate` do with a folder from elsewhere: it becomes a data set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from station.errors import BadInput
from station.teach.layouts.known import LAYOUTS, layout_of, read_layout, unknown
from station.teach.layouts.ours import INDEX, is_collection, is_data_set, read_data_set
from station.teach.layouts.pictures import Progress, silent, write_set
from station.teach.layouts.source import SourceSet, digests_of, refuse_too_few, set_sha256


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read and written."""

    folder: Path
    layout: str
    pictures: int
    views: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The fields of `station dataset import --json`."""
        return {
            "folder": str(self.folder), "layout": self.layout, "pictures": self.pictures, "views": list(self.views),
            "notes": list(self.notes),
        }  # fmt: skip

    def as_text(self) -> str:
        """For the screen."""
        views = f"{len(self.views)} views" if len(self.views) > 1 else "one view"
        return "\n".join([f"{self.layout}: {self.pictures} pictures, {views}, in {self.folder}", *self.notes])


def import_set(name: str, folder: Path, out: Path, progress: Progress = silent) -> Imported:
    """Read a folder in the layout of that name into the data set `out`, with copies of its files.

    BadInput where the folder has another layout, or `out` holds something.
    """
    layout = LAYOUTS[name]
    if not layout.finds(folder):
        other = layout_of(folder)
        raise unknown(folder) if other is None else BadInput(f"{folder} has the layout {other.name}, not {name}")
    if out.exists() and any(out.iterdir()):
        raise BadInput(f"{out} holds something already: remove it, or name another folder with --out")
    found = read_layout(folder, layout)
    write_set(found, out, progress, keep=True)
    return Imported(out, name, len(found.pictures), found.views, notes_of(out))


def prepared_set(path: Path, progress: Progress = silent) -> Path:
    """The data set of a folder from elsewhere, NAME-prepared beside it; `path` itself where it is a data set.

    It is written where it is absent or was made of other files. Of a collection it must be there: training writes it.
    BadInput for a folder that is no set, and as the layout's reader says.
    """
    if is_data_set(path):
        return path
    if is_collection(path):
        beside = path.resolve().with_name(f"{path.resolve().name}-prepared")
        if not is_data_set(beside):
            raise BadInput(f"{path} holds raw frames: run station train --data {path} first, which prepares them")
        return beside
    layout = layout_of(path)
    if layout is None:
        raise unknown(path)
    path = path.resolve()
    found = read_layout(path, layout)
    out = path.with_name(f"{path.stem if path.is_file() else path.name}-prepared")
    if _is_of(out, found):
        return out
    if not found.is_held_out:
        refuse_too_few(found, path)
    return write_set(found, out, progress)


def read_from_elsewhere(path: Path) -> SourceSet:
    """The files of a folder in a known layout, or of a data set imported from one; BadInput for what is neither."""
    if is_data_set(path):
        return read_data_set(path)
    layout = layout_of(path)
    if layout is None:
        raise unknown(path)
    return read_layout(path, layout)


def is_from_elsewhere(path: Path) -> bool:
    """Whether pictures were not taken by a rig of ours: a folder in a known layout, or a data set imported from one."""
    if is_data_set(path):
        return b'"layout_sha256"' in (path / INDEX).read_bytes()  # a broken index is named by whoever loads it
    return layout_of(path) is not None


def notes_of(data: Path) -> tuple[str, ...]:
    """What the data set's index says to people."""
    return tuple(json.loads((data / INDEX).read_text("utf-8")).get("notes", ()))


def _is_of(out: Path, found: SourceSet) -> bool:
    index = out / INDEX
    if not index.is_file():
        return False
    try:
        written = json.loads(index.read_text("utf-8")).get("layout_sha256")
    except ValueError:
        return False  # it is written anew
    return bool(written == set_sha256(found, digests_of(found)))
