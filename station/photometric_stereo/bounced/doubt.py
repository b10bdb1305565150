"""How far a refined normal may be wrong: terms with a cause each, added as squares, to a 95 % radius in degrees."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
DOUBT_LIMIT_DEG = 10.0  # a normal of more doubt is not observable
COULD_BOUNCE_LIMIT = 0.5  # see `kernels.FIGURES`: beyond it, three lights are not proven
NOISE_95 = 1.73  # radius over rms of a round two-dimensional normal error
TERMS = ("corrected", "moved", "taken", "fill", "dark", "rms", "unseen", "nearby", "fill_around", "off")
WEIGHTS = (0.6, 1.28, 0.55, 0.92, 0.04, 3.9, 0.05, 0.1, 0.3, 0.0)
LEAST_DEG = 0.7


def terms_deg(figures: Mapping[str, F32]) -> dict[str, F32]:
    per_value = figures["per_value"]
    return {
        "corrected": np.rad2deg(figures["corrected"]),
        "moved": np.rad2deg(figures["moved"]),
        **{name: np.rad2deg(figures[name] * per_value) for name in ("taken", "fill", "dark", "rms")},
        **{
            name: np.rad2deg(figures[name] * figures["albedo"] * per_value)
            for name in ("unseen", "nearby", "fill_around")
        },
        "off": np.rad2deg(figures["off_mm"] / 250),
    }


def doubt_p95_deg(figures: Mapping[str, F32]) -> F32:
    square = (NOISE_95 * np.rad2deg(figures["noise"])) ** 2 + LEAST_DEG**2
    for weight, term in zip(WEIGHTS, terms_deg(figures).values(), strict=True):
        square = square + (weight * term) ** 2
    return np.sqrt(square).astype(np.float32)
