"""The calibration report: one self-contained HTML page with its plots drawn as SVG."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Literal

import numpy as np

from calibration.record import Calibration
from calibration.report.plots import Plot, azimuth_slant_deg

STYLE = """body{font:14px/1.45 sans-serif;max-width:60rem;margin:1.5rem auto;color:#222}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #bbb;padding:.2rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}.bad{color:#b00020;font-weight:600}.good{color:#12632b;font-weight:600}
figure{display:inline-block;margin:.3rem 1rem .6rem 0;vertical-align:top}
figcaption{color:#555;font-size:12px;max-width:34rem}
img{max-width:34rem;border:1px solid #ddd}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:1.2rem}small{color:#555}"""


RESIDUALS = {
    "direction_spread_deg": "light directions, one sigma of the worst (degrees)",
    "intensity_spread_percent": "light intensities, one sigma of the worst (%)",
    "mirror_to_matte_deg": "mirror sphere against matte sphere, worst light (degrees)",
    "matte_to_plane_percent": "intensities, matte sphere against white plane, worst light (%)",
    "semi_calibrated_percent": "intensities without knowing normals, against white plane, worst light (%)",
    "plane_tilt_deg": "white plane off where it should lie (degrees)",
    "flat_field_departure_percent": "flat field beside the light model (% rms)",
    "left_out_ratio": "worst light predicted from the others, over the usual light",
    "condition": "condition of L^T L of the light set",
    "gain_spread_percent": "system gain K, one sigma (%)",
    "linearity_error_percent": "linearity error, EMVA 1288 (%)",
    "focal_interval95_percent": "focal length, half of the 95 % interval (%)",
    "viewpoint_interval95_mm": "viewpoint positions, half of the 95 % interval, worst axis (mm)",
    "viewpoint_interval95_deg": "viewpoint angles, half of the 95 % interval, worst axis (degrees)",
    "camera_rms_px": "board points, rms of all pictures (px)",
    "camera_left_out_rms_px": "board points in pictures left out of the fit, rms (px)",
    "arm_repeatability_mm": "arm, one sigma per axis (mm)",
    "arm_repeatability_deg": "arm, one sigma per axis (degrees)",
    "outline_rms_px": "outline of the mirror sphere, rms (px)",
    "plane_rms": "white plane beside the light model, rms",
    "dark_noise_dn": "temporal noise of a dark frame (DN)",
    "hot_pixels": "hot pixels",
}

Section = Literal["camera", "lights", "sensor", "field"]


def html_report(
    record: Calibration,
    record_hash: str,
    *,
    plots: Mapping[Section, Sequence[Plot]] | None = None,
    tables: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> str:
    """The report as one page without references to other files.

    `plots` are drawn in the section that they belong to; `tables` by title, their first row the header, follow the
    limits.
    """
    drawn = plots or {}
    parts = [_head(record, record_hash), _limits(record)]
    parts += [f"<h2>{escape(title)}</h2>{_table(rows)}" for title, rows in (tables or {}).items()]
    parts += [_camera(record), _figures(drawn.get("camera", ())), _viewpoints(record)]
    parts += [_lights(record), _figures(drawn.get("lights", ())), _field(record), _figures(drawn.get("field", ()))]
    parts += [_sensor(record), _figures(drawn.get("sensor", ())), _pictures(record)]
    title = escape(record.calibration_id)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _head(record: Calibration, record_hash: str) -> str:
    """Whose calibration it is, whether it was released, and every flag."""
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


def _limits(record: Calibration) -> str:
    """Every residual, those with a limit first and judged."""
    about = record.provenance
    if about is None:
        return ""
    rows = [["Residual", "found", "limit", ""]]
    for name, value in sorted(about.residuals.items(), key=lambda item: item[0] not in about.limits):
        limit = about.limits.get(name)
        judged = "" if limit is None else ("ok" if value <= limit else "NOT")
        words = RESIDUALS.get(name, name.replace("_", " "))
        rows.append([words, f"{value:.4g}", "-" if limit is None else f"{limit:g}", judged])
    return f"<h2>Residuals and limits</h2>{_table(rows)}"


def _camera(record: Calibration) -> str:
    """The camera's figures with intervals, and the pictures that were refused."""
    found = record.camera
    rows = [["Camera", "pixels of the full sensor", "+- 95 %"]]
    for name in ("fx", "fy", "cx", "cy"):
        half = "-" if found is None else f"{found.factor95 * getattr(found, f'{name}_spread_px'):.2f}"
        rows.append([name, f"{getattr(record, f'{name}_px'):.2f}", half])
    rows.append(["distortion", " ".join(f"{k:.5g}" for k in record.distortion) or "none", "-"])
    text = "Nominal, not measured."
    if found is not None:
        left_out = "" if found.left_out_rms_px is None else f", {found.left_out_rms_px:.3f} px in pictures left out"
        text = (
            f"Model {found.model}; {found.pictures_used} of {found.pictures_taken} pictures used, rms "
            f"{found.rms_px:.3f} px{left_out}."
        )
    left = "" if found is None else "".join(f"<p>{escape(reason)}</p>" for reason in found.refused)
    return f"<h2>Camera</h2><p>{escape(text)}</p>{left}{_table(rows)}"


def _viewpoints(record: Calibration) -> str:
    """Each viewpoint's pose with the longest axis of its intervals, and how the arm returned there."""
    if not record.viewpoints:
        return "<h2>Viewpoints</h2><p>Nominal, not measured.</p>"
    rows = [["Viewpoint", "arm x, y, z (mm), tilt, pan (degrees)", "camera x, y, z (mm)", "+- 95 % (mm)",
             "+- 95 % (degrees)", "returns scatter (mm; degrees; px)"]]  # fmt: skip
    for view in record.viewpoints:
        pose, spread = view.pose(), np.array(view.covariance)
        mm = view.factor95 * math.sqrt(np.linalg.eigvalsh(spread[3:, 3:])[-1])
        deg = view.factor95 * math.degrees(math.sqrt(np.linalg.eigvalsh(spread[:3, :3])[-1]))
        back = view.returns
        scatter = "-" if back is None else f"{back.count}: {back.mm:.3f}; {back.deg:.4f}; {back.px:.1f}"
        rows.append([
            view.name, ", ".join(f"{v:g}" for v in view.arm), ", ".join(f"{v:.3f}" for v in pose[:3, 3]),
            f"{mm:.3f}", f"{deg:.4f}", scatter,
        ])  # fmt: skip
    return f"<h2>Viewpoints</h2><p>Where the camera stands on average; a visit adds the scatter.</p>{_table(rows)}"


def _lights(record: Calibration) -> str:
    """Each directional light with its 95 % intervals: 2.448 sigma in two axes, 1.96 in one."""
    rows = [["Light", "azimuth, slant (degrees)", "+- 95 %", "distance (mm)", "+- 95 %", "intensity", "+- 95 %"]]
    for light in record.lights:
        if light.kind != "directional":
            continue
        azimuth, slant = azimuth_slant_deg(light.unit_direction())
        reach = "-" if light.position_mm is None else f"{math.dist(light.position_mm, (0, 0, 0)):.1f}"
        rows.append([
            light.name, f"{azimuth:.2f}, {slant:.2f}", _maybe(light.direction_spread_deg, 2.448, "{:.2f}"), reach,
            _maybe(light.distance_spread_mm, 1.96, "{:.1f}"), f"{light.relative_intensity:.4f}",
            _maybe(light.intensity_spread, 196.0, "{:.2f} %"),
        ])  # fmt: skip
    return f"<h2>Lights</h2>{_table(rows)}"


def _field(record: Calibration) -> str:
    """What the flat-field maps add to the light model, and their file."""
    field = record.flat_field
    if field is None:
        return "<h2>Flat field</h2><p>Not measured.</p>"
    tilt = "unknown" if field.plane_tilt_deg is None else (
        f"{field.plane_tilt_deg:.2f} +- {1.96 * (field.plane_tilt_spread_deg or 0):.2f} degrees"
    )  # fmt: skip
    rows = [
        ["Maps depart from the light model, beside what all lights share, by", f"{field.departure_percent:.2f} % rms"],
        ["White plane off where it should lie", tilt],
        ["File", field.file],
        ["SHA-256", field.sha256],
    ]
    return f"<h2>Flat field</h2>{_table(rows, header=False)}"


def _figures(plots: Sequence[Plot]) -> str:
    return "".join(f"<figure>{_drawn(plot)}<figcaption>{escape(plot.caption)}</figcaption></figure>" for plot in plots)


def _drawn(plot: Plot) -> str:
    """A plot inside the page: SVG as it is, PNG as a data URL."""
    if plot.kind == "svg":
        return plot.data.decode("utf-8").replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)
    data = base64.b64encode(plot.data).decode("ascii")
    return f'<img alt="{escape(plot.caption)}" src="data:image/png;base64,{data}">'


def _maybe(value: float | None, factor: float, form: str) -> str:
    return "-" if value is None else form.format(value * factor)


def _sensor(record: Calibration) -> str:
    """The EMVA 1288 figures with their 95 % intervals."""
    s = record.sensor
    if s is None:
        return "<h2>Sensor</h2><p>Not measured.</p>"
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


def _pictures(record: Calibration) -> str:
    about = record.provenance
    if about is None:
        return ""
    pictures = [["Picture", "SHA-256 of its pixels"], *([p.name, p.sha256] for p in about.pictures)]
    count = f"{len(about.pictures)} pictures on which this calibration rests"
    return f"<h2>Evidence</h2><details><summary>{count}</summary>{_table(pictures)}</details>"


def _table(rows: Sequence[Sequence[str]], header: bool = True) -> str:
    out = []
    for number, row in enumerate(rows):
        tag = "th" if header and number == 0 else "td"
        out.append("<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>")
    return f"<table>{''.join(out)}</table>"
