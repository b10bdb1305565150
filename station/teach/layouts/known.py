"""The layouts that are known, and which of them a folder has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from station.errors import BadInput
from station.teach.layouts import mvtec, ours, real_iad, visa, with_normals
from station.teach.layouts.exported import restored
from station.teach.layouts.patterns import FILE as PATTERNS
from station.teach.layouts.placed import Placed
from station.teach.layouts.source import SourcePicture, SourceSet, checked

Finish = Callable[[SourceSet, Path, Mapping[SourcePicture, Placed]], None]


def _nothing_more(_found: SourceSet, _out: Path, _placed: Mapping[SourcePicture, Placed]) -> None:
    """A layout without tables."""


def _itself(path: Path) -> Path:
    return path


@dataclass(frozen=True, slots=True)
class Layout:
    """How sets of one layout are found, read and written."""

    name: str
    about: str
    finds: Callable[[Path], bool]
    read: Callable[[Path], SourceSet]
    place: Callable[[SourceSet, SourcePicture], Placed]
    home: str  # of a product, under the exported folder: the path that a command is given
    finish: Finish = _nothing_more
    folder_of: Callable[[Path], Path] = _itself  # where the pictures of a named path lie
    has_views: bool = False
    has_normals: bool = False

    @property
    def is_placed_at_home(self) -> bool:
        """Whether `place` gives paths under the product's home; otherwise under the exported folder."""
        return self.finish is _nothing_more


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(real_iad.NAME, "pictures, views by name, splits in JSON", real_iad.is_layout, real_iad.read,
               real_iad.place, "realiad_1024/{product}", real_iad.finish, real_iad.folder_of, has_views=True),
        Layout(visa.NAME, "pictures, one view, splits in CSV", visa.is_layout, visa.read, visa.place, "{product}",
               visa.finish),
        Layout(mvtec.NAME, "pictures, one view, sorted by folder", mvtec.is_layout, mvtec.read, mvtec.place,
               "{product}"),
        Layout(with_normals.D3, "pictures and normals, one view", with_normals.is_d3, with_normals.read_d3,
               with_normals.place_d3, "{product}", has_normals=True),
        Layout(with_normals.MVN, "pictures and normals, several views", with_normals.is_mvn, with_normals.read_mvn,
               with_normals.place_mvn, "{product}", has_views=True, has_normals=True),
    )
}  # fmt: skip


def layout_of(path: Path) -> Layout | None:
    """The layout of a set from elsewhere; None for our own folders, and for what is none.

    A folder that states its patterns has the layout that takes patterns.
    """
    if (path / PATTERNS).is_file():
        return LAYOUTS[with_normals.MVN]
    if ours.is_data_set(path) or ours.is_collection(path):
        return None
    return next((layout for layout in LAYOUTS.values() if layout.finds(path)), None)


def read_layout(path: Path, layout: Layout) -> SourceSet:
    """The set in that layout, with the names that it had where we exported it. BadInput as the layout's reader."""
    found = layout.read(path)
    again = restored(found, layout.folder_of(path))
    return found if again is found else checked(again, path)


def read_any(path: Path) -> SourceSet:
    """A set of any kind: one of ours, a collection, or one in a known layout.

    BadInput for what is none; it names the sets in the folder where it holds several.
    """
    if ours.is_data_set(path):
        return ours.read_data_set(path)
    if ours.is_collection(path):
        return ours.read_collection(path)
    layout = layout_of(path)
    if layout is None:
        raise unknown(path)
    return read_layout(path, layout)


def sets_in(folder: Path) -> list[Path]:
    """The sets of several products that lie in one folder."""
    if not folder.is_dir():
        return []
    below = [*folder.iterdir(), *(p for size in real_iad.SIZES for p in (folder / size).glob("*"))]
    return sorted(p for p in below if p.is_dir() and not p.name.endswith("-prepared") and _is_set(p))


def _is_set(path: Path) -> bool:
    return ours.is_data_set(path) or ours.is_collection(path) or layout_of(path) is not None


def unknown(path: Path) -> BadInput:
    """What to say of a folder that is no set."""
    if not path.exists():
        return BadInput(f"{path} is missing: name the folder of a data set")
    inside = sets_in(path)
    if inside:
        names = ", ".join(p.name for p in inside[:8])
        more = f" and {len(inside) - 8} more" if len(inside) > 8 else ""
        return BadInput(f"{path} holds {len(inside)} sets ({names}{more}): name one of them, for instance {inside[0]}")
    return BadInput(
        f"{path} is neither a data set, nor a collection, nor a folder in one of the layouts {', '.join(LAYOUTS)}"
    )
