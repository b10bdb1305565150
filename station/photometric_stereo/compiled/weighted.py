"""Weighted least squares where a light does not count: `masked` and `robust`."""

from __future__ import annotations

import numpy as np

from station.photometric_stereo.compiled.counts import extremes, in_a_byte, reached
from station.photometric_stereo.compiled.jit import MASKED, ROBUST, f32, inner
from station.photometric_stereo.compiled.lanes import GROUP, LANES, beyond, count_of
from station.photometric_stereo.compiled.least_squares import keep
from station.photometric_stereo.compiled.lighting import light_vector, near_at, signal_of
from station.photometric_stereo.compiled.stores import store, store_counts
from station.photometric_stereo.compiled.vectors import every, load, load_or, maximum, quantile, select, splat


@inner
def _solve3(a, b):  # type: ignore[no-untyped-def]
    """g = A^-1 b by cofactors; condition = tr(A) tr(A^-1) / 9, infinite (with g = 0) where A is singular."""
    xx, xy, xz, yy, yz, zz = a
    bx, by, bz = b
    zero, one = splat(f32(0)), splat(f32(1))
    c00, c01, c02 = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    c11, c12, c22 = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant = xx * c00 + xy * c01 + xz * c02
    trace = xx + yy + zz
    good = (determinant > splat(f32(1e-9)) * trace * trace * trace) & (trace > zero)
    inverse = select(good, one / determinant, zero)
    condition = trace * (c00 + c11 + c22) * inverse * splat(f32(1 / 9))
    return (
        (c00 * bx + c01 * by + c02 * bz) * inverse,
        (c01 * bx + c11 * by + c12 * bz) * inverse,
        (c02 * bx + c12 * by + c22 * bz) * inverse,
        select(good, condition, splat(f32(np.inf))),
    )


@inner
def _first_weights(lights, method, v, usable, s, w):  # type: ignore[no-untyped-def]
    """Weights (K, 8) into `w`. masked: those of `usable`, 1 where a light is neither saturated nor in shadow.

    robust: a soft start besides, where lights far above the quantile s count less and none counts for nothing.
    """
    zero, one, floor = splat(f32(0)), splat(f32(1)), splat(f32(1e-4))
    knee, four = splat(f32(1.5)), splat(f32(4))
    per_s = select(s > zero, one / s, zero)
    for k in range(count_of(lights)):
        weight = load(usable, LANES * k)
        if method == ROBUST:
            over = maximum(load(v, LANES * k) * per_s - knee, zero)
            weight = maximum(weight, floor) / (one + four * over * over)
        store(w, LANES * k, weight)


@inner
def _cauchy_weights(lights, v, usable, gx, gy, gz, per_s, vectors, ends, steps, w):  # type: ignore[no-untyped-def]
    """Weights 1 / (1 + (r / (cauchy s))^2) of the residuals r that g leaves; `per_s` = 1 / (cauchy s)."""
    one, floor = splat(f32(1)), splat(f32(1e-4))
    for k in range(count_of(lights)):
        x, y, z = light_vector(k, vectors, ends, steps)
        q = (load(v, LANES * k) - (gx * x + gy * y + gz * z)) * per_s
        store(w, LANES * k, maximum(load(usable, LANES * k), floor) / (one + q * q))


@inner
def weighted(lights, v, w, vectors, ends, steps):  # type: ignore[no-untyped-def]
    """g and condition of weighted least squares."""
    zero = splat(f32(0))
    xx, xy, xz, yy, yz, zz, bx, by, bz = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for k in range(count_of(lights)):
        value, weight = load(v, LANES * k), load(w, LANES * k)
        x, y, z = light_vector(k, vectors, ends, steps)
        wx, wy, wz = weight * x, weight * y, weight * z
        xx, xy, xz = xx + wx * x, xy + wx * y, xz + wx * z
        yy, yz, zz = yy + wy * y, yz + wy * z, zz + wz * z
        bx, by, bz = bx + wx * value, by + wy * value, bz + wz * value
    return _solve3((xx, xy, xz, yy, yz, zz), (bx, by, bz))


