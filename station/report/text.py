"""One inspection in a few lines for a terminal."""

from __future__ import annotations

from dataclasses import asdict

from station.inspection.result import Inspection
from station.photometric_stereo.folder import SolveReport


def inspection_lines(inspection: Inspection) -> list[str]:
    """Verdict, reasons, and a line per view with score and limit."""
    simulated = " (simulated)" if inspection.is_simulated else ""
    lines = [f"{inspection.part_id}: {inspection.verdict.value}{simulated}"]
    for view in inspection.views:
        score = "no score" if view.pred_score is None else f"score {view.pred_score:8.3f}"
        mark = "  <- decides" if view.view == inspection.deciding_view else ""
        lines.append(f"    {view.view:<8} {view.verdict.value:<10} {score}  limit {view.limit:.3f}{mark}")
    lines += [f"    reason: {reason}" for reason in inspection.reasons]
    return lines


def inspection_document(inspection: Inspection) -> dict[str, object]:
    """The same for machines; arrays stay in the archive."""
    return {
        "inspection_id": inspection.inspection_id,
        "part_id": inspection.part_id,
        "product": inspection.product,
        "recipe_id": inspection.recipe_id,
        "verdict": inspection.verdict.value,
        "reasons": [str(reason) for reason in inspection.reasons],
        "reason_records": [asdict(reason) for reason in inspection.reasons],
        "deciding_view": inspection.deciding_view,
        "is_simulated": inspection.is_simulated,
        "is_partial": inspection.is_partial,
        "views": {
            v.view: {
                "verdict": v.verdict.value,
                "pred_score": v.pred_score,
                "limit": v.limit,
                "reasons": [reason.advice for reason in v.reasons],
            }
            for v in inspection.views
        },
        "processing_times_ms": inspection.processing_times_ms,
    }


def stage_lines(times_ms: dict[str, float]) -> list[str]:
    """Wall milliseconds per stage; stages on the two threads overlap, so they do not add up to the total."""
    width = max(map(len, times_ms), default=0)
    return [f"    {name:<{width}} {value:10.1f} ms" for name, value in times_ms.items()]


def solve_lines(report: SolveReport) -> list[str]:
    """What `station solve` found: coverage, residuals per light, errors where there is a truth."""
    lines = [
        f"{report.folder}: {len(report.lights)} lights, method {report.method}, condition {report.condition:.2f}",
        f"    {report.width_px} x {report.height_px} px, mask {report.mask_pixels} px, "
        f"observable {report.observable_share:.1%}, with saturation {report.saturated_share:.2%}",
        f"    lights counted per pixel {report.mean_lit_count:.1f}, "
        f"median residual {report.median_residual:.4f} of full scale",
        f"    {'light':<16}{'relighting':>12}{'left out':>12}   (residual / mean signal)",
    ]
    for name in report.lights:
        relit, left_out = report.relighting_residuals.get(name), report.leave_one_out_residuals.get(name)
        mark = "   <- look at this light" if name in report.suspicious_lights else ""
        lines.append(f"    {name:<16}{_share(relit):>12}{_share(left_out):>12}{mark}")
    if report.uncertainty_median_deg is not None:
        lines.append(
            f"    error expected of a usual sensor's noise alone: median {report.uncertainty_median_deg:.3f}, "
            f"p95 {report.uncertainty_p95_deg:.3f} degrees"
        )
    if report.height_range is not None:
        low, high = report.height_range
        lines.append(f"    height {low:.2f} to {high:.2f} {report.length_unit}, relative (mean 0)")
    if report.truth is not None:
        truth = report.truth
        lines.append(
            f"    against the truth: mean {truth.mean_deg:.3f}, median {truth.median_deg:.3f}, "
            f"p95 {truth.p95_deg:.3f} degrees, above 5 degrees {truth.share_above_5_deg:.1%}"
        )
    return [*lines, f"written to {report.out}: {', '.join(report.files)}"]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
