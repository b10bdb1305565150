"""Maps of a view as pictures with a colour bar in mm, in rows: what `station depth` and its sheets show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from station.photometric_stereo.pictures import coloured, coloured_signed
from station.report.display_rgb import hatch, linear_to_srgb, normals_to_rgb
from station.report.sheet_drawing import FAINT, GAP, INK, font, shortened

F32 = NDArray[np.float32]
Rgb = NDArray[np.uint8]
_BAR, _LABEL, _HEAD, _SMALL, _LARGE = 14, 76, 30, 16, 22


@dataclass(frozen=True)
class Panel:
    """One picture (H, W, 3) with its caption; a bar from `low` (bottom) to `high` where these are given."""

    caption: str
    pixels: Rgb
    low: float | None = None
    high: float | None = None
    unit: str = "mm"
    is_signed: bool = False


def picture_panel(caption: str, picture: F32) -> Panel:
    """A linear picture (3, H, W), brightened so that its 99 % quantile is white."""
    scale = max(float(np.quantile(picture, 0.99)), 1e-6)
    return Panel(caption, linear_to_srgb(np.moveaxis(picture, 0, 2) / np.float32(scale)))


def normals_panel(caption: str, normals: F32) -> Panel:
    """Normals (3, H, W) as colours; hatched where unobserved."""
    return Panel(caption, normals_to_rgb(normals))


def height_panel(caption: str, height: F32, shown: NDArray[np.bool_], span: tuple[float, float], unit: str) -> Panel:
    """Heights (H, W) on a fixed scale from span[0] to span[1]; hatched where not `shown`."""
    pixels = coloured((height - np.float32(span[0])), max(span[1] - span[0], 1e-9))
    return Panel(caption, _hatched(pixels, shown), *span, unit)


def error_panel(caption: str, error: F32, shown: NDArray[np.bool_], most: float, unit: str) -> Panel:
    """Errors (H, W) red above 0 and blue below; hatched where not `shown`."""
    return Panel(caption, _hatched(coloured_signed(error, most), shown), -most, most, unit, is_signed=True)


def span_of(height: F32, shown: NDArray[np.bool_]) -> tuple[float, float]:
    """Where 98 % of the shown heights lie: the scale that several pictures of one view share."""
    values = height[shown] if shown.any() else height
    low, high = (float(v) for v in np.quantile(values, [0.01, 0.99]))
    return low, max(high, low + 1e-3)


def draw_panels(title: str, rows: Sequence[tuple[str, Sequence[Panel]]], width: int, note: str = "") -> Image.Image:
    """The panels in named rows, each `width` pixels wide; a row may be shorter than the others.

    Raises ValueError without any panel.
    """
    if not rows or not all(panels for _, panels in rows):
        raise ValueError("rows: each needs at least one panel")
    heights = [max(round(p.pixels.shape[0] * width / p.pixels.shape[1]) for p in panels) for _, panels in rows]
    lefts = _lefts([panels for _, panels in rows], width)
    size = (lefts[-1] + GAP, 3 * _HEAD + sum(height + 2 * _HEAD for height in heights))
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, _HEAD), shortened(draw, title, _LARGE, size[0] - 2 * GAP), font=font(_LARGE), fill=INK, anchor="lm")
    y = 2 * _HEAD
    for (name, panels), height in zip(rows, heights, strict=True):
        draw.text((GAP, y - GAP // 2), name, font=font(_SMALL), fill=FAINT, anchor="lm")
        for column, panel in enumerate(panels):
            _draw_panel(sheet, draw, panel, (lefts[column], y + _HEAD), width)
        y += height + 2 * _HEAD
    foot = shortened(draw, note, _SMALL, size[0] - 2 * GAP)
    draw.text((GAP, size[1] - _HEAD // 2), foot, font=font(_SMALL), fill=FAINT, anchor="lm")
    return sheet


def _lefts(rows: Sequence[Sequence[Panel]], width: int) -> list[int]:
    """Where each column begins, and where the last one ends; a column without any bar keeps no room for one."""
    lefts = [GAP]
    for column in range(max(map(len, rows))):
        has_bar = any(len(panels) > column and panels[column].low is not None for panels in rows)
        lefts.append(lefts[-1] + width + GAP + (_BAR + _LABEL if has_bar else 0))
    return lefts


def _hatched(pixels: Rgb, shown: NDArray[np.bool_]) -> Rgb:
    return np.where(shown[..., None], pixels, hatch((shown.shape[0], shown.shape[1]))[..., None])


def _draw_panel(sheet: Image.Image, draw: ImageDraw.ImageDraw, panel: Panel, at: tuple[int, int], width: int) -> None:
    x, y = at
    height = round(panel.pixels.shape[0] * width / panel.pixels.shape[1])
    smaller = panel.pixels.shape[1] > width
    shown = cv2.resize(panel.pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_NEAREST)
    sheet.paste(Image.fromarray(np.ascontiguousarray(shown)), at)
    draw.text(
        (x, y - _HEAD // 4), shortened(draw, panel.caption, _SMALL, width), font=font(_SMALL), fill=INK, anchor="ls"
    )
    if panel.low is None or panel.high is None:
        return
    ramp = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(_BAR, axis=1)
    bar = coloured_signed(2 * ramp - 1, 1.0) if panel.is_signed else coloured(ramp, 1.0)
    left = x + width + GAP // 2
    sheet.paste(Image.fromarray(bar), (left, y))
    for share, value in ((0.0, panel.high), (1.0, panel.low)):
        text = f"{value:.2f} {panel.unit}"
        anchor = "la" if share == 0 else "ld"
        draw.text((left + _BAR + 4, y + share * height), text, font=font(_SMALL - 2), fill=INK, anchor=anchor)
