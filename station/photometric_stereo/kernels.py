"""The solver's inner loops, compiled: raw frames in, normals, albedo and quality out, a piece of a row at a time.

A piece (`PIECE_PX`) goes through short loops one after the other, so that its scratch stays in the first cache and
no loop waits for another's long chain: plain least squares; weighted least squares where a light does not count;
lengths, thresholds and output; lights counted in the counts' own width. Sums stay in registers (see `vectors`).
No kernel is `parallel`: rows are shared out by the caller's own threads (two callers of a parallel kernel abort the
process under numba's workqueue layer). No fast-math beyond `contract`: it would delete the checks for NaN.

Arguments that go together: `lights` (tuple of K zeros, so that K is known when compiled); `frames` (pointer to the
counts of light 0, elements from light to light, pointer to the dark frame or None); `signal` (pointers to black
(K,), scale (K, 2, 2)); `near` (pointer to the row's ends or None, log2 of the knots' distance); `geometry`
(pointers to light vectors (K, 3) and pseudo-inverse (K, 3)); `rules` (method, shadow, dark, worst condition,
iterations, cauchy); `maps` (pointers to normals, albedo, lit count, residual, observable, saturated; elements from
one component of the normals to the next). x, y are absolute where the mosaic's phase needs them, else of the region.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from station.photometric_stereo.sources import fingerprint
from station.photometric_stereo.vectors import (
    GROUP,
    LANES,
    add_between,
    all_between,
    beyond,
    differs,
    every,
    expect_store,
    extremes,
    keep_albedo,
    keep_unit,
    lengths,
    line_or,
    load,
    load_alternate,
    load_counts,
    load_or,
    load_splat,
    maximum,
    minimum,
    pointer,
    project,
    project_even,
    quantile,
    ramp,
    reached,
    reciprocal_root,
    same,
    select,
    splat,
    splat_bytes,
    store,
    store_albedo,
    store_counts,
    store_if_packed,
    store_residual,
    store_unit,
)

PIECE_PX = 512  # of a row; a multiple of GROUP
LS, MASKED, ROBUST = 0, 1, 2
CODES = {"ls": LS, "masked": MASKED, "robust": ROBUST}
KNOT_VALUES = 7  # per light at a knot: unit vector, reciprocal strength, column of the pseudo-inverse
_ENDS = 2 * KNOT_VALUES  # value and slope of each
_FAST = {"contract"}
_f32 = np.float32

_njit: Any = njit  # its type knows nothing of the wrappers that inner functions do without
_inner = _njit(nogil=True, fastmath=_FAST, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _entry(function: Any) -> Any:
    """njit with the cache on disk, or without it where no folder can be written (then compiled at every start)."""
    try:
        return njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")(function)
    except RuntimeError:
        return njit(nogil=True, fastmath=_FAST, error_model="numpy")(function)


@_inner
def _near_at(near, count, i):  # type: ignore[no-untyped-def]
    """Of eight pixels of the row: where the ends of their knots lie, and how many pixels each is from the left one."""
    ends, shift = near
    knot = i >> shift
    return beyond(ends, knot * count * _ENDS), ramp(_f32(i - (knot << shift)))


@_inner
def _light(k, vectors, ends, steps):  # type: ignore[no-untyped-def]
    """Light k's unit vector at eight pixels."""
    at, far = _ENDS * k, 3 * k
    return (
        line_or(ends, at, steps, load_splat(vectors, far)),
        line_or(ends, at + 2, steps, load_splat(vectors, far + 1)),
        line_or(ends, at + 4, steps, load_splat(vectors, far + 2)),
    )


@_inner
def _column(k, inverse, ends, steps):  # type: ignore[no-untyped-def]
    """Light k's column of the pseudo-inverse at eight pixels."""
    at, far = _ENDS * k + 8, 3 * k
    return (
        line_or(ends, at, steps, load_splat(inverse, far)),
        line_or(ends, at + 2, steps, load_splat(inverse, far + 1)),
        line_or(ends, at + 4, steps, load_splat(inverse, far + 2)),
    )


@_inner
def _value(k, frames, signal, phase, i, ends, steps):  # type: ignore[no-untyped-def]
    """Light k's signal at eight pixels: (raw - black or dark frame) * scale, over the light's strength.

    `phase` is that of the mosaic at pixel 0: 2 * (y & 1) + (x & 1).
    """
    raw, step, dark = frames
    black, scale = signal
    at = 4 * k + (phase ^ (i & 1))
    value = load(raw, k * step + i) - load_or(dark, i, load_splat(black, k))
    weaker = line_or(ends, _ENDS * k + 6, steps, splat(_f32(1)))
    return value * load_alternate(scale, at, at ^ 1) * weaker


