"""Windows of a view larger than a patch, on one level and without seams."""

from __future__ import annotations

import numpy as np
import pytest

from models.generative.windows import Windows


@pytest.mark.parametrize("shape", [(32, 32), (48, 32), (50, 77), (96, 64)])
def test_every_pixel_lies_in_a_window(shape: tuple[int, int]) -> None:
    windows = Windows.over(shape, 32)
    seen = np.zeros(shape, int)
    for top, left in windows.corners:
        assert top + 32 <= shape[0]
        assert left + 32 <= shape[1]
        seen[top : top + 32, left : left + 32] += 1
    assert seen.min() >= 1


def test_windows_with_levels_of_their_own_give_the_height_they_were_cut_from() -> None:
    random = np.random.default_rng(0)
    row, column = np.mgrid[:70, :101]
    height = (5.0 * (column > 40) + 0.1 * row + np.sin(column / 9)).astype(np.float32)
    windows = Windows.over(height.shape, 32)
    cut = [height[t : t + 32, c : c + 32] + np.float32(random.normal(0, 10)) for t, c in windows.corners]
    joined = windows.joined(cut)
    difference = joined - height
    assert float(np.ptp(difference)) < 0.02


def test_a_view_smaller_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller than a window"):
        Windows.over((20, 40), 32)
