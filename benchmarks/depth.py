"""Depth against the exact truth, side by side: integration, the literal form, the residual form. All simulated.

    python benchmarks/depth.py [--data FOLDER ...] [--literal MODEL ...] [--residual MODEL ...] [--slopes MODEL ...]
                               [--json]

`--data` are folders of views with depth; without any, unseen reliefs and parts of six products on which no model was
trained are made in `--cache` first (minutes to an hour; `--small`: some minutes). `--slopes` are models of the residual
form with the slopes head. A model may be given once for each seed it was trained with: each has rows of its own, and
their squared errors are pooled in one more. Heights are compared with their mean difference over the part taken off.
RMSE in mm; beside it the shares of pixels that are off by more than 0.1 mm and by more than 0.5 mm, and `covered`, the
share within 1.96 standard deviations of a model, which were meant to be 95 %.

    all          every pixel of the part            smooth       observed, and farther than 1 mm from a step
    steps        within 1 mm of a step              unobserved   no normal: in shadow, clipped, or too steep

A figure pools the squared errors of all views. Intervals (95 %) resample the parts, the same ones for every method, so
that the ratios to integration are paired; a single part has no interval. `products` pools all products. Memory is the
peak of the whole process after the method's last view.
The exit code is 1 where a residual model is given and a goal is missed: at most 1.05 times integration's error on
smooth regions, and at most half of it near steps and on unobserved pixels.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from drivers.process_memory import peak_memory_mb
from models.depth_views import DepthIndex, DepthItem, DepthView, centred, read_index
from station.depth.dataset import write_products, write_reliefs
from station.depth.files import FoundDepth
from station.depth.generated import ReliefPatches
from station.depth.model_half import Method
from station.depth.run import DepthChoice, found_depth
from station.depth.sources import NamedView
from station.photometric_stereo.surfaces import filled_height_mm

PRODUCTS = ("connector", "knob", "block", "lever", "crank", "sheet")
REGIONS = ("all", "smooth", "steps", "unobserved")
BAD_MM = (0.1, 0.5)
PROMISED, SIGMAS = 0.95, 1.959964  # share of the pixels within so many standard deviations
RESAMPLES = 2000
GOALS = {"smooth": 1.05, "steps": 0.5, "unobserved": 0.5}  # of integration's RMSE
F64 = NDArray[np.float64]
Methods = dict[str, list["Candidate"]]  # rows of one name
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to a height; `row` is its own row's name where several share one."""

    method: Method
    model: Path | None = None
    row: str | None = None


@dataclass
class Tally:
    """Sums of one method by region, (parts, 2 + len(BAD_MM)): squares, bad pixels, covered pixels; and all pixels."""

    parts: tuple[str, ...]
    sums: dict[str, F64] = field(init=False)
    pixels: dict[str, F64] = field(init=False)
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    def __post_init__(self) -> None:
        self.sums = {name: np.zeros((len(self.parts), 2 + len(BAD_MM))) for name in REGIONS}
        self.pixels = {name: np.zeros(len(self.parts)) for name in REGIONS}

    def add(self, part: str, view: DepthView, found: FoundDepth) -> None:
        row = self.parts.index(part)
        off = (centred(found.height, view.valid) - view.depth).astype(np.float64)
        allowed = np.full(view.shape, np.nan) if found.std is None else SIGMAS * found.std
        for name, where in regions(view).items():
            e = np.abs(off[where])
            inside = float((e <= allowed[where]).sum()) if found.std is not None else np.nan
            self.sums[name][row] += [float((e**2).sum()), *(float((e > bad).sum()) for bad in BAD_MM), inside]
            self.pixels[name][row] += e.size

    def figures(self, region: str, weights: F64) -> F64:
        """(r, 2 + len(BAD_MM)) RMSE, shares of bad and of covered pixels for weights (r, parts); NaN without pixels."""
        pixels = weights @ self.pixels[region]
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (weights @ self.sums[region]) / pixels[:, None]
        found[:, 0] = np.sqrt(found[:, 0])
        return found


