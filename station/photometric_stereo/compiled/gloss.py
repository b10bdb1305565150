"""Takes highlights off pixel by pixel: the compiled twin of `solved_in_arrays`, at a tenth of its cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

F64 = NDArray[np.float64]
SINGULAR = 1e-9  # of the trace cubed: a determinant below this decides nothing

_njit: Any = njit  # its type knows nothing of the wrappers that inner functions do without
_inner = _njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_inner
def _inverse(lights, counts, out):  # type: ignore[no-untyped-def]
    """Fill out (3, K), the pseudo-inverse of the lights (K, 3) that count; 0 where they decide nothing.

    Returns tr(A) tr(A^-1), infinite where A is singular.
    """
    xx = xy = xz = yy = yz = zz = 0.0
    for k in range(len(counts)):
        if counts[k]:
            x, y, z = lights[k, 0], lights[k, 1], lights[k, 2]
            xx, xy, xz, yy, yz, zz = xx + x * x, xy + x * y, xz + x * z, yy + y * y, yz + y * z, zz + z * z
    c00, c01, c02 = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    c11, c12, c22 = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant, trace = xx * c00 + xy * c01 + xz * c02, xx + yy + zz
    decided = determinant > SINGULAR * trace**3
    scale = 1.0 / determinant if decided else 0.0
    for k in range(len(counts)):
        x, y, z = lights[k, 0], lights[k, 1], lights[k, 2]
        weight = scale if counts[k] else 0.0
        out[0, k] = weight * (c00 * x + c01 * y + c02 * z)
        out[1, k] = weight * (c01 * x + c11 * y + c12 * z)
        out[2, k] = weight * (c02 * x + c12 * y + c22 * z)
    return trace * (c00 + c11 + c22) * scale if decided else np.inf


@_inner
def _project(inverse, values, taken):  # type: ignore[no-untyped-def]
    gx = gy = gz = 0.0
    for k in range(len(values)):
        rest = values[k] - taken[k]
        gx += inverse[0, k] * rest
        gy += inverse[1, k] * rest
        gz += inverse[2, k] * rest
    return gx, gy, gz


@_inner
def _rounds(values, usable, lights, view, of_albedo, square, rounds, inverse, halves, added, taken):  # type: ignore[no-untyped-def]
    """Fill taken (K,), what the highlight adds, in so many rounds; halves (K, 4) and added (K,) are scratch."""
    vx, vy, vz = view[0], view[1], view[2]
    for k in range(len(values)):
        hx, hy, hz = lights[k, 0] + vx, lights[k, 1] + vy, lights[k, 2] + vz
        halves[k, 0], halves[k, 1], halves[k, 2] = hx, hy, hz
        halves[k, 3] = (square - 1.0) / (hx * hx + hy * hy + hz * hz)
        taken[k] = 0.0
    for _ in range(rounds):
        gx, gy, gz = _project(inverse, values, taken)
        length = math.sqrt(gx * gx + gy * gy + gz * gz)
        length = 1.0 / length if length > 0.0 else 1.0
        nx, ny, nz = gx * length, gy * length, gz * length
        toward = max(nx * vx + ny * vy + nz * vz, 1e-3)
        root = math.sqrt(square + (1.0 - square) * toward * toward)
        product = norm = 0.0
        for k in range(len(values)):
            light = max(nx * lights[k, 0] + ny * lights[k, 1] + nz * lights[k, 2], 0.0)
            half = nx * halves[k, 0] + ny * halves[k, 1] + nz * halves[k, 2]
            spread = half * half * halves[k, 3] + 1.0
            masking = light * root + toward * math.sqrt(square + (1.0 - square) * light * light)
            added[k] = of_albedo * light * 0.5 * square / (spread * spread * max(masking, 1e-6))
            if usable[k]:
                model = light + added[k]
                product += model * values[k]
                norm += model * model
        albedo = max(product / max(norm, 1e-12), 0.0)
        for k in range(len(values)):
            taken[k] += 0.5 * (albedo * added[k] - taken[k])  # the whole step would overshoot


@_inner
def _finish(values, usable, lights, rules, inverse, counts, ordered, taken):  # type: ignore[no-untyped-def]
    """`reference.solve_tile` by ls or masked at one pixel: g, lights that counted, rms residual, observable."""
    is_ls, index, shadow, dark, worst = rules
    count = len(values)
    if is_ls:
        gx, gy, gz = _project(inverse, values, taken)
        scale, condition = math.sqrt(gx * gx + gy * gy + gz * gz), 0.0
    else:
        for k in range(count):
            ordered[k] = values[k] - taken[k]
        ordered.sort()
        scale = ordered[index]
    number = 0
    for k in range(count):
        counts[k] = usable[k] and values[k] - taken[k] > shadow * scale and scale > dark
        number += counts[k]
    if not is_ls:
        condition = _inverse(lights, counts, inverse) / 9.0
        gx, gy, gz = _project(inverse, values, taken)
    squares = 0.0
    for k in range(count):
        if is_ls or counts[k]:
            rest = values[k] - taken[k] - (gx * lights[k, 0] + gy * lights[k, 1] + gz * lights[k, 2])
            squares += rest * rest
    rms = math.sqrt(squares / max(count if is_ls else number, 1))
    good = number >= 3 and condition <= worst and gz > 0.0 and math.isfinite(gx + gy + gz)
    return gx, gy, gz, number, rms, good


@njit(nogil=True, cache=True, error_model="numpy")
def solve_glossy(
    values: F64,
    usable: NDArray[np.bool_],
    directions: F64,
    views: F64,
    of_albedo: float,
    roughness: float,
    rounds: int,
    rules: tuple[bool, int, float, float, float],
    g: F64,
    number: NDArray[np.int64],
    rms: F64,
    observable: NDArray[np.bool_],
    taken: F64,
) -> None:
    """Fill g (n, 3), number, rms, observable (n,) and taken (n, K), the highlight, of n pixels.

    `values`, `usable` (n, K), `directions` (n, K, 3), `views` (n, 3). `rules`: whether the solver is ls (else masked),
    index of the quantile, shadow, dark, worst condition. `taken` is of use for other solvers, too.
    """
    pixels, count = values.shape
    is_ls, index, shadow = rules[0], rules[1], rules[2]
    inverse, halves = np.empty((3, count)), np.empty((count, 4))
    added, ordered, counts = np.empty(count), np.empty(count), np.empty(count, np.bool_)
    for p in range(pixels):
        ordered[:] = values[p]
        ordered.sort()
        for k in range(count):
            counts[k] = is_ls or (usable[p, k] and values[p, k] > shadow * ordered[index])
        _inverse(directions[p], counts, inverse)
        _rounds(
            values[p], usable[p], directions[p], views[p], of_albedo, roughness * roughness, rounds, inverse, halves,
            added, taken[p],
        )  # fmt: skip
        gx, gy, gz, lit, rest, good = _finish(
            values[p], usable[p], directions[p], rules, inverse, counts, ordered, taken[p]
        )
        g[p, 0], g[p, 1], g[p, 2] = gx, gy, gz
        number[p], rms[p], observable[p] = lit, rest, good
