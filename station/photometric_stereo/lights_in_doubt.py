"""Which lights of a folder do not fit its pictures, as `station solve` reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibration.lights.consistency import Consistency, judge_table
from drivers.protocols import Frame
from station.photometric_stereo.checks import leave_one_out_residuals, relighting_residuals, sampled_values
from station.photometric_stereo.concave_light import LARGEST_SHARE, concave_light
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
    table = table_of_view(values, usable, lit, lights.directions, lights.names, settings)
    return LightFigures(relighting, left_out, table)


def table_of_view(
    values: NDArray[np.float64],
    usable: NDArray[np.bool_],
    lit: NDArray[np.bool_],
    directions: NDArray[np.float64],
    names: Sequence[str],
    settings: SolverSettings,
) -> Consistency:
    """`judge_table` on values (K, n), unless bounced light explains what it doubts.

    Light that bounced once is as linear in the lights as direct light, so good tables are doubted by it. Exchanged and
    mirrored rows are explained too well to be that; other doubts do not stand where bounced light dominates the view.
    """
    judged = judge_table(values, lit, directions, names)
    if not any(doubt.kind in ("table", "direction") for doubt in judged.doubts):
        return judged
    bounced = concave_light(values, usable, directions, settings)
    if not bounced.dominates:
        return judged
    why = (
        f"bounced light shows on {bounced.share:.0%} of the pixels (limit {LARGEST_SHARE:.0%}); judge by a convex part"
    )
    kept = tuple(doubt for doubt in judged.doubts if doubt.kind not in ("table", "direction"))
    return replace(judged, doubts=kept, why_not="" if kept else why)


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
