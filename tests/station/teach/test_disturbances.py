"""Disturbances do to frames what they say: levels, standard deviations, widths and directions are measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers.protocols import Frame
from station.photometric_stereo.lights import directions_at_target
from station.photometric_stereo.uncertainty import SensorNoise
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.solver_inputs import lights_for
from station.teach.disturbances import (
    Combined,
    Disturbance,
    Sensor,
    Turn,
    all_lamps_at,
    blur_kernel,
    blurred_by,
    disturbed_frames,
    exposure_at,
    lamp_at,
    light_turned,
    noise_times,
    nothing,
    ordinary_day,
    seed_of,
    with_turned_lights,
)

NOISE = SensorNoise(0.4, 5.0)
BLACK, FULL = 64.0, 4095
LIGHTS = ("L45", "L135", "L225", "L315", "diffuse")


@pytest.fixture(scope="module")
def loaded() -> LoadedRecipe:
    return load_recipe(DEMO_RECIPES / "connector.yaml", need_model=False)


def frame(signal_dn: float, seed: int = 0, pixel_format: str = "BayerRG12") -> Frame:
    """200 x 300 pixels of one level, with the sensor's noise."""
    mean = np.full((200, 300), signal_dn)
    spread = np.sqrt(NOISE.variance_dn2(mean) - 1 / 12)
    counts = mean + BLACK + spread * np.random.default_rng(seed).standard_normal(mean.shape)
    pixels = np.clip(np.rint(counts), 0, FULL).astype(np.uint16)
    return Frame(pixels, pixel_format, 12, BLACK, 8000.0, 0.0, 0, 0)


def disturbed(disturbance: Disturbance, of: Frame, grid_factor: int = 1) -> Frame:
    frames = {"L45": of, "L135": of}
    found = disturbed_frames(disturbance, frames, Sensor(NOISE, grid_factor), np.random.default_rng(9))
    return found["L45"]


@pytest.mark.parametrize("signal_dn", [30.0, 500.0, 2500.0])
def test_noise_times_two_doubles_the_measured_standard_deviation(signal_dn: float) -> None:
    """Issue 17, point 3."""
    plain = frame(signal_dn)
    noisy = disturbed(noise_times(2.0), plain).pixels
    assert np.std(noisy) == pytest.approx(2 * np.std(plain.pixels), rel=0.02)
    assert np.mean(noisy) == pytest.approx(np.mean(plain.pixels), abs=0.5)


@pytest.mark.parametrize("factor", [0.9, 0.98, 1.05])
def test_a_lamp_scales_the_light_over_black_and_keeps_the_sensor_s_noise(factor: float) -> None:
    plain = frame(1000.0)
    weak = disturbed(lamp_at("L45", factor), plain)
    assert np.mean(weak.pixels) - BLACK == pytest.approx(factor * 1000, rel=0.002)
    expected = np.sqrt(NOISE.variance_dn2(np.array(factor * 1000)))
    assert np.std(weak.pixels) == pytest.approx(float(expected), rel=0.04)
    other = disturbed_frames(
        lamp_at("L45", factor), {"L45": plain, "L135": plain}, Sensor(NOISE), np.random.default_rng(0)
    )
    assert other["L135"] is plain


def test_all_lamps_and_exposure_change_every_frame_and_count_in_range() -> None:
    for disturbance in (all_lamps_at(1.1), exposure_at(1.2)):
        found = disturbed_frames(disturbance, {n: frame(3900) for n in LIGHTS}, Sensor(NOISE), np.random.default_rng(0))
        assert set(found) == set(LIGHTS)
        assert all(f.pixels.max() == FULL and f.pixels.dtype == np.uint16 for f in found.values())


def test_a_saturated_pixel_stays_saturated() -> None:
    """Nobody knows how much more light it got."""
    bright = frame(500.0)
    pixels = bright.pixels.copy()
    pixels[50:60, 50:60] = FULL
    bright = replace(bright, pixels=pixels)
    for disturbance in (lamp_at("L45", 0.9), noise_times(2.0), blurred_by(0.5)):
        assert (disturbed(disturbance, bright).pixels[50:60, 50:60] == FULL).all()


@pytest.mark.parametrize("sigma_px", [0.1, 0.25, 0.5, 1.0, 3.0])
def test_the_kernel_of_the_blur_has_the_right_width_even_where_it_is_narrow(sigma_px: float) -> None:
    kernel = blur_kernel(sigma_px)
    at = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * at**2).sum() == pytest.approx(sigma_px**2, rel=0.02)


