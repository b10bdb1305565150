"""Metrics against scikit-learn, hand-made cases, and monotone changes of scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from models.metrics import PixelMetrics, auroc, f1_max


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


def _maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = np.zeros((6, 60, 80), bool)
    masks[0, 5:15, 5:25] = masks[0, 40:44, 60:64] = masks[1, 20:40, 30:33] = True
    return rng.normal(size=masks.shape) + 1.2 * masks, masks


def _exact_aupro(scores: np.ndarray, masks: np.ndarray, regions: list[tuple[int, slice, slice]]) -> float:
    """The definition, threshold by threshold."""
    thresholds = np.sort(scores.ravel())[::-1]
    fpr = np.array([0.0, *(np.mean(scores[~masks] >= t) for t in thresholds)])
    pro = np.array([0.0, *(np.mean([np.mean(scores[r] >= t) for r in regions]) for t in thresholds)])
    x = np.linspace(0, 0.3, 30001)
    return float(np.trapezoid(np.interp(x, fpr, pro), x) / 0.3)


def _filled(edges: np.ndarray | None, scores: np.ndarray, masks: np.ndarray) -> PixelMetrics:
    metrics = PixelMetrics.from_pilot(scores) if edges is None else PixelMetrics(edges)
    for s, m in zip(scores, masks, strict=True):
        metrics.add(s, m)
    return metrics


def test_streaming_aupro_is_the_definition_within_a_thousandth() -> None:
    scores, masks = _maps(0)
    scores, masks = scores[:2, ::2, ::2], masks[:2, ::2, ::2]
    found = _filled(None, scores, masks)
    regions = [(0, slice(3, 8), slice(3, 13)), (0, slice(20, 22), slice(30, 32)), (1, slice(10, 20), slice(15, 17))]
    assert found.regions == 3
    assert found.p_aupro() == pytest.approx(_exact_aupro(scores, masks, regions), abs=1e-3)


def test_p_auroc_agrees_with_scikit_learn() -> None:
    scores, masks = _maps(1)
    assert _filled(None, scores, masks).p_auroc() == pytest.approx(
        roc_auc_score(masks.ravel(), scores.ravel()), abs=1e-4
    )


def test_a_monotone_change_of_scale_changes_nothing() -> None:
    scores, masks = _maps(2)
    plain, heavy = _filled(None, scores, masks), _filled(None, np.exp(3 * scores), masks)
    assert heavy.p_aupro() == pytest.approx(plain.p_aupro(), abs=1e-9)
    assert heavy.p_auroc() == pytest.approx(plain.p_auroc(), abs=1e-9)


def test_constant_scores_are_chance() -> None:
    masks = _maps(0)[1]
    found = _filled(None, np.ones(masks.shape), masks)
    assert found.p_auroc() == pytest.approx(0.5)
    assert found.p_aupro() == pytest.approx(0.15)


def test_without_regions_there_is_no_aupro() -> None:
    scores = _maps(0)[0]
    assert math.isnan(_filled(None, scores, np.zeros(scores.shape, bool)).p_aupro())