@inner
def _rest(lights, v, w, gx, gy, gz, vectors, ends, steps):  # type: ignore[no-untyped-def]
    """How many lights counted (weight 0.2 or more), and their mean squared residual."""
    zero, one, least = splat(f32(0)), splat(f32(1)), splat(f32(0.2))
    number, squares = zero, zero
    for k in range(count_of(lights)):
        x, y, z = light_vector(k, vectors, ends, steps)
        rest = load(v, LANES * k) - (gx * x + gy * y + gz * z)
        weight = select(load(w, LANES * k) >= least, one, zero)
        number = number + weight
        squares = squares + weight * rest * rest
    return number, squares / maximum(number, one)


@inner
def _reconsider(  # type: ignore[no-untyped-def]
    lights, frames, signal, phase, near, vectors, x, i, limit, rules, scratch, g, number, placed
):
    """Solve eight pixels by masked or robust: g, mean squared residual, lights that counted, condition met or not."""
    method, shadow, dark, worst, iterations, cauchy = rules
    v, usable, w, network = scratch
    ends, steps = near_at(near, count_of(lights), x + i)
    zero, one, top = splat(f32(0)), splat(f32(1)), splat(f32(limit))
    for k in range(count_of(lights)):
        store(v, LANES * k, signal_of(k, frames, signal, phase, i, ends, steps))
    s = quantile(v, lights, network, w)
    least = select(s > splat(dark), splat(shadow) * s, splat(f32(np.inf)))
    for k in range(count_of(lights)):
        lit = (load(v, LANES * k) > least) & (load(frames[0], k * frames[1] + i) < top)
        store(usable, LANES * k, select(lit, one, zero))
    _first_weights(lights, method, v, usable, s, w)
    gx, gy, gz, condition = weighted(lights, v, w, vectors, ends, steps)
    if method == ROBUST:
        per_s = select(s > zero, one / (splat(cauchy) * s), zero)
        for _ in range(iterations):
            _cauchy_weights(lights, v, usable, gx, gy, gz, per_s, vectors, ends, steps, w)
            gx, gy, gz, condition = weighted(lights, v, w, vectors, ends, steps)
    count, square = _rest(lights, v, w, gx, gy, gz, vectors, ends, steps)
    keep(g, i, gx, gy, gz, square)
    store_counts(number, i, in_a_byte(count, lights))
    store_counts(placed, i, condition <= splat(worst))


@inner
def _certain(extreme, i, dark, limit, bounds, rules):  # type: ignore[no-untyped-def]
    """True if at all of eight pixels every light counts, whichever is the darkest and whichever the brightest.

    `extreme`: the group's smallest and largest counts in two rows; `bounds`: least and most scale, over all lights,
    phases and near strengths, and least and most black.
    """
    least_scale, most_scale, least_black, most_black = bounds
    low, high = load(extreme, i), load(extreme, GROUP + i)
    below = high < splat(f32(limit))
    low = (low - load_or(dark, 0, splat(most_black))) * splat(least_scale)
    high = (high - load_or(dark, 0, splat(least_black))) * splat(most_scale)
    return every(below & (low > splat(rules[2])) & (low > splat(rules[1]) * high))


@inner
def sort_out(  # type: ignore[no-untyped-def]
    lights, frames, signal, phase, near, vectors, x, limit, bounds, rules, scratch, extreme, g, number, placed, maps, n
):
    """Keep plain least squares where every light counts (masked), and reconsider all other pixels (robust: all)."""
    raw, step, dark = frames
    for j in range(0, n, GROUP):
        low, high = extremes(beyond(raw, j), step, lights)
        store(maps[5], j, reached(high, limit))
        store(extreme, 0, low)
        store(extreme, GROUP, high)
        for i in range(0, GROUP, LANES):
            at = j + i
            if rules[0] == MASKED and _certain(extreme, i, beyond(dark, at), limit, bounds, rules):
                store_counts(number, at, in_a_byte(splat(f32(count_of(lights))), lights))
                store_counts(placed, at, splat(f32(1)))
            else:
                _reconsider(
                    lights, frames, signal, phase, near, vectors, x, at, limit, rules, scratch, g, number, placed
                )
