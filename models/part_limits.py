"""Limits by risk on the part: each view's limit such that a good part fails as a whole at a stated rate. No torch here.

A view's upper tail is taken for a Gumbel law (a score is the mean of the most extreme pixels). Location and scale of
each view come from its order statistics between the median and the 95th percentile, so that one odd part of 80 moves
them little. A part's excess is the highest of its views' scores, each in units of its view's law; one threshold on that
excess gives every view a limit at the same tail probability. The threshold is where the law fitted to the parts'
excesses leaves the stated rate, for a part that was not seen: the factor comes from simulated draws of the same size.

Beside the law stands what holds without any law: if k of n parts lie above the limits, the overkill is with confidence
c at most the c-quantile of Beta(k + 1, n - k) (Clopper and Pearson 1934), and for k = 0 at most 1 - (1 - c)^(1/n)
(Wilks 1941).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom

FEWEST_PARTS = 5
BODY = (0.5, 0.95)  # plotting positions of the order statistics that decide the law
DOUBT = 0.05  # more parts above the limits than the rate explains with this probability refute the fitted tail
DRAWS, MOST_DRAWN = 2000, 300  # simulated sets of parts; parts of a set: more change nothing any more
LEAST_LIMIT = 1e-3  # a recipe's limit is positive
FAR = (
    4.0  # times the highest good part: limits are named as far from here on. With 20 good parts they lie at 1.7 to 3.4
)
LEAST_SCALE = 1e-3  # of the location: scores that are all alike give no law
DECIMALS = 3
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Risk:
    """What is asked for: the share of good parts that may fail, and the confidence of what is promised."""

    overkill: float = 0.01
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name, value in (("overkill", self.overkill), ("confidence", self.confidence)):
            if not 0 < value < 1:
                raise ValueError(f"{name} is {value}; it must lie between 0 and 1, as 0.01 for 1 %")


@dataclass(frozen=True, slots=True)
class PartLimits:
    """The limits, and what n held-out good parts say about them; all rates are of whole parts."""

    limits: dict[str, float]  # per view
    n_parts: int  # held out from the weights
    n_learned: int  # more parts, whose scores the tails were fitted to as well
    above: int  # of the n held-out parts, with a view above its limit
    above_by_view: dict[str, int]
    risk: Risk
    expected: float  # overkill by the fitted tails
    promised: float  # upper bound of the overkill at `risk.confidence`, without any law
    needed: int  # parts without one above, to promise `risk.overkill`
    is_refuted: bool  # more parts lay above than the fitted tail explains, and the limits were raised to them
    highest: dict[str, float]  # per view: the highest held-out score

    @property
    def farthest(self) -> float:
        """The limit over the highest good part's score, of the view where that is most."""
        return max(limit / max(self.highest[view], LEAST_LIMIT) for view, limit in self.limits.items())

    def as_text(self) -> str:
        """A line per view, then what is promised and what would promise the stated rate."""
        rows = [
            f"  {view:<10} limit {limit:>8.3f}   highest of {self.n_parts} good parts {self.highest[view]:>8.3f}"
            f"   above {self.above_by_view[view]}"
            for view, limit in self.limits.items()
        ]
        law = (
            "more parts lie above than the fitted tails explain, so limits were raised to them; "
            if self.is_refuted
            else ""
        )
        if self.n_learned:
            rows.append(f"  the tails are fitted to these and to {self.n_learned} parts that were learned from")
        confidence = f"{self.risk.confidence:.0%}"
        rows.append(
            f"  asked: {self.risk.overkill:.2%} of good parts may fail; {law}by the fitted tails {self.expected:.2%} do"
        )
        rows.append(
            f"  {self.above} of {self.n_parts} held-out good parts lie above: that alone promises an overkill of at "
            f"most {self.promised:.2%} at {confidence} confidence"
        )
        if self.promised > self.risk.overkill:
            rows.append(f"  {self.needed} good parts without one above would promise {self.risk.overkill:.2%}")
        if self.farthest >= FAR:
            rows.append(
                f"  limits lie up to {self.farthest:.0f} times above the highest good part, since {self.n_parts} parts "
                "say little of what others may score: a defect below them passes; hold out more good parts"
            )
        return "\n".join(rows)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        found = {name: getattr(self, name) for name in self.__slots__ if name != "risk"}
        return {**found, "overkill": self.risk.overkill, "confidence": self.risk.confidence}


