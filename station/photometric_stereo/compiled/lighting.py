"""Light at eight pixels of a row: direction, pseudo-inverse and signal, linear between knots where lights are near."""

from __future__ import annotations

from station.photometric_stereo.compiled.jit import ENDS, KNOT_VALUES, f32, inner
from station.photometric_stereo.compiled.lanes import beyond
from station.photometric_stereo.compiled.vectors import line_or, load, load_alternate, load_or, load_splat, ramp, splat


@inner
def near_at(near, count, i):  # type: ignore[no-untyped-def]
    """Where the ends of the knots around eight pixels lie, and each pixel's distance from the left knot."""
    ends, shift = near
    knot = i >> shift
    return beyond(ends, knot * count * ENDS), ramp(f32(i - (knot << shift)))


@inner
def light_vector(k, vectors, ends, steps):  # type: ignore[no-untyped-def]
    """Light k's unit vector at eight pixels."""
    at, far = ENDS * k, 3 * k
    return (
        line_or(ends, at, steps, load_splat(vectors, far)),
        line_or(ends, at + 2, steps, load_splat(vectors, far + 1)),
        line_or(ends, at + 4, steps, load_splat(vectors, far + 2)),
    )


@inner
def inverse_column(k, inverse, ends, steps):  # type: ignore[no-untyped-def]
    """Light k's column of the pseudo-inverse at eight pixels."""
    at, far = ENDS * k + 8, 3 * k
    return (
        line_or(ends, at, steps, load_splat(inverse, far)),
        line_or(ends, at + 2, steps, load_splat(inverse, far + 1)),
        line_or(ends, at + 4, steps, load_splat(inverse, far + 2)),
    )


@inner
def signal_of(k, frames, signal, phase, i, ends, steps):  # type: ignore[no-untyped-def]
    """Light k's signal at eight pixels: (raw - black or dark frame) * scale, divided by the light's strength.

    `phase` is that of the mosaic at pixel 0: 2 * (y & 1) + (x & 1).
    """
    raw, step, dark = frames
    black, scale = signal
    at = 4 * k + (phase ^ (i & 1))
    value = load(raw, k * step + i) - load_or(dark, i, load_splat(black, k))
    weaker = line_or(ends, ENDS * k + 6, steps, splat(f32(1)))
    return value * load_alternate(scale, at, at ^ 1) * weaker


@inner
def fill_row_ends(knots, count, step, y, ends):  # type: ignore[no-untyped-def]
    """Fill ends (X - 1, K, 14): at row y, each knot value and its slope per pixel to the next knot."""
    one = f32(1)
    row = f32(y) / f32(step)
    top = min(int(row), knots.shape[0] - 2)
    below = row - f32(top)
    for left in range(knots.shape[1] - 1):
        for k in range(count):
            for c in range(KNOT_VALUES):
                a = knots[top, left, k, c] * (one - below) + knots[top + 1, left, k, c] * below
                b = knots[top, left + 1, k, c] * (one - below) + knots[top + 1, left + 1, k, c] * below
                ends[left, k, 2 * c] = a
                ends[left, k, 2 * c + 1] = (b - a) / f32(step)
