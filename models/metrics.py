"""Detection metrics, each with its definition: image and pixel AUROC, F1-max, and streaming AUPRO.

A score that is not a number has no rank. Every function here refuses it: a NaN that sorted itself to one end would make
a broken model look good or bad by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Labels = NDArray[np.bool_]
AUPRO_LIMIT = 0.3


def require_ranked(scores: Scores, what: str = "scores") -> NDArray[np.float64]:
    """The scores as float64 of the same shape; ValueError where one is NaN. Infinite scores have a rank and pass."""
    found = np.asarray(scores, np.float64)
    broken = int(np.isnan(found).sum())
    if broken:
        raise ValueError(
            f"{what}: {broken} of {found.size} are NaN, which has no rank; find out which picture the model cannot "
            "score, and repair the model or leave the picture out by name"
        )
    return found


def auroc(scores: Scores, labels: Labels) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic, ties counted half.

    `scores` and `labels` have one shape. NaN without both classes. ValueError for a NaN among the scores.
    """
    scores, labels = require_ranked(scores).ravel(), np.asarray(labels, bool).ravel()
    positives, negatives = int(labels.sum()), int((~labels).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2.0  # mean rank of each group of ties, from 1
    return float((rank[inverse][labels].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))


@dataclass(frozen=True, slots=True)
class BestF1:
    """F1-max is optimistic (its threshold is chosen on the test data): read it beside its floor."""

    value: float
    threshold: float  # positive means score >= threshold
    floor: float  # F1 of calling everything positive: 2p / (1 + p) at prevalence p


def f1_max(scores: Scores, labels: Labels) -> BestF1:
    """The highest 2TP / (2TP + FP + FN) over all distinct thresholds; ValueError for a NaN among the scores."""
    scores, labels = require_ranked(scores).ravel(), np.asarray(labels, bool).ravel()
    positives = int(labels.sum())
    if positives == 0:
        return BestF1(float("nan"), float("nan"), 0.0)
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(labels[order])
    last = np.append(ranked[1:] != ranked[:-1], True)
    f1 = 2.0 * hits / (np.arange(1, len(scores) + 1) + positives)
    f1[~last] = -1.0
    best = int(np.argmax(f1))
    prevalence = positives / len(scores)
    return BestF1(float(f1[best]), float(ranked[best]), 2 * prevalence / (1 + prevalence))


class PixelHistograms:
    """Histograms of maps between fixed edges, from which P-AUROC and P-AUPRO follow for any selection of maps.

    One row per map and one column per bin; rows add up, so that a subset or a resample is a sum. Results are exact when
    every distinct score has an edge of its own.
    """

    def __init__(self, edges: NDArray[np.float64]) -> None:
        """`edges` ascend; a bin reaches from one edge up to the next, which belongs to the next bin."""
        self.edges = edges
        self._normal: list[NDArray[np.float32]] = []
        self._defect: list[NDArray[np.float32]] = []
        self._by_region: list[NDArray[np.float64]] = []
        self._regions: list[int] = []

    @classmethod
    def from_pilot(cls, pilot: Scores) -> PixelHistograms:
        """Edges at quantiles of a sample of scores, dense at the top, so that any monotone scale gives the same."""
        return cls(quantile_edges(pilot))

    @classmethod
    def exact(cls, scores: Scores) -> PixelHistograms:
        """An edge at every distinct score: exact, and as large as the number of distinct scores."""
        return cls(np.unique(require_ranked(scores, "map")))

    def add(self, scores: Scores, mask: Labels) -> None:
        """A row for one map (H, W) and its defect mask (H, W). ValueError for a NaN in the map."""
        at = np.searchsorted(self.edges, require_ranked(scores, "map"), side="right")
        mask, bins = np.asarray(mask, bool), len(self.edges) + 1
        self._normal.append(np.bincount(at[~mask], minlength=bins).astype(np.float32))
        count, region, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        weight = 1.0 / np.maximum(stats[:, cv2.CC_STAT_AREA], 1).astype(np.float64)  # no normal pixel: area 0
        inside = at[mask]
        self._defect.append(np.bincount(inside, minlength=bins).astype(np.float32))
        by_region = np.bincount(inside, weights=weight[region[mask]], minlength=bins)
        self._by_region.append(by_region.astype(np.float64))
        self._regions.append(count - 1)

    def __len__(self) -> int:
        return len(self._regions)

    @property
    def regions(self) -> NDArray[np.int64]:
        """(n,) the number of defect regions in each map, 8-connected."""
        return np.array(self._regions, np.int64)

    @property
    def defect_pixels(self) -> NDArray[np.int64]:
        """(n,) the number of defect pixels in each map."""
        return np.array([int(row.sum()) for row in self._defect], np.int64)

    def totals(self, rows: NDArray[np.intp], weights: NDArray[np.float64] | None = None) -> PixelCounts:
        """The sum over chosen rows (k,), or one sum per line of `weights` (r, k): how often each row counts."""
        w = np.ones((1, len(rows))) if weights is None else weights

        def summed(kept: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
            chosen = np.stack([kept[i] for i in rows]) if len(rows) else np.zeros((0, len(self.edges) + 1))
            return np.asarray(w @ chosen.astype(np.float64))

        regions = np.asarray(w @ self.regions[rows].astype(np.float64))
        return PixelCounts(summed(self._normal), summed(self._defect), summed(self._by_region), regions)


def quantile_edges(pilot: Scores) -> NDArray[np.float64]:
    """(n,) edges at quantiles of a sample of scores, some 2,400; ValueError for a NaN in it."""
    tail = np.geomspace(1e-2, 1e-6, 1200)
    levels = np.concatenate([np.linspace(0.0, 0.99, 1200), 1.0 - tail, [1.0]])
    return np.unique(np.quantile(require_ranked(pilot, "map").ravel(), levels, method="nearest"))


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Summed histograms, (r, bins) each, r sums side by side: of normal pixels, of defect pixels, and of defect pixels
    that weigh 1 / area of their region; and the number of regions (r,).
    """

    normal: NDArray[np.float64]
    defect: NDArray[np.float64]
    by_region: NDArray[np.float64]
    regions: NDArray[np.float64]

    def p_auroc(self) -> NDArray[np.float64]:
        """(r,) P-AUROC, all pixels of all maps pooled; NaN without defect pixels or without normal ones."""
        fpr, tpr = _from_top(self.normal), _from_top(self.defect)
        area = np.asarray(np.trapezoid(tpr, fpr, axis=1))
        return np.where((self.defect.sum(axis=1) > 0) & (self.normal.sum(axis=1) > 0), area, np.nan)

    def p_aupro(self, limit: float = AUPRO_LIMIT) -> NDArray[np.float64]:
        """(r,) P-AUPRO up to the false-positive rate `limit`; NaN without regions or without normal pixels.

        The mean over ground-truth regions (8-connected) of the region's recall, against the false-positive rate over
        all normal pixels, integrated to `limit` with linear interpolation there, divided by `limit`.
        """
        fpr, pro = _from_top(self.normal), _from_top(self.by_region)
        left, right = np.minimum(fpr[:, :-1], limit), np.minimum(fpr[:, 1:], limit)
        step = fpr[:, 1:] - fpr[:, :-1]
        slope = (pro[:, 1:] - pro[:, :-1]) / np.where(step > 0, step, 1.0)
        at_right = pro[:, :-1] + slope * (right - fpr[:, :-1])
        area = ((right - left) * (pro[:, :-1] + at_right) / 2.0).sum(axis=1) / limit
        return np.where((self.regions > 0) & (self.normal.sum(axis=1) > 0), area, np.nan)


def _from_top(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r, bins) -> (r, bins + 1): the share at or above each edge, from the highest bin down, from 0 to 1."""
    summed = np.cumsum(histogram[:, ::-1], axis=1)
    total = np.where(summed[:, -1:] > 0, summed[:, -1:], 1.0)
    return np.concatenate([np.zeros((len(histogram), 1)), summed / total], axis=1)
