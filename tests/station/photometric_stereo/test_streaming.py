"""Regions, rows that land one by one, dark frames and the compiled kernel's corners."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo.checks import angular_error_map
from station.photometric_stereo.compiled.projection import projection
from station.photometric_stereo.lights import knot_step_px
from station.photometric_stereo.memory import CACHE_WAY, empty_ring
from station.photometric_stereo.normal_map import NormalMap
from station.photometric_stereo.solve import (
    DirectionalLights,
    PhotometricStereo,
    PhotometricStereoError,
    PointLights,
    Region,
    SolverSettings,
)

F64 = NDArray[np.float64]
METHODS = ["ls", "masked", "robust"]
SHAPE = (21, 563)  # a piece of the kernel, a group and a rest
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def ring(count: int) -> DirectionalLights:
    azimuth = 2 * np.pi * np.arange(count) / count
    rows = [np.cos(azimuth) * np.sqrt(0.5), np.sin(azimuth) * np.sqrt(0.5), np.full(count, np.sqrt(0.5))]
    return DirectionalLights(tuple(f"light {k}" for k in range(count)), np.stack(rows, axis=1), np.ones(count))


def frames_of(counts: NDArray[np.uint8] | NDArray[np.uint16], bits: int, black: float = 4.0) -> list[Frame]:
    return [Frame(c, f"Mono{bits}", bits, black, 1000.0, 0.0, k, k) for k, c in enumerate(counts)]


def anything(seed: int = 0, count: int = 4) -> list[Frame]:
    """12 bits: lit, dark, saturated, and black, pixel by pixel."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4096, (count, *SHAPE)).astype(np.uint16)
    counts[:, :, :60] = 64 + rng.integers(0, 3, (count, SHAPE[0], 60))
    counts[:, :, 60:120] = 4095
    counts[:, :, 120:130] = 0
    return frames_of(counts, 12, 64.0)


def solver_of(frames: list[Frame], method: str, **more: object) -> PhotometricStereo:
    lights = more.pop("lights", ring(len(frames)))
    return PhotometricStereo(lights, SHAPE, SolverSettings(method=method), **more)  # type: ignore[arg-type]


def solved(frames: list[Frame], method: str, region: Region | None = None, **more: object) -> NormalMap:
    solver = solver_of(frames, method, **more)
    solver.begin(region)
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    return solver.solve()


