"""Photon transfer on frames drawn from Poisson and normal deviates, and the dark frame."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.sensor.dark import dark_frame
from calibration.sensor.photon_transfer import FramePair, SensorCalibrationError, photon_transfer, temporal_variance

GAIN, READ_E, BLACK, WELL_E = 0.2925, 4.0, 64.0, 14_000.0
SHAPE = (200, 250)


def frame(electrons: float, rng: np.random.Generator, gamma: float = 1.0) -> np.ndarray:
    fixed = np.random.default_rng(7)
    response, offset = 1 + 0.004 * fixed.standard_normal(SHAPE), fixed.standard_normal(SHAPE)
    mean = np.minimum(electrons * response * np.linspace(0.98, 1.02, SHAPE[1]), WELL_E)
    e = rng.poisson(mean) + READ_E * rng.standard_normal(SHAPE) + offset
    dn = BLACK + GAIN * e
    return np.clip(np.round(4095 * (dn / 4095) ** gamma if gamma != 1 else dn), 0, 4095).astype(np.uint16)


def pairs(gamma: float = 1.0, highest: float = 1.15) -> tuple[list[FramePair], FramePair]:
    rng = np.random.default_rng(3)
    shares = np.linspace(0.04, highest, 14)
    made = [FramePair(1e4 * s, frame(WELL_E * s, rng, gamma), frame(WELL_E * s, rng, gamma)) for s in shares]
    return made, FramePair(100.0, frame(0, rng), frame(0, rng))


def test_gain_noise_saturation_and_pattern_are_found() -> None:
    found = photon_transfer(*pairs(), significant_bits=12)
    assert found.gain_dn_per_e == pytest.approx(GAIN, rel=0.01)
    assert abs(found.gain_dn_per_e - GAIN) < 3 * found.gain_spread
    assert 0 < found.gain_spread < 0.01 * GAIN
    assert found.read_noise_e == pytest.approx(READ_E, rel=0.03)
    assert found.saturation_capacity_e == pytest.approx((4095 - BLACK) / GAIN, rel=0.02)
    assert found.linearity_error_percent < 0.3
    assert found.dsnu_e == pytest.approx(1.0, abs=0.3)
    assert found.prnu_percent == pytest.approx(0.4, abs=0.1)
    assert found.flags == ()


def test_even_light_is_not_needed_for_the_temporal_variance() -> None:
    rng = np.random.default_rng(1)
    slope = np.linspace(0, 1000, 250)[None] * np.ones((200, 1))
    a, b = (slope + rng.normal(0, 3, SHAPE) for _ in range(2))
    assert temporal_variance(a, b) == pytest.approx(9, rel=0.03)


def test_gamma_and_a_scale_that_never_saturates_are_named() -> None:
    assert any("gamma" in flag for flag in photon_transfer(*pairs(gamma=0.8), significant_bits=12).flags)
    assert any("not reached" in f for f in photon_transfer(*pairs(highest=0.6), significant_bits=12).flags)


def test_too_few_levels_and_frames_of_another_size_are_refused() -> None:
    made, dark = pairs()
    with pytest.raises(SensorCalibrationError, match="3 levels"):
        photon_transfer(made[:3], dark, 12)
    with pytest.raises(SensorCalibrationError, match="must be alike"):
        photon_transfer([*made, FramePair(1.0, made[0].first[1:], made[0].second)], dark, 12)


def test_a_dark_frame_counts_hot_pixels_and_names_ambient_light() -> None:
    rng = np.random.default_rng(0)
    frames = [rng.normal(64, 2, (50, 60)) for _ in range(8)]
    for f in frames:
        f[3, 4] += 200
    dark = dark_frame(frames, 64.0, 4095)
    assert dark.level_dn == pytest.approx(64, abs=0.3)
    assert dark.noise_dn == pytest.approx(2, rel=0.1)
    assert dark.hot_pixels == 1
    assert dark.flags == ()
    assert "room's light" in dark_frame([f + 40 for f in frames], 64.0, 4095).flags[0]
    with pytest.raises(ValueError, match="at least 2"):
        dark_frame(frames[:1], 64.0, 4095)
