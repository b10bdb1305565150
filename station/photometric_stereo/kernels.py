"""The solver's inner loops, compiled: one pass over raw frames gives normals, albedo and quality.

Written for the vectoriser: slices are indexed from `range(n)`, coefficients are locals, scratch is a
segment of a row that stays in the first cache. No kernel is `parallel`: rows are shared out by the
caller's own threads (two callers of a parallel kernel abort the process under numba's workqueue layer).
`nnan` and `ninf` stay out of fastmath, so that comparisons with NaN keep their meaning.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
LS, MASKED, ROBUST = 0, 1, 2
CODES = {"ls": LS, "masked": MASKED, "robust": ROBUST}


def _compiled(function: Any) -> Any:
    """njit with the cache on disk, or without it where no folder can be written (then compiled at every start)."""
    try:
        return njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")(function)
    except RuntimeError:
        return njit(nogil=True, fastmath=FAST, error_model="numpy")(function)


@_compiled
def _load(ring, y, x0, n, black, scale, limit, v, lit, saturated):  # type: ignore[no-untyped-def]
    one, zero = np.float32(1), np.float32(0)
    saturated[:n] = False
    for k in range(ring.shape[0]):
        raw, vk, lk = ring[k, y, x0 : x0 + n], v[k], lit[k]
        dark = black[k]
        even, odd = scale[k, y & 1, x0 & 1], scale[k, y & 1, 1 - (x0 & 1)]
        if even == odd:
            for i in range(n):
                vk[i] = (np.float32(raw[i]) - dark) * even
        else:
            for i in range(n):
                vk[i] = (np.float32(raw[i]) - dark) * (odd if i & 1 else even)
        for i in range(n):
            lk[i] = one if raw[i] < limit else zero
            saturated[i] |= raw[i] >= limit


@_compiled
def _quantile(v, sorted_, network, n):  # type: ignore[no-untyped-def]
    for k in range(v.shape[0]):
        source, target = v[k], sorted_[k]
        for i in range(n):
            target[i] = source[i]
    for m in range(network.shape[0]):
        low, high = sorted_[network[m, 0]], sorted_[network[m, 1]]
        for i in range(n):
            a, b = low[i], high[i]
            low[i] = min(a, b)
            high[i] = max(a, b)


@_compiled
def _shadow(v, s, lit, count, shadow, dark, n):  # type: ignore[no-untyped-def]
    one, zero = np.float32(1), np.float32(0)
    count[:n] = zero
    for k in range(v.shape[0]):
        vk, lk = v[k], lit[k]
        for i in range(n):
            lk[i] = lk[i] if (vk[i] > shadow * s[i]) and (s[i] > dark) else zero
            count[i] += one if lk[i] > zero else zero


@_compiled
def _linear(v, inverse, worst, g, condition, n):  # type: ignore[no-untyped-def]
    """g = pinv(L) I with the pseudo-inverse (3, K) of all lights: plain least squares, as the paper has it."""
    g[:, :n] = np.float32(0)
    condition[:n] = worst
    gx, gy, gz = g[0], g[1], g[2]
    for k in range(v.shape[0]):
        vk = v[k]
        x, y, z = inverse[0, k], inverse[1, k], inverse[2, k]
        for i in range(n):
            gx[i] += x * vk[i]
            gy[i] += y * vk[i]
            gz[i] += z * vk[i]


@_compiled
def _accumulate(v, w, lights, sums, n):  # type: ignore[no-untyped-def]
    a00, a01, a02, a11, a12, a22 = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    b0, b1, b2 = sums[6], sums[7], sums[8]
    for j in range(9):
        sums[j, :n] = np.float32(0)
    for k in range(v.shape[0]):
        vk, wk = v[k], w[k]
        x, y, z = lights[k, 0], lights[k, 1], lights[k, 2]
        xx, xy, xz, yy, yz, zz = x * x, x * y, x * z, y * y, y * z, z * z
        for i in range(n):
            weight = wk[i]
            value = weight * vk[i]
            a00[i] += weight * xx
            a01[i] += weight * xy
            a02[i] += weight * xz
            a11[i] += weight * yy
            a12[i] += weight * yz
            a22[i] += weight * zz
            b0[i] += value * x
            b1[i] += value * y
            b2[i] += value * z


@_compiled
def _accumulate_field(v, w, field, sums, n):  # type: ignore[no-untyped-def]
    a00, a01, a02, a11, a12, a22 = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    b0, b1, b2 = sums[6], sums[7], sums[8]
    for j in range(9):
        sums[j, :n] = np.float32(0)
    for k in range(v.shape[0]):
        vk, wk = v[k], w[k]
        lx, ly, lz = field[k, 0], field[k, 1], field[k, 2]
        for i in range(n):
            x, y, z = lx[i], ly[i], lz[i]
            weight = wk[i]
            value = weight * vk[i]
            wx, wy = weight * x, weight * y
            a00[i] += wx * x
            a01[i] += wx * y
            a02[i] += wx * z
            a11[i] += wy * y
            a12[i] += wy * z
            a22[i] += weight * z * z
            b0[i] += value * x
            b1[i] += value * y
            b2[i] += value * z


@_compiled
def _solve3(sums, g, condition, n):  # type: ignore[no-untyped-def]
    """g = A^-1 b by cofactors; condition = tr(A) tr(A^-1) / 9, infinite where A is singular."""
    zero, one, ninth = np.float32(0), np.float32(1), np.float32(1 / 9)
    tiny, infinite = np.float32(1e-9), np.float32(np.inf)
    a00, a01, a02, a11, a12, a22 = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    b0, b1, b2 = sums[6], sums[7], sums[8]
    gx, gy, gz = g[0], g[1], g[2]
    for i in range(n):
        c00 = a11[i] * a22[i] - a12[i] * a12[i]
        c01 = a02[i] * a12[i] - a01[i] * a22[i]
        c02 = a01[i] * a12[i] - a02[i] * a11[i]
        c11 = a00[i] * a22[i] - a02[i] * a02[i]
        c12 = a01[i] * a02[i] - a00[i] * a12[i]
        c22 = a00[i] * a11[i] - a01[i] * a01[i]
        det = a00[i] * c00 + a01[i] * c01 + a02[i] * c02
        trace = a00[i] + a11[i] + a22[i]
        good = (det > tiny * trace * trace * trace) and (trace > zero)
        inverse = one / det if good else zero
        gx[i] = (c00 * b0[i] + c01 * b1[i] + c02 * b2[i]) * inverse
        gy[i] = (c01 * b0[i] + c11 * b1[i] + c12 * b2[i]) * inverse
        gz[i] = (c02 * b0[i] + c12 * b1[i] + c22 * b2[i]) * inverse
        condition[i] = trace * (c00 + c11 + c22) * inverse * ninth if good else infinite


@_compiled
def _residual(k, v, lights, field, near, g, out, n):  # type: ignore[no-untyped-def]
    """out = I - L g of light k."""
    vk, gx, gy, gz = v[k], g[0], g[1], g[2]
    if near:
        lx, ly, lz = field[k, 0], field[k, 1], field[k, 2]
        for i in range(n):
            out[i] = vk[i] - (gx[i] * lx[i] + gy[i] * ly[i] + gz[i] * lz[i])
    else:
        x, y, z = lights[k, 0], lights[k, 1], lights[k, 2]
        for i in range(n):
            out[i] = vk[i] - (gx[i] * x + gy[i] * y + gz[i] * z)


@_compiled
def _soft_start(v, s, lit, w, n):  # type: ignore[no-untyped-def]
    zero, one, four = np.float32(0), np.float32(1), np.float32(4)
    knee, floor = np.float32(1.5), np.float32(1e-4)
    for k in range(v.shape[0]):
        vk, lk, wk = v[k], lit[k], w[k]
        for i in range(n):
            over = max(vk[i] / s[i] - knee, zero) if s[i] > zero else zero
            wk[i] = max(lk[i], floor) / (one + four * over * over)


@_compiled
def _cauchy(v, s, lit, lights, field, near, g, w, r, cauchy, n):  # type: ignore[no-untyped-def]
    one, zero, floor = np.float32(1), np.float32(0), np.float32(1e-4)
    for k in range(v.shape[0]):
        _residual(k, v, lights, field, near, g, r, n)
        lk, wk = lit[k], w[k]
        for i in range(n):
            q = r[i] / (cauchy * s[i]) if s[i] > zero else zero
            wk[i] = max(lk[i], floor) / (one + q * q)


@_compiled
def _count_robust(lit, w, count, n):  # type: ignore[no-untyped-def]
    """A light that ended with less than a fifth of its weight did not count."""
    one, zero, least = np.float32(1), np.float32(0), np.float32(0.2)
    count[:n] = zero
    for k in range(lit.shape[0]):
        lk, wk = lit[k], w[k]
        for i in range(n):
            lk[i] = one if wk[i] >= least else zero
            count[i] += lk[i]


@_compiled
def _write(g, count, condition, squares, worst, y, x0, n, out):  # type: ignore[no-untyped-def]
    normals, albedo, lit_count, residual, observable = out
    nx, ny, nz = normals[0, y, x0 : x0 + n], normals[1, y, x0 : x0 + n], normals[2, y, x0 : x0 + n]
    rho, lights, rms = albedo[y, x0 : x0 + n], lit_count[y, x0 : x0 + n], residual[y, x0 : x0 + n]
    seen = observable[y, x0 : x0 + n]
    gx, gy, gz = g[0], g[1], g[2]
    zero, one, three = np.float32(0), np.float32(1), np.float32(3)
    infinite = np.float32(np.inf)
    for i in range(n):
        square = gx[i] * gx[i] + gy[i] * gy[i] + gz[i] * gz[i]
        good = (count[i] >= three) and (condition[i] <= worst) and (gz[i] > zero) and (square < infinite)
        inverse = one / np.sqrt(square) if good else zero
        nx[i], ny[i], nz[i] = gx[i] * inverse, gy[i] * inverse, gz[i] * inverse
        rho[i] = square * inverse
        lights[i] = np.uint8(count[i])
        rms[i] = np.sqrt(squares[i] / max(count[i], one))
        seen[i] = good


@_compiled
def _interpolate(knots, step, y, x0, n, v, field):  # type: ignore[no-untyped-def]
    """Unit light vectors of this segment into `field`; divides v by the lights' relative strength."""
    row = np.float32(y) / np.float32(step)
    top = min(int(row), knots.shape[0] - 2)
    below = row - np.float32(top)
    left = x0 // step
    for k in range(v.shape[0]):
        for c in range(4):
            a = knots[top, left, k, c] * (np.float32(1) - below) + knots[top + 1, left, k, c] * below
            b = knots[top, left + 1, k, c] * (np.float32(1) - below) + knots[top + 1, left + 1, k, c] * below
            slope = (b - a) / np.float32(step)
            if c < 3:
                target = field[k, c]
                for i in range(n):
                    target[i] = a + slope * np.float32(i)
            else:
                vk = v[k]
                for i in range(n):
                    vk[i] = vk[i] * (a + slope * np.float32(i))


