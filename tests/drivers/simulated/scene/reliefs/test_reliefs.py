"""Random reliefs: slopes that belong to the heights, shadows on the right side, light that enters under a bridge."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.simulated.scene.discontinuities import discontinuities
from drivers.simulated.scene.head import position
from drivers.simulated.scene.reliefs import RELIEF_KINDS, Relief, draw_relief, photographed
from drivers.simulated.scene.reliefs.canvas import Canvas

SAMPLES, SAMPLE_MM = 240, 0.03
FROM_THE_RIGHT = np.array([position(0.0, 40.0, 1.0)])


@pytest.mark.parametrize("kind", RELIEF_KINDS)
def test_the_slopes_are_those_of_the_heights_wherever_the_surface_is_not_torn(kind: str) -> None:
    relief = draw_relief(kind, 4, SAMPLES, SAMPLE_MM)
    z = relief.height_mm
    torn = discontinuities((-z).astype(np.float32), relief.normals, SAMPLE_MM)
    shallow = relief.normals[2] > 0.6
    slope_x = -relief.normals[0] / relief.normals[2]
    slope_y = -relief.normals[1] / relief.normals[2]
    found_x, found_y = np.gradient(z, SAMPLE_MM, axis=1), -np.gradient(z, SAMPLE_MM, axis=0)
    off = np.hypot(slope_x - found_x, slope_y - found_y)[1:-1, 1:-1]
    whole = (shallow & ~torn)[1:-1, 1:-1]
    assert whole.mean() > 0.3
    assert np.median(off[whole]) < 1e-3
    assert np.quantile(off[whole], 0.95) < 0.1  # creases are averaged over two samples


def test_the_same_seed_is_the_same_surface_and_another_one_is_not() -> None:
    once, again, other = (draw_relief("pocket", seed, 60, 0.1).height_mm for seed in (7, 7, 8))
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - other).max() > 0.05


def test_an_unknown_kind_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="'tower' is unknown; there are box"):
        draw_relief("tower", 0, 30, 0.1)


def walled(bridge: bool) -> Relief:
    """A wall 1.2 mm wide and 2 mm high across the middle: solid, or 0.2 mm thin over a gap."""
    canvas = Canvas(240, 0.03, (0.5, 0.5, 0.5))
    inside = abs(canvas.x) < 0.6
    flat = np.zeros_like(canvas.z)
    if bridge:
        canvas.bridge(inside, 2.0, 0.2, None)
    else:
        canvas.lay(inside, flat + 2.0, flat, flat, None)
    return canvas.finished(0.0)


def test_a_wall_throws_its_shadow_away_from_the_light_as_long_as_its_height_says() -> None:
    shot = photographed(walled(bridge=False), FROM_THE_RIGHT, 0)
    row = shot.frames[0][40].astype(float)
    x_mm = (np.arange(80) - 39.5) * shot.pixel_mm
    bright = np.median(row[x_mm > 1.0])
    length_mm = 2.0 * np.tan(np.radians(40.0))
    inside = (x_mm < -0.8) & (x_mm > -0.6 - length_mm + 0.15)
    beyond = x_mm < -0.6 - length_mm - 0.15
    assert row[inside].max() < 0.5 * bright
    assert row[beyond].min() > 0.9 * bright


def test_light_reaches_under_a_bridge_where_it_does_not_reach_behind_a_wall() -> None:
    dark = [
        (shot.frames[0][40] < 0.5 * np.median(shot.frames[0])).sum()
        for shot in (photographed(walled(bridge), FROM_THE_RIGHT, 0) for bridge in (False, True))
    ]
    assert 0 < dark[1] < dark[0]


def test_heights_and_steps_are_those_at_pixel_centres() -> None:
    relief = walled(bridge=False)
    shot = photographed(relief, FROM_THE_RIGHT, 0)
    np.testing.assert_allclose(shot.height_mm, relief.height_mm[1::3, 1::3])
    x_mm = (np.arange(80) - 39.5) * shot.pixel_mm
    near = np.abs(np.abs(x_mm) - 0.6) < 0.9
    assert shot.steps[:, near].all()
    assert not shot.steps[:, np.abs(x_mm) > 1.75].any()
