"""Figures of a view that are recorded and trended, and never change a verdict: residuals per light, quality."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np

from drivers.protocols import Frame
from station.judge.view_solver import ViewSolver
from station.lights.surface import CONCAVE_SHARE, DIFFUSE_SHARE, ROBUST_APART_SHARE
from station.photometric_stereo.checks import leave_one_out_residuals, sampled_values
from station.photometric_stereo.concave_light import concave_light
from station.photometric_stereo.diffuse_base import FEWEST_WITH_FIXTURE, diffuse_base
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.robust_support import robust_support
from station.photometric_stereo.solve import relighting_residuals
from station.photometric_stereo.uncertainty import uncertainty_summary
from station.recipe.loaded import LoadedRecipe
from station.recipe.solver_inputs import noise_for

RELIT_PIXELS = 20_000  # enough for a median per light
SURFACE_PIXELS = 1_000
LEFT_OUT_PIXELS = 1_000  # the same, solved once without each light: 4 lights take about 5 ms


def light_residuals(
    solver: ViewSolver, frames: Sequence[Frame], normal_map: NormalMap | PackedNormalMap
) -> tuple[dict[str, float], dict[str, float]]:
    """Per light, relative to its mean signal: relighting residual, and left-out residual (NaN with three lights)."""
    stride = max(1, isqrt(normal_map.albedo.size // RELIT_PIXELS))
    relit = relighting_residuals(frames, solver.lights, normal_map, stride=stride, flat_field=solver.flat_field)
    left_out = leave_one_out_residuals(
        frames, solver.lights, solver.settings, normal_map.observable,
        flat_field=solver.flat_field, samples=LEFT_OUT_PIXELS,
    )  # fmt: skip
    return relit, left_out


def quality_figures(
    solver: ViewSolver, frames: Sequence[Frame], normal_map: NormalMap | PackedNormalMap, loaded: LoadedRecipe
) -> dict[str, float]:
    """Shares, counts, and the predicted error of the normals in degrees, which covers the sensor's noise alone.

    Where bounced light was taken off, the refinement's own figures come on top.
    """
    quality = {
        "observable_share": normal_map.observable_share,
        "saturated_share": float(np.mean(normal_map.saturated)),
        "mean_lit_count": float(np.mean(normal_map.lit_count)),
    }
    quality |= surface_figures(solver, frames, normal_map)
    expected = uncertainty_summary(
        frames, solver.lights, normal_map, noise_for(loaded, frames[0]), solver.settings, flat_field=solver.flat_field
    )
    if expected is not None:
        quality["uncertainty_median_deg"] = expected.median_deg
        quality["uncertainty_p95_deg"] = expected.p95_deg
    return quality | solver.bounced_figures


def surface_figures(
    solver: ViewSolver, frames: Sequence[Frame], normal_map: NormalMap | PackedNormalMap
) -> dict[str, float]:
    """Of the picture's observable pixels: how many a matte surface explains, and how many show bounced light.

    Both from FEWEST_WITH_FIXTURE lights on. Where `robust` is the method or the refinement, also on how many it differs
    from `masked`. What could not be judged is left out.
    """
    if not normal_map.observable.any():
        return {}
    sample = sampled_values(
        frames, solver.lights, solver.settings, normal_map.observable, SURFACE_PIXELS, flat_field=solver.flat_field
    )
    shares: dict[str, float | None] = {}
    if len(frames) >= FEWEST_WITH_FIXTURE:
        shares[DIFFUSE_SHARE] = diffuse_base(*sample, solver.settings).explained_share
        shares[CONCAVE_SHARE] = concave_light(*sample, solver.settings).share
    if "robust" in (solver.first_name, solver.refined_name):
        support = robust_support(*sample, solver.settings)
        shares[ROBUST_APART_SHARE] = None if support is None else support.apart_share
    return {name: share for name, share in shares.items() if share is not None}
