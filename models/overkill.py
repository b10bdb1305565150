"""The factor on a model's limits at which a good part fails with a given probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST = 10  # good parts
_EULER_GAMMA = 0.5772156649015329


def limit_factor(good_ratios: Sequence[float], overkill: float = 0.01) -> float:
    """What every limit is to be multiplied by, from (n,) highest ratios of unseen good parts.

    A part's ratio is the maximum over its views, so a Gumbel law is fitted (method of moments) and its quantile taken;
    n parts alone say little about a rate below 1 / n. ValueError with fewer than ten parts, or a rate outside 0 to 1.
    """
    ratios = np.asarray(good_ratios, np.float64)
    if len(ratios) < FEWEST:
        raise ValueError(f"good parts: {len(ratios)}, and a rate on parts needs {FEWEST} or more; add good test parts")
    if not 0 < overkill < 1:
        raise ValueError(f"overkill: {overkill} is no rate between 0 and 1")
    beta = float(ratios.std(ddof=1)) * np.sqrt(6.0) / np.pi
    return float(ratios.mean() - _EULER_GAMMA * beta - beta * np.log(-np.log1p(-overkill)))
