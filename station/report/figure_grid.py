"""A grid of pictures with titles for its rows and columns, as evaluations show them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from station.documents.atomic import write_atomic
from station.report.display_rgb import hatch
from station.report.heat_map import colour_bar
from station.report.sheet_drawing import FAINT, GAP, INK, font, shortened, text_width
from station.report.thumbnails import Size

_GROUND = (255, 255, 255)
_MARGIN, _HEAD, _TITLE, _BAR = 20, 34, 40, 18
_SMALL, _LARGE = 18, 24
Cell = NDArray[np.uint8] | None  # RGB (h, w, 3); None is hatched


def draw_grid(
    title: str, columns: Sequence[str], rows: Sequence[str], cells: Sequence[Sequence[Cell]], cell: Size,
    note: str = "", *, bar: bool = True,
) -> Image.Image:  # fmt: skip
    """The grid as an RGB picture. `cells[row][column]` has the size `cell`, (width, height) in pixels.

    A colour bar of the heat maps' scale stands at the right if `bar`, and `note` below. ValueError unless there is a
    cell for each row and column, of that size.
    """
    _check(columns, rows, cells, cell)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    left = _MARGIN + max(text_width(measure, row, _SMALL) for row in rows) + GAP
    top = _MARGIN + _TITLE + _HEAD
    right = left + len(columns) * (cell[0] + GAP)
    width, height = right + (_BAR + 90 if bar else 0) + _MARGIN, top + len(rows) * (cell[1] + GAP) + _HEAD + _MARGIN
    sheet = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    heading = shortened(draw, title, _LARGE, width - 2 * _MARGIN)
    draw.text((_MARGIN, _MARGIN + _TITLE // 2), heading, font=font(_LARGE), fill=INK, anchor="lm")
    for c, name in enumerate(columns):
        at = (left + c * (cell[0] + GAP) + cell[0] // 2, top - _HEAD // 2)
        draw.text(at, shortened(draw, name, _SMALL, cell[0]), font=font(_SMALL), fill=INK, anchor="mm")
    for r, name in enumerate(rows):
        y = top + r * (cell[1] + GAP)
        draw.text((left - GAP, y + cell[1] // 2), name, font=font(_SMALL), fill=INK, anchor="rm")
        for c, picture in enumerate(cells[r]):
            _paste(sheet, picture, (left + c * (cell[0] + GAP), y), cell)
    if bar:
        _draw_bar(sheet, draw, right, top, len(rows) * (cell[1] + GAP) - GAP)
    foot = shortened(draw, note, _SMALL, width - 2 * _MARGIN)
    draw.text((_MARGIN, height - _MARGIN - _HEAD // 2), foot, font=font(_SMALL), fill=FAINT, anchor="lm")
    return sheet


def write_picture(sheet: Image.Image, path: Path) -> None:
    """Write a PNG; the file appears whole or not at all, and its folder is made if absent."""
    encoded = io.BytesIO()
    sheet.save(encoded, format="PNG", compress_level=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encoded.getvalue())


def _check(columns: Sequence[str], rows: Sequence[str], cells: Sequence[Sequence[Cell]], cell: Size) -> None:
    if not columns or not rows:
        raise ValueError("grid: needs at least one row and one column")
    if len(cells) != len(rows) or any(len(line) != len(columns) for line in cells):
        raise ValueError(f"cells: expected {len(rows)} rows of {len(columns)}, found {[len(line) for line in cells]}")
    shape = (cell[1], cell[0], 3)
    wrong = [c.shape for line in cells for c in line if c is not None and c.shape != shape]
    if wrong:
        raise ValueError(f"cells: one has the shape {wrong[0]}, expected {shape}")


def _paste(sheet: Image.Image, picture: Cell, at: tuple[int, int], cell: Size) -> None:
    shown = np.repeat(hatch((cell[1], cell[0]))[..., None], 3, axis=2) if picture is None else picture
    sheet.paste(Image.fromarray(shown), at)


def _draw_bar(sheet: Image.Image, draw: ImageDraw.ImageDraw, x: int, top: int, height: int) -> None:
    """The heat maps' scale: nothing at the bottom, the limit in the middle, twice the limit at the top."""
    sheet.paste(Image.fromarray(colour_bar(height, _BAR)), (x, top))
    for share, label in ((0.0, "2 x limit"), (0.5, "limit"), (1.0, "0")):
        anchor = {0.0: "la", 0.5: "lm", 1.0: "ld"}[share]
        draw.text((x + _BAR + 6, top + share * height), label, font=font(_SMALL), fill=INK, anchor=anchor)
