"""How much of a view shows light that bounced: lamps that are neither lit nor dark at a pixel.

A lamp that reaches a pixel gives what the normal predicts; one that does not gives nothing. Between the two lies what
other surfaces send. On direct light, on convex parts and under gloss no lamp stands between for long (a highlight
stands above its prediction). Six rendered views of parts with pockets show it on 4 to 18 % of their pixels at an albedo
of 0.5, and on 0.1 % at most without bounces. It is a lower bound: the brightest of that light passes for a lamp.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.network import quantile_index
from station.photometric_stereo.reference import predicted, solve_tile
from station.photometric_stereo.settings import SolverSettings

FEWEST_LIGHTS = 5  # four decide the normal and check it, one may stand between
LEAST_FILL = 0.04  # of s, a pixel's 70 % quantile: real photographs have a little stray light
MOST_FILL = 0.5  # of what the normal predicts of the lamp
LEAST_PREDICTED = 0.2  # of s: a lamp near the pixel's own horizon says nothing
LARGEST_SHARE = 0.04  # of the judged pixels
FEWEST_PIXELS = 100
BETTER_SHADOW_FRACTION = 0.2


@dataclass(frozen=True)
class ConcaveLight:
    """The pixels that show bounced light, and how bright it is there."""

    pixels: int  # judged: four lights or more agree
    share: float | None  # of those; None where they or the lights are too few
    fill: float | None  # median over the lamps between, over the pixel's bright level; None where there is none

    @property
    def dominates(self) -> bool:
        """True where too much of the view shows it; False also where nothing was judged."""
        return self.share is not None and self.share > LARGEST_SHARE


def concave_light(
    values: NDArray[np.float64],
    usable: NDArray[np.bool_],
    directions: NDArray[np.float64],
    settings: SolverSettings,
) -> ConcaveLight:
    """Judge n pixels of a view by values (K, n), usable (K, n) and directions (K, 3) or (n, K, 3), as `solve_tile`."""
    if len(values) < FEWEST_LIGHTS:
        return ConcaveLight(0, None, None)
    tile = solve_tile(values, usable, directions, replace(settings, method="robust"))
    judged = tile.observable & (tile.lit_count >= FEWEST_LIGHTS - 1)
    if judged.sum() < FEWEST_PIXELS:
        return ConcaveLight(int(judged.sum()), None, None)
    values = values[:, judged]
    expected = predicted(directions, tile.g)[:, judged]
    bright = np.sort(values, axis=0)[quantile_index(len(values))]
    between = (values > LEAST_FILL * bright) & (values > settings.dark_fraction)
    between &= (values < MOST_FILL * expected) & (expected > LEAST_PREDICTED * bright)
    fill = (values / np.maximum(bright, 1e-9))[between]
    share = float(between.any(axis=0).mean())
    return ConcaveLight(int(judged.sum()), share, float(np.median(fill)) if fill.size else None)
