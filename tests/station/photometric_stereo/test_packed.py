"""16-bit maps: the same as float32 maps but for the last bit, in a region, row by row, and beyond the scales."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.protocols import Frame
from station.photometric_stereo import solve as solve_module
from station.photometric_stereo.checks import angular_error_map
from station.photometric_stereo.normal_map import NormalMap, PackedNormalMap
from station.photometric_stereo.packing import ALBEDO_FULL_SCALE, ORIGIN, RESIDUAL_FULL_SCALE, TOP, pack_normals
from station.photometric_stereo.pictures import encode_normals
from station.photometric_stereo.recycled import RecycledMemory
from station.photometric_stereo.solve import (
    DirectionalLights,
    PhotometricStereo,
    PointLights,
    Region,
    SolverSettings,
    warm_up,
)
from station.photometric_stereo.spread import spread_pixels
from station.photometric_stereo.view_memory import ViewMemory

METHODS = ["ls", "masked", "robust"]
SHAPE = (21, 563)  # a piece of the kernel, a group and a rest
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def ring(count: int, strength: float = 1.0) -> DirectionalLights:
    azimuth = 2 * np.pi * np.arange(count) / count
    rows = [np.cos(azimuth) * np.sqrt(0.5), np.sin(azimuth) * np.sqrt(0.5), np.full(count, np.sqrt(0.5))]
    names = tuple(f"light {k}" for k in range(count))
    return DirectionalLights(names, np.stack(rows, axis=1), np.full(count, strength))


def near(count: int, distance_mm: float = 250.0) -> PointLights:
    positions = distance_mm * ring(count).directions
    return PointLights(ring(count).names, positions, np.ones(count), 56 / SHAPE[1], (280.0, 10.0))


def anything(count: int = 4, dtype: type[np.uint8] | type[np.uint16] = np.uint16) -> list[Frame]:
    """Lit, dark, saturated, and black, pixel by pixel."""
    bits = 8 if dtype is np.uint8 else 12
    full, black = 2**bits - 1, 2 ** (bits - 6)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, full + 1, (count, *SHAPE)).astype(dtype)
    counts[:, :, :60] = black + rng.integers(0, 3, (count, SHAPE[0], 60))
    counts[:, :, 60:120] = full
    counts[:, :, 120:130] = 0
    counts[0, :, 130:200] = full  # a light that ls does not count, though its normal is found
    return [Frame(c, f"Mono{bits}", bits, float(black), 1000.0, 0.0, k, k) for k, c in enumerate(counts)]


def solver_of(frames: list[Frame], method: str, **more: object) -> PhotometricStereo:
    lights = more.pop("lights", ring(len(frames)))
    return PhotometricStereo(lights, SHAPE, SolverSettings(method=method), **more)  # type: ignore[arg-type]


def filled(solver: PhotometricStereo, frames: list[Frame], region: Region | None = None) -> PhotometricStereo:
    solver.begin(region)
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    return solver


def planes(result: NormalMap | PackedNormalMap) -> list[NDArray[np.generic]]:
    return [result.normals, result.albedo, result.lit_count, result.residual, result.observable, result.saturated]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("is_near", [True, False])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint8])  # first the kernels that the demo recipes use
def test_packed_maps_are_the_float_maps_rounded(method: str, is_near: bool, dtype: type) -> None:
    frames = anything(dtype=dtype)
    lights = near(4) if is_near else ring(4)
    full = filled(solver_of(frames, method, lights=lights), frames).solve()
    packed = filled(solver_of(frames, method, lights=lights), frames).solve_packed()
    assert packed.normals.dtype == packed.albedo.dtype == packed.residual.dtype == np.uint16
    for name in ("lit_count", "observable", "saturated"):
        np.testing.assert_array_equal(getattr(packed, name), getattr(full, name))
    assert 0.2 < packed.observable_share == full.observable_share < 0.9
    expected = encode_normals(full.normals).transpose(2, 0, 1).astype(np.int64)
    assert np.abs(packed.normals.astype(np.int64) - expected).max() <= 1  # one where it lies on the edge of two
    assert (packed.normals[:, ~packed.observable] == ORIGIN).all()
    back = packed.unpacked()
    assert np.nanmax(angular_error_map(back.normals, full.normals.astype(np.float64))) < 0.0015
    np.testing.assert_allclose(np.linalg.norm(back.normals, axis=0), full.observable, atol=1e-5)
    np.testing.assert_allclose(
        back.albedo, np.minimum(full.albedo, ALBEDO_FULL_SCALE), atol=0.51 * ALBEDO_FULL_SCALE / TOP
    )
    np.testing.assert_allclose(
        back.residual, np.minimum(full.residual, RESIDUAL_FULL_SCALE), atol=0.51 * RESIDUAL_FULL_SCALE / TOP
    )


@pytest.mark.parametrize("method", METHODS)
def test_packed_kernels_agree_with_the_packed_twin(method: str) -> None:
    frames = anything()
    fast, plain = (
        filled(solver_of(frames, method, engine=engine), frames).solve_packed() for engine in ("numba", "numpy")
    )
    assert np.mean(fast.observable != plain.observable) < 1e-3
    both = fast.observable & plain.observable
    difference = np.abs(fast.normals.astype(np.int64) - plain.normals)[:, both]
    assert np.percentile(difference, 99.9) <= (1 if method == "ls" else 12)  # 12: 0.02 degrees
    np.testing.assert_array_equal(fast.saturated, plain.saturated)


def test_what_is_beyond_a_scale_is_its_top_and_still_counts_its_lights() -> None:
    """Weak lights make the albedo large; shadow is judged by the albedo in full, not by what is stored of it."""
    lights = ring(4, 0.1)
    counts = np.full((4, *SHAPE), 3000, np.uint16)
    counts[0, :, ::2] = 260  # 6 % of the others: in shadow under any albedo above 4, and not under 4
    frames = [Frame(c, "Mono12", 12, 0.0, 1000.0, 0.0, k, k) for k, c in enumerate(counts)]
    full = filled(solver_of(frames, "ls", lights=lights), frames).solve()
    for engine in ("numba", "numpy"):
        packed = filled(solver_of(frames, "ls", lights=lights, engine=engine), frames).solve_packed()
        assert full.albedo.min() > ALBEDO_FULL_SCALE
        assert (packed.albedo == TOP).all()
        np.testing.assert_array_equal(packed.lit_count, full.lit_count)
        assert set(np.unique(packed.lit_count)) == {3, 4}


@pytest.mark.parametrize("method", METHODS)
def test_packed_regions_and_rows_that_land_one_by_one_give_the_same_bits(method: str) -> None:
    frames = anything()
    whole = filled(solver_of(frames, method), frames).solve_packed()
    solver = solver_of(frames, method)
    for top, bottom in pairwise([0, 1, 9, 16, SHAPE[0]]):
        for k, frame in enumerate(frames):
            solver.add_rows(k, replace(frame, pixels=frame.pixels[top:bottom]), top)
        assert solver.solve_landed() == bottom
    found = solver.solve_packed()
    for a, b in zip(planes(found), planes(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    solver.recycle(found)
    part = filled(solver, frames, Region(7, 33, 9, 530)).solve_packed()
    for a, b in zip(planes(part), planes(whole), strict=True):
        # another place in the vector may round the last bit otherwise
        np.testing.assert_allclose(a.astype(np.int64), b[..., 7:16, 33:563].astype(np.int64), atol=1)


@pytest.mark.parametrize("is_near", [True, False])
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_bands_of_rows_show_the_float_map_and_leave_the_packed_one_bit_for_bit(
    is_near: bool, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Knots of near light every eight pixels, colours that were clipped, and a last band that is not whole."""
    monkeypatch.setattr(solve_module, "BAND_ROWS", 1)
    frames = anything()
    solver = solver_of(frames, "ls", lights=near(4, 60.0) if is_near else ring(4), engine=engine)
    for k, frame in enumerate(frames):
        solver.add(k, frame, frame.pixels > 4000)
    whole, packed = solver.solve(), solver.solve_packed()
    seen: dict[int, NormalMap] = {}
    found = solver.solve_packed_in_bands(
        1, lambda rows, band: seen.__setitem__(rows.start, NormalMap(*(plane.copy() for plane in planes(band))))
    )
    assert len(seen) > 1
    for place, expected in enumerate(planes(whole)):
        shown = np.concatenate([planes(seen[top])[place] for top in sorted(seen)], axis=-2)
        np.testing.assert_array_equal(shown, expected)
    for a, b in zip(planes(found), planes(packed), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("samples", [1, 7, 400, 10_000])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 1.0])
