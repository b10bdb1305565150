"""Probability of detection against size, per kind of defect and view: a90 and a90/95 at a stated overkill.

    python benchmarks/pod.py take connector FOLDER [--parts 40]
    python benchmarks/pod.py measure FOLDER --data SIZED_SET --good GOOD_SET --model FILE [--model FILE ...] [--out DIR]

`take` renders parts with several separate defects each, of sizes from invisible to obvious (10 to 15 CPU-seconds a
part; station/teach/sized_defects.py). SIZED_SET is the data set that is prepared from this collection, with the same
names of parts. `measure` judges it by each model (before and after, say), after every limit was multiplied by one
factor at which a good part fails with probability `--overkill`: it is fitted to the good test parts of GOOD_SET, and n
is printed.

A defect is found in a view where the mean of the map's highest pixels around it lies above the view's limit; `any` is
found in any view that sees it. Scratches and dents are measured by depth at inspection length and width, pits by width
with depth in proportion, stains by contrast. Curves are MIL-HDBK-1823A's hit/miss logistic (models/pod.py). A kind or
view that bears no curve is listed with the reason.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from models.dataset import DatasetError, load_dataset
from models.defect_hits import defect_ratio
from models.judgements import judge_dataset
from models.model_file import ModelFile
from models.overkill import limit_factor
from models.pod import PodCurve, PodRefused, fit_pod
from models.shares import share
from station.collection.folder import Collection
from station.errors import BadInput
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.report.figure_grid import write_picture
from station.report.pod_plot import PodPlot, draw_pod_plots
from station.teach.sized_defects import KINDS, MEASURES, collect_sized, read_labels, read_sized

ANY = "any"


@dataclass(frozen=True, slots=True)
class Seen:
    """One defect in one view, or in any: its measure, and its ratio (above 1: found) under the scaled limits."""

    kind: str
    view: str
    part: str
    label: int
    value: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Row:
    """One curve of the table, or why there is none."""

    kind: str
    view: str
    unit: str
    defects: int
    found: int
    a90: float | None = None
    a90_95: float | None = None
    a90_95_plain: float | None = None
    method: str = ""
    refused: str = ""


def seen_defects(collection: Collection, data: Path, model: ModelFile, factor: float) -> list[Seen]:
    """Every defect in every view that sees it, and in any view; DatasetError where set and collection differ."""
    items = {(i.part, i.view): i for i in load_dataset(data).of("test") if i.variant == "plain"}
    found: list[Seen] = []
    for part in collection.parts():
        views: dict[int, list[Seen]] = {}
        for view in part.frames:
            if (part.name, view) not in items:
                raise DatasetError(
                    f"{data}: has no test picture of {part.name} / {view}; prepare it from {collection.folder}"
                )
            labels = read_labels(collection, part, view)
            fused = model.judge(items[part.name, view])[1]
            for sized in read_sized(collection, part):
                mask = labels == sized.label
                if mask.any():
                    ratio = defect_ratio(fused, mask, model.limits[view] * factor)
                    one = Seen(sized.kind, view, part.name, sized.label, sized.value, ratio)
                    views.setdefault(sized.label, []).append(one)
        for label, seen in views.items():
            best = max(seen, key=lambda s: s.ratio)
            found += [*seen, Seen(best.kind, ANY, part.name, label, best.value, best.ratio)]
        print(f"{model.name}: {part.name}", file=sys.stderr, flush=True)
    return found


def table(seen: Sequence[Seen], views: Sequence[str]) -> Iterator[tuple[Row, PodPlot]]:
    """A row and a plot for each kind in any view, then for each kind in each view."""
    for view in (ANY, *views):
        for kind in KINDS:
            chosen = [s for s in seen if s.kind == kind and s.view == view]
            if chosen:
                yield _row(kind, view, chosen)


def _row(kind: str, view: str, chosen: Sequence[Seen]) -> tuple[Row, PodPlot]:
    measure = MEASURES[kind]
    sizes, hit = np.array([s.value for s in chosen]), np.array([s.ratio > 1 for s in chosen])
    axis, title = f"{measure.name}, {measure.unit}", f"{kind.replace('_', ' ')}, {view}"
    try:
        curve = fit_pod(sizes, hit)
    except PodRefused as error:
        row = Row(kind, view, measure.unit, len(hit), int(hit.sum()), refused=str(error))
        return row, PodPlot(title, axis, sizes, hit, note=str(error))
    plot = PodPlot(title, axis, sizes, hit, curve.pod, curve.lower, curve.a90, curve.a90_95)
    return _row_of(kind, view, measure.unit, curve), plot


def _row_of(kind: str, view: str, unit: str, c: PodCurve) -> Row:
    bounds = [b if math.isfinite(b) else None for b in (c.a90_95, c.a90_95_plain)]
    return Row(kind, view, unit, c.defects, c.hits, c.a90, bounds[0], bounds[1], c.method)


def _text(rows: Sequence[Row]) -> str:
    def number(x: float | None) -> str:
        return "-" if x is None else f"{x:.3g}"

    lines = [f"{'kind':<14}{'view':<8}{'found':>10}{'a90':>9}{'a90/95':>9}{'plain':>9}  unit, curve"]
    for r in rows:
        how = r.refused or r.method
        lines.append(
            f"{r.kind:<14}{r.view:<8}{f'{r.found} of {r.defects}':>10}{number(r.a90):>9}{number(r.a90_95):>9}"
            f"{number(r.a90_95_plain):>9}  {r.unit}, {how}"
        )
    return "\n".join(lines)


def take(product: str, folder: Path, parts: int, threads: int) -> None:
    """Render the parts of a study that the folder does not hold yet."""
    loaded = load_recipe(DEMO_RECIPES / f"{product}.yaml", need_model=False)

    def told(text: str, done: float) -> None:
        print(f"{100 * done:3.0f} % {text}", file=sys.stderr, flush=True)

    collect_sized(loaded, folder, parts, told, threads)


def measure(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """Tables and plots of each model; prints as it goes."""
    collection = Collection.open(arguments.collection)
    documents: list[dict[str, object]] = []
    for file in arguments.model:
        good = load_dataset(arguments.good)
        judged = judge_dataset(ModelFile(file, good), good)
        is_defective = judged.parts()
        ratios = [r for part, r in judged.part_ratios(judged.rows()).items() if not is_defective[part]]
        factor = limit_factor(ratios, arguments.overkill)
        failed = share(sum(r > factor for r in ratios), len(ratios))
        sized = load_dataset(arguments.data)
        seen = seen_defects(collection, arguments.data, ModelFile(file, sized), factor)
        rows, plots = zip(*table(seen, sized.views), strict=True)
        heading = (
            f"{sized.product}, {file}: limits times {factor:.3f} for an overkill of {100 * arguments.overkill:g} % "
            f"a part, fitted to {len(ratios)} good parts, of which {failed.as_text()} fail there"
        )
        if not arguments.json:
            print(heading + "\n" + _text(rows) + "\n")
        if arguments.out is not None:
            write_picture(draw_pod_plots(plots[: len(KINDS)]), arguments.out / f"pod-{sized.product}-{file.stem}.png")
            write_picture(draw_pod_plots(plots, 5), arguments.out / f"pod-{sized.product}-{file.stem}-views.png")
        documents.append({
            "product": sized.product, "model": str(file), "factor": factor, "good_parts": len(ratios),
            "overkill": arguments.overkill, "rows": [asdict(r) for r in rows], "defects": [asdict(s) for s in seen],
        })  # fmt: skip
    return documents


def main() -> int:
    """The command line; 2 for what cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    taking = commands.add_parser("take")
    taking.add_argument("product", choices=("connector", "knob"))
    taking.add_argument("collection", type=Path)
    taking.add_argument("--parts", type=int, default=40)
    taking.add_argument("--threads", type=int, default=2)
    measuring = commands.add_parser("measure")
    measuring.add_argument("collection", type=Path)
    measuring.add_argument("--data", type=Path, required=True)
    measuring.add_argument("--good", type=Path, required=True)
    measuring.add_argument("--model", type=Path, action="append", required=True)
    measuring.add_argument("--overkill", type=float, default=0.01)
    measuring.add_argument("--out", type=Path)
    measuring.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        if arguments.command == "take":
            take(arguments.product, arguments.collection, arguments.parts, arguments.threads)
            return 0
        documents = measure(arguments)
    except (BadInput, DatasetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(documents, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