@_inner
def _keep(g, i, x, y, z, square):  # type: ignore[no-untyped-def]
    """Scratch of a piece: g in three rows, mean squared residual in the fourth."""
    store(g, i, x)
    store(g, PIECE_PX + i, y)
    store(g, 2 * PIECE_PX + i, z)
    store(g, 3 * PIECE_PX + i, square)


@_inner
def _project(lights, frames, table, even, g, maps, n):  # type: ignore[no-untyped-def]
    """Plain least squares under far lights without a mosaic; meanwhile the maps' memory comes nearer."""
    raw, step, dark = frames
    share = splat(_f32(1 / len(lights)))
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
        _keep(g, i, x, y, z, squares * share)
        _keep(g, i + LANES, x2, y2, z2, squares2 * share)


@_inner
def _linear(lights, frames, signal, phase, near, geometry, x, v, g, n):  # type: ignore[no-untyped-def]
    """Plain least squares under near lights or with a mosaic; between knots the pseudo-inverse changes linearly."""
    vectors, inverse = geometry
    zero, share = splat(_f32(0)), splat(_f32(1 / len(lights)))
    for i in range(0, n, LANES):
        ends, steps = _near_at(near, len(lights), x + i)
        gx, gy, gz = zero, zero, zero
        for k in range(len(lights)):
            value = _value(k, frames, signal, phase, i, ends, steps)
            store(v, LANES * k, value)
            px, py, pz = _column(k, inverse, ends, steps)
            gx, gy, gz = gx + value * px, gy + value * py, gz + value * pz
        squares = zero
        for k in range(len(lights)):
            lx, ly, lz = _light(k, vectors, ends, steps)
            rest = load(v, LANES * k) - (gx * lx + gy * ly + gz * lz)
            squares = squares + rest * rest
        _keep(g, i, gx, gy, gz, squares * share)


@_inner
def _solve3(a, b):  # type: ignore[no-untyped-def]
    """g = A^-1 b by cofactors; condition = tr(A) tr(A^-1) / 9, infinite (with g = 0) where A is singular."""
    xx, xy, xz, yy, yz, zz = a
    bx, by, bz = b
    zero, one = splat(_f32(0)), splat(_f32(1))
    c00, c01, c02 = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    c11, c12, c22 = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant = xx * c00 + xy * c01 + xz * c02
    trace = xx + yy + zz
    good = (determinant > splat(_f32(1e-9)) * trace * trace * trace) & (trace > zero)
    inverse = select(good, one / determinant, zero)
    condition = trace * (c00 + c11 + c22) * inverse * splat(_f32(1 / 9))
    return (
        (c00 * bx + c01 * by + c02 * bz) * inverse,
        (c01 * bx + c11 * by + c12 * bz) * inverse,
        (c02 * bx + c12 * by + c22 * bz) * inverse,
        select(good, condition, splat(_f32(np.inf))),
    )


@_inner
def _first_weights(lights, method, v, usable, s, w):  # type: ignore[no-untyped-def]
    """masked: `usable` (K, 8), 1 where a light is neither saturated nor in shadow. robust: a soft start besides.

    Lights far above the quantile s count less, and none counts for nothing.
    """
    zero, one, floor = splat(_f32(0)), splat(_f32(1)), splat(_f32(1e-4))
    knee, four = splat(_f32(1.5)), splat(_f32(4))
    per_s = select(s > zero, one / s, zero)
    for k in range(len(lights)):
        weight = load(usable, LANES * k)
        if method == ROBUST:
            over = maximum(load(v, LANES * k) * per_s - knee, zero)
            weight = maximum(weight, floor) / (one + four * over * over)
        store(w, LANES * k, weight)


@_inner
def _cauchy_weights(lights, v, usable, gx, gy, gz, per_s, vectors, ends, steps, w):  # type: ignore[no-untyped-def]
    """Weights 1 / (1 + (r / (cauchy s))^2) of the residuals r that g leaves; `per_s` = 1 / (cauchy s)."""
    one, floor = splat(_f32(1)), splat(_f32(1e-4))
    for k in range(len(lights)):
        x, y, z = _light(k, vectors, ends, steps)
        q = (load(v, LANES * k) - (gx * x + gy * y + gz * z)) * per_s
        store(w, LANES * k, maximum(load(usable, LANES * k), floor) / (one + q * q))