def pooled(of_products: Sequence[dict[str, Tally]]) -> dict[str, Tally]:
    """The tallies of several products as one; every part counts as one part."""
    found = {}
    for name in of_products[0]:
        tallies = [product[name] for product in of_products]
        found[name] = whole = Tally(tuple(part for tally in tallies for part in tally.parts))
        for region in REGIONS:
            whole.sums[region] = np.concatenate([tally.sums[region] for tally in tallies])
            whole.pixels[region] = np.concatenate([tally.pixels[region] for tally in tallies])
    return found


def regions(view: DepthView) -> dict[str, NDArray[np.bool_]]:
    return {
        "all": view.valid,
        "smooth": view.valid & view.mask & ~view.steps,
        "steps": view.valid & view.steps,
        "unobserved": view.valid & ~view.mask,
    }


def made(cache: Path, small: bool, binning: int, parts: int) -> list[Path]:
    """The folders that the benchmark makes for itself, once."""
    reliefs, products = cache / ("reliefs-small" if small else "reliefs"), cache / f"products-{parts}-{binning}"
    if not (reliefs / "dataset.json").exists():
        write_reliefs(reliefs, {"test": 9 if small else 90}, 7, ReliefPatches(), 2, progress)
    if not (products / "dataset.json").exists():
        write_products(products, dict.fromkeys(PRODUCTS, parts), 7, progress, binning=binning)
    return [reliefs, products]


def progress(what: str, share: float) -> None:
    print(f"{share:6.1%} {what}", file=sys.stderr, flush=True)


def measured(
    index: DepthIndex,
    items: Sequence[DepthItem],
    methods: Methods,
    choice: DepthChoice,
) -> dict[str, Tally]:
    """Every method on every view; of several models (seeds) each, and their pooled sums."""
    parts = tuple(dict.fromkeys(item.part for item in items))
    names = [name for of, found in methods.items() for name in (of, *(c.row for c in found if c.row))]
    tallies = {name: Tally(parts) for name in names}
    for item in items:
        view = index.read(item)
        for name, candidates in methods.items():
            for candidate in candidates:
                method, model = candidate.method, candidate.model
                begun = time.perf_counter()
                if method == "integrate":  # what the folder keeps is measured anew, so that its time is known
                    filled_height_mm(view.normals, view.pixel_mm)
                one = DepthChoice(method, model, choice.steps, choice.samples, choice.seed)
                found = found_depth(NamedView(item.part, view), one)
                seconds = time.perf_counter() - begun
                for tally in (tallies[row] for row in (name, candidate.row) if row is not None):
                    tally.seconds.append(seconds)
                    tally.peak_mb = peak_memory_mb()
                    tally.add(item.part, view, found)
    return tallies


def rows_of(title: str, tallies: dict[str, Tally], seed: int) -> list[Row]:
    base = next(iter(tallies.values()))
    count = len(base.parts)
    has_interval = count > 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)
    whole = np.ones((1, count))
    rows: list[Row] = []
    for region in REGIONS:
        reference = base.figures(region, whole)[0, 0], base.figures(region, drawn)[:, 0]
        for name, tally in tallies.items():
            one, many = tally.figures(region, whole)[0], tally.figures(region, drawn)
            bad = {f"above_{limit:g}_mm": float(share) for limit, share in zip(BAD_MM, one[1:-1], strict=True)}
            rows.append({
                "data": title, "parts": count, "region": region, "method": name,
                "pixels": int(tally.pixels[region].sum()),
                "rmse_mm": float(one[0]), "rmse_interval": interval(many[:, 0], has_interval), **bad,
                "covered": float(one[-1]), "covered_interval": interval(many[:, -1], has_interval),
                "of_integration": float(one[0] / reference[0]),
                "of_integration_interval": interval(many[:, 0] / reference[1], has_interval),
            })  # fmt: skip
    return rows


def interval(values: F64, is_known: bool) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size or not is_known:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def as_text(row: Row) -> str:
    bad = "".join(f"{row[f'above_{limit:g}_mm']:>9.1%}" for limit in BAD_MM)
    return (
        f"{row['data']:<20}{row['parts']:>6}  {row['region']:<11}{row['method']:<14}{row['rmse_mm']:>8.3f} "
        f"{between(row['rmse_interval'], 3):<13}{bad}{row['of_integration']:>8.2f} "
        f"{between(row['of_integration_interval'], 2):<11}{row['pixels']:>10}{covered(row):>20}"
    )


