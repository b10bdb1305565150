"""Plots of a calibration as SVG text: curves, the dome of lights, and maps over the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibration.record import CalibratedLight, Calibration

GREEN, RED, BLUE, GREY = "#12632b", "#b00020", "#1a4fa0", "#777"
DOME_PX, DOME_RIM_DEG = 320, 75.0
TICKS = 4


@dataclass(frozen=True)
class Plot:
    """One picture for a report or a screen."""

    name: str  # a file name without its suffix
    caption: str
    data: bytes
    kind: Literal["svg", "png"]


@dataclass(frozen=True)
class Curve:
    """Points with their axes' labels and, where `slope` is given, the fitted line through the origin."""

    title: str
    x_label: str
    y_label: str
    points: tuple[tuple[float, float], ...]
    slope: float | None = None


def curve_svg(curve: Curve) -> str:
    """The curve as SVG; both axes start at zero."""
    width, height, left, right, top, bottom = 430, 280, 66, 24, 26, 44
    high_x = _round_up(max((x for x, _ in curve.points), default=1.0))
    high_y = _round_up(max((y for _, y in curve.points), default=1.0))

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (width - left - right) * x / high_x, height - bottom - (height - bottom - top) * y / high_y

    x0, y0 = at(0, 0)
    x1, y1 = at(high_x, high_y)
    marks = [f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="#555"/>']
    for k in range(TICKS + 1):
        x, _ = at(high_x * k / TICKS, 0)
        _, y = at(0, high_y * k / TICKS)
        marks.append(f'<path d="M{x:.1f} {y0:.1f}v4M{x0:.1f} {y:.1f}h-4" stroke="#555"/>')
        marks.append(_text(x, y0 + 15, f"{high_x * k / TICKS:g}", "middle"))
        marks.append(_text(x0 - 6, y + 3, f"{high_y * k / TICKS:g}", "end"))
    if curve.slope is not None:
        end = min(high_x, high_y / curve.slope) if curve.slope > 0 else high_x
        a, b = at(end, curve.slope * end)
        marks.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{a:.1f}" y2="{b:.1f}" stroke="{GREEN}"/>')
    marks += [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{BLUE}"/>' for a, b in (at(x, y) for x, y in curve.points)
    ]
    marks.append(_text(left, 15, curve.title, size=12))
    marks.append(_text((x0 + x1) / 2, height - 8, curve.x_label, "middle"))
    middle = (y0 + y1) / 2
    marks.append(
        f'<text x="12" y="{middle:.1f}" font-size="10" text-anchor="middle" transform="rotate(-90 12 {middle:.1f})">'
        f"{escape(curve.y_label)}</text>"
    )
    return _svg(width, height, marks)


def dome_svg(record: Calibration, reference: Calibration | None) -> str:
    """The lights' directions as the camera sees them: the middle is the viewing axis, the rim 75 degrees away from it.

    Size shows the intensity; flagged lights are red, those of the reference grey.
    """
    half = DOME_PX / 2
    marks = []
    for slant in (15, 30, 45, 60, 75):
        r = (half - 22) * slant / DOME_RIM_DEG
        marks.append(f'<circle cx="{half}" cy="{half}" r="{r:.1f}" fill="none" stroke="#ccc"/>')
        marks.append(_text(half + 2, half - r - 2, str(slant), size=9, ink=GREY))
    for light in record.lights:
        if light.kind == "directional":
            marks += _on_dome(light, reference)
    return _svg(DOME_PX, DOME_PX, marks)


def _on_dome(light: CalibratedLight, reference: Calibration | None) -> list[str]:
    """One light as a dot with its name, and a line from where the reference has it."""
    x, y = _dome_point(light.unit_direction())
    marks = []
    if reference is not None:
        a, b = _dome_point(reference.light(light.channel).unit_direction())
        marks.append(f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="#999"/>')
        marks.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="none" stroke="#999"/>')
    colour = RED if light.flags else GREEN
    radius = 3 * math.sqrt(light.relative_intensity)
    marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"/>')
    outward = 1 if x >= DOME_PX / 2 - 1 else -1
    marks.append(_text(x + 8 * outward, y + 3, light.name, "start" if outward > 0 else "end"))
    return marks


def azimuth_slant_deg(direction: tuple[float, float, float]) -> tuple[float, float]:
    """Azimuth from the picture's right toward its top, and angle from the viewing axis, of a unit vector."""
    x, y, z = direction
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.acos(max(-1.0, min(1.0, z))))


def _dome_point(direction: tuple[float, float, float]) -> tuple[float, float]:
    azimuth, slant = azimuth_slant_deg(direction)
    half = DOME_PX / 2
    r = (half - 22) * slant / DOME_RIM_DEG
    return half + r * math.cos(math.radians(azimuth)), half - r * math.sin(math.radians(azimuth))


def maps_svg(maps: NDArray[np.float32] | NDArray[np.float64], names: Sequence[str], span: float, caption: str) -> str:
    """Maps (K, Y, X) of values about 1, side by side under their names: blue is 1 - span, white 1, red 1 + span."""
    cell, columns = 4.0, 4
    steps = max(1, maps.shape[2] // 24)
    shown = maps[:, ::steps, ::steps]
    wide, high = shown.shape[2] * cell + 14, shown.shape[1] * cell + 24
    marks = []
    for k, name in enumerate(names):
        left, top = (k % columns) * wide + 4, (k // columns) * high + 18
        marks.append(_text(left, top - 4, f"{name}  {shown[k].min():.3f} to {shown[k].max():.3f}"))
        for j, i in np.ndindex(shown.shape[1], shown.shape[2]):
            ink = _about_one(float(shown[k, j, i]), span)
            x, y = left + i * cell, top + j * cell
            marks.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{cell:.0f}" height="{cell:.0f}" fill="{ink}"/>')
    rows = -(-len(names) // columns)
    marks.append(_text(4, rows * high + 16, caption))
    return _svg(int(min(len(names), columns) * wide + 8), int(rows * high + 24), marks)


def _about_one(value: float, span: float) -> str:
    """The colour of a value: white at 1, red above, blue below."""
    share = max(-1.0, min(1.0, (value - 1) / span))
    fade = round(255 * (1 - abs(share)))
    return f"#ff{fade:02x}{fade:02x}" if share > 0 else f"#{fade:02x}{fade:02x}ff"


def _round_up(value: float) -> float:
    """The next 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((m * power for m in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8) if m * power >= value), 10 * power)


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 10, ink: str = "#222") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{ink}" '
        f'font-family="sans-serif">{escape(text)}</text>'
    )


def _svg(width: int, height: int, marks: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">{"".join(marks)}</svg>'
    )