def limits_by_risk(
    scores: Mapping[str, Sequence[float]], risk: Risk | None = None,
    learned: Mapping[str, Sequence[float]] | None = None,
) -> PartLimits:  # fmt: skip
    """`scores` holds, per view, one score for each held-out good part, in the same order of parts in every view.

    Of a part that was judged under several variants, the highest score of each view stands for it; that errs toward
    fewer fails. `learned` holds the same of parts that the weights have seen: the laws are fitted to both, and what is
    promised without a law counts the held-out ones alone. Raises ValueError for fewer than FEWEST_PARTS held-out parts,
    views of different length, and scores that are not finite.
    """
    risk = risk or Risk()
    held = _table(scores)
    table = np.concatenate([held, _table({view: learned[view] for view in scores}, 0)]) if learned else held
    n, views = table.shape
    location, scale = _laws(table)
    excess = ((table - location) / scale).max(axis=1)
    at, spread = law_of(np.sort(excess)[:, None])
    threshold = float(at[0] + spread[0] * _predictive(n, views, risk.overkill))
    is_refuted = _are_more(excess, threshold, risk) or _are_more(excess[: len(held)], threshold, risk)
    per_view = np.full(views, threshold)
    if is_refuted:  # only the views in which parts lie above are raised to them: the others are not to be blinded
        spared = np.argsort(excess)[n - round(n * risk.overkill) :]
        kept = np.delete((table - location) / scale, spared, axis=0)
        per_view = np.maximum(threshold, kept.max(axis=0))
    limits = np.maximum(_rounded_up(location + scale * per_view), LEAST_LIMIT)
    over = held > limits
    above = int(np.count_nonzero(over.any(axis=1)))
    names = list(scores)
    return PartLimits(
        limits=dict(zip(names, map(float, limits), strict=True)),
        n_parts=len(held),
        n_learned=n - len(held),
        above=above,
        above_by_view=dict(zip(names, map(int, over.sum(axis=0)), strict=True)),
        risk=risk,
        expected=_exceedance((threshold - float(at[0])) / float(spread[0]), n, views),
        promised=upper_bound(above, len(held), risk.confidence),
        needed=parts_needed(risk),
        is_refuted=is_refuted,
        highest=dict(zip(names, (round(float(v), DECIMALS) for v in held.max(axis=0)), strict=True)),
    )


def upper_bound(above: int, n: int, confidence: float) -> float:
    """One-sided bound of a rate of which `above` of `n` were seen."""
    return 1.0 if above >= n else float(beta.ppf(confidence, above + 1, n - above))


def parts_needed(risk: Risk) -> int:
    """How many parts, none of which lies above the limits, promise the stated overkill."""
    return math.ceil(math.log(1 - risk.confidence) / math.log(1 - risk.overkill))


def parts_above(scores: Mapping[str, Sequence[float]], limits: Mapping[str, float]) -> int:
    """Of these parts, how many have a view above its limit; a score that is not finite lies above."""
    table = np.array([scores[view] for view in scores], np.float64).T
    held = np.array([limits[view] for view in scores])
    return int(np.count_nonzero(~(table <= held).all(axis=1)))


def _table(scores: Mapping[str, Sequence[float]], fewest: int = FEWEST_PARTS) -> F64:
    """(n, V)."""
    lengths = {view: len(of_view) for view, of_view in scores.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"every view needs a score of every part, found {lengths}")
    table = np.array(list(scores.values()), np.float64).T
    if len(table) < fewest:
        raise ValueError(f"{len(table)} held-out good parts, limits need {fewest} or more: collect more parts")
    if not np.isfinite(table).all():
        raise ValueError("a held-out score is not finite: train the model anew")
    return table


def _laws(table: F64) -> tuple[F64, F64]:
    """Location and scale (V,) of each view, the scale with a floor."""
    location, scale = law_of(np.sort(table, axis=0))
    return location, np.maximum(scale, LEAST_SCALE * np.maximum(np.abs(location), 1))


def law_of(ranked: F64) -> tuple[F64, F64]:
    """Gumbel's location and scale (...,) by least squares over the body of `ranked` (n, ...), sorted along axis 0."""
    n = len(ranked)
    position = (np.arange(1, n + 1) - 0.44) / (n + 0.12)  # Gringorten 1963: nearly unbiased for Gumbel's law
    inside = (position >= BODY[0] - 1e-9) & (position <= BODY[1])
    variate = -np.log(-np.log(position[inside]))
    chosen = ranked[inside]
    off = variate - variate.mean()
    slope = np.tensordot(off, chosen, axes=1) / (off**2).sum()
    slope = np.maximum(slope, 1e-9)
    return chosen.mean(axis=0) - slope * variate.mean(), slope


def _most_above(n: int, rate: float) -> int:
    """The largest number of n parts above that the rate explains with probability DOUBT or more."""
    return int(max(k for k in range(n + 1) if binom.sf(k - 1, n, rate) >= DOUBT))


def _are_more(excess: F64, threshold: float, risk: Risk) -> bool:
    """Whether more of these parts lie above the threshold than the rate explains."""
    return bool(np.count_nonzero(excess > threshold) > _most_above(len(excess), risk.overkill))


def _rounded_up(limits: F64) -> F64:
    return np.asarray(np.ceil(limits * 10**DECIMALS - 1e-9) / 10**DECIMALS)


@cache
def _draws(n: int, views: int) -> tuple[F64, F64]:
    """The whole fit on DRAWS simulated sets of n parts with independent views: (a, b), each (DRAWS, V).

    In a set's true units the limit of view v lies at a_v + b_v y where the threshold lies y scales above the location
    of the excess's law.
    """
    rng = np.random.default_rng(17)
    values = -np.log(-np.log(rng.uniform(size=(min(n, MOST_DRAWN), DRAWS, views))))
    location, scale = law_of(np.sort(values, axis=0))
    excess = ((values - location) / scale).max(axis=2)  # (n, DRAWS)
    at, spread = law_of(np.sort(excess, axis=0))
    return location + scale * at[:, None], scale * spread[:, None]


def _exceedance(factor: float, n: int, views: int) -> float:
    """Mean overkill of unseen parts when the threshold lies `factor` scales above the location of the excess's law."""
    a, b = _draws(n, views)
    return float(np.mean(-np.expm1(-np.exp(-(a + b * factor)).sum(axis=1))))


@cache
def _predictive(n: int, views: int, rate: float) -> float:
    """The factor at which unseen parts exceed at `rate` on average; found by halving."""
    low, high = -2.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _exceedance(middle, n, views) > rate else (low, middle)
    return high
