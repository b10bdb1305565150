"""One inspection in words: a few lines for a terminal, or one document for `--json`."""

from __future__ import annotations

from dataclasses import asdict

from station.inspection.part_id import visible
from station.inspection.result import DRAFT, Inspection
from station.report.timing_text import timing_lines


def inspection_lines(inspection: Inspection) -> list[str]:
    """Verdict with its reasons, and a line per captured view with score and limit."""
    simulated = " (simulated)" if inspection.is_simulated else ""
    draft = " DRAFT" if inspection.is_draft else ""
    lines = [f"{visible(inspection.part_id)}: {inspection.verdict.value}{draft}{simulated}"]
    if inspection.release:
        lines.append(f"    {release_line(inspection)}")
    if inspection.judged_alone:
        lines.append(f"    judged: {inspection.judged_alone}")
    for view in inspection.views:
        score = "no score" if view.pred_score is None else f"score {view.pred_score:8.3f}"
        mark = "  <- highest against its limit" if view.view == inspection.deciding_view else ""
        lines.append(f"    {view.view:<8} {view.verdict.value:<10} {score}  limit {view.limit:.3f}{mark}")
    lines += [f"    {line}" for line in re_exposed_lines(inspection)]
    lines += [f"    note: {retake}" for retake in inspection.retakes]
    lines += [f"    note: {look}" for look in inspection.re_looks]
    lines += [f"    reason: {reason}" for reason in inspection.reasons]
    return lines


def release_line(inspection: Inspection) -> str:
    """Which release judged, or that none did and why."""
    if inspection.is_draft:
        return f"DRAFT, no release judged: {inspection.release.removeprefix(f'{DRAFT}: ')}"
    return f"release {inspection.release} of {inspection.recipe_id}"


def re_exposed_lines(inspection: Inspection) -> list[str]:
    """A line per view of which frames were exposed again: no reason, but a link or a cable to look at if it recurs."""
    return [
        f"note: view {view.view!r}: {view.re_exposed} {'frame' if view.re_exposed == 1 else 'frames'} did not come "
        "whole and were exposed again; if that recurs, check the camera's cable"
        for view in inspection.views
        if view.re_exposed
    ]


def inspection_document(inspection: Inspection) -> dict[str, object]:
    """The same as plain data, with the keys that `--json` promises; pictures and maps stay in the archive."""
    return {
        "inspection_id": inspection.inspection_id,
        "part_id": inspection.part_id,
        "product": inspection.product,
        "recipe_id": inspection.recipe_id,
        "release": inspection.release or None,
        "is_draft": inspection.is_draft,
        "judged": inspection.judged_alone or "pictures and normals",
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
                "re_exposed": v.re_exposed,
            }
            for v in inspection.views
        },
        "retakes": [asdict(retake) for retake in inspection.retakes],
        "re_looks": [asdict(look) | {"text": str(look)} for look in inspection.re_looks],
        "processing_times_ms": inspection.processing_times_ms,
    }


def stage_lines(inspection: Inspection) -> list[str]:
    """What the verdict waited for, stage by stage; for a record without a timeline the sums of all stages.

    Those are wall milliseconds of threads that overlap: they do not add up to the total.
    """
    if lines := timing_lines(inspection.timeline):
        return [f"    {line}" for line in lines]
    times_ms = inspection.processing_times_ms
    width = max(map(len, times_ms), default=0)
    return [f"    {name:<{width}} {value:10.1f} ms" for name, value in times_ms.items()]
