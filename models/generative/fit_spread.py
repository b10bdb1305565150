"""What the spread of samples is worth, learned from held-out parts: the pull toward integration, then the scales.

Scales follow conformal risk control (Angelopoulos and others, 2022): the risk of a part is its share of pixels outside
of 1.96 standard deviations, and the scale of a stratum is the smallest with

    K / (K + 1) x mean risk of the K parts + 1 / (K + 1) <= 5 %,

so that the expected risk of one more part of the same kind is at most 5 %. A part counts as one, however many pixels
it has: pixels of a part err together. Half of the held-out parts choose all numbers, and the other half checks them.
Heights are in pixels. This module needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.depth_views import F32, Bools, centred
from models.generative.spread import (
    FEWEST_PARTS,
    PROMISED,
    SIGMAS,
    STRATA,
    Coverage,
    Spread,
    shrunk,
    size_px,
    strata,
    widened,
)

SHRINK_SPREADS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
SHRINK_FLOORS = (0.0, 0.05, 0.1, 0.2, 0.4)  # shares of the samples' root mean square
SPREAD_FLOORS = (0.1, 0.3, 0.6, 1.0)  # shares of the view's size
FEWEST_PIXELS = 10  # of a part in a stratum; with fewer its share says nothing


@dataclass(frozen=True, slots=True)
class Drawn:
    """The samples of one held-out patch beside the truth, all (H, W); heights in pixels."""

    part: str
    mean: F32
    std: F32
    true: F32  # mean 0 over `valid`
    valid: Bools
    observed: Bools
    reliability: F32  # 0..1
    steps: Bools


@dataclass(frozen=True, slots=True)
class _Counted:
    """One held-out patch in one stratum."""

    part: str
    error: F32  # (n,) pixels, 0 or more
    std: F32  # (n,)
    size: float  # of the patch


def fit_spread(drawn: Sequence[Drawn], *, shrink: bool, sampling_steps: int, samples: int) -> Spread:
    """Choose all numbers on every other held-out part and check them on the rest.

    `shrink` is for the residual form: a height from scratch has no zero to go back to. Raises ValueError for nothing.
    """
    if not drawn:
        raise ValueError("no held-out patches to calibrate on")
    parts = sorted({d.part for d in drawn})
    to_fit, to_check = set(parts[::2]), set(parts[1::2])
    fitting = [d for d in drawn if d.part in to_fit]
    k, f = _shrinkage(fitting) if shrink else (0.0, 0.0)
    pairs = [_scaling(fitting, k, f, stratum) for stratum in range(len(STRATA))]
    scale, floor = (tuple(pair[n] for pair in pairs) for n in (0, 1))
    found = Spread(k, f, scale, floor, len(to_fit), sampling_steps, samples, {})
    return replace(found, checked=checked(found, [d for d in drawn if d.part in to_check]))


def checked(spread: Spread, drawn: Sequence[Drawn]) -> dict[str, Coverage]:
    """Coverage over all pixels and by stratum, of parts that did not choose the numbers; empty for fewer than two."""
    found = {name: _coverage(drawn, spread, n - 1) for n, name in enumerate(("all", *STRATA))}
    return {name: coverage for name, coverage in found.items() if coverage is not None}


def _shrinkage(drawn: Sequence[Drawn]) -> tuple[float, float]:
    """k and f with the smallest mean ratio to integration's error: on smooth, step and unobserved pixels alike.

    The squared error of all pixels would be that of the steps alone. Smooth regions shall not become worse: while any
    pair keeps their ratio at 1 or below, the others are not chosen.
    """
    squares = np.concatenate([np.zeros(1), *(d.mean[d.valid] ** 2 for d in drawn)])
    rms = float(np.sqrt(squares.mean(dtype=np.float64)))
    regions = [
        [d.valid & d.observed & ~d.steps for d in drawn],
        [d.valid & d.steps for d in drawn],
        [d.valid & ~d.observed for d in drawn],
    ]

    def ratios(k: float, f: float) -> tuple[bool, float]:
        errors = [_error(d, k, f) for d in drawn]
        found, harms = [], False
        for n, masks in enumerate(regions):
            before = sum(float((d.true[m] ** 2).sum()) for d, m in zip(drawn, masks, strict=True))
            after = sum(float((e[m] ** 2).sum()) for e, m in zip(errors, masks, strict=True))
            if before > 0:
                found.append(np.sqrt(after / before))
                harms = harms or (n == 0 and after > before)
        return harms, float(np.mean(found)) if found else 0.0

    return min(((k, share * rms) for k in SHRINK_SPREADS for share in SHRINK_FLOORS), key=lambda kf: ratios(*kf))


def _error(d: Drawn, k: float, f: float) -> F32:
    """(H, W): only differences mean anything, so the mean over `valid` is taken off."""
    return centred(shrunk(d.mean, d.std, k, f), d.valid) - d.true


def _scaling(drawn: Sequence[Drawn], k: float, f: float, stratum: int) -> tuple[float, float]:
    """Scale and floor of a stratum: among those that keep the promise, the smallest mean standard deviation.

    Where too few parts have such pixels, all pixels choose.
    """
    counted = _counted(drawn, k, f, stratum)
    if len({c.part for c in counted}) < FEWEST_PARTS:
        counted = _counted(drawn, k, f, None)
    if not counted:
        return 1.0, SPREAD_FLOORS[-1]
    candidates = []
    for floor in SPREAD_FLOORS:
        spreads = [widened(c.std, floor * c.size) for c in counted]
        ratios = [c.error / spread for c, spread in zip(counted, spreads, strict=True)]
        scale = _risk_controlled(ratios, [c.part for c in counted]) / SIGMAS
        candidates.append((scale * float(np.mean([spread.mean() for spread in spreads])), scale, floor))
    _, scale, floor = min(candidates)
    return scale, floor


def _counted(drawn: Sequence[Drawn], k: float, f: float, stratum: int | None) -> list[_Counted]:
    """Of one stratum, or of all pixels."""
    found = []
    for d in drawn:
        where = d.valid if stratum is None else d.valid & strata(d.observed, d.reliability)[stratum]
        if where.sum() >= FEWEST_PIXELS:
            error = np.abs(_error(d, k, f)[where])
            found.append(_Counted(d.part, error, d.std[where], size_px(d.mean, d.std, d.observed)))
    return found


def _risk_controlled(ratios: Sequence[NDArray[np.float32]], parts: Sequence[str]) -> float:
    """The smallest multiple of the spread that keeps the risk; the largest ratio where there are too few parts."""
    number = dict.fromkeys(parts, 0)
    for part, ratio in zip(parts, ratios, strict=True):
        number[part] += ratio.size
    weights = [np.full(r.size, 1.0 / number[part]) for part, r in zip(parts, ratios, strict=True)]
    values = np.concatenate(ratios).astype(np.float64)
    order = np.argsort(values)
    inside = np.cumsum(np.concatenate(weights)[order]) / (len(number) + 1)
    return float(values[order[min(int(np.searchsorted(inside, PROMISED)), values.size - 1)]])


def _coverage(drawn: Sequence[Drawn], spread: Spread, stratum: int) -> Coverage | None:
    """None where fewer than two parts have such pixels; stratum -1 is all pixels."""
    inside: dict[str, list[int]] = {}
    for d in drawn:
        where = d.valid if stratum < 0 else d.valid & strata(d.observed, d.reliability)[stratum]
        if where.sum() < FEWEST_PIXELS:
            continue
        error = np.abs(_error(d, spread.shrink_spread, spread.shrink_floor_px))
        within = error <= SIGMAS * spread.deviation(d.mean, d.std, d.observed, d.reliability)
        sums = inside.setdefault(d.part, [0, 0])
        sums[0] += int((within & where).sum())
        sums[1] += int(where.sum())
    if len(inside) < 2:
        return None
    counted = np.array(list(inside.values()), float)
    shares = counted[:, 0] / counted[:, 1]
    share, half = float(shares.mean()), float(SIGMAS * shares.std(ddof=1) / np.sqrt(len(shares)))
    return Coverage(share, max(0.0, share - half), min(1.0, share + half), len(shares), int(counted[:, 1].sum()))
