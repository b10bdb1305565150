"""Intervals over parts: a part is drawn with all its views, good and defective parts apart from each other.

The views of a part share its placement, its paint and its defect, so they are no independent samples. An interval over
pictures would be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics import Labels, PixelHistograms, Scores, auroc, f1_max, require_ranked

RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, and the same figure for each resample of the parts."""

    value: float
    samples: NDArray[np.float64]  # (r,)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The percentile interval; NaN twice where the figure is NaN. Resamples without the figure do not count."""
        known = self.samples[~np.isnan(self.samples)]
        if np.isnan(self.value) or len(known) == 0:
            return float("nan"), float("nan")
        tail = (1.0 - confidence) / 2.0
        low, high = np.quantile(known, [tail, 1.0 - tail])
        return float(low), float(high)

    def minus(self, other: Estimate) -> Estimate:
        """The difference. It is a paired one where both come from the same `PartResamples`."""
        return Estimate(self.value - other.value, self.samples - other.samples)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over products, each resampled by itself; ValueError without any."""
    if not estimates:
        raise ValueError("estimates: none was given, and a mean needs one; name at least one product")
    values = np.array([e.value for e in estimates])
    return Estimate(float(values.mean()), np.mean([e.samples for e in estimates], axis=0))


@dataclass(frozen=True, slots=True)
class PartResamples:
    """How often each part counts in each resample: `weights` (r, P), parts in the order of `parts`."""

    parts: tuple[str, ...]
    weights: NDArray[np.float64]

    @classmethod
    def draw(cls, is_defective: dict[str, bool], resamples: int = RESAMPLES, seed: int = 0) -> PartResamples:
        """Resamples of as many good and as many defective parts as there are; the same seed draws the same."""
        parts = tuple(is_defective)
        rng = np.random.default_rng(seed)
        weights = np.zeros((resamples, len(parts)))
        labels = np.array([is_defective[p] for p in parts], bool)
        for stratum in (np.flatnonzero(~labels), np.flatnonzero(labels)):
            if len(stratum):
                weights[:, stratum] = rng.multinomial(len(stratum), np.full(len(stratum), 1 / len(stratum)), resamples)
        return cls(parts, weights)

    def of(self, part_of_each: Sequence[str]) -> NDArray[np.float64]:
        """(r, n): how often each of n pictures counts, given the part of each. ValueError for an unknown part."""
        at = {part: i for i, part in enumerate(self.parts)}
        unknown = [p for p in part_of_each if p not in at]
        if unknown:
            raise ValueError(f"part {unknown[0]!r} is not among those drawn; draw the resamples from all parts")
        return self.weights[:, [at[p] for p in part_of_each]]


def auroc_estimate(scores: Scores, labels: Labels, weights: NDArray[np.float64]) -> Estimate:
    """AUROC of n scores with its resamples; `weights` (r, n). ValueError for a NaN among the scores."""
    scores, labels = require_ranked(scores), np.asarray(labels, bool)
    if len(scores) == 0:
        return Estimate(float("nan"), np.full(len(weights), np.nan))
    order, starts = _ascending(scores)
    ranked, defective = weights[:, order], labels[order]
    positive = np.add.reduceat(ranked * defective, starts, axis=1)
    negative = np.add.reduceat(ranked * ~defective, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2.0
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    areas = np.where(pairs > 0, (positive * below).sum(axis=1) / np.where(pairs > 0, pairs, 1.0), np.nan)
    return Estimate(auroc(scores, labels), areas)


def f1_estimate(scores: Scores, labels: Labels, weights: NDArray[np.float64]) -> Estimate:
    """F1-max of n scores with its resamples; each resample chooses its own threshold. `weights` (r, n)."""
    scores, labels = require_ranked(scores), np.asarray(labels, bool)
    if not labels.any():
        return Estimate(float("nan"), np.full(len(weights), np.nan))
    order, starts = _ascending(-scores)
    ranked, defective = weights[:, order], labels[order]
    hits = np.cumsum(np.add.reduceat(ranked * defective, starts, axis=1), axis=1)
    called = np.cumsum(np.add.reduceat(ranked, starts, axis=1), axis=1)
    positives = hits[:, -1:]
    f1 = 2.0 * hits / np.maximum(called + positives, 1e-12)
    return Estimate(f1_max(scores, labels).value, np.where(positives[:, 0] > 0, f1.max(axis=1), np.nan))


def pixel_estimates(
    histograms: PixelHistograms, rows: NDArray[np.intp], weights: NDArray[np.float64]
) -> tuple[Estimate, Estimate]:
    """P-AUROC and P-AUPRO of chosen maps with their resamples; `rows` (k,) and `weights` (r, k)."""
    once, drawn = histograms.totals(rows), histograms.totals(rows, weights)
    return (
        Estimate(float(once.p_auroc()[0]), drawn.p_auroc()),
        Estimate(float(once.p_aupro()[0]), drawn.p_aupro()),
    )


def _ascending(scores: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order by score, and where in it each group of equal scores begins."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    return order, np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
