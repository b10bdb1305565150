"""How far a refined normal may be wrong: terms with a cause each, added as squares, to a 95 % radius in degrees.

A lit pixel beside a crease shows no residual, since bounced light is linear in the lights like the direct one (Nayar,
Ikeuchi and Kanade, 1991). So the residual alone cannot be the doubt, and the estimate of the bounced light takes part.

The weights CORRECTED, MISFIT, NEARBY and FILL are quantile regression (Koenker and Bassett, 1978) on the errors of
renderings: connector and knob of the simulated rig at albedo 0.2 and 0.5, and two scenes of blocks and wedges at 0.2,
0.5 and 0.8. They lie between its answers for the quantiles 96.5 and 97.5 %, so that other parts keep 95 %. The others
were chosen by hand for their causes, and the results on all renderings were seen meanwhile: HEIGHT for the part
"lever", BEYOND for "connector" and a groove, WHITER and ASSUMED_WHITE for albedo 0.8, LEAST_DEG for "connector", and
MOVED, for which the regression gave 2.1 to 2.5, to keep pixels observable. So "block" and "lever" took no part in the
regression, but they are not unseen. docs/bounced-light.md has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
DOUBT_LIMIT_DEG = 9.0  # a normal of more doubt is not observable
COULD_BOUNCE_LIMIT = 0.5  # see `kernels.FIGURES`: beyond it, three lights are not proven
NOISE_95 = 1.73  # 95 % radius over the rms angle of a round two-dimensional error
CORRECTED = 0.58  # of the angle by which the correction turned the normal: cells are coarse, and see no undercut
WHITER = 1.6  # the same times the albedo squared: light that bounces again and again repeats an error of the albedo
ASSUMED_WHITE = 2.0  # the same where no shadow showed the albedo, which may be nearly twice USUAL_ALBEDO
MOVED = 1.5  # of the angle since the round before, or from the pixel nearby: the iteration has not settled there
MISFIT = 3.9  # of the rms residual as an angle: what the lit lights do not agree on, in the other directions too
NEARBY = 0.33  # of the most bounced light nearby: a crease may send it here, and the cells place it badly
FILL = 1.9  # of the light that is left in dark lights: the estimate of the bounced light misses so much
BEYOND = 1.0  # of the light from where the part leaves the picture, were it white there and lit
UNTESTED = 0.015  # of the albedo, over 1 + spare equations: few of them may agree by chance
HEIGHT_MM, HEIGHT = 1.0, 0.7  # error of the relief, and the same as a share of the height over the plane
LEAST_DEG = 0.2  # of the light model


def doubt_p95_deg(figures: Mapping[str, F32], *, is_white_known: bool) -> F32:
    """(H, W) radius in degrees that 95 % of the errors stay within; infinite where nothing was solved.

    `figures` are those of `kernels.FIGURES`, with `nearby`, `beyond` (irradiance), `albedo`, `whiteness` (the albedo
    where white is 1), `turn_per_mm` (radians), `height_mm` over the plane, and `lit`, the number of lit lights; each
    (H, W). `is_white_known`: the albedo of white was given, or shadows showed it.
    """
    per_value, corrected = figures["per_value"], figures["corrected"]
    terms = (
        NOISE_95 * figures["noise"],
        CORRECTED * corrected,
        WHITER * figures["whiteness"] ** 2 * corrected,
        (0.0 if is_white_known else ASSUMED_WHITE) * corrected,
        MOVED * figures["moved"],
        MISFIT * figures["rms"] * per_value,
        NEARBY * figures["nearby"] * figures["albedo"] * per_value,
        FILL * figures["fill"] * per_value,
        BEYOND * figures["beyond"] * figures["albedo"] * per_value,
        UNTESTED * figures["albedo"] * per_value / np.maximum(figures["lit"] - 2, 1),
        figures["turn_per_mm"] * np.hypot(HEIGHT_MM, HEIGHT * figures["height_mm"]),
    )
    square = sum((np.rad2deg(term) ** 2 for term in terms), np.full(per_value.shape, LEAST_DEG**2, np.float32))
    return np.asarray(np.where(per_value > 0, np.sqrt(square), np.inf), np.float32)
