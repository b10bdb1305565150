"""The calibration report: one self-contained HTML page with its plots drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from calibration.record import Calibration

STYLE = """body{font:14px/1.45 sans-serif;max-width:60rem;margin:1.5rem auto;color:#222}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #bbb;padding:.2rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}.bad{color:#b00020;font-weight:600}.good{color:#12632b;font-weight:600}
svg{margin:.3rem 1rem .3rem 0}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:1.2rem}small{color:#555}"""


@dataclass(frozen=True)
class Curve:
    """A plot of points and, where `slope` is given, the line through the origin that was fitted to them."""

    title: str
    x_label: str
    y_label: str
    points: tuple[tuple[float, float], ...]
    slope: float | None = None


def html_report(
    record: Calibration,
    record_hash: str,
    *,
    reference: Calibration | None = None,
    curves: Sequence[Curve] = (),
    tables: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> str:
    """One page. `tables` by title, the first row the header; `reference` is drawn beside the lights."""
    parts = [_head(record, record_hash), _lights(record, reference)]
    parts += [f"<h2>{escape(title)}</h2>{_table(rows)}" for title, rows in (tables or {}).items()]
    if record.sensor is not None:
        parts.append(_sensor(record))
    if curves:
        parts.append("<div>" + "".join(_curve(c) for c in curves) + "</div>")
    parts.append(_evidence(record))
    title = escape(record.calibration_id)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _head(record: Calibration, record_hash: str) -> str:
    about = record.provenance
    rows = [
        ["Calibration", record.calibration_id],
        ["Made", record.created],
        ["Camera", record.camera_serial_number],
        ["Simulated rig", "yes: not based on a real camera" if record.is_simulated else "no"],
        ["SHA-256 of the record", record_hash],
    ]
    verdict = '<p class="bad">Not released</p>'
    if about is not None:
        rows += [
            ["Lens; light controller", f"{about.lens_serial_number}; {about.lights_serial_number}"],
            ["Temperature", "unknown" if about.temperature_c is None else f"{about.temperature_c:.1f} degrees C"],
            ["Measured", ", ".join(about.measured)],
            ["Nominal, not measured", ", ".join(about.nominal) or "nothing"],
        ]
        if about.released_by is not None:
            verdict = (
                f'<p class="good">Released by {escape(about.released_by)} on {about.released}, '
                f"valid until {about.expires}</p>"
            )
        verdict += "".join(f'<p class="bad">{escape(flag)}</p>' for flag in about.flags)
    return f"<h1>Calibration {escape(record.calibration_id)}</h1>{verdict}{_table(rows, header=False)}"


def _lights(record: Calibration, reference: Calibration | None) -> str:
    rows = [["Light", "azimuth, slant (degrees)", "+- 95 %", "distance (mm)", "+- 95 %", "intensity", "+- 95 %"]]
    for light in record.lights:
        if light.kind != "directional":
            continue
        azimuth, slant = _azimuth_slant(light.unit_direction())
        reach = "-" if light.position_mm is None else f"{math.dist(light.position_mm, (0, 0, 0)):.1f}"
        rows.append([
            light.name, f"{azimuth:.2f}, {slant:.2f}", _maybe(light.direction_spread_deg, 2.448, "{:.2f}"), reach,
            _maybe(light.distance_spread_mm, 1.96, "{:.1f}"), f"{light.relative_intensity:.4f}",
            _maybe(light.intensity_spread, 196.0, "{:.2f} %"),
        ])  # fmt: skip
    return f"<h2>Lights</h2>{_dome(record, reference)}{_table(rows)}"


def _maybe(value: float | None, factor: float, form: str) -> str:
    return "-" if value is None else form.format(value * factor)


def _azimuth_slant(direction: tuple[float, float, float]) -> tuple[float, float]:
    x, y, z = direction
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.acos(max(-1.0, min(1.0, z))))


def _dome(record: Calibration, reference: Calibration | None) -> str:
    """Directions seen along the viewing axis: the middle is the camera, the rim 75 degrees away."""
    size, rim = 300, 75.0
    half = size / 2

    def at(direction: tuple[float, float, float]) -> tuple[float, float]:
        azimuth, slant = _azimuth_slant(direction)
        r = (half - 20) * slant / rim
        return half + r * math.cos(math.radians(azimuth)), half - r * math.sin(math.radians(azimuth))

    marks = [
        f'<circle cx="{half}" cy="{half}" r="{(half - 20) * s / rim:.1f}" fill="none" stroke="#ccc"/>'
        f'<text x="{half + 2}" y="{half - (half - 20) * s / rim - 2:.1f}" font-size="9" fill="#777">{s}</text>'
        for s in (15, 30, 45, 60, 75)
    ]
    for light in record.lights:
        if light.kind != "directional":
            continue
        x, y = at(light.unit_direction())
        if reference is not None:
            a, b = at(reference.light(light.channel).unit_direction())
            marks.append(f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="#999"/>')
            marks.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="none" stroke="#999"/>')
        colour = "#b00020" if light.flags else "#12632b"
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 * math.sqrt(light.relative_intensity):.1f}" fill="{colour}"/>'
        )
        marks.append(f'<text x="{x + 6:.1f}" y="{y + 3:.1f}" font-size="10">{escape(light.name)}</text>')
    return (
        f'<svg width="{size}" height="{size}" viewBox="0 0 {size} {size}" role="img">{"".join(marks)}</svg>'
        "<br><small>Lights seen along the viewing axis, degrees from it; grey: the reference; size: intensity</small>"
    )


