"""Panels of horizontal bars, and of shares by place, as a picture: what a data set holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from station.report.sheet_drawing import FAINT, INK, font, shortened, text_width

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BOTTOM = 640, 210, 110, 64, 24, 24
_COLOURS = ((0, 114, 178), (213, 94, 0))  # Okabe-Ito: blue, vermilion
_SMALL, _LARGE = 15, 20
_CELL = 84


@dataclass(frozen=True, slots=True)
class BarPanel:
    """One panel. A row has a name and up to two counts, drawn one behind the other; `series` names the counts."""

    title: str
    rows: Sequence[tuple[str, tuple[float, ...]]]
    series: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacePanel:
    """Counts by rows and columns of a picture, from its top left."""

    title: str
    counts: NDArray[np.int64]  # (rows, columns)


def draw_panels(panels: Sequence[BarPanel | PlacePanel], columns: int = 2) -> Image.Image:
    """Panels in rows, RGB; each row is as high as its highest panel. ValueError without any."""
    if not panels:
        raise ValueError("panels: none was given; there is nothing to draw")
    drawn = [_bars(p) if isinstance(p, BarPanel) else _places(p) for p in panels]
    lines = [drawn[n : n + columns] for n in range(0, len(drawn), columns)]
    heights = [max(p.height for p in line) for line in lines]
    sheet = Image.new("RGB", (columns * _WIDTH, sum(heights)), (255, 255, 255))
    for row, line in enumerate(lines):
        for column, panel in enumerate(line):
            sheet.paste(panel, (column * _WIDTH, sum(heights[:row])))
    return sheet


def _empty(title: str, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    panel = Image.new("RGB", (_WIDTH, height), (255, 255, 255))
    draw = ImageDraw.Draw(panel)
    draw.text((24, 24), shortened(draw, title, _LARGE, _WIDTH - 48), font=font(_LARGE), fill=INK, anchor="lm")
    return panel, draw


def _bars(panel: BarPanel) -> Image.Image:
    picture, draw = _empty(panel.title, _TOP + max(1, len(panel.rows)) * _ROW + _BOTTOM)
    _legend(draw, panel.series)
    most = max((sum(counts) for _, counts in panel.rows), default=0.0) or 1.0
    for n, (name, counts) in enumerate(panel.rows):
        y, x = _TOP + n * _ROW, float(_LEFT)
        draw.text((_LEFT - 8, y + _ROW // 2), shortened(draw, name, _SMALL, _LEFT - 32), font=font(_SMALL), fill=INK,
                  anchor="rm")  # fmt: skip
        for colour, count in zip(_COLOURS, counts, strict=False):
            end = x + (_WIDTH - _LEFT - _RIGHT) * count / most
            if count:
                draw.rectangle((x, y + 4, max(end, x + 1), y + _ROW - 4), fill=colour)
            x = end
        said = " + ".join(f"{count:g}" for count in counts)
        draw.text((x + 6, y + _ROW // 2), said, font=font(_SMALL), fill=INK, anchor="lm")
    return picture


def _legend(draw: ImageDraw.ImageDraw, series: Sequence[str]) -> None:
    x = 24
    for colour, name in zip(_COLOURS, series, strict=False):
        draw.rectangle((x, 42, x + 12, 54), fill=colour)
        draw.text((x + 18, 48), name, font=font(_SMALL), fill=FAINT, anchor="lm")
        x += 18 + text_width(draw, name, _SMALL) + 20


def _places(panel: PlacePanel) -> Image.Image:
    rows, columns = panel.counts.shape
    picture, draw = _empty(panel.title, _TOP + rows * _CELL + _BOTTOM)
    total, most = max(int(panel.counts.sum()), 1), max(int(panel.counts.max()), 1)
    for row in range(rows):
        for column in range(columns):
            count = int(panel.counts[row, column])
            at = (24 + column * _CELL, _TOP + row * _CELL)
            shade = tuple(round(255 - (255 - c) * count / most) for c in _COLOURS[0])
            draw.rectangle((*at, at[0] + _CELL - 4, at[1] + _CELL - 4), fill=shade, outline=(180, 180, 180))
            ink = INK if count < 0.6 * most else (255, 255, 255)
            middle = (at[0] + _CELL // 2 - 2, at[1] + _CELL // 2 - 2)
            draw.text(middle, f"{100 * count / total:.0f} %", font=font(_SMALL), fill=ink, anchor="mm")
    return picture
