"""Intensities from a white plane under near lights, with everything but their ratio taken out."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.lights.rays import LightCalibrationError, Pinhole
from calibration.lights.white_plane import BLOCKS, block_means, check_level, fit_plane, plane_tilt

RAYS, SIZE = Pinhole(3053.0, 3053.0, 341.5, 227.5, 250.0), (456, 684)
NAMES = [f"L{45 * k}" for k in range(8)]


def positions() -> np.ndarray:
    azimuth, slant = np.radians(np.arange(0, 360, 45)), np.radians(40)
    ring = [np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.full(8, np.cos(slant))]
    return 250 * np.stack(ring, 1)


def plane(lights: np.ndarray, strengths: np.ndarray, lobe: float = 1.0) -> np.ndarray:
    """(K, rows, columns): the plane as seen, with natural vignetting and a shade of its own."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    u, v = (x - 341.5) / 3053, (y - 227.5) / 3053
    points = np.stack([250 * u, -250 * v, np.zeros_like(u)], -1)
    vignetting = (1 + u * u + v * v) ** -2 * (0.8 + 0.02 * np.sin(x / 90))
    out = []
    for light, strength in zip(lights, strengths, strict=True):
        toward = light - points
        d = np.linalg.norm(toward, axis=-1)
        axis = (toward @ light) / d / np.linalg.norm(light)
        out.append(block_means(strength * axis**lobe * toward[..., 2] / d**3 * np.linalg.norm(light) ** 2 * vignetting))
    return np.array(out)


def test_intensities_and_the_leds_lobe_are_found() -> None:
    strengths = np.random.default_rng(1).uniform(0.7, 1.3, 8)
    fit = fit_plane(plane(positions(), strengths), positions(), RAYS, SIZE, NAMES)
    np.testing.assert_allclose(fit.intensities, strengths / strengths.mean(), rtol=0.002)
    assert fit.lobe_exponent == pytest.approx(1.0, abs=0.05)
    assert fit.residual < 0.001
    assert fit.factors.shape == (8, *BLOCKS)
    assert fit.flags == ()
    assert fit.field.mean() == pytest.approx(1, abs=0.01)


def test_a_light_that_is_not_where_it_is_said_to_be_is_named() -> None:
    lights = positions()
    signals = plane(lights, np.ones(8))
    lights[3] = lights[3] * [0.6, 1.3, 0.8]
    fit = fit_plane(signals, lights, RAYS, SIZE, NAMES)
    assert any("L135" in flag for flag in fit.flags)


def test_uncertain_positions_widen_the_intensities() -> None:
    signals = plane(positions(), np.ones(8))
    sure = fit_plane(signals, positions(), RAYS, SIZE, NAMES, plane_tilt_spread_deg=0.0)
    loose = fit_plane(signals, positions(), RAYS, SIZE, NAMES, position_spreads=(np.full(8, 0.5), np.full(8, 2.0)))
    assert (loose.spreads > sure.spreads).all()
    assert loose.spreads[0] == pytest.approx(np.tan(np.radians(40)) * np.radians(0.5), rel=0.1)


def test_a_grazing_light_and_pictures_clipped_or_dark_are_refused() -> None:
    low = positions()
    low[2, 2] = 20.0
    with pytest.raises(LightCalibrationError, match="L90 grazes"):
        fit_plane(plane(positions(), np.ones(8)), low, RAYS, SIZE, NAMES)
    with pytest.raises(LightCalibrationError, match="saturated"):
        check_level("L0", np.full((9, 9), 4095), 64, 4095)
    with pytest.raises(LightCalibrationError, match="dark"):
        check_level("L0", np.full((9, 9), 80), 64, 4095)


def test_the_planes_own_tilt_is_found_against_the_matte_sphere_and_named() -> None:
    rng = np.random.default_rng(2)
    strengths = rng.uniform(0.7, 1.3, 8)
    directions = positions() / 250
    noise = 1 + 0.001 * rng.standard_normal(8)
    level = plane_tilt(strengths * noise, strengths, directions, np.full(8, 0.001))
    assert level.tilt_deg < 0.15
    assert level.flags == ()
    assert 0.01 < level.spread_deg < 0.1
    normal = np.array([0.0, np.sin(np.radians(1)), np.cos(np.radians(1))])
    seen = strengths * (directions @ normal) / directions[:, 2] * noise
    tilted = plane_tilt(seen, strengths, directions, np.full(8, 0.001))
    assert tilted.tilt_deg == pytest.approx(1.0, abs=0.1)
    assert tilted.azimuth_deg == pytest.approx(90, abs=6)
    assert "tilted by 1.0" in tilted.flags[0] or "tilted by 0.9" in tilted.flags[0]