def covered(row: Row) -> str:
    share = float(str(row["covered"]))
    if np.isnan(share):
        return "-"
    low, high = cast(tuple[float, float], row["covered_interval"])
    return f"{share:.1%} " + (f"({low:.1%}-{high:.1%})" if low <= high else "(-)")


def between(values: object, digits: int) -> str:
    low, high = cast(tuple[float, float], values)
    if not low <= high:
        return "(-)"
    return f"({low:.{digits}f}-{high:.{digits}f})"


def missed_goals(rows: Sequence[Row]) -> list[str]:
    """Goals of the residual form; nothing where it was not measured."""
    missed = []
    for row in rows:
        goal, ratio = GOALS.get(str(row["region"])), float(str(row["of_integration"]))
        if row["method"] in ("residual", "slopes") and goal is not None and row["pixels"] and not ratio <= goal:
            missed.append(f"{row['method']}, {row['data']}, {row['region']}: {ratio:.2f} of integration, goal {goal:g}")
    return missed


def too_narrow(rows: Sequence[Row]) -> list[str]:
    """Where the stated uncertainty is too small: the interval over parts ends below 95 %, or one part alone does."""
    found = []
    for row in rows:
        share, (low, high) = float(str(row["covered"])), cast(tuple[float, float], row["covered_interval"])
        if share < PROMISED and not (low <= high and high >= PROMISED):
            found.append(
                f"{row['method']}, {row['data']}, {row['region']}: {share:.1%} within 1.96 standard deviations"
            )
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--cache", type=Path, default=Path("out/depth-benchmark"))
    parser.add_argument("--small", action="store_true", help="one part of each product, binning 16, 9 reliefs")
    parser.add_argument("--parts", type=int, default=4, help="of each product")
    parser.add_argument("--literal", type=Path, nargs="*", default=[])
    parser.add_argument("--residual", type=Path, nargs="*", default=[])
    parser.add_argument("--slopes", type=Path, nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _candidates(name: str, method: Method, models: Sequence[Path]) -> Methods:
    """The models of one method; with several, each has a row by its file's name."""
    if not models:
        return {}
    return {name: [Candidate(method, model, model.stem if len(models) > 1 else None) for model in models]}


def main() -> int:
    wanted = arguments()
    small = wanted.small
    folders = wanted.data or made(wanted.cache, small, 16 if small else 8, 1 if small else wanted.parts)
    methods: Methods = {"integrate": [Candidate("integrate")]}
    methods |= _candidates("literal", "generate", wanted.literal)
    methods |= _candidates("residual", "residual", wanted.residual)
    methods |= _candidates("slopes", "residual", wanted.slopes)
    choice = DepthChoice(steps=wanted.steps, samples=wanted.samples, seed=wanted.seed)
    rows: list[Row] = []
    costs: list[str] = []
    for folder in folders:
        index = read_index(folder)
        tested = index.of("test")
        of_products = []
        for product in dict.fromkeys(item.product for item in tested):
            tallies = measured(index, [item for item in tested if item.product == product], methods, choice)
            rows += rows_of(product, tallies, wanted.seed)
            of_products.append(tallies)
            costs += [
                f"{product:<22}{name:<14}{np.median(tally.seconds):>9.2f} s a view (median of {len(tally.seconds)})"
                f", process peak {tally.peak_mb:.0f} MB"
                for name, tally in tallies.items()
            ]
        if len(of_products) > 1:
            rows += rows_of("products", pooled(of_products), wanted.seed)
    missed = missed_goals(rows) + too_narrow(rows)
    if wanted.json:
        print(json.dumps({"rows": rows, "costs": costs, "missed": missed}, indent=2))
    else:
        head = f"{'data':<20}{'parts':>6}  {'region':<11}{'method':<14}{'RMSE mm':>8} {'(95 %)':<13}"
        print(
            head
            + "".join(f"{f'>{bad:g} mm':>9}" for bad in BAD_MM)
            + f"{'ratio':>8} {'(95 %)':<11}{'pixels':>10}{'covered':>20}"
        )
        print("\n".join(map(as_text, rows)))
        print("\n".join(["", *costs, *(f"MISSED  {text}" for text in missed)]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