@_compiled
def solve_rows(  # type: ignore[no-untyped-def]
    ring, row0, row1, black, scale, limit, lights, inverse, knots, segment, near, network, quantile,
    method, shadow, dark, worst, iterations, cauchy, saturated_map, out,
):  # fmt: skip
    """Rows row0..row1 of `ring` (K, H, W) into the maps of `out` and `saturated_map`.

    `black` (K,) DN, `scale` (K, 2, 2) per DN, `limit` DN of saturation; `lights` (K, 3); `inverse` (3, K) their
    pseudo-inverse; `knots` (Y, X, K, 4) unit vector and reciprocal strength every `segment` pixels, used where `near`.
    """
    count, width = ring.shape[0], ring.shape[2]
    size = segment
    v, lit, w, sorted_ = (
        np.empty((count, size), np.float32), np.empty((count, size), np.float32),
        np.empty((count, size), np.float32), np.empty((count, size), np.float32),
    )  # fmt: skip
    field = np.empty((count, 3, size) if near else (1, 3, 1), np.float32)
    sums, g, r = np.empty((9, size), np.float32), np.empty((3, size), np.float32), np.empty(size, np.float32)
    number, condition, squares = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    for y in range(row0, row1):
        for x0 in range(0, width, size):
            n = min(size, width - x0)
            _load(ring, y, x0, n, black, scale, limit, v, lit, saturated_map[y, x0 : x0 + n])
            if near:
                _interpolate(knots, size, y, x0, n, v, field)
            _quantile(v, sorted_, network, n)
            s = sorted_[quantile]
            _shadow(v, s, lit, number, shadow, dark, n)
            if method == LS:
                w[:, :n] = np.float32(1)
            elif method == MASKED:
                w[:, :n] = lit[:, :n]
            else:
                _soft_start(v, s, lit, w, n)
            for turn in range(iterations + 1 if method == ROBUST else 1):
                if turn > 0:
                    _cauchy(v, s, lit, lights, field, near, g, w, r, cauchy, n)
                if near:
                    _accumulate_field(v, w, field, sums, n)
                    _solve3(sums, g, condition, n)
                elif method == LS:
                    _linear(v, inverse, worst, g, condition, n)
                else:
                    _accumulate(v, w, lights, sums, n)
                    _solve3(sums, g, condition, n)
            if method == ROBUST:
                _count_robust(lit, w, number, n)
            squares[:n] = np.float32(0)
            for k in range(count):
                _residual(k, v, lights, field, near, g, r, n)
                lk = lit[k]
                for i in range(n):
                    squares[i] += lk[i] * r[i] * r[i]
            _write(g, number, condition, squares, worst, y, x0, n, out)
