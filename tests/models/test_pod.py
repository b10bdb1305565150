"""POD curves against scikit-learn's maximum likelihood, a worked example, and simulations of known curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from models.pod import PodRefused, fit_pod


def _draw(seed: int, n: int, middle: float = 40.0, steepness: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """n log-uniform sizes from 5 to 320, found by a known curve."""
    rng = np.random.default_rng([seed, n])
    sizes = np.exp(rng.uniform(math.log(5), math.log(320), n))
    return sizes, rng.random(n) < 1 / (1 + np.exp(-steepness * np.log(sizes / middle)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_curve_is_the_maximum_likelihood_of_scikit_learn(seed: int) -> None:
    sizes, hit = _draw(seed, 80)
    found = fit_pod(sizes, hit)
    library = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(np.log(sizes)[:, None], hit)
    assert found.method == "maximum likelihood"
    assert found.slope == pytest.approx(library.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(library.intercept_[0], rel=1e-4)
    assert found.a90 == pytest.approx(math.exp((math.log(9) - found.intercept) / found.slope))
    assert found.pod(np.array([found.a90])) == pytest.approx([0.9])
    assert found.lower(np.array([found.a90])) < 0.9


def test_the_plain_bound_is_where_the_profile_likelihood_has_fallen_by_1_353() -> None:
    """By hand: the constrained maximum through POD 0.9 at the bound, with another optimiser."""
    sizes, hit = _draw(5, 60)
    found = fit_pod(sizes, hit)
    x, sign = np.log(sizes), np.where(hit, 1.0, -1.0)

    def loss(b0: float, b1: float) -> float:
        return float(np.logaddexp(0.0, -sign * (b0 + b1 * x)).sum())

    best = optimize.minimize(lambda b: loss(*b), [found.intercept, found.slope]).fun
    at = math.log(found.a90_95_plain)
    through = optimize.minimize_scalar(lambda b1: loss(math.log(9) - b1 * at, b1), bracket=(1, 3)).fun
    assert through - best == pytest.approx(1.3528, abs=1e-3)
    assert found.a90 < found.a90_95_plain < found.a90_95


def test_covariance_is_the_inverse_of_the_information() -> None:
    sizes, hit = _draw(6, 70)
    found = fit_pod(sizes, hit)
    p = found.pod(sizes)
    design = np.stack([np.ones_like(sizes), np.log(sizes)], axis=1)
    assert found.covariance == pytest.approx(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None])), rel=1e-4)


def test_the_unit_of_size_does_not_matter() -> None:
    sizes, hit = _draw(7, 60)
    a, b = fit_pod(sizes, hit), fit_pod(sizes / 1000, hit)
    assert b.a90 == pytest.approx(a.a90 / 1000, rel=1e-5)
    assert b.a90_95 == pytest.approx(a.a90_95 / 1000, rel=1e-5)


def test_a90_95_lies_above_the_true_a90_in_95_of_100_simulations() -> None:
    truth = 40.0 * 9 ** (1 / 3.0)
    held = sum(fit_pod(*_draw(seed, 60)).a90_95 >= truth for seed in range(120))
    assert held >= 111  # binomial of 120 at 0.95: 114 - 1.3 standard deviations; 98 of 100 were measured


def test_separated_sizes_take_firths_penalty_and_say_so() -> None:
    """The penalised curve is finite, its middle lies in the gap, and its bound is wide: there are ten defects."""
    sizes = np.array([10.0, 12, 15, 20, 25, 50, 60, 75, 90, 110])
    found = fit_pod(sizes, sizes > 30)
    assert found.method == "Firth"
    assert math.isinf(found.a90_95_plain)
    middle = math.exp(-found.intercept / found.slope)
    assert 25 < middle < 50
    assert 50 < found.a90 < found.a90_95 < 400


def test_firths_penalty_gives_the_closed_form_of_a_two_by_two_table() -> None:
    """With two sizes the penalised estimate adds half a hit and half a miss at each."""
    sizes = np.array([10.0] * 6 + [100.0] * 6)
    hit = np.array([False] * 6 + [True] * 6)
    found = fit_pod(sizes, hit)
    assert found.pod(np.array([10.0, 100.0])) == pytest.approx([0.5 / 7, 6.5 / 7], abs=1e-5)


@pytest.mark.parametrize(
    ("sizes", "hit", "words"),
    [
        (np.arange(1.0, 6.0), np.array([0, 0, 1, 1, 1], bool), "5, and a curve needs 10"),
        (np.arange(1.0, 13.0), np.ones(12, bool), "all 12 defects were found, down to 1"),
        (np.arange(1.0, 13.0), np.zeros(12, bool), "none of 12 defects was found, up to 12"),
        (np.arange(0.0, 12.0), np.arange(12) > 5, "0.0 has no logarithm"),
        (np.full(12, 3.0), np.arange(12) > 5, "all are 3"),
        (np.arange(1.0, 13.0), np.arange(12) < 6, "not found more often"),
        (np.arange(1.0, 13.0), np.zeros(3, bool), "12 of them for 3 answers"),
    ],
)
def test_what_bears_no_curve_is_refused_with_the_reason(sizes: np.ndarray, hit: np.ndarray, words: str) -> None:
    with pytest.raises(PodRefused, match=words):
        fit_pod(sizes, hit)
