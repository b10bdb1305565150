"""`station solve`: photometric stereo on a folder of photographs, without a rig and without a recipe."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station.commands.options import JsonOption, OutOption
from station.commands.say import say
from station.photometric_stereo.settings import ColourWeights, Method, Refinement, SolverSettings

if TYPE_CHECKING:
    from station.photometric_stereo.folder import SolveReport


def solve(
    folder: Annotated[Path, typer.Argument(help="Folder with filenames.txt, light_directions.txt, mask.png.")],
    out: OutOption,
    method: Annotated[Method, typer.Option(help="Solver; ls is that of the benchmark's figures.")] = "masked",
    lights: Annotated[str | None, typer.Option(help="Only these: names or file names, separated by commas.")] = None,
    weights: Annotated[
        ColourWeights, typer.Option(help="How colours make one value; luma is how the benchmark's figures were made.")
    ] = "luma",
    height: Annotated[bool, typer.Option("--height", help="Also integrate the height.")] = False,
    mm_per_px: Annotated[
        float | None, typer.Option(help="Size of a pixel on the part; height and curvature are in pixels without.")
    ] = None,
    shadow_fraction: Annotated[
        float,
        typer.Option(help="Of a pixel's bright level, 0.01 to 0.5: a light under it is in shadow there; not for ls."),
    ] = SolverSettings.shadow_fraction,
    refine: Annotated[
        Refinement,
        typer.Option(help="bounced: take off light from other surfaces of a matte part; masked, 4 lights or more."),
    ] = "none",
    as_json: JsonOption = False,
) -> None:
    """Photometric stereo on a folder of photographs: normals, albedo, slope, curvature, expected error, residuals."""
    from station.photometric_stereo.folder import solve_folder

    report = solve_folder(
        folder, out, method, None if lights is None else lights.split(","), weights,
        height=height, mm_per_px=mm_per_px, shadow_fraction=shadow_fraction, refine=refine,
    )  # fmt: skip
    say(asdict(report), as_json, "\n".join(_lines(report)))


def _lines(report: SolveReport) -> list[str]:
    """Coverage, residuals per light, and the angular errors where the folder has true normals."""
    lines = [
        f"{report.folder}: {len(report.lights)} lights, method {_method(report)}, condition {report.condition:.2f}",
        f"    {report.width_px} x {report.height_px} px, mask {report.mask_pixels} px, "
        f"observable {report.observable_share:.1%}, with saturation {report.saturated_share:.2%}",
        f"    lights counted per pixel {report.mean_lit_count:.1f}, "
        f"median residual {report.median_residual:.4f} of full scale",
        f"    signal counts from {report.dark_fraction:.2g} of full scale on; colours: {report.weights}",
        f"    {'light':<16}{'relighting':>12}{'left out':>12}   (residual / mean signal)   table off by",
    ]
    for name in report.lights:
        relit, left_out = report.relighting_residuals.get(name), report.leave_one_out_residuals.get(name)
        off = report.table_errors_deg.get(name)
        mark = "   <- look at this light" if name in report.suspicious_lights else ""
        table = "-" if off is None else f"{off:.2f} degrees"
        lines.append(f"    {name:<16}{_share(relit):>12}{_share(left_out):>12}{table:>39}{mark}")
    lines += [f"    ! {doubt}" for doubt in report.light_doubts]
    if report.table_not_judged:
        lines.append(f"    the table of lights was not judged: {report.table_not_judged}")
    return [
        *lines,
        *_surface_lines(report),
        *_error_lines(report),
        f"written to {report.out}: {', '.join(report.files)}",
    ]


def _surface_lines(report: SolveReport) -> list[str]:
    """What the surface does to the light, and the warnings."""
    lines = []
    if report.diffuse_share is not None:
        lines.append(
            f"    a matte surface explains {report.diffuse_share:.1%} of {report.diffuse_pixels} sampled pixels"
        )
    if report.concave_share is not None:
        fill = "" if report.concave_fill is None else f", at {report.concave_fill:.2f} of the bright level"
        lines.append(
            f"    a light is neither lit nor dark on {report.concave_share:.1%} of {report.concave_pixels} pixels{fill}"
        )
    if report.robust_against_masked is not None:
        lines.append(f"    {report.robust_against_masked.text}")
    return [*lines, *(f"    ! {warning}" for warning in report.warnings)]


def _error_lines(report: SolveReport) -> list[str]:
    """What is known of the normals' error, and the height's range if it was integrated."""
    lines = []
    if report.bounced_share is not None:
        lines.append(f"    bounced light taken off: {report.bounced_share:.1%} of the signal in the median")
    if report.uncertainty_median_deg is not None:
        lines.append(
            f"    {_expected(report)}: median {report.uncertainty_median_deg:.3f}, "
            f"p95 {report.uncertainty_p95_deg:.3f} degrees"
        )
    if report.height_range is not None:
        low, high = report.height_range
        lines.append(f"    height {low:.2f} to {high:.2f} {report.length_unit}, relative (mean 0)")
    for where, truth in (("observable pixels", report.truth), ("the whole mask", report.truth_whole_mask)):
        if truth is not None:
            lines.append(
                f"    against the truth, {where}: mean {truth.mean_deg:.3f}, median {truth.median_deg:.3f}, "
                f"p95 {truth.p95_deg:.3f} degrees, above 5 degrees {truth.share_above_5_deg:.1%} of {truth.pixels}"
            )
    return lines


def _method(report: SolveReport) -> str:
    """The method, and the refinement if there was one."""
    return report.method if report.refine == "none" else f"{report.method}, refined by {report.refine}"


def _expected(report: SolveReport) -> str:
    """What the expected error is, and what it covers."""
    if report.uncertainty_level == "rms":
        return f"error expected from {report.uncertainty_covers}"
    return f"95 % of errors are expected within (covers {report.uncertainty_covers})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
