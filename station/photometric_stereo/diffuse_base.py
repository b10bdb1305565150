"""Whether a surface has a diffuse base: does one matte plane explain what a pixel shows under all of its lights?

A highlight on plastic spoils a few pixels, and the others fit n.l to a hundredth. Metal has nothing below its
highlight: the same solver finds a normal nearly everywhere, and the frames miss it by a fifth of the albedo and more.
The limits are from 159 measured reflectances (MERL, RGL and Nielsen's, as small networks: Sztrajman et al., 2021) on a
ball under 8 lights: the 52 below LEAST_EXPLAINED have normals that are 11 degrees wrong or worse, and none of the 99
with an error of up to 10 degrees is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from station.photometric_stereo.reference import Tile, solve_tile
from station.photometric_stereo.settings import SolverSettings

FEWEST_LIGHTS = 4  # three lights are always explained
FEWEST_WITH_FIXTURE = 6  # with four, a good connector under bounced light came near what metal shows
MISSED = 0.125  # of the albedo: rms over the lights that counted, freed of the three that the normal took
LEAST_EXPLAINED = 0.6  # of the judged pixels of a part
LEAST_EXPLAINED_WITH_FIXTURE = 0.85  # of a whole picture: a metal part fills a third, and the matte plate the rest
FEWEST_PIXELS = 100
NOISE_OF_DARK_FRACTION = 1 / 3  # twice the noise that `dark_fraction` is six times of
NO_BASE = "no diffuse base"


@dataclass(frozen=True)
class DiffuseBase:
    """How much of a view a matte surface explains. Flat faces seen squarely look matte in any material."""

    pixels: int  # judged: FEWEST_LIGHTS counted, and the noise is well below what may be missed
    explained_share: float | None  # of those; None where they are fewer than FEWEST_PIXELS

    @property
    def is_missing(self) -> bool:
        """True where too little of a part is explained; False also where nothing was judged."""
        return self.explained_share is not None and self.explained_share < LEAST_EXPLAINED

    def text(self, least: float = LEAST_EXPLAINED) -> str:
        """The finding with its figures."""
        if self.explained_share is None:
            return f"only {self.pixels} pixels can be judged for a diffuse base"
        return (
            f"a matte surface explains {self.explained_share:.0%} of {self.pixels} pixels (at least {least:.0%} wanted)"
        )


def pooled(bases: Sequence[DiffuseBase]) -> DiffuseBase:
    """Several views of one part as one."""
    judged = [(base.pixels, base.explained_share) for base in bases if base.explained_share is not None]
    count = sum(pixels for pixels, _ in judged)
    return DiffuseBase(count, sum(pixels * share for pixels, share in judged) / count if count else None)


def diffuse_base(
    values: NDArray[np.float64],
    usable: NDArray[np.bool_],
    directions: NDArray[np.float64],
    settings: SolverSettings,
) -> DiffuseBase:
    """Judge n pixels of a view by values (K, n), usable (K, n) and directions (K, 3) or (n, K, 3), as `solve_tile`."""
    tile = solve_tile(values, usable, directions, replace(settings, method="masked"))
    missed, judged = missed_of_albedo(tile, settings)
    count = int(judged.sum())
    if count < FEWEST_PIXELS:
        return DiffuseBase(count, None)
    return DiffuseBase(count, float((missed[judged] < MISSED).mean()))


def missed_of_albedo(tile: Tile, settings: SolverSettings) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n,) rms that the lights miss a matte plane by, over the albedo; and which pixels it says something of."""
    albedo = np.linalg.norm(tile.g, axis=1)
    freedom = tile.lit_count / np.maximum(tile.lit_count - 3, 1)
    judged = tile.observable & (tile.lit_count >= FEWEST_LIGHTS)
    judged &= albedo * MISSED > settings.dark_fraction * NOISE_OF_DARK_FRACTION
    return tile.residual * np.sqrt(freedom) / np.maximum(albedo, 1e-9), judged
