"""Which lights of a folder do not fit its pictures, as `station solve` reports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.lights.consistency import Consistency, judge_table
from drivers.protocols import Frame
from station.photometric_stereo.checks import leave_one_out_residuals, relighting_residuals, sampled_values
from station.photometric_stereo.network import quantile_index
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.photographs import Photographs
from station.photometric_stereo.settings import SolverSettings

SAMPLED_VALUES, FEWEST_SAMPLES = 160_000, 2_000  # over all lights: what the checks cost grows with K and not with K^2
MOST_SAMPLES = 20_000
TABLE_SAMPLES = 4_000


class _Sample(NamedTuple):
    """Pixels of the mask, evenly spread, as a picture of one row."""

    frames: tuple[Frame, ...]
    normal_map: NormalMap


@dataclass(frozen=True)
class LightFigures:
    """Per light, and what is doubtful; residuals are fractions of the mean signal, NaN where unknown."""

    relighting: dict[str, float]
    left_out: dict[str, float]
    consistency: Consistency


def light_figures(photographs: Photographs, result: NormalMap, settings: SolverSettings) -> LightFigures:
    """Residuals of every light, and the table judged by the pictures."""
    count, lights = photographs.pictures.count, photographs.lights
    sample = _sample(photographs, result, min(max(SAMPLED_VALUES // count, FEWEST_SAMPLES), MOST_SAMPLES))
    relighting = relighting_residuals(sample.frames, lights, sample.normal_map, stride=1)
    left_out = leave_one_out_residuals(sample.frames, lights, settings)
    sample = _sample(photographs, result, TABLE_SAMPLES)
    values, usable, _ = sampled_values(sample.frames, lights, settings)
    scale = np.sort(values, axis=0)[quantile_index(count)]
    lit = usable & (values > settings.shadow_fraction * scale) & (scale > settings.dark_fraction)
    return LightFigures(relighting, left_out, judge_table(values, lit, lights.directions, lights.names))


def _sample(photographs: Photographs, result: NormalMap, pixels: int) -> _Sample:
    """At most about `pixels` pixels, in the picture's order."""
    where: NDArray[np.intp] = np.flatnonzero(photographs.mask)
    where = where[:: max(1, where.size // pixels)]
    y, x = np.divmod(where, photographs.mask.shape[1])
    part = NormalMap(
        result.normals[:, y, x][:, None], result.albedo[y, x][None], result.lit_count[y, x][None],
        result.residual[y, x][None], result.observable[y, x][None], result.saturated[y, x][None],
    )  # fmt: skip
    return _Sample(photographs.pictures.sampled(y, x), part)
