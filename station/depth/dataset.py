"""Folders of views with depth, written for training and for the benchmark; `models/depth_views.py` has the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from models.depth_views import INDEX, SPLITS, DepthItem, DepthView, write_index, write_view
from station.depth.generated import ReliefPatches, cut_patches, relief_kind, relief_view
from station.depth.simulated import BINNING, RigAsDrawn, simulated_views
from station.errors import BadInput

GENERATED = "generated"
SEEDS_APART = 1_000_000  # between two splits, so that no relief is in both
PARTS_FROM = 9000  # seeds of parts: data sets of the detector begin at 1000, 3000, 7000 and 8000
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class DepthDataReport:
    """What was written."""

    folder: str
    files: int
    views: dict[str, int]  # split -> files

    def as_text(self) -> str:
        """One line."""
        shares = ", ".join(f"{count} {split}" for split, count in self.views.items())
        return f"{self.folder}: {self.files} views with depth ({shares})"


def write_reliefs(
    out: Path, reliefs: Mapping[str, int], seed: int, patches: ReliefPatches, workers: int, progress: Progress
) -> DepthDataReport:
    """Write so many random reliefs of each split as patches. The same arguments write the same arrays.

    Raises BadInput where the folder already holds a data set.
    """
    _refuse_existing(out)
    jobs = [(split, _relief_seed(seed, split, n)) for split, count in reliefs.items() for n in range(count)]
    items: list[DepthItem] = []
    for done, (split, number, views) in enumerate(_relief_patches(jobs, patches, workers)):
        part = f"{split}-{number}"
        for k, view in enumerate(views):
            name = f"{split}/{number:08d}-{k}.npz"
            write_view(out / name, view)
            items.append(DepthItem(name, split, GENERATED, relief_kind(number), part))
        progress(part, (done + 1) / len(jobs))
    write_index(out, seed, f"station depth data --size {patches.size_px}", items)
    return _report(out, items)


def write_products(
    out: Path, products: Mapping[str, int], seed: int, progress: Progress, *,
    split: str = "test", binning: int = BINNING, views: tuple[str, ...] | None = None,
) -> DepthDataReport:  # fmt: skip
    """Write whole views of so many parts of each product, a drawn one or a mesh by name or path.

    Raises BadInput for a product that there is not, and where the folder already holds a data set.
    """
    _refuse_existing(out)
    rig = RigAsDrawn.load()
    parts = [(product, _part_seed(seed, n)) for product, count in products.items() for n in range(count)]
    items: list[DepthItem] = []
    for done, (product, number) in enumerate(parts):
        called = Path(product).stem
        try:
            for name, view in simulated_views(rig, product, number, views, binning=binning):
                file = f"{split}/{called}-{number}-{name}.npz"
                write_view(out / file, view)
                items.append(DepthItem(file, split, called, name, f"{called}-{number}"))
        except ValueError as error:
            raise BadInput(str(error)) from error
        progress(f"{called}-{number}", (done + 1) / len(parts))
    write_index(out, seed, f"station dataset simulate --depth, binning {binning}", items)
    return _report(out, items)


def _refuse_existing(out: Path) -> None:
    if (out / INDEX).exists():
        raise BadInput(f"{out} already holds a data set: choose another folder, or remove it first")


def _relief_seed(seed: int, split: str, n: int) -> int:
    return (seed * len(SPLITS) + SPLITS.index(split)) * SEEDS_APART + n


def _part_seed(seed: int, n: int) -> int:
    return PARTS_FROM + 100 * seed + n


def _relief_patches(
    jobs: list[tuple[str, int]], patches: ReliefPatches, workers: int
) -> Iterator[tuple[str, int, list[DepthView]]]:
    """(split, seed, patches) in the jobs' order, from processes of their own where there are several."""
    seeds = [number for _, number in jobs]
    sizes = [patches] * len(jobs)
    if workers == 1:
        for (split, number), views in zip(jobs, map(_patches_of, seeds, sizes), strict=True):
            yield split, number, views
        return
    # spawned: a fork would take over the locks of numba's threads
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for (split, number), views in zip(jobs, pool.map(_patches_of, seeds, sizes), strict=True):
            yield split, number, views


def _patches_of(seed: int, patches: ReliefPatches) -> list[DepthView]:
    return cut_patches(relief_view(seed, patches.relief_px), patches)


def _report(out: Path, items: list[DepthItem]) -> DepthDataReport:
    counts: dict[str, int] = {}
    for item in items:
        counts[item.split] = counts.get(item.split, 0) + 1
    return DepthDataReport(str(out), len(items), counts)
