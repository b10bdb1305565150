"""Evaluation reports as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.evaluate import EvaluationReport, Figure, Figures

_COLUMNS = ("I-AUROC", "S-AUROC", "I-F1", "P-AUROC", "P-AUPRO")
_WIDTH = 21
_TITLE = {
    "part": "the views of a part decide together, scores over limits",
    "top": "the view from above alone (the paper's Table 2)",
    "independent": "every view an image by itself (the paper's Table 3), S-AUROC beside it",
    "ablation": "every view an image by itself (the paper's Table 4), S-AUROC beside it",
}


def figure_text(figure: Figure) -> str:
    """As `.972 [.955, .987]`; a dash where the figure is not defined."""
    if np.isnan(figure.value):
        return "-"
    return f"{_short(figure.value)} [{_short(figure.low)}, {_short(figure.high)}]"


def report_text(found: EvaluationReport) -> str:
    """One method: everything, then each view, each kind of defect, and what the kinds change."""
    w = found.whole
    lines = [
        f"{found.product}, {found.method}: {_TITLE[found.protocol]}",
        f"{w.good_parts} good and {w.defective_parts} defective parts, {w.views} views, {w.regions} defect regions, "
        f"maps of {found.map_size[1]} x {found.map_size[0]} px, P-AUPRO to {found.aupro_limit}",
        f"in brackets: {100 * found.confidence:.0f} % intervals over parts, {found.resamples} resamples, "
        f"seed {found.seed}",
        f"good parts that fail: {w.good_failed.as_text()}; defective parts that fail: {w.defective_failed.as_text()}",
        "",
        *_table([("all", w)]),
        *_section("view", found.by_view),
        *_section("kind, against all good parts", found.by_kind),
        *_section("what the defect changes", found.by_change),
        "",
        f"I-F1 chooses its threshold on the test data; calling every view defective gives {_short(w.i_f1_floor)}",
    ]
    return "\n".join(lines)


def comparison_text(reports: Sequence[EvaluationReport]) -> str:
    """Several methods on the same set, one line each."""
    first = reports[0]
    lines = [f"{first.product}: {_TITLE[first.protocol]}"]
    lines.append(
        f"{first.whole.good_parts} good and {first.whole.defective_parts} defective parts; in brackets: "
        f"{100 * first.confidence:.0f} % intervals over parts, {first.resamples} resamples"
    )
    return "\n".join([*lines, "", *_table([(r.method, r.whole) for r in reports])])


def _section(title: str, rows: Mapping[str, Figures]) -> list[str]:
    return ["", *_table(list(rows.items()), title)] if len(rows) > 1 or title != "view" else []


def _table(rows: Sequence[tuple[str, Figures]], title: str = "") -> list[str]:
    wide = max(24, len(title) + 2, *(len(name) + 2 for name, _ in rows)) if rows else 24
    lines = [f"{title:<{wide}}{'parts':>8}" + "".join(f"{c:>{_WIDTH}}" for c in _COLUMNS)]
    for name, f in rows:
        cells = [figure_text(x) for x in (f.i_auroc, f.s_auroc, f.i_f1, f.p_auroc, f.p_aupro)]
        parts = f"{f.good_parts}+{f.defective_parts}"
        lines.append(f"{name:<{wide}}{parts:>8}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells))
    return lines


def _short(value: float) -> str:
    """Three decimals without a leading zero, as the tables of papers have it."""
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else text
