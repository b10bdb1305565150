"""Intervals over parts: resamples are weights, all views of a part travel together, and intervals cover."""

from __future__ import annotations

import time

import numpy as np
import pytest

from models.bootstrap import Estimate, PartResamples, auroc_estimate, f1_estimate, mean_of, pixel_estimates
from models.metrics import PixelHistograms, auroc, f1_max


def _parts(good: int, bad: int) -> dict[str, bool]:
    return {f"p{n}": n >= good for n in range(good + bad)}


def _repeated(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.repeat(values, weights.astype(int))


def test_each_resample_holds_as_many_good_and_as_many_defective_parts() -> None:
    parts = _parts(7, 4)
    drawn = PartResamples.draw(parts, 50, seed=3)
    defective = np.array(list(parts.values()))
    assert (drawn.weights[:, defective].sum(axis=1) == 4).all()
    assert (drawn.weights[:, ~defective].sum(axis=1) == 7).all()
    assert (drawn.weights == PartResamples.draw(parts, 50, seed=3).weights).all()
    assert not (drawn.weights == PartResamples.draw(parts, 50, seed=4).weights).all()


def test_the_views_of_a_part_travel_together() -> None:
    drawn = PartResamples.draw(_parts(3, 3), 20)
    views = drawn.of(["p0", "p5", "p0"])
    assert (views[:, 0] == views[:, 2]).all()
    with pytest.raises(ValueError, match="'p9' is not among those drawn"):
        drawn.of(["p9"])


def test_weighted_figures_are_those_of_the_repeated_pictures() -> None:
    rng = np.random.default_rng(0)
    parts = _parts(9, 8)
    of_each = [p for p in parts for _ in range(3)]
    labels = np.array([parts[p] and bool(rng.integers(2)) for p in of_each])
    scores = np.round(rng.normal(size=len(of_each)) + labels, 1)  # rounded: many ties
    weights = PartResamples.draw(parts, 30).of(of_each)
    area, f1 = auroc_estimate(scores, labels, weights), f1_estimate(scores, labels, weights)
    for r in range(30):
        chosen, truth = _repeated(weights[r], scores), _repeated(weights[r], labels)
        assert area.samples[r] == pytest.approx(auroc(chosen, truth), abs=1e-12, nan_ok=True)
        assert f1.samples[r] == pytest.approx(f1_max(chosen, truth).value, abs=1e-12, nan_ok=True)


def test_weighted_maps_are_the_repeated_maps() -> None:
    rng = np.random.default_rng(1)
    masks = rng.random((4, 12, 12)) < 0.1
    maps = rng.normal(size=masks.shape) + masks
    histograms = PixelHistograms.exact(maps)
    for m, mask in zip(maps, masks, strict=True):
        histograms.add(m, mask)
    weights = np.array([[2.0, 0, 1, 1], [1, 1, 1, 1]])
    _, aupro = pixel_estimates(histograms, np.arange(4), weights)
    twice = PixelHistograms(histograms.edges)
    for n in (0, 0, 2, 3):
        twice.add(maps[n], masks[n])
    assert aupro.samples[0] == pytest.approx(twice.totals(np.arange(4)).p_aupro()[0], abs=1e-12)
    assert aupro.samples[1] == pytest.approx(aupro.value, abs=1e-12)


def test_the_interval_covers_the_true_area() -> None:
    """Normal scores one apart have an area of 0.7602; 95 of 100 intervals should hold it."""
    truth, held = 0.7602, 0
    labels = np.arange(80) >= 40
    parts = _parts(40, 40)
    for seed in range(200):
        scores = np.random.default_rng([seed, 9]).normal(size=80) + labels
        low, high = auroc_estimate(scores, labels, PartResamples.draw(parts, 200, seed).of(tuple(parts))).interval()
        held += low <= truth <= high
    assert 180 <= held <= 199  # binomial of 200 at 0.95, with room for the percentile method's bias


def test_a_thousand_resamples_of_a_whole_set_take_a_second() -> None:
    parts = _parts(120, 120)
    of_each = [p for p in parts for _ in range(5)]
    labels = np.array([parts[p] for p in of_each])
    scores = np.random.default_rng(2).normal(size=len(of_each)) + labels
    begin = time.process_time()
    auroc_estimate(scores, labels, PartResamples.draw(parts, 1000).of(of_each))
    assert time.process_time() - begin < 2.0


def test_an_estimate_without_a_class_has_no_interval() -> None:
    parts = _parts(3, 0)
    found = auroc_estimate(np.arange(3.0), np.zeros(3, bool), PartResamples.draw(parts, 10).of(tuple(parts)))
    assert np.isnan([found.value, *found.interval()]).all()


def test_means_and_differences_keep_their_pairs() -> None:
    a, b = Estimate(0.9, np.array([0.8, 1.0])), Estimate(0.7, np.array([0.6, 0.8]))
    assert a.minus(b).samples == pytest.approx([0.2, 0.2])
    assert mean_of([a, b]).value == pytest.approx(0.8)
    with pytest.raises(ValueError, match="none was given"):
        mean_of([])
