"""The paper's Figures 4 and 5 for a data set: what a side view reveals, and the maps of several methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.config import TrainConfig
from models.dataset import Dataset, Item, read_mask, read_normals, read_rgb
from models.judgements import Method
from station.report.figure_grid import Cell, draw_grid, write_picture
from station.report.thumbnails import Size, fitted, grey_ground, heat_rgb, image_rgb, normals_rgb, shrink

TOP = "top"
_CELL = (228, 228)  # the box in which a cell is fitted
_FIGURE_4_PARTS = 2
_NOTE = "heat maps: blue below the view's limit, yellow to red above it, one scale for all pictures"


def draw_figures(dataset: Dataset, methods: Sequence[Method], out: Path) -> tuple[Path, ...]:
    """Write `side_views-PART.png` for parts whose defect the view from above cannot see, and `heat_maps.png`.

    The first needs a view named `top` and a defect that is hidden from it; without one it is not written. Raises
    DatasetError for pictures that cannot be read.
    """
    visible = visible_pixels(dataset)
    written = []
    for part in _hidden_from_above(visible)[:_FIGURE_4_PARTS]:
        path = out / f"side_views-{part}.png"
        write_picture_of_part(dataset, methods[0], part, path)
        written.append(path)
    chosen = _clearest_of_each_kind(dataset, visible)
    if chosen:
        path = out / "heat_maps.png"
        write_heat_maps(dataset, methods, chosen, path)
        written.append(path)
    return tuple(written)


def visible_pixels(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Defective test part -> view -> pixels of its mask."""
    found: dict[str, dict[str, int]] = {}
    for item in dataset.of("test"):
        if item.kind != "good":
            found.setdefault(item.part, {})[item.view] = int(read_mask(item.mask, dataset.input_size).sum())
    return found


def write_picture_of_part(dataset: Dataset, method: Method, part: str, path: Path) -> None:
    """Figure 4: the views of one part beside each other; below them normals, truth and map."""
    items = [i for i in dataset.of("test") if i.part == part]
    columns = [_column(dataset, [method], item) for item in items]
    kind = items[0].kind.replace("_", " ")
    title = f"{dataset.product}: a {kind} that the view from above does not see ({part})"
    _write_columns(title, [i.view for i in items], [method], columns, path)


def write_heat_maps(dataset: Dataset, methods: Sequence[Method], items: Sequence[Item], path: Path) -> None:
    """Figure 5: one defect a column; below the picture normals, truth, and the map of each method."""
    columns = [_column(dataset, methods, item) for item in items]
    names = [f"{i.kind.replace('_', ' ')}, {i.view}" for i in items]
    _write_columns(f"{dataset.product}: maps of {len(methods)} methods", names, methods, columns, path)


def _hidden_from_above(visible: dict[str, dict[str, int]]) -> list[str]:
    """Parts whose defect is in no pixel of `top`, the largest in another view first."""
    hidden = {part: max(views.values()) for part, views in visible.items() if TOP in views and views[TOP] == 0}
    return sorted((part for part, pixels in hidden.items() if pixels), key=lambda part: -hidden[part])


def _clearest_of_each_kind(dataset: Dataset, visible: dict[str, dict[str, int]]) -> list[Item]:
    """Of each kind of defect the view with the middle one of the largest masks: neither the easiest nor the hardest."""
    by_kind: dict[str, list[tuple[int, Item]]] = {}
    for item in dataset.of("test"):
        if item.kind != "good":
            views = visible[item.part]
            if views[item.view] and views[item.view] == max(views.values()):
                by_kind.setdefault(item.kind, []).append((views[item.view], item))
    chosen = []
    for kind in sorted(by_kind):
        ranked = sorted(by_kind[kind], key=lambda found: found[0])
        chosen.append(ranked[len(ranked) // 2][1])
    return chosen


def _column(dataset: Dataset, methods: Sequence[Method], item: Item) -> list[Cell]:
    """Picture, normals, truth, and each method's map of one view, at the cells' size."""
    size = fitted(dataset.input_size, _CELL)
    rgb = read_rgb(item.rgb, replace(TrainConfig(), color="rgb"))
    cells: list[Cell] = [
        image_rgb(rgb, size),
        None if item.normal is None else normals_rgb(read_normals(item.normal), size),
        _truth(read_mask(item.mask, dataset.input_size), size),
    ]
    ground = grey_ground(rgb, size)
    return [*cells, *(heat_rgb(m.judge(item)[1], m.limits[item.view], ground) for m in methods)]


def _truth(mask: NDArray[np.bool_], size: Size) -> NDArray[np.uint8]:
    """White on black; a defect of a single pixel stays visible."""
    small = shrink(mask.astype(np.float32), size)
    shade = np.where(small > 0, 90 + 165 * np.minimum(small / max(float(small.max()), 1e-6), 1.0), 0)
    return np.repeat(shade.astype(np.uint8)[..., None], 3, axis=2)


def _write_columns(
    title: str, names: Sequence[str], methods: Sequence[Method], columns: Sequence[Sequence[Cell]], path: Path
) -> None:
    rows = ["picture", "normals", "truth", *(m.name for m in methods)]
    cells = [list(line) for line in zip(*columns, strict=True)]
    shape = next(c for c in cells[0] if c is not None).shape
    write_picture(draw_grid(title, names, rows, cells, (shape[1], shape[0]), _NOTE), path)