def _sensor(record: Calibration) -> str:
    s = record.sensor
    if s is None:
        return ""
    rows = [
        ["EMVA 1288", f"{s.pixel_format}, {s.gain_db:g} dB", "+- 95 %"],
        ["System gain K (DN/e-)", f"{s.gain_dn_per_e:.4f}", f"{1.96 * s.gain_spread:.4f}"],
        ["Temporal dark noise (e-)", f"{s.read_noise_e:.2f}", f"{1.96 * s.read_noise_spread_e:.2f}"],
        ["Saturation capacity (e-)", f"{s.saturation_capacity_e:.0f}", "-"],
        ["Linearity error (%)", _maybe(s.linearity_error_percent, 1.0, "{:.3f}"), "-"],
        ["DSNU1288 (e-)", f"{s.dsnu_e:.2f}", "-"],
        ["PRNU1288 (%)", f"{s.prnu_percent:.2f}", "-"],
    ]
    return f"<h2>Sensor</h2>{_table(rows)}"


def _evidence(record: Calibration) -> str:
    about = record.provenance
    if about is None:
        return ""
    rows = [["Residual", "found", "limit"]]
    rows += [
        [name, f"{value:.4g}", f"{about.limits[name]:g}" if name in about.limits else "-"]
        for name, value in about.residuals.items()
    ]
    pictures = [["Picture", "SHA-256"], *([p.name, p.sha256] for p in about.pictures)]
    return (
        f"<h2>Residuals and limits</h2>{_table(rows)}"
        f"<details><summary>{len(about.pictures)} pictures</summary>{_table(pictures)}</details>"
    )


def _table(rows: Sequence[Sequence[str]], header: bool = True) -> str:
    out = []
    for number, row in enumerate(rows):
        tag = "th" if header and number == 0 else "td"
        out.append("<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>")
    return f"<table>{''.join(out)}</table>"


def _curve(curve: Curve) -> str:
    width, height, left, bottom = 360, 240, 56, 34
    high_x = max((x for x, _ in curve.points), default=1.0) or 1.0
    high_y = max((y for _, y in curve.points), default=1.0) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (width - left - 10) * x / high_x, height - bottom - (height - bottom - 24) * y / high_y

    x0, y0 = at(0, 0)
    x1, y1 = at(high_x, high_y)
    marks = [f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="#555"/>']
    if curve.slope is not None:
        end = min(high_x, high_y / curve.slope) if curve.slope > 0 else high_x
        a, b = at(end, curve.slope * end)
        marks.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{a:.1f}" y2="{b:.1f}" stroke="#12632b"/>')
    marks += [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="#1a4fa0"/>' for a, b in (at(x, y) for x, y in curve.points)
    ]
    marks += [
        f'<text x="{left}" y="14" font-size="12">{escape(curve.title)}</text>',
        f'<text x="{x1:.1f}" y="{height - 6}" font-size="10" text-anchor="end">'
        f"{escape(curve.x_label)}, to {high_x:.4g}</text>",
        f'<text x="2" y="{y1 + 10:.1f}" font-size="10">{high_y:.4g}</text>',
        f'<text x="2" y="{y0:.1f}" font-size="10">{escape(curve.y_label)}</text>',
    ]
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">{"".join(marks)}</svg>'
