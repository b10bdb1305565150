"""Faces stay rigid: a known step is restored, and an error in its height moves a face instead of bending it."""

from __future__ import annotations

import numpy as np
import pytest

from models.depth_views import DepthView
from models.generative.faces import missed_px

SIDE, RISE_PX = 40, 8.0


def bar() -> DepthView:
    """A level bar on a level ground, wholly observed: integration sees a plane."""
    flat, everywhere = np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), bool)
    normals = np.stack([flat, flat, flat + 1])
    high = (np.abs(np.arange(SIDE) - 20) < 8)[None, :] & (np.abs(np.arange(SIDE) - 18) < 9)[:, None]
    depth = (RISE_PX * high).astype(np.float32)
    return DepthView(normals, normals, everywhere, flat, flat + 1, depth, everywhere, ~everywhere, 1.0)


@pytest.mark.parametrize(("one_side", "most"), [(1.0, 1e-2), (0.5, 0.35)])
def test_a_step_that_is_known_at_three_sides_and_half_known_at_one_leaves_faces_nearly_level(
    one_side: float, most: float
) -> None:
    view = bar()
    f = np.zeros((2, SIDE, SIDE))
    f[0, :, :-1], f[1, :-1] = np.diff(view.depth, axis=1), np.diff(view.depth, axis=0)
    f[0][:, :20] *= one_side
    missed = missed_px(view, (np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))), f)
    high = view.depth > 0
    assert float(np.std(missed[high])) < most
    rise = float(missed[high].mean() - missed[~high].mean())
    assert rise == pytest.approx(RISE_PX, abs=1e-2 if one_side == 1 else 2.0)
