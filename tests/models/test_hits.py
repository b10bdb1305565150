"""One defect of several, and the factor on limits for a rate on parts."""

from __future__ import annotations

import numpy as np
import pytest

from models.defect_hits import defect_ratio
from models.overkill import limit_factor


def test_a_defect_is_judged_by_its_own_surroundings() -> None:
    fused, here, there = np.zeros((120, 200), np.float32), np.zeros((120, 200), bool), np.zeros((120, 200), bool)
    here[50:54, 40:44] = there[50:54, 150:154] = True
    fused[40:60, 34:54] = 3.0  # 400 px around the first
    assert defect_ratio(fused, here, 2.0) == pytest.approx(1.5)
    assert defect_ratio(fused, there, 2.0) == 0.0
    assert defect_ratio(fused, here, 2.0, top_pixels=800) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="no pixel"):
        defect_ratio(fused, np.zeros_like(here), 2.0)


def test_the_factor_lets_one_good_part_of_a_hundred_fail() -> None:
    rng = np.random.default_rng(0)
    ratios = rng.gumbel(0.5, 0.05, 400)
    factor = limit_factor(ratios[:200].tolist(), 0.05)
    assert (rng.gumbel(0.5, 0.05, 20_000) > factor).mean() == pytest.approx(0.05, abs=0.02)
    assert limit_factor(ratios.tolist(), 0.01) > factor


def test_what_says_nothing_of_a_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="9, and a rate on parts needs 10"):
        limit_factor([0.5] * 9)
    with pytest.raises(ValueError, match="no rate"):
        limit_factor([0.5] * 10, 1.0)
