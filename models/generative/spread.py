"""From the spread of several samples to a height and its standard deviation, calibrated on held-out parts.

The mean of several samples is pulled toward zero where samples disagree (`shrunk`, a Wiener filter pixel by pixel):
where the model has nothing to say, the integrated height stands. The standard deviation is

    scale sqrt(std^2 + (floor size)^2),   size^2 = the mean of mean^2 + std^2 over the view,

because turns of one view agree in what they all get wrong: how much was changed at all says more of that than their
spread. `fit_spread.py` finds the numbers. Heights are in pixels. This module needs numpy alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.depth_views import F32, Bools, centred

PROMISED = 0.95
SIGMAS = 1.959964  # of a normal distribution around `PROMISED`
FEWEST_PARTS = 19  # with fewer, one unlucky part alone is more than 5 %: conformal risk control promises nothing
STRATA = ("reliable", "unreliable", "unobserved")  # each has a scale and a floor of its own
RELIABLE = 0.6  # least reliability of the first stratum
LEAST_STD_PX = 1e-3


@dataclass(frozen=True, slots=True)
class Coverage:
    """The mean over parts of the share of pixels within 1.96 standard deviations."""

    share: float
    low: float  # 95 % interval over parts, by normal approximation
    high: float
    parts: int  # that did not choose the numbers
    pixels: int

    @property
    def holds(self) -> bool:
        """Whether 95 % is inside the interval, or what was found is above it."""
        return self.high >= PROMISED

    def text(self) -> str:
        """The share with its interval."""
        return f"{100 * self.share:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f} %)"


@dataclass(frozen=True, slots=True)
class Spread:
    """How samples become a height and its standard deviation."""

    shrink_spread: float  # k of mean^2 / (mean^2 + k std^2 + f^2)
    shrink_floor_px: float  # f
    scale: tuple[float, ...]  # of the spread, by stratum
    floor: tuple[float, ...]  # share of the view's `size_px` that is added in squares before scaling, by stratum
    parts: int  # that chose these numbers
    sampling_steps: int  # with which this was measured
    samples: int
    checked: dict[str, Coverage]  # all and each stratum; empty without enough parts

    def height(self, mean: F32, std: F32) -> F32:
        """The samples' mean, pulled toward zero where they disagree; (H, W) pixels."""
        return shrunk(mean, std, self.shrink_spread, self.shrink_floor_px)

    def deviation(self, mean: F32, std: F32, observed: Bools, reliability: F32) -> F32:
        """The calibrated standard deviation of a whole view; (H, W) pixels. `mean` is not pulled yet."""
        masks, size = strata(observed, reliability), size_px(mean, std, observed)
        scale, floor = (np.select(masks, given).astype(np.float32) for given in (self.scale, self.floor))
        return np.asarray(scale * widened(std, floor * np.float32(size)), np.float32)

    def sentence(self) -> str:
        """Whether 95 % means 95 %."""
        if not self.checked:
            return "The uncertainty is not checked: there were fewer than two parts to check it on."
        found = self.checked["all"]
        words = f"{found.text()} of the held-out pixels lie within 1.96 standard deviations"
        words += f" (95 % interval over {found.parts} parts); "
        words += ", ".join(f"{name} {self.checked[name].text()}" for name in STRATA if name in self.checked)
        if not all(coverage.holds for coverage in self.checked.values()):
            words += "; 95 % were meant, so the uncertainty is too small"
        if self.parts < FEWEST_PARTS:
            words += f"; it was chosen on {self.parts} parts, and 95 % need {FEWEST_PARTS}: hold out more parts"
        return f"{words}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Spread:
        """Reads what `to_dict` wrote. Raises KeyError or TypeError for what an earlier version wrote."""
        triples = {name: tuple(raw[name]) for name in ("scale", "floor")}
        checked = {name: Coverage(**found) for name, found in raw["checked"].items()}
        return cls(**{**raw, **triples, "checked": checked})


def strata(observed: Bools, reliability: F32) -> list[Bools]:
    """(H, W) masks, in the order of `STRATA`."""
    trusted = reliability >= RELIABLE
    return [observed & trusted, observed & ~trusted, ~observed]


def size_px(mean: F32, std: F32, where: Bools) -> float:
    """Root mean square of the samples' mean and of their spread together, over `where` or, if that is nothing, all."""
    chosen = where if where.any() else np.ones(where.shape, np.bool_)
    square = centred(mean, chosen)[chosen].astype(np.float64) ** 2 + std[chosen].astype(np.float64) ** 2
    return float(np.sqrt(square.mean()))


def widened(std: F32, floor_px: F32 | float) -> F32:
    """(H, W) the spread with its floor, before scaling; never 0."""
    return np.asarray(np.sqrt(std**2 + floor_px**2 + LEAST_STD_PX**2), np.float32)


def shrunk(mean: F32, std: F32, spread: float, floor_px: float) -> F32:
    """mean^3 / (mean^2 + spread std^2 + floor^2); as it is where both are 0."""
    if not spread and not floor_px:
        return mean
    square = mean**2
    return np.asarray(mean * square / (square + spread * std**2 + floor_px**2 + 1e-12), np.float32)