@_inner
def _weighted(lights, v, w, vectors, ends, steps):  # type: ignore[no-untyped-def]
    """g and condition of weighted least squares."""
    zero = splat(_f32(0))
    xx, xy, xz, yy, yz, zz, bx, by, bz = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for k in range(len(lights)):
        value, weight = load(v, LANES * k), load(w, LANES * k)
        x, y, z = _light(k, vectors, ends, steps)
        wx, wy, wz = weight * x, weight * y, weight * z
        xx, xy, xz = xx + wx * x, xy + wx * y, xz + wx * z
        yy, yz, zz = yy + wy * y, yz + wy * z, zz + wz * z
        bx, by, bz = bx + wx * value, by + wy * value, bz + wz * value
    return _solve3((xx, xy, xz, yy, yz, zz), (bx, by, bz))


@_inner
def _rest(lights, v, w, gx, gy, gz, vectors, ends, steps):  # type: ignore[no-untyped-def]
    """How many lights counted (a fifth of their weight or more is left), and their mean squared residual."""
    zero, one, least = splat(_f32(0)), splat(_f32(1)), splat(_f32(0.2))
    number, squares = zero, zero
    for k in range(len(lights)):
        x, y, z = _light(k, vectors, ends, steps)
        rest = load(v, LANES * k) - (gx * x + gy * y + gz * z)
        weight = select(load(w, LANES * k) >= least, one, zero)
        number = number + weight
        squares = squares + weight * rest * rest
    return number, squares / maximum(number, one)


@_inner
def _reconsider(  # type: ignore[no-untyped-def]
    lights, frames, signal, phase, near, vectors, x, i, limit, rules, scratch, g, number, placed
):
    """masked and robust at eight pixels: g, mean squared residual, number of lights, whether they stand well."""
    method, shadow, dark, worst, iterations, cauchy = rules
    v, usable, w = scratch
    ends, steps = _near_at(near, len(lights), x + i)
    zero, one, top = splat(_f32(0)), splat(_f32(1)), splat(_f32(limit))
    for k in range(len(lights)):
        store(v, LANES * k, _value(k, frames, signal, phase, i, ends, steps))
    s = quantile(v, lights)
    least = select(s > splat(dark), splat(shadow) * s, splat(_f32(np.inf)))
    for k in range(len(lights)):
        lit = (load(v, LANES * k) > least) & (load(frames[0], k * frames[1] + i) < top)
        store(usable, LANES * k, select(lit, one, zero))
    _first_weights(lights, method, v, usable, s, w)
    gx, gy, gz, condition = _weighted(lights, v, w, vectors, ends, steps)
    if method == ROBUST:
        per_s = select(s > zero, one / (splat(cauchy) * s), zero)
        for _ in range(iterations):
            _cauchy_weights(lights, v, usable, gx, gy, gz, per_s, vectors, ends, steps, w)
            gx, gy, gz, condition = _weighted(lights, v, w, vectors, ends, steps)
    count, square = _rest(lights, v, w, gx, gy, gz, vectors, ends, steps)
    _keep(g, i, gx, gy, gz, square)
    store_counts(number, i, count)
    store_counts(placed, i, condition <= splat(worst))


@_inner
def _certain(extreme, i, dark, limit, bounds, rules):  # type: ignore[no-untyped-def]
    """True if at all of eight pixels every light counts, whichever is the darkest and whichever the brightest.

    `extreme`: the group's smallest and largest counts in two rows; `bounds`: least and most scale, over all lights,
    phases and near strengths, and least and most black.
    """
    least_scale, most_scale, least_black, most_black = bounds
    low, high = load(extreme, i), load(extreme, GROUP + i)
    below = high < splat(_f32(limit))
    low = (low - load_or(dark, 0, splat(most_black))) * splat(least_scale)
    high = (high - load_or(dark, 0, splat(least_black))) * splat(most_scale)
    return every(below & (low > splat(rules[2])) & (low > splat(rules[1]) * high))


