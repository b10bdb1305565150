"""From g to the maps: unit normals, albedo, residual, and how many lights counted."""

from __future__ import annotations

import numpy as np

from station.photometric_stereo.compiled.counts import (
    add_between,
    all_between,
    differs,
    extremes,
    in_a_byte,
    load_counts,
    reached,
    same,
    splat_bytes,
)
from station.photometric_stereo.compiled.jit import PIECE_PX, f32, inner
from station.photometric_stereo.compiled.lanes import GROUP, LANES, beyond, count_of
from station.photometric_stereo.compiled.lighting import near_at, signal_of
from station.photometric_stereo.compiled.stores import (
    keep_albedo,
    keep_unit,
    lengths,
    store,
    store_albedo,
    store_counts,
    store_if_packed,
    store_residual,
    store_unit,
)
from station.photometric_stereo.compiled.vectors import (
    load,
    load_or,
    load_splat,
    maximum,
    minimum,
    reciprocal_root,
    select,
    splat,
)


@inner
def _write(g, i, good, least_square, maps):  # type: ignore[no-untyped-def]
    """Write unit normal, albedo (both 0 where not `good`) and rms residual of eight pixels; returns good, albedo.

    Where maps are of 16 bits, the albedo stays in full in the first row of g.
    """
    normals, albedo, _, residual, _, _, plane = maps
    zero, tiny = splat(f32(0)), splat(f32(1e-30))
    x, y, z = load(g, i), load(g, PIECE_PX + i), load(g, 2 * PIECE_PX + i)
    square = x * x + y * y + z * z
    good = good & (z > zero) & (square > least_square) & (square < splat(f32(np.inf)))
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


@inner
def finish_counted(g, number, placed, maps, n):  # type: ignore[no-untyped-def]
    """Write the maps of masked and robust, whose lights have been counted."""
    three, half, tiny = splat(f32(3)), splat(f32(0.5)), splat(f32(1e-30))
    for i in range(0, n, LANES):
        count = load(number, i)
        good, _ = _write(g, i, (count >= three) & (load(placed, i) > half), tiny, maps)
        store_counts(maps[2], i, count)
        store_counts(maps[4], i, good)


@inner
def _floor(albedo, share, black, top):  # type: ignore[no-untyped-def]
    """The count that a lit light must exceed; where the albedo is 0, `top`, which no count exceeds."""
    zero = splat(f32(0))
    highest = splat(top - f32(1))
    return select(albedo > zero, minimum(maximum(albedo * share + black, zero), highest), splat(top))


@inner
def finish_ls(dark, g, rules, top, thresholds, count, floors, maps, n):  # type: ignore[no-untyped-def]
    """Write the maps of ls except for the lit count, and the highest of the lights' thresholds into `floors`.

    `thresholds`: per light shadow fraction over scale, then black; then the highest of each.
    """
    least_square = splat(rules[2] * rules[2])
    share, black = load_splat(thresholds, 2 * count), load_splat(thresholds, 2 * count + 1)
    everywhere = splat(f32(0)) >= splat(f32(0))
    for i in range(0, n, LANES):
        _, albedo = _write(g, i, everywhere, least_square, maps)
        store_counts(floors, i, _floor(albedo, share, load_or(dark, i, black), top))


@inner
def _withdraw(maps, j, was, number):  # type: ignore[no-untyped-def]
    """Mark 32 pixels of ls as observable, and erase normals that fewer than three lights support."""
    enough = reached(number, np.uint8(3))
    store(maps[2], j, number)
    store(maps[4], j, enough)
    if same(was, enough):
        return
    half = splat(f32(0.5))
    for i in range(j, j + GROUP, LANES):
        good = load(maps[4], i) > half
        for c in range(3):
            keep_unit(maps[0], c * maps[6] + i, good)
        keep_albedo(maps[1], i, good)


@inner
def count_far(lights, frames, limit, top, thresholds, even, g, floors, maps, n):  # type: ignore[no-untyped-def]
    """Count the lit lights of ls in the counts' own width, under far lights without a mosaic; none exceeds `top`."""
    raw, step, dark = frames
    count, albedo = count_of(lights), lengths(maps[1], g)
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
                    store_counts(floors, i, _floor(load(albedo, i), share, black, f32(top)))
                floor = load_counts(floors, j)
            number = add_between(number, load_counts(raw, k * step + j), floor, limit)
        _withdraw(maps, j, was, number)


@inner
def count_near(lights, frames, signal, phase, near, x, limit, top, rules, g, floors, maps, n):  # type: ignore[no-untyped-def]
    """Count the lit lights of ls where each pixel has a scale of its own."""
    raw, step, _ = frames
    zero, one, high_count = splat(f32(0)), splat(f32(1)), splat(f32(limit))
    for j in range(0, n, GROUP):
        _, high = extremes(beyond(raw, j), step, lights)
        store(maps[5], j, reached(high, limit))
        for i in range(j, j + GROUP, LANES):
            ends, steps = near_at(near, count_of(lights), x + i)
            albedo = load(lengths(maps[1], g), i)
            least = select(albedo > zero, splat(rules[1]) * albedo, splat(f32(np.inf)))
            number = zero
            for k in range(count_of(lights)):
                value = signal_of(k, frames, signal, phase, i, ends, steps)
                lit = (value > least) & (load(raw, k * step + i) < high_count)
                number = number + select(lit, one, zero)
            store_counts(maps[2], i, in_a_byte(number, lights))
        _withdraw(maps, j, differs(load_counts(floors, j), top), load_counts(maps[2], j))


@inner
def maps_at(maps, i):  # type: ignore[no-untyped-def]
    normals, albedo, number, residual, seen, saturated, plane = maps
    return (
        beyond(normals, i), beyond(albedo, i), beyond(number, i), beyond(residual, i), beyond(seen, i),
        beyond(saturated, i), plane,
    )  # fmt: skip
