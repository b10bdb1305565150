"""Plain least squares of a piece of a row; every light counts alike."""

from __future__ import annotations

from station.photometric_stereo.compiled.jit import PIECE_PX, f32, inner
from station.photometric_stereo.compiled.lanes import LANES, beyond, count_of
from station.photometric_stereo.compiled.lighting import inverse_column, light_vector, near_at, signal_of
from station.photometric_stereo.compiled.project import project, project_even
from station.photometric_stereo.compiled.stores import expect_store, store
from station.photometric_stereo.compiled.vectors import load, splat


@inner
def keep(g, i, x, y, z, square):  # type: ignore[no-untyped-def]
    """Write the scratch of a piece: g into three rows, the mean squared residual into the fourth."""
    store(g, i, x)
    store(g, PIECE_PX + i, y)
    store(g, 2 * PIECE_PX + i, z)
    store(g, 3 * PIECE_PX + i, square)


@inner
def solve_far(lights, frames, table, even, g, maps, n):  # type: ignore[no-untyped-def]
    """Plain least squares under far lights without a mosaic; the maps' memory is fetched meanwhile."""
    raw, step, dark = frames
    share = splat(f32(1 / count_of(lights)))
    for i in range(0, n, 2 * LANES):
        for c in range(3):
            expect_store(maps[0], c * maps[6] + i)
        expect_store(maps[1], i)
        expect_store(maps[3], i)
        if even:
            found = project_even(beyond(raw, i), step, beyond(dark, i), table, lights)
        else:
            found = project(beyond(raw, i), step, beyond(dark, i), table, lights)
        x, y, z, squares, x2, y2, z2, squares2 = found
        keep(g, i, x, y, z, squares * share)
        keep(g, i + LANES, x2, y2, z2, squares2 * share)


@inner
def solve_near(lights, frames, signal, phase, near, geometry, x, v, g, n):  # type: ignore[no-untyped-def]
    """Plain least squares under near lights or with a mosaic; between knots the pseudo-inverse changes linearly."""
    vectors, inverse = geometry
    zero, share = splat(f32(0)), splat(f32(1 / count_of(lights)))
    for i in range(0, n, LANES):
        ends, steps = near_at(near, count_of(lights), x + i)
        gx, gy, gz = zero, zero, zero
        for k in range(count_of(lights)):
            value = signal_of(k, frames, signal, phase, i, ends, steps)
            store(v, LANES * k, value)
            px, py, pz = inverse_column(k, inverse, ends, steps)
            gx, gy, gz = gx + value * px, gy + value * py, gz + value * pz
        squares = zero
        for k in range(count_of(lights)):
            lx, ly, lz = light_vector(k, vectors, ends, steps)
            rest = load(v, LANES * k) - (gx * lx + gy * ly + gz * lz)
            squares = squares + rest * rest
        keep(g, i, gx, gy, gz, squares * share)