@_inner
def _sort_out(  # type: ignore[no-untyped-def]
    lights, frames, signal, phase, near, vectors, x, limit, bounds, rules, scratch, extreme, g, number, placed, maps, n
):
    """masked: plain least squares stays where every light counts, the rest is reconsidered; robust: everything is."""
    raw, step, dark = frames
    for j in range(0, n, GROUP):
        low, high = extremes(beyond(raw, j), step, lights)
        store(maps[5], j, reached(high, limit))
        store(extreme, 0, low)
        store(extreme, GROUP, high)
        for i in range(0, GROUP, LANES):
            at = j + i
            if rules[0] == MASKED and _certain(extreme, i, beyond(dark, at), limit, bounds, rules):
                store_counts(number, at, splat(_f32(len(lights))))
                store_counts(placed, at, splat(_f32(1)))
            else:
                _reconsider(
                    lights, frames, signal, phase, near, vectors, x, at, limit, rules, scratch, g, number, placed
                )


@_inner
def _write(g, i, good, least_square, maps):  # type: ignore[no-untyped-def]
    """Unit normal, albedo (both 0 where not `good`) and rms residual of eight pixels; returns good, albedo.

    Where maps are of 16 bits, the albedo stays in full in the first row of g.
    """
    normals, albedo, _, residual, _, _, plane = maps
    zero, tiny = splat(_f32(0)), splat(_f32(1e-30))
    x, y, z = load(g, i), load(g, PIECE_PX + i), load(g, 2 * PIECE_PX + i)
    square = x * x + y * y + z * z
    good = good & (z > zero) & (square > least_square) & (square < splat(_f32(np.inf)))
    inverse = select(good, reciprocal_root(square), zero)
    length = square * inverse
    store_unit(normals, i, x * inverse)
    store_unit(normals, plane + i, y * inverse)
    store_unit(normals, 2 * plane + i, z * inverse)
    store_albedo(albedo, i, length)
    store_if_packed(albedo, g, i, length)
    rest = maximum(load(g, 3 * PIECE_PX + i), tiny)
    store_residual(residual, i, rest * reciprocal_root(rest))
    return good, length


@_inner
def _finish(g, number, placed, maps, n):  # type: ignore[no-untyped-def]
    """Output of masked and robust, whose lights are counted."""
    three, half, tiny = splat(_f32(3)), splat(_f32(0.5)), splat(_f32(1e-30))
    for i in range(0, n, LANES):
        count = load(number, i)
        good, _ = _write(g, i, (count >= three) & (load(placed, i) > half), tiny, maps)
        store_counts(maps[2], i, count)
        store_counts(maps[4], i, good)


@_inner
def _floor(albedo, share, black, top):  # type: ignore[no-untyped-def]
    """The count that a lit light must exceed: `top`, which none does, where the albedo is 0, and under it elsewhere."""
    zero = splat(_f32(0))
    highest = splat(top - _f32(1))
    return select(albedo > zero, minimum(maximum(albedo * share + black, zero), highest), splat(top))


@_inner
def _finish_ls(dark, g, rules, top, thresholds, count, floors, maps, n):  # type: ignore[no-untyped-def]
    """Output of ls but for the lit count, and the highest of its lights' thresholds.

    `thresholds`: per light shadow fraction over scale, then black; then the highest of each.
    """
    least_square = splat(rules[2] * rules[2])
    share, black = load_splat(thresholds, 2 * count), load_splat(thresholds, 2 * count + 1)
    everywhere = splat(_f32(0)) >= splat(_f32(0))
    for i in range(0, n, LANES):
        _, albedo = _write(g, i, everywhere, least_square, maps)
        store_counts(floors, i, _floor(albedo, share, load_or(dark, i, black), top))


@_inner
def _withdraw(maps, j, was, number):  # type: ignore[no-untyped-def]
    """Marks 32 pixels of ls as observable, and takes back the normals that fewer than three lights support."""
    enough = reached(number, np.uint8(3))
    store(maps[2], j, number)
    store(maps[4], j, enough)
    if same(was, enough):
        return
    half = splat(_f32(0.5))
    for i in range(j, j + GROUP, LANES):
        good = load(maps[4], i) > half
        for c in range(3):
            keep_unit(maps[0], c * maps[6] + i, good)
        keep_albedo(maps[1], i, good)


