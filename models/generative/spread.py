"""From the spread of several samples to a height and its standard deviation, calibrated on held-out parts.

The mean of several samples is pulled toward zero where samples disagree (`shrunk`, a Wiener filter pixel by pixel):
where the model has nothing to say, the integrated height stands. Afterwards the spread is scaled such that 95 % of the
held-out pixels lie within 1.96 standard deviations, observed and unobserved pixels apart. Half of the held-out parts
choose the numbers, the other half checks them. Heights are in pixels. This module needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.depth_views import F32, Bools, centred

PROMISED = 0.95
SIGMAS = 1.959964  # of a normal distribution around `PROMISED`
SHRINK_SPREADS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
SHRINK_FLOORS = (0.0, 0.05, 0.1, 0.2, 0.4)  # shares of the samples' root mean square
SPREAD_FLOORS = (0.1, 0.2, 0.5, 1.0, 2.0)  # shares of the spread's root mean square
FEWEST_PIXELS = 200
LEAST_STD_PX = 1e-3


@dataclass(frozen=True, slots=True)
class Drawn:
    """The samples of one held-out patch beside the truth, all (H, W); heights in pixels."""

    part: str
    mean: F32
    std: F32
    true: F32  # mean 0 over `valid`
    valid: Bools
    observed: Bools
    steps: Bools


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of pixels within 1.96 standard deviations, on parts that did not choose the numbers."""

    share: float
    low: float  # 95 % interval over parts, by normal approximation
    high: float
    parts: int
    pixels: int

    @property
    def holds(self) -> bool:
        """Whether 95 % is inside the interval, or what was found is above it."""
        return self.high >= PROMISED


@dataclass(frozen=True, slots=True)
class Spread:
    """How samples become a height and its standard deviation."""

    shrink_spread: float  # k of mean^2 / (mean^2 + k std^2 + f^2)
    shrink_floor_px: float  # f
    scale: tuple[float, float]  # of the spread: observed, unobserved
    floor_px: tuple[float, float]  # added in squares before scaling
    sampling_steps: int  # with which this was measured
    samples: int
    checked: dict[str, Coverage]  # all, observed, unobserved; empty without enough parts

    def height(self, mean: F32, std: F32) -> F32:
        """The samples' mean, pulled toward zero where they disagree; (H, W) pixels."""
        return shrunk(mean, std, self.shrink_spread, self.shrink_floor_px)

    def deviation(self, std: F32, observed: Bools) -> F32:
        """The calibrated standard deviation; (H, W) pixels."""
        scale, floor = (np.where(observed, *pair).astype(np.float32) for pair in (self.scale, self.floor_px))
        return np.asarray(scale * np.sqrt(std**2 + floor**2), np.float32)

    def sentence(self) -> str:
        """Whether 95 % means 95 %."""
        if not self.checked:
            return "The uncertainty is not checked: there were fewer than two parts to check it on."
        found = self.checked["all"]
        words = f"{100 * found.share:.1f} % of held-out pixels (95 % interval {100 * found.low:.1f} to "
        words += f"{100 * found.high:.1f} %, {found.parts} parts) lie within 1.96 standard deviations"
        return f"{words}." if found.holds else f"{words}; 95 % were meant, so the uncertainty is too small."

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Spread:
        """Reads what `to_dict` wrote."""
        pairs = {name: tuple(raw[name]) for name in ("scale", "floor_px")}
        checked = {name: Coverage(**found) for name, found in raw["checked"].items()}
        return cls(**{**raw, **pairs, "checked": checked})


def shrunk(mean: F32, std: F32, spread: float, floor_px: float) -> F32:
    """mean^3 / (mean^2 + spread std^2 + floor^2); as it is where both are 0."""
    if not spread and not floor_px:
        return mean
    square = mean**2
    return np.asarray(mean * square / (square + spread * std**2 + floor_px**2 + 1e-12), np.float32)


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
    pairs = [_scaling(fitting, k, f, observed=observed) for observed in (True, False)]
    found = Spread(k, f, (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1]), sampling_steps, samples, {})
    checking = [d for d in drawn if d.part in to_check]
    names = {"all": None, "observed": True, "unobserved": False}
    checked = {name: _coverage(checking, found, kind) for name, kind in names.items()} if len(to_check) > 1 else {}
    return Spread(**{**_fields(found), "checked": {name: c for name, c in checked.items() if c is not None}})


def _fields(spread: Spread) -> dict[str, Any]:
    return {name: getattr(spread, name) for name in spread.__dataclass_fields__}


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


def _scaling(drawn: Sequence[Drawn], k: float, f: float, *, observed: bool) -> tuple[float, float]:
    """Scale and floor with 95 % inside and the smallest mean standard deviation."""
    masks = [d.valid & (d.observed == observed) for d in drawn]
    if sum(int(m.sum()) for m in masks) < FEWEST_PIXELS:  # as for all pixels, then
        masks = [d.valid for d in drawn]
    errors = np.abs(np.concatenate([_error(d, k, f)[m] for d, m in zip(drawn, masks, strict=True)]))
    stds = np.concatenate([d.std[m] for d, m in zip(drawn, masks, strict=True)])
    if not errors.size:
        return 1.0, LEAST_STD_PX
    rms = max(float(np.sqrt(np.mean(stds**2))), LEAST_STD_PX)
    candidates = []
    for share in SPREAD_FLOORS:
        spread = np.sqrt(stds**2 + (share * rms) ** 2)
        scale = float(np.quantile(errors / spread, PROMISED)) / SIGMAS
        candidates.append((float(scale * spread.mean()), scale, share * rms))
    _, scale, floor = min(candidates)
    return max(scale, LEAST_STD_PX), floor


def _coverage(drawn: Sequence[Drawn], spread: Spread, observed: bool | None) -> Coverage | None:
    """None where no part has such pixels."""
    inside: dict[str, list[int]] = {}
    for d in drawn:
        where = d.valid if observed is None else d.valid & (d.observed == observed)
        error = np.abs(_error(d, spread.shrink_spread, spread.shrink_floor_px))
        within = error <= SIGMAS * spread.deviation(d.std, d.observed)
        sums = inside.setdefault(d.part, [0, 0])
        sums[0] += int((within & where).sum())
        sums[1] += int(where.sum())
    counted = np.array([s for s in inside.values() if s[1]], float)
    if len(counted) < 2:
        return None
    share = float(counted[:, 0].sum() / counted[:, 1].sum())
    # the ratio of sums over parts, linearised: parts vary, and the pixels of one part vary together
    residual = (counted[:, 0] - share * counted[:, 1]) / counted[:, 1].mean()
    half = float(SIGMAS * residual.std(ddof=1) / np.sqrt(len(counted)))
    return Coverage(share, max(0.0, share - half), min(1.0, share + half), len(counted), int(counted[:, 1].sum()))
