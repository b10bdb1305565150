"""Detection metrics, each with its definition: image and pixel AUROC, F1-max, and streaming AUPRO."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Labels = NDArray[np.bool_]
AUPRO_LIMIT = 0.3


def auroc(scores: Scores, labels: Labels) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic, ties counted half. NaN without both classes."""
    scores, labels = np.asarray(scores, np.float64).ravel(), np.asarray(labels, bool).ravel()
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
    """The highest 2TP / (2TP + FP + FN) over all distinct thresholds."""
    scores, labels = np.asarray(scores, np.float64).ravel(), np.asarray(labels, bool).ravel()
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


@dataclass(slots=True)
class PixelMetrics:
    """P-AUROC and P-AUPRO in one pass over maps, by histograms between fixed edges.

    P-AUROC pools all pixels of all images. P-AUPRO is the mean over ground-truth regions (8-connected) of
    the region's recall, against the false-positive rate over all normal pixels, integrated to a rate of 0.3
    with linear interpolation there, divided by 0.3. Exact when every distinct score has an edge of its own.
    """

    edges: NDArray[np.float64]  # ascending
    normal: NDArray[np.float64] = field(init=False)
    defect: NDArray[np.float64] = field(init=False)
    defect_by_region: NDArray[np.float64] = field(init=False)
    regions: int = 0

    def __post_init__(self) -> None:
        bins = len(self.edges) + 1
        self.normal, self.defect, self.defect_by_region = np.zeros(bins), np.zeros(bins), np.zeros(bins)

    @classmethod
    def from_pilot(cls, pilot: Scores) -> PixelMetrics:
        """Edges at quantiles of a sample of scores, dense at the top, so that any monotone scale gives the same."""
        tail = np.geomspace(1e-2, 1e-6, 1200)
        levels = np.concatenate([np.linspace(0.0, 0.99, 1200), 1.0 - tail, [1.0]])
        return cls(np.unique(np.quantile(np.asarray(pilot, np.float64).ravel(), levels, method="nearest")))

    def add(self, scores: Scores, mask: Labels) -> None:
        """Fold in one map (H, W) and its defect mask (H, W)."""
        at = np.searchsorted(self.edges, np.asarray(scores, np.float64), side="right")
        bins = len(self.normal)
        mask = np.asarray(mask, bool)
        self.normal += np.bincount(at[~mask], minlength=bins)
        if not mask.any():
            return
        count, region, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        weight = 1.0 / stats[:, cv2.CC_STAT_AREA].astype(np.float64)
        self.defect += np.bincount(at[mask], minlength=bins)
        self.defect_by_region += np.bincount(at[mask], weights=weight[region[mask]], minlength=bins)
        self.regions += count - 1

    def _curves(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """False-positive rate, recall over defect pixels and mean recall over regions, threshold falling."""

        def from_top(h: NDArray[np.float64], total: float) -> NDArray[np.float64]:
            return np.concatenate([[0.0], np.cumsum(h[::-1]) / max(total, 1e-300)])

        fpr = from_top(self.normal, self.normal.sum())
        return fpr, from_top(self.defect, self.defect.sum()), from_top(self.defect_by_region, float(self.regions))

    def p_auroc(self) -> float:
        """P-AUROC over everything added so far; NaN without defect pixels or without normal ones."""
        if self.defect.sum() == 0 or self.normal.sum() == 0:
            return float("nan")
        fpr, tpr, _ = self._curves()
        return float(np.trapezoid(tpr, fpr))

    def p_aupro(self, limit: float = AUPRO_LIMIT) -> float:
        """P-AUPRO up to the false-positive rate `limit`; NaN without regions or without normal pixels."""
        if self.regions == 0 or self.normal.sum() == 0:
            return float("nan")
        fpr, _, pro = self._curves()
        inside = fpr <= limit
        x, y = fpr[inside], pro[inside]
        if x[-1] < limit:
            following = int(inside.sum())
            share = (limit - x[-1]) / (fpr[following] - x[-1])
            x = np.append(x, limit)
            y = np.append(y, y[-1] + share * (pro[following] - y[-1]))
        return float(np.trapezoid(y, x) / limit)