def planes(result: NormalMap) -> list[NDArray[np.generic]]:
    return [result.normals, result.albedo, result.lit_count, result.residual, result.observable, result.saturated]


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_land_one_by_one_give_the_same_bits(method: str) -> None:
    frames = anything()
    whole = solved(frames, method)
    solver = solver_of(frames, method)
    edges = [0, 1, 9, 16, SHAPE[0]]
    for top, bottom in pairwise(edges):
        for k, frame in enumerate(frames):
            assert solver.solve_landed() == top
            solver.add_rows(k, replace(frame, pixels=frame.pixels[top:bottom]), top)
        assert solver.solve_landed() == bottom
    for a, b in zip(planes(solver.solve()), planes(whole), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("region", [Region(0, 0, 3, 5), Region(7, 33, 9, 530), Region(20, 562, 1, 1)])
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_region_is_the_same_as_that_part_of_the_whole(method: str, region: Region, engine: str) -> None:
    frames = anything()
    part, whole = solved(frames, method, region, engine=engine), solved(frames, method, engine=engine)
    at = np.s_[..., region.top : region.top + region.height, region.left : region.left + region.width]
    for a, b in zip(planes(part), planes(whole), strict=True):
        np.testing.assert_allclose(a, b[at], rtol=1e-4, atol=1e-5)


def test_a_region_of_a_mosaic_under_near_lights_keeps_its_phase() -> None:
    colours = np.random.default_rng(3).uniform(0.6, 1.0, (4, 2, 2))
    far = ring(4)
    lights = PointLights(far.names, 250 * far.directions, colours, 56 / SHAPE[1], (280.0, 10.0))
    frames = [replace(f, pixel_format="BayerRG12") for f in anything(5)]
    region = Region(3, 131, 15, 401)
    part, whole = solved(frames, "masked", region, lights=lights), solved(frames, "masked", lights=lights)
    both = part.observable & whole.observable[3:18, 131:532]
    assert both.mean() > 0.3
    error = angular_error_map(part.normals, whole.normals[:, 3:18, 131:532].astype(np.float64))
    assert np.percentile(error[both], 99) < 0.02


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_dark_frame_is_subtracted_pixel_by_pixel(method: str, dtype: type) -> None:
    rng = np.random.default_rng(4)
    dark = rng.integers(0, 200, SHAPE).astype(dtype)
    light = rng.uniform(0.05, 0.7, (4, *SHAPE)) * 3000
    frames = frames_of(np.round(light + dark).astype(np.uint16), 12, 0.0)
    clean = frames_of(np.round(light).astype(np.uint16), 12, 0.0)
    fast, plain = solved(frames, method, dark_frame=dark), solved(frames, method, dark_frame=dark, engine="numpy")
    expected = solved(clean, method)
    for result in (plain, expected):
        assert (np.abs(fast.normals - result.normals) > 2e-4).mean() < 1e-3  # a light may be on the verge
        assert (fast.lit_count != result.lit_count).mean() < 1e-3


def test_dark_frames_that_do_not_fit_are_refused() -> None:
    frames = anything()
    for dark, words in (
        (np.zeros((3, 3), np.uint8), r"\(3, 3\)"),
        (np.zeros(SHAPE, np.int16), "int16"),
        (np.full(SHAPE, np.nan, np.float32), "not finite"),
    ):
        with pytest.raises(PhotometricStereoError, match=words):
            solver_of(frames, "ls", dark_frame=dark)


@pytest.mark.parametrize("count", [3, 4, 32])
def test_ls_agrees_with_float64_to_a_ten_thousandth_of_a_degree_on_anything(count: int) -> None:
    """Lights of unequal strength, exposure and black; zeros, saturated and all-dark pixels among them."""
    lights = replace(ring(count), intensities=np.linspace(0.7, 1.3, count))
    frames = [
        replace(f, black_level_dn=60.0 + k, exposure_us=1000.0 + 50 * k) for k, f in enumerate(anything(6, count))
    ]
    fast, plain = (solved(frames, "ls", lights=lights, engine=e) for e in ("numba", "numpy"))
    for plane in (fast.normals, fast.albedo, fast.residual):
        assert np.isfinite(plane).all()
    assert np.mean(fast.observable != plain.observable) < 1e-3
    assert np.mean(fast.lit_count != plain.lit_count) < 1e-3
    np.testing.assert_array_equal(fast.saturated, plain.saturated)
    both = fast.observable & plain.observable
    assert angular_error_map(fast.normals, plain.normals.astype(np.float64))[both].max() < 1e-4
    np.testing.assert_allclose(fast.residual, plain.residual, atol=2e-6)
    assert not fast.normals[:, ~fast.observable].any()
    assert not fast.albedo[~fast.observable].any()


@pytest.mark.parametrize("count", [8, 32])
def test_the_residual_of_ls_on_a_perfect_surface_is_told_to_a_thousandth_of_its_albedo(count: int) -> None:
    """From 8 lights on it is a difference of squares in float32; the step of 8 bits is four times as large."""
    y, x = (np.mgrid[: SHAPE[0], : SHAPE[1]] - np.array(SHAPE)[:, None, None] / 2) / 450.0
    normals = np.stack([x, -y, np.sqrt(1 - x * x - y * y)])
    light = np.einsum("kc,cyx->kyx", ring(count).directions, normals)
    frames = frames_of(np.round(3900 * np.maximum(light, 0)).astype(np.uint16), 12, 0.0)
    fast, plain = (solved(frames, "ls", lights=ring(count), engine=e) for e in ("numba", "numpy"))
    assert np.abs(fast.residual - plain.residual).max() < 1e-3 * plain.albedo.mean()


def test_lights_of_a_large_picture_do_not_share_the_lines_of_a_cache() -> None:
    for count in (4, 8, 16, 32):
        ring_of = empty_ring(count, (3648, 5472), np.dtype(np.uint8))
        places = sorted(int(k * ring_of.strides[0] % CACHE_WAY) for k in range(count))
        assert min(np.diff([*places, places[0] + CACHE_WAY])) >= 64
        assert ring_of.flags.c_contiguous


@pytest.mark.parametrize("count", [3, 4, 7, 8, 9, 32])
def test_the_projection_explains_all_that_g_does_not(count: int) -> None:
    rng = np.random.default_rng(count)
    directions = rng.normal(size=(count, 3)) * [0.5, 0.5, 0.1] + [0, 0, 1]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = rng.uniform(0, 1, count)
    found = projection(directions) @ values
    g, *_ = np.linalg.lstsq(directions, values, rcond=None)
    np.testing.assert_allclose(found[:3], g, atol=1e-9)
    assert (found[3:] ** 2).sum() == pytest.approx(((values - directions @ g) ** 2).sum(), abs=1e-9)


def test_a_last_piece_beyond_the_last_knot_is_solved_right() -> None:
    """33 pixels wide and a knot every 8: the last pixel is solved in a group of 32."""
    far = ring(4)
    lights = PointLights(far.names, 250 * far.directions, far.intensities, 0.25, (16.0, 4.0))
    counts = np.random.default_rng(3).integers(200, 3000, (4, 9, 33)).astype(np.uint16)
    maps = []
    for engine in ("numba", "numpy"):
        solver = PhotometricStereo(lights, (9, 33), SolverSettings(method="ls"), engine=engine)  # type: ignore[arg-type]
        for k, frame in enumerate(frames_of(counts, 12, 0.0)):
            solver.add(k, frame)
        maps.append(solver.solve())
    assert knot_step_px(lights) < 16
    both = maps[0].observable & maps[1].observable
    assert both[:, 32].any()
    assert np.mean(maps[0].observable != maps[1].observable) < 0.01
    assert angular_error_map(maps[0].normals, maps[1].normals.astype(np.float64))[both].max() < 0.01


def test_blocks_and_regions_that_do_not_fit_are_refused() -> None:
    frames = anything()
    solver = solver_of(frames, "ls")
    with pytest.raises(PhotometricStereoError, match=r"columns 0..564"):
        solver.begin(Region(0, 0, 1, SHAPE[1] + 1))
    solver.begin()
    with pytest.raises(PhotometricStereoError, match="expected rows from 0"):
        solver.add_rows(0, frames[0], 5)
    solver.add_rows(0, replace(frames[0], pixels=frames[0].pixels[:5]), 0)
    with pytest.raises(PhotometricStereoError, match="no frame for light light 0, light 1"):
        solver.solve()
    with pytest.raises(PhotometricStereoError, match="0 threads"):
        solver_of(frames, "ls", threads=0)