def test_pixels_are_spread_as_over_a_list_of_all_of_them(samples: int, share: float) -> None:
    mask = np.random.default_rng(0).random((40, 90)) < share
    listed = np.flatnonzero(mask)
    rows, columns = spread_pixels(mask, samples)
    np.testing.assert_array_equal(rows * 90 + columns, listed[:: max(1, listed.size // samples)])


def landed(frames: list[Frame], memory: RecycledMemory) -> tuple[ViewMemory, list[Frame]]:
    names = ring(len(frames)).names
    view = ViewMemory(names, ("dome",), SHAPE, frames[0].pixels.dtype, memory)
    for name, frame in zip(names, frames, strict=True):
        view.plane(name)[:] = frame.pixels
    return view, [replace(frame, pixels=view.plane(name)) for name, frame in zip(names, frames, strict=True)]


@pytest.mark.parametrize("stray", [None, 0, 3])
@pytest.mark.parametrize("method", METHODS)
def test_frames_in_the_views_memory_are_solved_where_they_lie_to_the_same_bits(method: str, stray: int | None) -> None:
    """A frame that came elsewhere is copied with the others, and what lies in the memory stays as it is."""
    frames = anything()
    solver = solver_of(frames, method)
    for k, frame in enumerate(frames):
        solver.add(k, frame)
    expected = solver.solve_packed()
    view, own = landed(frames, RecycledMemory(0))
    if stray is not None:
        own[stray] = frames[stray]
        view.plane(ring(4).names[stray])[:] = 0
    solver.begin(memory=view)
    for k, frame in enumerate(own):
        solver.add(k, frame)
    for a, b in zip(planes(solver.solve_packed()), planes(expected), strict=True):
        np.testing.assert_array_equal(a, b)
    if stray is not None:
        assert not view.plane(ring(4).names[stray]).any()


def test_one_solver_writes_both_kinds_of_maps_from_the_same_frames_and_recycles_each() -> None:
    frames = anything()
    solver = filled(solver_of(frames, "ls"), frames)
    packed, full, again = solver.solve_packed(), solver.solve(), solver.solve_packed()
    for a, b in zip(planes(packed), planes(again), strict=True):
        np.testing.assert_array_equal(a, b)
    solver.recycle(packed)
    solver.recycle(full)
    filled(solver, frames)
    assert solver.solve().normals is full.normals
    assert solver.solve_packed().normals is packed.normals


@pytest.mark.parametrize("is_dark", [False, True])
def test_a_float_map_is_packed_with_the_finest_steps(is_dark: bool) -> None:
    frames = [replace(f, pixels=np.zeros_like(f.pixels)) for f in anything()] if is_dark else anything()
    full = filled(solver_of(frames, "ls"), frames).solve()
    packed = full.packed()
    assert packed.packed() is packed
    assert full.unpacked() is full
    np.testing.assert_array_equal(packed.normals, pack_normals(full.normals))
    for name, scale in (("albedo", packed.albedo_scale), ("residual", packed.residual_scale)):
        assert getattr(packed, name).max() in (0, TOP)
        np.testing.assert_allclose(getattr(packed.unpacked(), name), getattr(full, name), atol=0.51 * scale)


def test_packed_kernels_are_warmed_too() -> None:
    warm_up(ring(4), packed=True)
