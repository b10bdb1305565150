"""A data set's test views as a method judged them: scores, truths, and histograms of the maps, for any question after.

Maps of a whole test split take gigabytes. Their histograms take megabytes, and every pixel metric of every subset and
resample follows from these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.dataset import Dataset, DatasetError, Item, read_mask
from models.metrics import PixelHistograms, require_ranked
from models.progress import Progress, silent

PILOT_STEP = 7  # every seventh pixel of the first maps sets the histograms' edges
PILOT_VIEWS = 20
GOOD = "good"

Judged = tuple[float, NDArray[np.float32]]  # score, map (H, W)


class Method(Protocol):
    """Anything that judges one view: a model file, a baseline."""

    @property
    def name(self) -> str:
        """What a table calls it."""

    @property
    def limits(self) -> Mapping[str, float]:
        """View -> the score above which the view fails."""

    def judge(self, item: Item) -> Judged:
        """The score and the map (H, W) of one view, higher is worse."""


@dataclass(frozen=True, slots=True)
class JudgedView:
    """One test view: what the method gave, its limit and the truth."""

    part: str
    view: str
    kind: str  # good, or the kind of the part's defect, which this view need not see
    score: float
    limit: float
    shows_defect: bool  # its mask is not empty

    @property
    def ratio(self) -> float:
        """The score as a share of the view's limit, so that views compare; above 1 the view fails."""
        return self.score / self.limit


@dataclass(frozen=True, slots=True)
class Judgements:
    """All test views of one product as one method judged them; row n of `pixels` belongs to `views[n]`."""

    method: str
    product: str
    map_size: tuple[int, int]
    views: tuple[JudgedView, ...]
    pixels: PixelHistograms

    def parts(self) -> dict[str, bool]:
        """Part -> whether it is defective, in the order of the data set."""
        return {v.part: v.kind != GOOD for v in self.views}

    def rows(self, views: Sequence[str] | None = None, kinds: Sequence[str] | None = None) -> NDArray[np.intp]:
        """(k,) the rows of these views, or of all; of good parts and of these kinds of defects, or of all."""
        kept = None if kinds is None else (GOOD, *kinds)
        return np.flatnonzero(
            [(views is None or v.view in views) and (kept is None or v.kind in kept) for v in self.views]
        )

    def part_ratios(self, rows: NDArray[np.intp]) -> dict[str, float]:
        """Part -> the highest ratio among its chosen views: the part fails with its worst view."""
        found: dict[str, float] = {}
        for n in rows:
            view = self.views[n]
            found[view.part] = max(found.get(view.part, -np.inf), view.ratio)
        return found


def judge_dataset(method: Method, dataset: Dataset, progress: Progress = silent) -> Judgements:
    """Judge every plain test view, in the order of the index.

    Raises DatasetError without test views, ValueError where a score or a map is NaN (it names part and view).
    """
    items = [i for i in dataset.of("test") if i.variant == "plain"]
    if not items:
        raise DatasetError(
            f"{dataset.folder}: no test parts of {dataset.product!r}: make the data set with defective ones, "
            "for instance by `station dataset simulate --defective N`"
        )
    step = max(1, len(items) // PILOT_VIEWS)
    first = {n: _judged(method, items[n]) for n in range(0, len(items), step)}
    pixels = PixelHistograms.from_pilot(np.concatenate([m.ravel()[::PILOT_STEP] for _, m in first.values()]))
    views = []
    for n, item in enumerate(items):
        score, fused = first.pop(n) if n in first else _judged(method, item)
        mask = read_mask(item.mask, dataset.input_size)
        pixels.add(fused, mask)
        limit = float(method.limits[item.view])
        views.append(JudgedView(item.part, item.view, item.kind, score, limit, bool(mask.any())))
        progress(f"{method.name}: {item.part} {item.view}", (n + 1) / len(items))
    return Judgements(method.name, dataset.product, dataset.input_size, tuple(views), pixels)


def _judged(method: Method, item: Item) -> Judged:
    score, fused = method.judge(item)
    where = f"{method.name}, {item.part} / {item.view}"
    require_ranked(np.array([score]), f"{where}: score")
    require_ranked(fused, f"{where}: map")
    return score, fused


def kinds_of(views: Sequence[JudgedView]) -> tuple[str, ...]:
    """The kinds of defects, in alphabetical order."""
    return tuple(sorted({v.kind for v in views} - {GOOD}))
