"""POD curves as a picture: the curve, its lower bound, every hit and miss, a90 and a90/95."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from station.report.sheet_drawing import FAINT, INK, font, shortened, text_width

_WIDTH, _HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 64, 64
_BLUE, _PALE, _RED, _GRID = (0, 114, 178), (190, 216, 232), (213, 94, 0), (226, 226, 226)
_SMALL, _LARGE = 15, 20
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class PodPlot:
    """One panel. Without a curve (`pod` None) hits and misses are shown with `note`, which says why there is none."""

    title: str
    axis: str  # what a size is, with its unit
    sizes: NDArray[np.float64]  # (n,)
    hit: NDArray[np.bool_]  # (n,)
    pod: Curve | None = None
    lower: Curve | None = None
    a90: float = math.nan
    a90_95: float = math.nan
    note: str = ""


def draw_pod_plots(plots: Sequence[PodPlot], columns: int = 2) -> Image.Image:
    """Panels in rows, RGB. ValueError without any."""
    if not plots:
        raise ValueError("plots: none was given; there is nothing to draw")
    rows = -(-len(plots) // columns)
    sheet = Image.new("RGB", (columns * _WIDTH, rows * _HEIGHT), (255, 255, 255))
    for n, plot in enumerate(plots):
        sheet.paste(_panel(plot), ((n % columns) * _WIDTH, (n // columns) * _HEIGHT))
    return sheet


def _panel(plot: PodPlot) -> Image.Image:
    """One plot: size on a logarithmic axis, probability from 0 to 1."""
    panel = Image.new("RGB", (_WIDTH, _HEIGHT), (255, 255, 255))
    draw = ImageDraw.Draw(panel)
    low, high = float(np.log(plot.sizes.min())) - 0.1, float(np.log(plot.sizes.max())) + 0.1

    def at(size: float, p: float) -> tuple[float, float]:
        share = (math.log(size) - low) / (high - low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - p * (_HEIGHT - _TOP - _BOTTOM)

    _axes(draw, plot, at, (low, high))
    grid = np.exp(np.linspace(low, high, 200))
    if plot.pod is not None and plot.lower is not None:
        curve = [at(float(s), float(p)) for s, p in zip(grid, plot.pod(grid), strict=True)]
        below = [at(float(s), float(p)) for s, p in zip(grid, plot.lower(grid), strict=True)]
        draw.polygon([*curve, *reversed(below)], fill=_PALE)
        draw.line(below, fill=_BLUE, width=1)
        draw.line(curve, fill=_BLUE, width=3)
    _answers(draw, plot, at)
    for size, colour in ((plot.a90, _BLUE), (plot.a90_95, _RED)):
        if math.isfinite(size) and low <= math.log(size) <= high:
            draw.line([at(size, 0.0), at(size, 0.9)], fill=colour, width=2)
    _words(draw, plot)
    return panel


def _axes(
    draw: ImageDraw.ImageDraw,
    plot: PodPlot,
    at: Callable[[float, float], tuple[float, float]],
    ends: tuple[float, float],
) -> None:
    low, high = math.exp(ends[0]), math.exp(ends[1])
    for p in (0.0, 0.5, 0.9, 1.0):
        draw.line([at(low, p), at(high, p)], fill=_GRID, width=1)
        draw.text((_LEFT - 8, at(low, p)[1]), f"{p:g}", font=font(_SMALL), fill=INK, anchor="rm")
    for tick in _ticks(low, high):
        x = at(tick, 0.0)[0]
        draw.line([(x, at(low, 0.0)[1]), (x, at(low, 1.0)[1])], fill=_GRID, width=1)
        draw.text((x, at(low, 0.0)[1] + 8), f"{tick:g}", font=font(_SMALL), fill=INK, anchor="ma")
    middle = ((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 18)
    draw.text(middle, plot.axis, font=font(_SMALL), fill=INK, anchor="mm")


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between the ends."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
    return [t for t in every if low <= t <= high]


def _answers(draw: ImageDraw.ImageDraw, plot: PodPlot, at: Callable[[float, float], tuple[float, float]]) -> None:
    """Hits as filled dots along the top, misses as crosses along the bottom: shape tells them apart, not colour."""
    for size, hit in zip(plot.sizes, plot.hit, strict=True):
        x, y = at(float(size), 1.0 if hit else 0.0)
        if hit:
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=_BLUE, outline=(255, 255, 255))
        else:
            draw.line([(x - 4, y - 4), (x + 4, y + 4)], fill=_RED, width=2)
            draw.line([(x - 4, y + 4), (x + 4, y - 4)], fill=_RED, width=2)


def _words(draw: ImageDraw.ImageDraw, plot: PodPlot) -> None:
    hits = f"{int(plot.hit.sum())} of {len(plot.hit)} found"
    room = _WIDTH - _LEFT - _RIGHT - text_width(draw, hits, _SMALL) - 12
    draw.text((_LEFT, 18), shortened(draw, plot.title, _LARGE, room), font=font(_LARGE), fill=INK, anchor="lm")
    draw.text((_WIDTH - _RIGHT, 18), hits, font=font(_SMALL), fill=FAINT, anchor="rm")
    note = plot.note or f"a90 {_short(plot.a90)}, a90/95 {_short(plot.a90_95)}; band: lower 95 % bound"
    width = _WIDTH - _LEFT - _RIGHT
    draw.text((_LEFT, 44), shortened(draw, note, _SMALL, width), font=font(_SMALL), fill=FAINT, anchor="lm")


def _short(size: float) -> str:
    return f"{size:.3g}" if math.isfinite(size) else "not bounded"