@pytest.mark.parametrize(("pixel_format", "grid_factor"), [("BayerRG12", 1), ("Mono12", 1), ("Mono12", 2)])
def test_blur_widens_an_edge_by_its_sigma_and_leaves_the_noise(pixel_format: str, grid_factor: int) -> None:
    """A red pixel of a mosaic stays red: each colour plane is blurred for itself."""
    plain = frame(400.0, pixel_format=pixel_format)
    pixels = plain.pixels.copy()
    pixels[:, 150:] += 1000
    if pixel_format.startswith("Bayer"):
        pixels[::2, ::2] //= 2
    soft = disturbed(blurred_by(1.0), replace(plain, pixels=pixels), grid_factor).pixels.astype(np.float64)
    rows = soft[1::2, 1::2] if pixel_format.startswith("Bayer") else soft
    step_px = 2 if pixel_format.startswith("Bayer") else 1
    slope = np.diff(rows.mean(axis=0))
    at = np.arange(len(slope)) * step_px
    near = np.abs(at - 149) < 12
    center = (slope * at)[near].sum() / slope[near].sum()
    width = np.sqrt((slope * (at - center) ** 2)[near].sum() / slope[near].sum())
    assert width == pytest.approx(grid_factor, rel=0.25)
    flat = rows[:, :60]
    assert np.std(flat) == pytest.approx(float(np.sqrt(NOISE.variance_dn2(np.array(400.0)))), rel=0.05)
    if pixel_format.startswith("Bayer"):
        assert soft[::2, :100:2].mean() < 0.6 * soft[1::2, 1:100:2].mean()


def test_a_turned_light_changes_the_solver_s_direction_by_so_much_and_no_frame(loaded: LoadedRecipe) -> None:
    turn = Turn("L135", 1.0, 30.0)
    plain = frame(500.0)
    assert disturbed(light_turned("L135", 1.0, 30.0), plain) is plain
    before, after = (directions_at_target(lights_for(r)) for r in (loaded, with_turned_lights(loaded, [turn])))
    angles = np.degrees(np.arccos(np.clip((before * after).sum(axis=1), -1, 1)))
    np.testing.assert_allclose(angles, [0, 1, 0, 0], atol=1e-4)
    assert with_turned_lights(loaded, []) is loaded


def test_an_ordinary_day_stays_within_what_is_promised_and_follows_from_its_seed() -> None:
    days = [ordinary_day(seed, LIGHTS, LIGHTS[:4]) for seed in range(200)]
    assert days[3] == ordinary_day(3, LIGHTS, LIGHTS[:4])
    changes = [[day.change(light) for light in LIGHTS] for day in days]
    lamps = np.array([[change.brightness for change in of_day] for of_day in changes])
    common = lamps.mean(axis=1)
    assert 0.94 < common.min() < 0.96
    assert 1.04 < common.max() < 1.06
    assert np.abs(lamps / common[:, None] - 1).max() < 0.041
    noise, blur = ([getattr(of_day[0], what) for of_day in changes] for what in ("noise", "blur_px"))
    turns = [turn.degrees for day in days for turn in day.turns]
    assert min(noise) >= 1
    assert 1.4 < max(noise) <= 1.5
    assert 0.45 < max(blur) <= 0.5
    assert 0.45 < max(turns) <= 0.5
    assert len(turns) == 800


def test_the_same_seed_gives_the_same_frames_and_names_say_what_was_done() -> None:
    day = ordinary_day(4, ("L45", "L135"), ())
    plain = {"L45": frame(800), "L135": frame(700)}
    a, b = (disturbed_frames(day, plain, Sensor(NOISE), np.random.default_rng(seed_of("p", "top"))) for _ in "ab")
    assert all(np.array_equal(a[n].pixels, b[n].pixels) for n in a)
    parts = (nothing(), lamp_at("L45", 0.9), all_lamps_at(1.1), exposure_at(1.2), noise_times(2), blurred_by(0.5))
    both = Combined("both", (*parts, light_turned("L45", 1)))
    names = ["plain", "lamp L45 -10%", "all lamps +10%", "exposure +20%", "noise x2", "blur 0.5 px", "light L45 1 deg"]
    assert [part.name for part in both.parts] == names
    assert both.change("L45").brightness == pytest.approx(0.9 * 1.1 * 1.2)
    with pytest.raises(ValueError, match="cannot be made cleaner"):
        noise_times(0.5)
