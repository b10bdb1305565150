"""Normals of surfaces that are known exactly, under every kind of light, pixel and trouble."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.checks import angular_error_map, leave_one_out_residuals
from station.photometric_stereo.network import quantile_index, selection_network
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.solve import (
    DirectionalLights,
    LightGeometryError,
    PhotometricStereo,
    PhotometricStereoError,
    PointLights,
    SolverSettings,
    check_lights,
    relighting_residuals,
    warm_up,
)

SIZE = 121
Array = NDArray[np.float64]
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def ring(count: int, slant_deg: float = 45.0) -> DirectionalLights:
    azimuth = 2 * np.pi * np.arange(count) / count
    slant = np.deg2rad(slant_deg)
    rows = [np.sin(slant) * np.cos(azimuth), np.sin(slant) * np.sin(azimuth), np.full(count, np.cos(slant))]
    return DirectionalLights(tuple(f"light {k}" for k in range(count)), np.stack(rows, axis=1), np.ones(count))


def sphere_normals(size: int = SIZE) -> tuple[Array, NDArray[np.bool_]]:
    """Picture coordinates: y runs down, so a pixel in the upper half has a normal that points up."""
    row, column = np.mgrid[:size, :size]
    right = (column - (size - 1) / 2) / (0.45 * size)
    up = ((size - 1) / 2 - row) / (0.45 * size)
    inside = right**2 + up**2 < 0.98
    n = np.stack([right, up, np.sqrt(np.where(inside, 1 - right**2 - up**2, 0))]) * inside
    return n, inside


def shading(normals: Array, lights: DirectionalLights, albedo: float = 0.7) -> Array:
    return np.stack(
        [albedo * np.maximum(d[0] * normals[0] + d[1] * normals[1] + d[2] * normals[2], 0) for d in lights.directions]
    )


def photographed(light: Array, bits: int = 12, black: float = 8.0, exposure_us: float = 1000.0) -> list[Frame]:
    full = 2**bits - 1
    counts = np.clip(np.round(black + light * (full - black)), 0, full)
    pixels = counts.astype(np.uint8) if bits == 8 else counts.astype(np.uint16)
    return [Frame(p, f"Mono{bits}", bits, black, exposure_us, 0.0, k, k) for k, p in enumerate(pixels)]


def solved(
    frames: list[Frame], lights: DirectionalLights | PointLights, method: str = "masked", **more: object
) -> NormalMap:
    solver = PhotometricStereo(lights, frames[0].pixels.shape[:2], SolverSettings(method=method), **more)  # type: ignore[arg-type]
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    return solver.solve()


def errors(result: NormalMap, truth: Array) -> Array:
    error = angular_error_map(result.normals, truth)
    return error[np.isfinite(error)]


def test_each_quadrant_of_a_sphere_has_the_signs_of_x_right_y_up() -> None:
    truth, _ = sphere_normals()
    result = solved(photographed(shading(truth, ring(8))), ring(8))
    quarter = SIZE // 4
    for row, column, x_sign, y_sign in ((0, 0, -1, 1), (0, 1, 1, 1), (1, 0, -1, -1), (1, 1, 1, -1)):
        y, x = SIZE // 2 + (2 * row - 1) * quarter, SIZE // 2 + (2 * column - 1) * quarter
        n = result.normals[:, y, x]
        assert (np.sign(n[0]), np.sign(n[1])) == (x_sign, y_sign)
        assert n[2] > 0


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_ls_is_what_lstsq_finds(engine: str) -> None:
    lights = ring(8)
    rng = np.random.default_rng(1)
    frames = photographed(rng.uniform(0.2, 0.9, (8, 7, 300)))
    result = solved(frames, lights, "ls", engine=engine)
    counts = np.stack([f.pixels for f in frames]).reshape(8, -1)
    g = np.linalg.lstsq(lights.directions, (counts - 8.0) / (4095 - 8), rcond=None)[0].reshape(3, 7, 300)
    assert np.nanmax(angular_error_map(result.normals, g / np.linalg.norm(g, axis=0))) < 1e-4
    np.testing.assert_allclose(result.albedo, np.linalg.norm(g, axis=0), rtol=1e-5)


@pytest.mark.parametrize(("bits", "limit_deg"), [(8, 0.3), (12, 0.03), (16, 0.01)])
def test_masked_solves_a_sphere_in_its_own_shadow_and_ls_does_not(bits: int, limit_deg: float) -> None:
    truth, inside = sphere_normals()
    frames = photographed(shading(truth, ring(8)), bits)
    masked, plain = solved(frames, ring(8)), solved(frames, ring(8), "ls")
    assert errors(masked, truth).mean() < limit_deg
    assert errors(plain, truth).mean() > 3
    assert masked.observable[inside].mean() > 0.99
    assert not masked.observable[0, 0]
    assert not masked.normals[:, 0, 0].any()


def test_robust_beats_ls_on_highlights() -> None:
    truth, inside = sphere_normals()
    lights = ring(8)
    half = lights.directions + np.array([0, 0, 1])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gloss = 3 * 0.3 * np.stack([np.maximum(np.einsum("c,cyx->yx", h, truth), 0) ** 60 for h in half])
    frames = photographed(shading(truth, lights, 0.3) + gloss * inside)
    plain, robust = errors(solved(frames, lights, "ls"), truth), errors(solved(frames, lights, "robust"), truth)
    assert np.percentile(robust, 95) < np.percentile(plain, 95) / 3


@pytest.mark.parametrize("method", ["ls", "masked", "robust"])
@pytest.mark.parametrize("near", [False, True])
def test_kernels_agree_with_the_numpy_twin_on_anything(method: str, near: bool) -> None:
    count = 4 if near else 8  # kernels that other tests have compiled
    lights: DirectionalLights | PointLights = ring(count)
    if near:
        lights = PointLights(lights.names, 250 * lights.directions, np.linspace(0.8, 1.2, count), 0.2, (140.0, 5.0))
    rng = np.random.default_rng(2)
    counts = rng.integers(0, 256, (count, 9, 290)).astype(np.uint8)
    counts[:, :, :40] = 0
    counts[:, :, 40:80] = 255
    counts[: count - 2, :, 80:120] = 255
    counts[: count - 2, :, 120:160] = 4
    frames = [Frame(c, "Mono8", 8, 4.0, 1000.0, 0.0, k, k) for k, c in enumerate(counts)]
    fast, plain = solved(frames, lights, method), solved(frames, lights, method, engine="numpy")
    for result in (fast, plain):
        for plane in (result.normals, result.albedo, result.residual):
            assert np.isfinite(plane).all()
        np.testing.assert_allclose(np.linalg.norm(result.normals, axis=0), result.observable, atol=1e-5)
        assert not result.observable[:, :160].any()
        assert result.saturated[:, 40:120].all()
        assert not result.saturated[:, :40].any()
    assert np.mean(fast.observable != plain.observable) < 1e-3
    assert np.mean((fast.lit_count != plain.lit_count) & plain.observable) < 1e-3
    difference = angular_error_map(fast.normals, plain.normals.astype(np.float64))
    limit_deg = 1e-4 if (method, near) == ("ls", False) else 0.02
    assert np.nanpercentile(difference, 99.9) < limit_deg


def test_near_lights_are_solved_near() -> None:
    truth, _ = sphere_normals()
    far = ring(8)
    lights = PointLights(far.names, 250 * far.directions, far.intensities, 56 / SIZE, (60.0, 60.0))
    row, column = np.mgrid[:SIZE, :SIZE]
    points = np.stack([(column - 60) * 56 / SIZE, (60 - row) * 56 / SIZE, np.zeros((SIZE, SIZE))])
    light = []
    for position in lights.positions_mm:
        ray = position[:, None, None] - points
        distance = np.sqrt((ray**2).sum(axis=0))
        light.append(0.5 * np.maximum((ray / distance * truth).sum(axis=0), 0) * (250 / distance) ** 2)
    frames = photographed(np.stack(light))
    assert errors(solved(frames, lights), truth).mean() < 0.05
    assert errors(solved(frames, far), truth).mean() > 3


def test_near_lights_across_many_knots_stay_under_a_hundredth_of_a_degree() -> None:
    lights = PointLights(ring(4).names, 250 * ring(4).directions, np.ones(4), 56 / 1400, (700.0, 2.0))
    frames = photographed(np.full((4, 3, 1400), 0.5), 16, 0.0)
    fast, plain = solved(frames, lights), solved(frames, lights, engine="numpy")
    assert np.nanmax(angular_error_map(fast.normals, plain.normals.astype(np.float64))) < 0.05


def test_exposure_gain_black_level_and_intensity_are_folded_in() -> None:
    truth, _ = sphere_normals()
    lights = replace(ring(8), intensities=np.array([0.5, 1.0, 0.8, 1.0, 0.9, 0.7, 1.0, 0.6]))
    light = shading(truth, lights) * lights.intensities[:, None, None]
    frames = photographed(light)
    short = photographed(light * 0.5)[1]
    frames[1] = replace(short, exposure_us=500.0)
    frames[3] = replace(photographed(light * 0.5)[3], gain_db=-20 * np.log10(2))
    assert errors(solved(frames, lights), truth).mean() < 0.05


def test_a_bayer_mosaic_is_solved_pixel_by_pixel() -> None:
    truth, _ = sphere_normals()
    colours = np.random.default_rng(3).uniform(0.6, 1.0, (8, 2, 2))
    lights = replace(ring(8), intensities=colours)
    tiles = np.tile(colours, (1, SIZE // 2 + 1, SIZE // 2 + 1))[:, :SIZE, :SIZE]
    frames = [replace(f, pixel_format="BayerRG12") for f in photographed(shading(truth, lights) * tiles)]
    assert errors(solved(frames, lights), truth).mean() < 0.05
    assert errors(solved(frames, lights, engine="numpy"), truth).mean() < 0.05


def test_a_saturated_light_is_left_out_and_flagged() -> None:
    truth, inside = sphere_normals()
    light = shading(truth, ring(8))
    light[0] *= 3
    result = solved(photographed(light), replace(ring(8), intensities=np.array([3.0, 1, 1, 1, 1, 1, 1, 1])))
    assert result.saturated.any()
    assert errors(result, truth).mean() < 0.05
    assert (result.lit_count[result.saturated & inside] <= 7).all()


def test_colour_frames_are_folded_to_grey() -> None:
    truth, _ = sphere_normals()
    frames = [replace(f, pixels=np.stack([f.pixels] * 3, axis=-1)) for f in photographed(shading(truth, ring(4)), 8)]
    assert errors(solved(frames, ring(4)), truth).mean() < 0.5


def test_a_light_that_does_not_do_as_told_has_the_worst_residual() -> None:
    truth, _ = sphere_normals()
    lights = ring(8)
    light = shading(truth, lights)
    light[3] *= 0.8
    frames = photographed(light)
    relit = relighting_residuals(frames, lights, solved(frames, lights, "robust"))
    left_out = leave_one_out_residuals(frames, lights, SolverSettings())
    assert max(relit, key=lambda name: relit[name]) == "light 3"
    assert max(left_out, key=lambda name: left_out[name]) == "light 3"
    assert relit["light 3"] == pytest.approx(0.2, abs=0.06)


def test_a_dead_light_has_residual_one() -> None:
    truth, _ = sphere_normals()
    light = shading(truth, ring(4))
    light[2] = 0
    frames = photographed(light)
    residuals = relighting_residuals(frames, ring(4), solved(frames, ring(4)))
    assert residuals["light 2"] == pytest.approx(1.0, abs=0.1)
    assert residuals["light 0"] < 0.1


def test_recycled_maps_are_written_again_and_others_never() -> None:
    truth, _ = sphere_normals()
    frames = photographed(shading(truth, ring(4)))
    solver = PhotometricStereo(ring(4), (SIZE, SIZE))
    maps = []
    for _ in range(3):
        solver.begin()
        for k, frame in enumerate(frames):
            solver.add(k, frame)
        maps.append(solver.solve())
        if len(maps) == 2:
            solver.recycle(maps[1])
    assert maps[2].normals is maps[1].normals
    assert maps[2].normals is not maps[0].normals
    np.testing.assert_array_equal(maps[0].normals, maps[2].normals)


@pytest.mark.parametrize(
    ("lights", "words"),
    [
        (ring(2), "at least 3 lights, 2 given"),
        (ring(4, 90.0), "condition number"),
        (replace(ring(4), intensities=np.array([1.0, 0, 1, 1])), "'light 1'"),
        (replace(ring(4), directions=2 * ring(4).directions), "length 2"),
        (replace(ring(4), intensities=np.ones(3)), "expected .4,."),
        (replace(ring(4), names=("a", "a", "b", "c")), "not unique"),
        (replace(ring(4), directions=np.full((4, 3), np.nan)), "length nan"),
    ],
)
def test_light_sets_that_decide_nothing_are_refused(lights: DirectionalLights, words: str) -> None:
    with pytest.raises(LightGeometryError, match=words):
        check_lights(lights)


def test_a_ring_at_45_degrees_has_condition_2() -> None:
    assert check_lights(ring(8)) == pytest.approx(2.0)


def test_frames_that_do_not_fit_are_refused() -> None:
    frames = photographed(np.full((4, 8, 8), 0.5))
    solver = PhotometricStereo(ring(4), (8, 8))
    solver.add(0, frames[0])
    with pytest.raises(PhotometricStereoError, match="'light 0' already"):
        solver.add(0, frames[0])
    with pytest.raises(PhotometricStereoError, match="light 9 is unknown"):
        solver.add(9, frames[0])
    with pytest.raises(PhotometricStereoError, match=r"\(8, 9\)"):
        solver.add(1, replace(frames[1], pixels=np.zeros((8, 9), np.uint16)))
    with pytest.raises(PhotometricStereoError, match="8 bits among"):
        solver.add(1, replace(frames[1], significant_bits=8))
    with pytest.raises(PhotometricStereoError, match="no frame for light light 1, light 2, light 3"):
        solver.solve()
    with pytest.raises(PhotometricStereoError, match="shadow_fraction is 0"):
        SolverSettings(shadow_fraction=0)


@pytest.mark.parametrize("count", [3, 4, 5, 8, 12, 16, 32])
def test_the_selection_network_finds_the_quantile(count: int) -> None:
    values = np.random.default_rng(count).integers(0, 9, (count, 200))
    index = quantile_index(count)
    expected = np.sort(values, axis=0)[index]
    for low, high in selection_network(count, index):
        values[low], values[high] = np.minimum(values[low], values[high]), np.maximum(values[low], values[high])
    np.testing.assert_array_equal(values[index], expected)


def test_warming_up_works() -> None:
    warm_up(ring(4))
