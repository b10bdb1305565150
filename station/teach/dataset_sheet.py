"""`station dataset sheet`: the paper's Figure A3 for any set; of one product, a row for each kind of defect.

Each row begins with a good part in the first view; then come all views of one part: picture, normals and mask.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from station.collection.folder import Collection
from station.judge.diffuse_picture import diffuse_rgb
from station.report.figure_grid import Cell, draw_grid, write_picture
from station.report.thumbnails import Size, fitted, image_rgb, normals_rgb, shrink
from station.teach.layouts.decoded import read_linear, read_mask, read_normals, size_of
from station.teach.layouts.known import read_any, sets_in
from station.teach.layouts.ours import COLLECTION, diffuse_light
from station.teach.layouts.source import GOOD, SourcePicture, SourceSet

TOP = "top"
BOX: Size = (150, 150)  # into which a cell is fitted
NOTE = "each view: picture, normals where there are any (red x, green y, blue z), mask in white where it shows a defect"
NOTE_WITHOUT_NORMALS = "white: the defect"
Row = tuple[SourceSet, str, SourcePicture, list[SourcePicture]]  # set, title, the good part's view, the part's views


def draw_sheet(path: Path, out: Path, rows: int) -> tuple[str, ...]:
    """Write the sheet of at most so many rows and return their titles. BadInput for what is no set."""
    inside = [] if (path / "index.json").is_file() else sets_in(path)
    sets = [read_any(p) for p in inside] or [read_any(path)]
    found = [_row(s, s.product, _clearest(s, None)) for s in sets] if len(sets) > 1 else _kinds(sets[0])
    found = found[:rows]
    size = _cell(found)
    has_normals = any(s.has_normals for s, _, _, _ in found)
    width = max(len(views) for _, _, _, views in found)
    cells = [_cells(row, size, width, has_normals=has_normals) for row in found]
    titles = [title for _, title, _, _ in found]
    columns = ["good", *_columns(found, width, has_normals=has_normals)]
    note = NOTE if has_normals else NOTE_WITHOUT_NORMALS
    name = sets[0].product if len(sets) == 1 else path.resolve().name
    write_picture(draw_grid(f"{name}: what the set holds", columns, titles, cells, size, note, bar=False), out)
    return tuple(titles)


def _kinds(found: SourceSet) -> list[Row]:
    kinds = sorted({p.kind for p in found.pictures} - {GOOD})
    rows = [_row(found, kind.replace("_", " "), _clearest(found, kind)) for kind in kinds]
    return rows or [_row(found, GOOD, next(iter(found.parts.values())))]


def _row(found: SourceSet, title: str, views: list[SourcePicture]) -> Row:
    above = TOP if TOP in found.views else found.views[0]
    good = next((p for p in found.pictures if p.kind == GOOD and p.view == above), views[0])
    return found, title, good, views


def _clearest(found: SourceSet, kind: str | None) -> list[SourcePicture]:
    """The views of the part whose largest mask is the middle one of its kind; without defects, of the first part."""
    parts = [v for v in found.parts.values() if v[0].kind != GOOD and kind in (None, v[0].kind)]
    if not parts:
        return next(iter(found.parts.values()))
    return sorted(parts, key=_largest)[len(parts) // 2]


def _largest(views: list[SourcePicture]) -> float:
    masks = [read_mask(v.mask, v.file) for v in views if v.mask is not None]
    return max((float(mask.mean()) for mask in masks), default=0.0)


def _cell(rows: list[Row]) -> Size:
    """One size for all cells: the first picture's proportion."""
    return fitted(size_of(rows[0][3][0].file), BOX)


def _columns(rows: list[Row], width: int, *, has_normals: bool) -> list[str]:
    """Views are called by their names where all rows have the same ones."""
    names = {tuple(v.view for v in views) for _, _, _, views in rows}
    views = next(iter(names)) if len(names) == 1 else tuple(f"view {n}" for n in range(width))
    return [text for view in views for text in ([view, "normals", "mask"] if has_normals else [view, "mask"])]


def _cells(row: Row, size: Size, width: int, *, has_normals: bool) -> list[Cell]:
    found, _, good, views = row
    cells: list[Cell] = [_picture(found, good, size)]
    for view in views:
        cells.append(_picture(found, view, size))
        if has_normals:
            cells.append(None if view.normal is None else normals_rgb(read_normals(view.normal), size))
        cells.append(_mask(view, size))
    missing = (width - len(views)) * (3 if has_normals else 2)
    return cells + [None] * missing


def _picture(found: SourceSet, picture: SourcePicture, size: Size) -> NDArray[np.uint8]:
    """Of a collection the frame under the diffuse light, in colour."""
    if found.layout == COLLECTION:
        folder = picture.file.parents[2]
        collection = Collection.open(folder)
        frames = collection.frames(collection.part(picture.part), picture.view)
        return image_rgb(diffuse_rgb(frames[diffuse_light(collection)]), size)
    bgr = read_linear(picture.file, linear=found.coding == "linear")
    return image_rgb(np.ascontiguousarray(bgr[:, :, ::-1].transpose(2, 0, 1)), size)


def _mask(picture: SourcePicture, size: Size) -> NDArray[np.uint8]:
    """White on black; a defect smaller than a pixel of the cell stays visible. Without a mask all is black."""
    if picture.mask is None:
        return np.zeros((size[1], size[0], 3), np.uint8)
    small = shrink(read_mask(picture.mask, picture.file).astype(np.float32), size)
    shade = np.where(small > 0, 90 + 165 * np.minimum(small / max(float(small.max()), 1e-6), 1.0), 0)
    return np.repeat(shade.astype(np.uint8)[..., None], 3, axis=2)