@_inner
def _count(lights, frames, limit, top, thresholds, even, g, floors, maps, n):  # type: ignore[no-untyped-def]
    """Lit count of ls in the counts' own width, under far lights without a mosaic; none exceeds `top`."""
    raw, step, dark = frames
    count, albedo = len(lights), lengths(maps[1], g)
    for j in range(0, n, GROUP):
        low, high = extremes(beyond(raw, j), step, lights)
        store(maps[5], j, reached(high, limit))
        floor = load_counts(floors, j)
        if all_between(low, floor, high, limit):
            store(maps[2], j, splat_bytes(np.uint8(count)))
            store(maps[4], j, splat_bytes(np.uint8(1)))
            continue
        was = differs(floor, top)
        number = splat_bytes(np.uint8(0))
        for k in range(count):
            if not even:
                for i in range(j, j + GROUP, LANES):
                    black = load_or(dark, i, load_splat(thresholds, 2 * k + 1))
                    share = load_splat(thresholds, 2 * k)
                    store_counts(floors, i, _floor(load(albedo, i), share, black, _f32(top)))
                floor = load_counts(floors, j)
            number = add_between(number, load_counts(raw, k * step + j), floor, limit)
        _withdraw(maps, j, was, number)


@_inner
def _count_near(lights, frames, signal, phase, near, x, limit, top, rules, g, floors, maps, n):  # type: ignore[no-untyped-def]
    """Lit count of ls where each pixel has a scale of its own."""
    raw, step, _ = frames
    zero, one, high_count = splat(_f32(0)), splat(_f32(1)), splat(_f32(limit))
    for j in range(0, n, GROUP):
        _, high = extremes(beyond(raw, j), step, lights)
        store(maps[5], j, reached(high, limit))
        for i in range(j, j + GROUP, LANES):
            ends, steps = _near_at(near, len(lights), x + i)
            albedo = load(lengths(maps[1], g), i)
            least = select(albedo > zero, splat(rules[1]) * albedo, splat(_f32(np.inf)))
            number = zero
            for k in range(len(lights)):
                value = _value(k, frames, signal, phase, i, ends, steps)
                lit = (value > least) & (load(raw, k * step + i) < high_count)
                number = number + select(lit, one, zero)
            store_counts(maps[2], i, number)
        _withdraw(maps, j, differs(load_counts(floors, j), top), load_counts(maps[2], j))


@_inner
def _row_ends(knots, count, step, y, ends):  # type: ignore[no-untyped-def]
    """ends (X - 1, K, 14): at row y, value at each knot and slope per pixel to the next of what the knots hold."""
    one = _f32(1)
    row = _f32(y) / _f32(step)
    top = min(int(row), knots.shape[0] - 2)
    below = row - _f32(top)
    for left in range(knots.shape[1] - 1):
        for k in range(count):
            for c in range(KNOT_VALUES):
                a = knots[top, left, k, c] * (one - below) + knots[top + 1, left, k, c] * below
                b = knots[top, left + 1, k, c] * (one - below) + knots[top + 1, left + 1, k, c] * below
                ends[left, k, 2 * c] = a
                ends[left, k, 2 * c + 1] = (b - a) / _f32(step)


@_inner
def _piece(  # type: ignore[no-untyped-def]
    lights, frames, signal, phase, near, geometry, table, plain, even, thresholds, bounds, rules, limit, top, x,
    scratch, maps, n,
):  # fmt: skip
    """`n` pixels, a multiple of GROUP, into the maps."""
    light, g, number, placed, floors, extreme = scratch
    if rules[0] != ROBUST:
        if plain:
            _project(lights, frames, table, even, g, maps, n)
        else:
            _linear(lights, frames, signal, phase, near, geometry, x, light[0], g, n)
    if rules[0] != LS:
        _sort_out(
            lights, frames, signal, phase, near, geometry[0], x, limit, bounds, rules, light, extreme, g, number,
            placed, maps, n,
        )  # fmt: skip
        _finish(g, number, placed, maps, n)
        return
    _finish_ls(frames[2], g, rules, _f32(top), thresholds, len(lights), floors, maps, n)
    if plain:
        _count(lights, frames, limit, top, thresholds, even, g, floors, maps, n)
    else:
        _count_near(lights, frames, signal, phase, near, x, limit, top, rules, g, floors, maps, n)


@_inner
def _maps_at(maps, i):  # type: ignore[no-untyped-def]
    normals, albedo, number, residual, seen, saturated, plane = maps
    return (
        beyond(normals, i), beyond(albedo, i), beyond(number, i), beyond(residual, i), beyond(seen, i),
        beyond(saturated, i), plane,
    )  # fmt: skip


