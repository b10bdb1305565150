"""Sheets after the figures of the paper's appendices, from our own data.

Its Figures A1 and A2 put a reconstruction with more of the module beside one with less: here heights and their errors
against the truth, by integration, by the literal form and by the residual form. Its Figure A3 shows each product's good
part from the top, then every view of a part as picture, normals and defect mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.dataset import Dataset, DatasetError, Item, load_dataset
from models.depth_views import DepthDataError, DepthIndex, DepthItem, DepthView, centred, read_index
from station.depth.model_half import Method
from station.depth.panels import (
    Panel,
    draw_panels,
    error_panel,
    height_panel,
    normals_panel,
    picture_panel,
    span_of,
)
from station.depth.run import DepthChoice, found_depth
from station.depth.sources import NamedView
from station.errors import BadInput
from station.photometric_stereo.pictures import coloured_normals, decode_normals
from station.report.display_rgb import linear_to_srgb

WIDTH_PX, SMALL_PX = 260, 150
CAPTIONS: dict[Method, str] = {"integrate": "integrated", "generate": "from scratch", "residual": "residual"}


def comparison_sheet(folder: Path, models: Mapping[Method, Path], rows: int, choice: DepthChoice) -> Image.Image:
    """A row for each of some test views: picture, normals, true height, and each method's height and error.

    Raises BadInput for a folder that is none of views with depth, or that holds none to test.
    """
    try:
        index = read_index(folder)
        chosen = [(item, index.read(item)) for item in _spread(index, rows)]
    except DepthDataError as error:
        raise BadInput(str(error)) from error
    if not chosen:
        raise BadInput(f"{folder}: has no view of the split test to show")
    lines = [(_named(item), _compared(item, view, models, choice)) for item, view in chosen]
    title = "Height by each method, and its error against the truth (after Figures A1 and A2; simulated)"
    note = "RMSE in mm on the part, mean difference taken off; hatched: unobserved, or no truth"
    return draw_panels(title, lines, WIDTH_PX, note)


def _spread(index: DepthIndex, rows: int) -> list[DepthItem]:
    """Some test views: evenly over the index, in which parts, kinds and products follow each other."""
    items = index.of("test")
    count = min(rows, len(items))
    return [items[round(k * (len(items) - 1) / max(count - 1, 1))] for k in range(count)]


def _named(item: DepthItem) -> str:
    return f"{item.product}, {item.kind}, {item.part}"


def _compared(item: DepthItem, view: DepthView, models: Mapping[Method, Path], choice: DepthChoice) -> list[Panel]:
    span = span_of(view.depth, view.valid)
    panels = [
        picture_panel("picture", view.picture),
        normals_panel("normals", view.normals),
        height_panel("true height", view.depth, view.valid, span, "mm"),
    ]
    methods: list[tuple[Method, Path | None]] = [("integrate", None), *models.items()]
    for method, model in methods:
        named = NamedView(Path(item.file).stem, view)
        height = centred(found_depth(named, replace(choice, method=method, model=model)).height, view.valid)
        off = np.where(view.valid, height - view.depth, np.float32(0))
        rmse = float(np.sqrt((off[view.valid] ** 2).mean()))
        panels.append(height_panel(f"{CAPTIONS[method]}: RMSE {rmse:.2f}", height, view.valid, span, "mm"))
        panels.append(error_panel("error", off, view.valid, max((span[1] - span[0]) / 2, 0.05), "mm"))
    return panels


def overview_sheet(folders: Sequence[Path]) -> Image.Image:
    """A row for each data set of a product: a good part from its first view, then each view of a defective one.

    Raises BadInput for a folder that is no data set of `station dataset simulate`.
    """
    try:
        sets = [load_dataset(folder) for folder in folders]
    except DatasetError as error:
        raise BadInput(str(error)) from error
    lines = [(found.product, _overview(found)) for found in sets]
    title = "Each product: a good part, then every view of a defective one (after Figure A3; simulated)"
    return draw_panels(
        title, lines, SMALL_PX, "picture, normals (black: unobserved), and the defect's true mask in white"
    )


def _overview(found: Dataset) -> list[Panel]:
    good = next((i for i in found.items if i.kind == "good" and i.view == found.views[0]), None)
    defective = [item for item in found.items if item.kind != "good"]
    if good is None or not defective:
        raise BadInput(f"{found.folder}: needs a good part and a defective one to be shown")
    part = max({i.part for i in defective}, key=lambda name: sum(_marked(i) for i in defective if i.part == name))
    panels = [Panel(f"good, {good.view}", _shown(good))]
    shown = [item for item in defective if item.part == part]
    for item in sorted(shown, key=lambda item: found.views.index(item.view)):
        panels += [
            Panel(item.view, _shown(item)),
            Panel("normals", _shown_normals(item)),
            Panel(item.kind, _mask(item)),
        ]
    return panels


def _marked(item: Item) -> int:
    """Pixels of the defect that this view shows."""
    return int(_mask(item)[..., 0].astype(bool).sum())


def _pixels(path: Path) -> NDArray[np.uint16]:
    """(H, W, 3) RGB counts. Raises BadInput."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 3:
        raise BadInput(f"{path} is missing, or no colour picture of 16 bits: make the data set again")
    return np.asarray(picture[..., ::-1], np.uint16)


def _shown(item: Item) -> NDArray[np.uint8]:
    linear = _pixels(item.rgb).astype(np.float32) / np.float32(65535)
    return linear_to_srgb(linear / max(float(np.quantile(linear, 0.99)), 1e-6))


def _shown_normals(item: Item) -> NDArray[np.uint8]:
    if item.normal is None:
        return np.zeros_like(_shown(item))
    return coloured_normals(decode_normals(_pixels(item.normal)))


def _mask(item: Item) -> NDArray[np.uint8]:
    if item.mask is None:
        return np.zeros_like(_shown(item))
    grey = cv2.imread(str(item.mask), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise BadInput(f"{item.mask} is missing, or no picture: make the data set again")
    white = np.where(np.asarray(grey) > 0, np.uint8(255), np.uint8(0))
    return np.repeat(white[..., None], 3, axis=2)
