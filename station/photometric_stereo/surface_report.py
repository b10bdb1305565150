"""What a folder's photographs say of the surface itself: its diffuse base, bounced light, robust against masked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from station.photometric_stereo.checks import sampled_values
from station.photometric_stereo.concave_light import (
    BETTER_SHADOW_FRACTION,
    LARGEST_SHARE,
    ConcaveLight,
    concave_light,
)
from station.photometric_stereo.diffuse_base import NO_BASE, DiffuseBase, diffuse_base
from station.photometric_stereo.photographs import Photographs
from station.photometric_stereo.robust_support import RobustSupport, robust_support
from station.photometric_stereo.settings import Refinement, SolverSettings

SAMPLED_VALUES, FEWEST_SAMPLES, MOST_SAMPLES = 160_000, 2_000, 20_000  # over all lights: the cost does not grow with K


@dataclass(frozen=True)
class SurfaceFigures:
    """Of pixels spread evenly over the mask."""

    diffuse: DiffuseBase
    concave: ConcaveLight
    robust: RobustSupport | None  # only where the method is robust
    warnings: tuple[str, ...]  # what a person should know before using the normals, and what to do


def surface_figures(photographs: Photographs, settings: SolverSettings, refine: Refinement = "none") -> SurfaceFigures:
    """All figures, of the photographs as they are, and warnings that know the refinement; tenths of a second."""
    where = np.flatnonzero(photographs.mask)
    wanted = min(max(SAMPLED_VALUES // photographs.pictures.count, FEWEST_SAMPLES), MOST_SAMPLES)
    y, x = np.divmod(where[:: max(1, where.size // wanted)], photographs.mask.shape[1])
    sample = sampled_values(photographs.pictures.sampled(y, x), photographs.lights, settings, samples=len(y))
    diffuse, concave = diffuse_base(*sample, settings), concave_light(*sample, settings)
    robust = robust_support(*sample, settings) if settings.method == "robust" else None
    return SurfaceFigures(diffuse, concave, robust, _warnings(diffuse, concave, settings, refine))


def _warnings(
    diffuse: DiffuseBase, concave: ConcaveLight, settings: SolverSettings, refine: Refinement
) -> tuple[str, ...]:
    """Metal puts light between lit and dark too: there the missing base is the finding."""
    if diffuse.is_missing:
        return (
            f"{NO_BASE}: {diffuse.text()}. This is metal, or gloss on a black body: its normals are wrong by ten "
            "degrees or more under every method, and the recipe's `refine: gloss` does not apply. Dull the part with a "
            "matte spray, or do not measure by these normals",
        )
    if not concave.dominates:
        return ()
    assert concave.share is not None
    found = (
        f"bounced light: on {concave.share:.1%} of {concave.pixels} pixels ({LARGEST_SHARE:.0%} are the limit) a light "
        f"is neither lit nor dark, {concave.fill or 0:.2f} of the bright level in the median"
    )
    if refine == "bounced":
        return (
            f"{found}. It was taken off as estimated, and the expected error covers what is left, but no gloss and no "
            "light from beyond the picture: trust concave places only where they are observable",
        )
    better = settings.shadow_fraction < BETTER_SHADOW_FRACTION
    if settings.method == "ls":  # it weighs every light alike, whatever the shadow fraction
        return (f"{found}. Concave places are many degrees wrong: try --method masked, with --refine bounced",)
    step = f"try --shadow-fraction {BETTER_SHADOW_FRACTION:g}" if better else "shadow fractions beyond this help little"
    refined = "--refine bounced" if settings.method == "masked" else "--method masked --refine bounced"
    return (
        f"{found}. Concave places may be many degrees wrong, and the expected error does not cover that. On a matte "
        f"part use {refined}, which takes the light off and states what is left; else {step}, and trust only "
        "open faces",
    )