def _compiled(sources: int) -> Any:
    """The kernel, looked up on disk by what it closes over: the text of all files that it is made of."""

    @_entry
    def solve_rows(  # type: ignore[no-untyped-def]
        ring, rows, corner, lights, dark, black, scale, limit, vectors, inverse, table, thresholds, plain, even, bounds,
        knots, shift, rules, normals, albedo, number_map, residual, seen, saturated,
    ):  # fmt: skip
        """Rows rows[0]..rows[1] of the region at `corner` (y, x) of `ring` (K, H, W), into maps, all C-contiguous.

        `lights` is a tuple of K zeros; `dark` (H, W) of the ring's shape, or None; `black` (K,) DN; `scale`
        (K, 2, 2) per DN and phase of the mosaic; `limit` DN of saturation, in the ring's type; `vectors` and
        `inverse` (K, 3); `table` of projection.projection_table, used where `plain`; `thresholds` (K + 1, 2), `even`
        as of projection.is_even; `bounds` see `_certain`; `knots` (Y, X, K, 7) every 2^shift pixels of the region,
        or None; `rules` see above. The maps: normals (3, h, w), the others (h, w); normals, albedo and residual all
        float32 or all uint16 (see `packed`), the rest uint8. Every
        row of the ring (and of `dark`) must have GROUP elements to spare after the region. All finite.
        """
        count, width = len(lights), albedo.shape[1]
        step = ring.shape[1] * ring.shape[2]
        eights = np.empty((3, count, LANES), np.float32)
        floats, bytes_ = np.empty((4, PIECE_PX), np.float32), np.empty((2, PIECE_PX), np.uint8)
        counts, extreme = np.empty(PIECE_PX, ring.dtype), np.empty(2 * GROUP, ring.dtype)
        spare, spare_bytes = np.empty((5, GROUP), normals.dtype), np.empty((3, GROUP), np.uint8)
        light = pointer(eights), beyond(pointer(eights), count * LANES), beyond(pointer(eights), 2 * count * LANES)
        scratch = (
            light, pointer(floats), pointer(bytes_), beyond(pointer(bytes_), PIECE_PX), pointer(counts),
            pointer(extreme),
        )  # fmt: skip
        geometry, signal = (pointer(vectors), pointer(inverse)), (pointer(black), pointer(scale))
        maps = (
            pointer(normals), pointer(albedo), pointer(number_map), pointer(residual), pointer(seen),
            pointer(saturated), albedo.shape[0] * width,
        )  # fmt: skip
        aside = (
            pointer(spare), beyond(pointer(spare), 3 * GROUP), pointer(spare_bytes),
            beyond(pointer(spare), 4 * GROUP), beyond(pointer(spare_bytes), GROUP),
            beyond(pointer(spare_bytes), 2 * GROUP), GROUP,
        )  # fmt: skip
        # the last piece is solved as a whole group, beyond the last knot
        ends = np.zeros((1 if knots is None else knots.shape[1] + (GROUP >> shift) + 1, count, _ENDS), np.float32)
        row_ends = pointer(knots)
        if knots is not None:
            row_ends = pointer(ends)
        top = counts.dtype.type(255 if ring.itemsize == 1 else 65535)
        for y in range(rows[0], rows[1]):
            if knots is not None:
                _row_ends(knots, count, 1 << shift, y, ends)
            row = (corner[0] + y) * ring.shape[2] + corner[1]
            phase = 2 * ((corner[0] + y) & 1) + (corner[1] & 1)
            x = 0
            while x < width:
                n = min(PIECE_PX, width - x) // GROUP * GROUP
                is_last = n == 0  # fewer pixels than a group: solved aside, and copied
                where = aside if is_last else _maps_at(maps, y * width + x)
                n = GROUP if is_last else n
                _piece(
                    lights, (beyond(pointer(ring), row + x), step, beyond(pointer(dark), row + x)), signal, phase,
                    (row_ends, shift), geometry, pointer(table), plain, even, pointer(thresholds), bounds, rules, limit,
                    top, x, scratch, where, n,
                )  # fmt: skip
                if is_last:
                    for i in range(width - x):
                        for c in range(3):
                            normals[c, y, x + i] = spare[c, i]
                        albedo[y, x + i], residual[y, x + i] = spare[3, i], spare[4, i]
                        number_map[y, x + i], seen[y, x + i] = spare_bytes[0, i], spare_bytes[1, i]
                        saturated[y, x + i] = spare_bytes[2, i]
                x += n
        # what is used to the end is not freed before
        scratch_arrays = eights.size + floats.size + bytes_.size + counts.size + extreme.size + ends.size
        return sources if scratch_arrays > 0 else 0

    return solve_rows


solve_rows = _compiled(fingerprint())
