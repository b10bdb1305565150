"""`station depth`: the depth of every view of a source, by one method, written into a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from station.depth.files import DepthFiles, FoundDepth, write_depth
from station.depth.model_half import Method, depth_of, uncertainty_of
from station.depth.sources import NamedView, views_of
from station.documents.atomic import write_atomic
from station.errors import BadInput

REPORT = "depth.json"
ELSEWHERE = "On other parts nothing is promised; `benchmarks/depth.py` measures it where the true depth is known."


@dataclass(frozen=True, slots=True)
class DepthChoice:
    """How the depth is found; all but the method is for models alone."""

    method: Method = "integrate"
    model: Path | None = None
    steps: int = 10  # of the sampler (DDIM)
    samples: int = 4  # whose spread is the standard deviation
    seed: int = 0


@dataclass(frozen=True, slots=True)
class DepthReport:
    """What was written; `depth.json` holds the same."""

    source: str
    out: str
    method: str
    model: str | None
    unit: str  # of heights and pixel sizes
    uncertainty: str | None  # what the standard deviations are worth; None without any
    views: tuple[DepthFiles, ...]

    def as_dict(self) -> dict[str, object]:
        """For machines."""
        return asdict(self)

    def as_text(self) -> str:
        """A line for each view."""
        lines = [f"{self.source}: {len(self.views)} views, method {self.method}, written to {self.out}"]
        for view in self.views:
            low, high = view.height_range
            lines.append(
                f"    {view.name:<24} height {low:8.3f} to {high:8.3f} {self.unit}, relative; "
                f"16-bit step {view.depth_step:g} {self.unit}"
            )
        if self.uncertainty is not None:
            lines.append(f"standard deviation, on random reliefs: {self.uncertainty} {ELSEWHERE}")
        return "\n".join(lines)


def depth_of_source(
    source: str, out: Path, choice: DepthChoice, progress: Callable[[str], None], *,
    archive: Path | None = None, mm_per_px: float | None = None, split: str = "test",
) -> DepthReport:  # fmt: skip
    """Find and write the depth of each view of a source.

    Raises BadInput: no such source, no model where the method needs one, or nothing in the split.
    """
    if choice.method != "integrate" and choice.model is None:
        raise BadInput(f"--method {choice.method} needs --model FILE, which `station depth train` writes")
    written, unit = [], "mm"
    uncertainty = None if choice.model is None or choice.method == "integrate" else uncertainty_of(choice.model)
    for named in views_of(source, archive, mm_per_px, split):
        begun = time.monotonic()
        written.append(write_depth(out, found_depth(named, choice)))
        unit = named.unit
        progress(f"{named.name}: {time.monotonic() - begun:.1f} s")
    if not written:
        raise BadInput(f"{source}: holds no view in the split {split}: name another one with --split")
    report = DepthReport(
        source, str(out), choice.method, None if choice.model is None else str(choice.model), unit, uncertainty,
        tuple(written),
    )  # fmt: skip
    write_atomic(out / REPORT, (json.dumps(report.as_dict(), indent=2) + "\n").encode())
    return report


def found_depth(named: NamedView, choice: DepthChoice) -> FoundDepth:
    """The depth of one view. Integration claims a height where a normal was observed, a model everywhere."""
    view = named.view
    if choice.method == "integrate" or choice.model is None:
        return FoundDepth(named.name, view, view.integrated, None, view.mask, named.unit)
    if named.unit != "mm":
        raise BadInput(f"--method {choice.method} needs the size of a pixel: give --mm-per-px")
    height, std = depth_of(view, choice.model, choice.method, choice.steps, choice.samples, choice.seed)
    return FoundDepth(named.name, view, height, std, np.ones(view.shape, np.bool_), "mm")
