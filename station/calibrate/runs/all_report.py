"""The outcome of `station calibrate all`: printed, as JSON, and as the page of tables and plots beside the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calibration.record import Calibration
from calibration.report.page import Section, html_report
from calibration.report.plots import Plot
from station.calibrate.lights.measured_lights import MeasuredLights
from station.calibrate.records.plots import write_plots
from station.calibrate.records.record_file import record_hash
from station.calibrate.studies.compare import Comparison
from station.calibrate.studies.demo_part import NormalErrors, When, is_wanted, summary
from station.documents.atomic import write_atomic

NORMALS = ("before", "after", "exact")


@dataclass(frozen=True)
class CalibrateReport:
    """What `calibrate all` did; `comparison` and `normals` are empty on a real rig, whose truth nobody knows."""

    record: str
    report: str
    calibration_id: str
    sha256: str
    released: bool
    flags: tuple[str, ...]
    seconds: float
    plots: dict[str, str]  # files by name
    comparison: tuple[Comparison, ...]
    normals: tuple[NormalErrors, ...]  # of the demo parts, before and after

    @property
    def ok(self) -> bool:
        """Whether the record is released and, on a simulated rig, agrees with the truth."""
        return self.released and all(row.ok for row in self.comparison) and normals_wanted(self.normals)

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        document = asdict(self)
        for row, shown in zip(self.comparison, document["comparison"], strict=True):
            shown["ok"] = row.ok
        for errors, shown in zip(self.normals, document["normals"], strict=True):
            shown["ok"] = errors.ok
        return document

    def as_text(self) -> str:
        """The comparison with the truth, the flags, and where record and report were written."""
        lines = [row.as_text() for row in self.comparison]
        lines += summary(self.normals)
        lines += [f"! {flag}" for flag in self.flags]
        state = "released" if self.released else "NOT released"
        return "\n".join([*lines, f"{state}: {self.record}", f"report: {self.report}", f"{self.seconds:.0f} s"])


def normals_wanted(found: Sequence[NormalErrors]) -> bool:
    """Whether the normals of each demo part, all views together, are as `is_wanted` asks."""
    of_part: dict[str, dict[When, NormalErrors]] = {}
    for errors in found:
        if errors.view == "all":
            of_part.setdefault(errors.part, {})[errors.when] = errors
    return all(is_wanted(own) for own in of_part.values())


def write_page(
    out: Path, record: Calibration, lights: MeasuredLights, plots: dict[Section, tuple[Plot, ...]],
    comparison: tuple[Comparison, ...], normals: tuple[NormalErrors, ...],
) -> tuple[Path, dict[str, str]]:  # fmt: skip
    """Writes `<id>.html`, and the plots once more into `<id>.plots`; returns the page and the plots' paths by name."""
    page = out / f"{record.calibration_id}.html"
    text = html_report(record, record_hash(record), plots=plots, tables=_tables(lights, comparison, normals))
    write_atomic(page, text.encode("utf-8"))
    drawn = write_plots(out / f"{record.calibration_id}.plots", [p for own in plots.values() for p in own])
    return page, drawn


def _tables(
    lights: MeasuredLights, comparison: tuple[Comparison, ...], normals: tuple[NormalErrors, ...]
) -> dict[str, list[list[str]]]:
    """By title, the first row of each the header."""
    rows = [["Light", "mirror to matte (degrees)", "matte to plane intensity (%)",
             "semi-calibrated to plane (%)", "left-out ratio", "flags"]]  # fmt: skip
    for k, name in enumerate(lights.names):
        apart = 100 * (lights.matte_intensities[k] / lights.plane.intensities[k] - 1)
        semi = 100 * (lights.part_intensities[k] / lights.plane.intensities[k] - 1)
        rows.append([
            name, f"{lights.disagreement_deg[k]:.2f}", f"{apart:+.2f}", f"{semi:+.2f}",
            f"{lights.left_out.ratios[k]:.2f}", "; ".join(lights.flags[k]) or "none",
        ])  # fmt: skip
    tables = {"Independent checks": rows}
    if comparison:
        tables["Against the simulated rig's truth"] = [
            ["Quantity", "median error", "worst error", "allowed", "truth inside the 95 % interval"],
            *(
                [r.quantity, f"{r.median_error:.3f} {r.unit}", f"{r.worst_error:.3f} {r.unit}", f"{r.worst_allowed:g}",
                 f"{r.inside} of {r.count}"]
                for r in comparison
            ),
        ]  # fmt: skip
    if normals:
        tables["Normals of the demo parts, mean angle to the exact ones in degrees"] = [
            ["Part", "view", *NORMALS],
            *(
                [part, view, *(f"{n.mean_deg:.2f}" for n in normals if (n.part, n.view) == (part, view))]
                for part, view in dict.fromkeys((n.part, n.view) for n in normals)
            ),
        ]
    return tables
