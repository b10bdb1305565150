"""Metrics against scikit-learn, hand-made cases, and monotone changes of scale."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import f1_score, roc_auc_score

from models.metrics import PixelCounts, PixelHistograms, auroc, f1_max


def _scores(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    return np.round(rng.normal(size=n) + labels, 1), labels  # rounded: many ties


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_auroc_agrees_with_scikit_learn_ties_included(seed: int) -> None:
    scores, labels = _scores(seed)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auroc_of_one_class_is_not_a_number() -> None:
    assert math.isnan(auroc(np.array([1.0, 2.0]), np.array([True, True])))


def test_f1_max_is_the_best_over_all_thresholds() -> None:
    scores, labels = _scores(3)
    best = f1_max(scores, labels)
    every = [f1_score(labels, scores >= t) for t in np.unique(scores)]
    assert best.value == pytest.approx(max(every))
    assert f1_score(labels, scores >= best.threshold) == pytest.approx(best.value)


def test_f1_max_floor_is_what_calling_all_positive_gives() -> None:
    labels = np.array([True] * 3 + [False])
    assert f1_max(np.zeros(4), labels).floor == pytest.approx(f1_score(labels, np.ones(4, bool)))


def test_a_score_that_is_no_number_is_refused_and_counted() -> None:
    scores = np.array([0.0, np.nan, 2.0])
    for metric in (auroc, f1_max):
        with pytest.raises(ValueError, match="1 of 3 are NaN"):
            metric(scores, np.array([True, False, True]))
    with pytest.raises(ValueError, match="map: 1 of 3 are NaN"):
        PixelHistograms(np.array([1.0])).add(scores[None], np.zeros((1, 3), bool))


def test_infinite_scores_have_a_rank() -> None:
    assert auroc(np.array([0.0, np.inf]), np.array([False, True])) == 1.0


def _maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = np.zeros((6, 60, 80), bool)
    masks[0, 5:15, 5:25] = masks[0, 40:44, 60:64] = masks[1, 20:40, 30:33] = True
    return rng.normal(size=masks.shape) + 1.2 * masks, masks


def _definition(scores: np.ndarray, masks: np.ndarray) -> float:
    """P-AUPRO by its definition: every threshold by itself, the trapezoids up to a rate of 0.3 by hand."""
    regions = []
    for n, mask in enumerate(masks):
        label, count = ndimage.label(mask, np.ones((3, 3)))
        regions += [(n, label == k + 1) for k in range(count)]
    points = [(0.0, 0.0)]
    for t in np.unique(scores)[::-1]:
        fpr = float((scores[~masks] >= t).mean())
        points.append((fpr, float(np.mean([(scores[n][r] >= t).mean() for n, r in regions]))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= 0.3:
            break
        if x1 > 0.3:
            x1, y1 = 0.3, y0 + (y1 - y0) * (0.3 - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return area / 0.3


def _filled(histograms: PixelHistograms, scores: np.ndarray, masks: np.ndarray) -> PixelCounts:
    for s, m in zip(scores, masks, strict=True):
        histograms.add(s, m)
    return histograms.totals(np.arange(len(scores)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("decimals", [0, 1, 3])
def test_exact_pixel_metrics_are_the_definitions_on_random_maps_with_ties(seed: int, decimals: int) -> None:
    rng = np.random.default_rng([seed, decimals])
    masks = ndimage.gaussian_filter(rng.normal(size=(3, 14, 17)), (0, 1.5, 1.5)) > 0.25
    scores = np.round(rng.normal(size=masks.shape) + rng.uniform(0, 2) * masks, decimals)
    found = _filled(PixelHistograms.exact(scores), scores, masks)
    assert found.p_aupro()[0] == pytest.approx(_definition(scores, masks), abs=1e-6)
    assert found.p_auroc()[0] == pytest.approx(roc_auc_score(masks.ravel(), scores.ravel()), abs=1e-6)


def test_streaming_pixel_metrics_are_the_definitions_within_a_thousandth() -> None:
    scores, masks = _maps(0)
    scores, masks = scores[:2, ::2, ::2], masks[:2, ::2, ::2]
    found = _filled(PixelHistograms.from_pilot(scores), scores, masks)
    assert found.regions[0] == 3
    assert found.p_aupro()[0] == pytest.approx(_definition(scores, masks), abs=1e-3)


def test_p_auroc_agrees_with_scikit_learn() -> None:
    scores, masks = _maps(1)
    found = _filled(PixelHistograms.from_pilot(scores), scores, masks)
    assert found.p_auroc()[0] == pytest.approx(roc_auc_score(masks.ravel(), scores.ravel()), abs=1e-4)


def test_a_monotone_change_of_scale_changes_nothing() -> None:
    scores, masks = _maps(2)
    heavy = np.exp(3 * scores)
    plain = _filled(PixelHistograms.from_pilot(scores), scores, masks)
    scaled = _filled(PixelHistograms.from_pilot(heavy), heavy, masks)
    assert scaled.p_aupro()[0] == pytest.approx(plain.p_aupro()[0], abs=1e-9)
    assert scaled.p_auroc()[0] == pytest.approx(plain.p_auroc()[0], abs=1e-9)


def test_constant_scores_are_chance() -> None:
    masks = _maps(0)[1]
    found = _filled(PixelHistograms.from_pilot(np.ones(masks.shape)), np.ones(masks.shape), masks)
    assert found.p_auroc()[0] == pytest.approx(0.5)
    assert found.p_aupro()[0] == pytest.approx(0.15)


@pytest.mark.parametrize("everywhere", [False, True])
def test_pixels_of_one_class_have_no_pixel_metrics(everywhere: bool) -> None:
    scores = _maps(0)[0]
    found = _filled(PixelHistograms.from_pilot(scores), scores, np.full(scores.shape, everywhere))
    assert math.isnan(found.p_aupro()[0])
    assert math.isnan(found.p_auroc()[0])


def test_a_subset_of_rows_is_what_these_maps_alone_give() -> None:
    scores, masks = _maps(3)
    histograms = PixelHistograms.from_pilot(scores)
    _filled(histograms, scores, masks)
    alone = _filled(PixelHistograms(histograms.edges), scores[[1, 4]], masks[[1, 4]])
    chosen = histograms.totals(np.array([1, 4]))
    weighted = histograms.totals(np.arange(6), np.array([[0.0, 1, 0, 0, 1, 0]]))
    assert chosen.p_aupro()[0] == pytest.approx(alone.p_aupro()[0], abs=1e-12)
    assert weighted.p_aupro()[0] == pytest.approx(alone.p_aupro()[0], abs=1e-12)
