"""The solver's inner loops, compiled: one pass over raw frames gives normals, albedo and quality.

Written for the vectoriser. Slices are indexed from `range(n)`; coefficients are locals; lights go in fours,
which saves loads and stores of the sums; scratch is a segment of a row that stays in the first cache. A minimum
is never written over one of its operands: the compiler makes that a masked store, ten times slower. `reassoc`
with `nsz` keeps loops from being vectorised, and `nnan` would delete the checks for NaN: `contract` alone.
No kernel is `parallel`: rows are shared out by the caller's own threads (two callers of a parallel kernel
abort the process under numba's workqueue layer).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAST = {"contract"}
LS, MASKED, ROBUST = 0, 1, 2
CODES = {"ls": LS, "masked": MASKED, "robust": ROBUST}


_njit: Any = njit  # its type knows nothing of the wrappers that inner functions do without
_inner = _njit(nogil=True, fastmath=FAST, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _entry(function: Any) -> Any:
    """njit with the cache on disk, or without it where no folder can be written (then compiled at every start)."""
    try:
        return njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")(function)
    except RuntimeError:
        return njit(nogil=True, fastmath=FAST, error_model="numpy")(function)


@_inner
def _load(ring, y, x0, n, black, scale, v):  # type: ignore[no-untyped-def]
    for k in range(ring.shape[0]):
        raw, vk = ring[k, y, x0 : x0 + n], v[k]
        even, odd = scale[k, y & 1, x0 & 1], scale[k, y & 1, 1 - (x0 & 1)]
        dark, dark_odd = black[k] * even, black[k] * odd
        if even == odd:
            for i in range(n):
                vk[i] = np.float32(raw[i]) * even - dark
        else:
            for i in range(n):
                vk[i] = np.float32(raw[i]) * (odd if i & 1 else even) - (dark_odd if i & 1 else dark)


@_inner
def _load_linear(ring, y, x0, n, black, scale, inverse, v, g):  # type: ignore[no-untyped-def]
    """v and g = pinv(L) v in one go, for pixels without a mosaic under far lights.

    The four lights of a turn lie a quarter of all apart, so that over all turns their rows of v do not interleave:
    the compiler asks once, before the outer loop, whether they overlap.
    """
    g[:, :n] = np.float32(0)
    gx, gy, gz = g[0], g[1], g[2]
    quarter = v.shape[0] // 4
    for k in range(quarter):
        k1, k2, k3 = k + quarter, k + 2 * quarter, k + 3 * quarter
        r0, r1 = ring[k, y, x0 : x0 + n], ring[k1, y, x0 : x0 + n]
        r2, r3 = ring[k2, y, x0 : x0 + n], ring[k3, y, x0 : x0 + n]
        s0, s1, s2, s3 = scale[k, 0, 0], scale[k1, 0, 0], scale[k2, 0, 0], scale[k3, 0, 0]
        d0, d1, d2, d3 = black[k] * s0, black[k1] * s1, black[k2] * s2, black[k3] * s3
        p0, p1, p2, p3 = inverse[0, k], inverse[0, k1], inverse[0, k2], inverse[0, k3]
        q0, q1, q2, q3 = inverse[1, k], inverse[1, k1], inverse[1, k2], inverse[1, k3]
        t0, t1, t2, t3 = inverse[2, k], inverse[2, k1], inverse[2, k2], inverse[2, k3]
        v0, v1, v2, v3 = v[k], v[k1], v[k2], v[k3]
        for i in range(n):
            a, b = np.float32(r0[i]) * s0 - d0, np.float32(r1[i]) * s1 - d1
            c, d = np.float32(r2[i]) * s2 - d2, np.float32(r3[i]) * s3 - d3
            v0[i], v1[i], v2[i], v3[i] = a, b, c, d
            gx[i] += a * p0 + b * p1 + c * p2 + d * p3
            gy[i] += a * q0 + b * q1 + c * q2 + d * q3
            gz[i] += a * t0 + b * t1 + c * t2 + d * t3
    for k in range(4 * quarter, v.shape[0]):
        raw, vk = ring[k, y, x0 : x0 + n], v[k]
        even = scale[k, 0, 0]
        dark = black[k] * even
        p, q, t = inverse[0, k], inverse[1, k], inverse[2, k]
        for i in range(n):
            a = np.float32(raw[i]) * even - dark
            vk[i] = a
            gx[i] += a * p
            gy[i] += a * q
            gz[i] += a * t


@_inner
def _mark_saturated(ring, y, x0, n, limit, saturated):  # type: ignore[no-untyped-def]
    saturated[:n] = False
    fours = ring.shape[0] // 4 * 4
    for k in range(0, fours, 4):
        r0, r1 = ring[k, y, x0 : x0 + n], ring[k + 1, y, x0 : x0 + n]
        r2, r3 = ring[k + 2, y, x0 : x0 + n], ring[k + 3, y, x0 : x0 + n]
        for i in range(n):
            saturated[i] |= (r0[i] >= limit) | (r1[i] >= limit) | (r2[i] >= limit) | (r3[i] >= limit)
    for k in range(fours, ring.shape[0]):
        raw = ring[k, y, x0 : x0 + n]
        for i in range(n):
            saturated[i] |= raw[i] >= limit
    some = False
    for i in range(n):
        some |= saturated[i]
    return some


@_inner
def _grade(v, lights, g, least, most, count, squares, n):  # type: ignore[no-untyped-def]
    """How many lights count, between the pixel's `least` and the light's `most`, and their sum of squared residuals."""
    one, zero = np.float32(1), np.float32(0)
    count[:n] = zero
    squares[:n] = zero
    gx, gy, gz = g[0], g[1], g[2]
    fours = v.shape[0] // 4 * 4
    for k in range(0, fours, 4):
        v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
        p0, p1, p2, p3 = lights[k, 0], lights[k + 1, 0], lights[k + 2, 0], lights[k + 3, 0]
        q0, q1, q2, q3 = lights[k, 1], lights[k + 1, 1], lights[k + 2, 1], lights[k + 3, 1]
        t0, t1, t2, t3 = lights[k, 2], lights[k + 1, 2], lights[k + 2, 2], lights[k + 3, 2]
        m0, m1, m2, m3 = most[k], most[k + 1], most[k + 2], most[k + 3]
        for i in range(n):
            x, y, z = gx[i], gy[i], gz[i]
            low = least[i]
            a, b, c, d = v0[i], v1[i], v2[i], v3[i]
            la = one if (a > low) & (a < m0) else zero
            lb = one if (b > low) & (b < m1) else zero
            lc = one if (c > low) & (c < m2) else zero
            ld = one if (d > low) & (d < m3) else zero
            a -= x * p0 + y * q0 + z * t0
            b -= x * p1 + y * q1 + z * t1
            c -= x * p2 + y * q2 + z * t2
            d -= x * p3 + y * q3 + z * t3
            squares[i] += la * a * a + lb * b * b + lc * c * c + ld * d * d
            count[i] += la + lb + lc + ld
    for k in range(fours, v.shape[0]):
        vk = v[k]
        p, q, t, m = lights[k, 0], lights[k, 1], lights[k, 2], most[k]
        for i in range(n):
            a = vk[i]
            la = one if (a > least[i]) & (a < m) else zero
            a -= gx[i] * p + gy[i] * q + gz[i] * t
            squares[i] += la * a * a
            count[i] += la


@_inner
def _least(g, shadow, dark, out, n):  # type: ignore[no-untyped-def]
    """What a light must exceed to count: a fraction of the albedo, and never where that is dark."""
    never = np.float32(np.inf)
    gx, gy, gz = g[0], g[1], g[2]
    for i in range(n):
        rho = np.sqrt(gx[i] * gx[i] + gy[i] * gy[i] + gz[i] * gz[i])
        out[i] = shadow * rho if rho > dark else never


@_inner
def _albedo(g, out, n):  # type: ignore[no-untyped-def]
    gx, gy, gz = g[0], g[1], g[2]
    for i in range(n):
        out[i] = np.sqrt(gx[i] * gx[i] + gy[i] * gy[i] + gz[i] * gz[i])


@_inner
def _all_lit(v, low, high, shadow, dark, n):  # type: ignore[no-untyped-def]
    """True if, at every pixel, even the darkest light is out of shadow measured by the brightest."""
    first = v[0]
    turn = 0
    for i in range(n):
        low[0, i] = first[i]
        high[0, i] = first[i]
    for k in range(1, v.shape[0]):
        vk, old_low, new_low = v[k], low[turn], low[1 - turn]
        old_high, new_high = high[turn], high[1 - turn]
        for i in range(n):
            new_low[i] = vk[i] if vk[i] < old_low[i] else old_low[i]
            new_high[i] = vk[i] if vk[i] > old_high[i] else old_high[i]
        turn = 1 - turn
    least, most = low[turn], high[turn]
    doubtful = np.int32(0)
    for i in range(n):
        doubtful += np.int32((least[i] <= shadow * most[i]) | (least[i] <= dark))
    return doubtful == 0


@_inner
def _quantile(v, rows, network, n):  # type: ignore[no-untyped-def]
    """Runs the network of `network.comparators`; the row it names last holds the quantile of v."""
    for k in range(v.shape[0]):
        source, target = v[k], rows[k]
        for i in range(n):
            target[i] = source[i]
    for m in range(network.shape[0]):
        a, b = rows[network[m, 0]], rows[network[m, 1]]
        low, high = rows[network[m, 2]], rows[network[m, 3]]
        for i in range(n):
            low[i] = a[i] if a[i] < b[i] else b[i]
            high[i] = b[i] if a[i] < b[i] else a[i]


@_inner
def _light(v, s, shadow, dark, lit, least, count, n):  # type: ignore[no-untyped-def]
    """lit (K, n), 1 where not saturated, becomes 0 where a light is in shadow too; `count` how many are left.

    Lights go in fours that lie a quarter of all apart: see `_load_linear`.
    """
    one, zero, never = np.float32(1), np.float32(0), np.float32(np.inf)
    for i in range(n):
        least[i] = shadow * s[i] if s[i] > dark else never
        count[i] = zero
    quarter = v.shape[0] // 4
    for k in range(quarter):
        v0, v1, v2, v3 = v[k], v[k + quarter], v[k + 2 * quarter], v[k + 3 * quarter]
        l0, l1, l2, l3 = lit[k], lit[k + quarter], lit[k + 2 * quarter], lit[k + 3 * quarter]
        for i in range(n):
            low = least[i]
            a = l0[i] * (one if v0[i] > low else zero)
            b = l1[i] * (one if v1[i] > low else zero)
            c = l2[i] * (one if v2[i] > low else zero)
            d = l3[i] * (one if v3[i] > low else zero)
            l0[i], l1[i], l2[i], l3[i] = a, b, c, d
            count[i] += a + b + c + d
    for k in range(4 * quarter, v.shape[0]):
        vk, lk = v[k], lit[k]
        for i in range(n):
            a = lk[i] * (one if vk[i] > least[i] else zero)
            lk[i] = a
            count[i] += a


@_inner
def _unsaturated(ring, y, x0, n, limit, lit):  # type: ignore[no-untyped-def]
    """lit (K, n) = 1 where the raw count is under the limit."""
    one, zero = np.float32(1), np.float32(0)
    for k in range(lit.shape[0]):
        raw, lk = ring[k, y, x0 : x0 + n], lit[k]
        for i in range(n):
            lk[i] = one if raw[i] < limit else zero


@_inner
def _linear(v, inverse, set_condition, g, condition, n):  # type: ignore[no-untyped-def]
    """g = pinv(L) I with the pseudo-inverse (3, K) of all lights: plain least squares, as the paper has it."""
    g[:, :n] = np.float32(0)
    condition[:n] = set_condition
    gx, gy, gz = g[0], g[1], g[2]
    fours = v.shape[0] // 4 * 4
    for k in range(0, fours, 4):
        v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
        x0, x1, x2, x3 = inverse[0, k], inverse[0, k + 1], inverse[0, k + 2], inverse[0, k + 3]
        y0, y1, y2, y3 = inverse[1, k], inverse[1, k + 1], inverse[1, k + 2], inverse[1, k + 3]
        z0, z1, z2, z3 = inverse[2, k], inverse[2, k + 1], inverse[2, k + 2], inverse[2, k + 3]
        for i in range(n):
            a, b, c, d = v0[i], v1[i], v2[i], v3[i]
            gx[i] += a * x0 + b * x1 + c * x2 + d * x3
            gy[i] += a * y0 + b * y1 + c * y2 + d * y3
            gz[i] += a * z0 + b * z1 + c * z2 + d * z3
    for k in range(fours, v.shape[0]):
        vk = v[k]
        x, y, z = inverse[0, k], inverse[1, k], inverse[2, k]
        for i in range(n):
            gx[i] += x * vk[i]
            gy[i] += y * vk[i]
            gz[i] += z * vk[i]


@_inner
def _add_one(s0, s1, s2, p0, p1, p2, w, n):  # type: ignore[no-untyped-def]
    """Three sums per loop: what the registers hold."""
    for i in range(n):
        s0[i] += w[i] * p0
        s1[i] += w[i] * p1
        s2[i] += w[i] * p2


@_inner
def _add_four(s0, s1, s2, p, j, w0, w1, w2, w3, n):  # type: ignore[no-untyped-def]
    p00, p01, p02 = p[0, j], p[0, j + 1], p[0, j + 2]
    p10, p11, p12 = p[1, j], p[1, j + 1], p[1, j + 2]
    p20, p21, p22 = p[2, j], p[2, j + 1], p[2, j + 2]
    p30, p31, p32 = p[3, j], p[3, j + 1], p[3, j + 2]
    for i in range(n):
        a, b, c, d = w0[i], w1[i], w2[i], w3[i]
        s0[i] += a * p00 + b * p10 + c * p20 + d * p30
        s1[i] += a * p01 + b * p11 + c * p21 + d * p31
        s2[i] += a * p02 + b * p12 + c * p22 + d * p32


@_inner
def _weigh(w, v, out, n):  # type: ignore[no-untyped-def]
    for i in range(n):
        out[i] = w[i] * v[i]


@_inner
def _accumulate(v, w, products, wv, sums, n):  # type: ignore[no-untyped-def]
    """A = sum w l l^T into sums 0..5 (xx xy xz yy yz zz), b = sum w I l into sums 6..8; `products` (K, 9) alike.

    The sums are named one by one, not looped over: see `_load_linear`.
    """
    sums[:, :n] = np.float32(0)
    xx, xy, xz, yy, yz, zz = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    bx, by, bz = sums[6], sums[7], sums[8]
    wv0, wv1, wv2, wv3 = wv[0], wv[1], wv[2], wv[3]
    fours = v.shape[0] // 4 * 4
    for k in range(0, fours, 4):
        p = products[k : k + 4]
        w0, w1, w2, w3 = w[k], w[k + 1], w[k + 2], w[k + 3]
        _weigh(w0, v[k], wv0, n)
        _weigh(w1, v[k + 1], wv1, n)
        _weigh(w2, v[k + 2], wv2, n)
        _weigh(w3, v[k + 3], wv3, n)
        _add_four(xx, xy, xz, p, 0, w0, w1, w2, w3, n)
        _add_four(yy, yz, zz, p, 3, w0, w1, w2, w3, n)
        _add_four(bx, by, bz, p, 6, wv0, wv1, wv2, wv3, n)
    for k in range(fours, v.shape[0]):
        p = products[k]
        _weigh(w[k], v[k], wv0, n)
        _add_one(xx, xy, xz, p[0], p[1], p[2], w[k], n)
        _add_one(yy, yz, zz, p[3], p[4], p[5], w[k], n)
        _add_one(bx, by, bz, p[6], p[7], p[8], wv0, n)


@_inner
def _accumulate_field(v, w, field, sums, n):  # type: ignore[no-untyped-def]
    sums[:, :n] = np.float32(0)
    a00, a01, a02, a11, a12, a22 = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    b0, b1, b2 = sums[6], sums[7], sums[8]
    for k in range(v.shape[0]):
        vk, wk = v[k], w[k]
        lx, ly, lz = field[k, 0], field[k, 1], field[k, 2]
        for i in range(n):
            x, y, z = lx[i], ly[i], lz[i]
            wx, wy, wz = wk[i] * x, wk[i] * y, wk[i] * z
            a00[i] += wx * x
            a01[i] += wx * y
            a02[i] += wx * z
            a11[i] += wy * y
            a12[i] += wy * z
            a22[i] += wz * z
        for i in range(n):
            value = wk[i] * vk[i]
            b0[i] += value * lx[i]
            b1[i] += value * ly[i]
            b2[i] += value * lz[i]


@_inner
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


@_inner
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


@_inner
def _squares(v, lit, lights, field, near, g, r, squares, n):  # type: ignore[no-untyped-def]
    """Sum of squared residuals over the lights that counted."""
    squares[:n] = np.float32(0)
    gx, gy, gz = g[0], g[1], g[2]
    fours = 0 if near else v.shape[0] // 4 * 4
    for k in range(0, fours, 4):
        v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
        l0, l1, l2, l3 = lit[k], lit[k + 1], lit[k + 2], lit[k + 3]
        p0, p1, p2, p3 = lights[k, 0], lights[k + 1, 0], lights[k + 2, 0], lights[k + 3, 0]
        q0, q1, q2, q3 = lights[k, 1], lights[k + 1, 1], lights[k + 2, 1], lights[k + 3, 1]
        t0, t1, t2, t3 = lights[k, 2], lights[k + 1, 2], lights[k + 2, 2], lights[k + 3, 2]
        for i in range(n):
            x, y, z = gx[i], gy[i], gz[i]
            a = v0[i] - (x * p0 + y * q0 + z * t0)
            b = v1[i] - (x * p1 + y * q1 + z * t1)
            c = v2[i] - (x * p2 + y * q2 + z * t2)
            d = v3[i] - (x * p3 + y * q3 + z * t3)
            squares[i] += l0[i] * a * a + l1[i] * b * b + l2[i] * c * c + l3[i] * d * d
    for k in range(fours, v.shape[0]):
        _residual(k, v, lights, field, near, g, r, n)
        lk = lit[k]
        for i in range(n):
            squares[i] += lk[i] * r[i] * r[i]


@_inner
def _squares_of_all(v, lights, g, squares, n):  # type: ignore[no-untyped-def]
    squares[:n] = np.float32(0)
    gx, gy, gz = g[0], g[1], g[2]
    fours = v.shape[0] // 4 * 4
    for k in range(0, fours, 4):
        v0, v1, v2, v3 = v[k], v[k + 1], v[k + 2], v[k + 3]
        p0, p1, p2, p3 = lights[k, 0], lights[k + 1, 0], lights[k + 2, 0], lights[k + 3, 0]
        q0, q1, q2, q3 = lights[k, 1], lights[k + 1, 1], lights[k + 2, 1], lights[k + 3, 1]
        t0, t1, t2, t3 = lights[k, 2], lights[k + 1, 2], lights[k + 2, 2], lights[k + 3, 2]
        for i in range(n):
            x, y, z = gx[i], gy[i], gz[i]
            a = v0[i] - (x * p0 + y * q0 + z * t0)
            b = v1[i] - (x * p1 + y * q1 + z * t1)
            c = v2[i] - (x * p2 + y * q2 + z * t2)
            d = v3[i] - (x * p3 + y * q3 + z * t3)
            squares[i] += a * a + b * b + c * c + d * d
    for k in range(fours, v.shape[0]):
        vk, p, q, t = v[k], lights[k, 0], lights[k, 1], lights[k, 2]
        for i in range(n):
            a = vk[i] - (gx[i] * p + gy[i] * q + gz[i] * t)
            squares[i] += a * a


@_inner
def _soft_start(v, per_s, lit, w, n):  # type: ignore[no-untyped-def]
    """First weights: lights far above the quantile count less; `per_s` = 1 / s, 0 where there is no light."""
    zero, one, four = np.float32(0), np.float32(1), np.float32(4)
    knee, floor = np.float32(1.5), np.float32(1e-4)
    for k in range(v.shape[0]):
        vk, lk, wk = v[k], lit[k], w[k]
        for i in range(n):
            over = vk[i] * per_s[i] - knee
            over = over if over > zero else zero
            weight = lk[i] if lk[i] > floor else floor
            wk[i] = weight / (one + four * over * over)


@_inner
def _cauchy(v, per_s, lit, lights, field, near, g, w, r, n):  # type: ignore[no-untyped-def]
    """Weights 1 / (1 + (r / (cauchy s))^2); `per_s` = 1 / (cauchy s)."""
    one, floor = np.float32(1), np.float32(1e-4)
    for k in range(v.shape[0]):
        _residual(k, v, lights, field, near, g, r, n)
        lk, wk = lit[k], w[k]
        for i in range(n):
            q = r[i] * per_s[i]
            weight = lk[i] if lk[i] > floor else floor
            wk[i] = weight / (one + q * q)


@_inner
def _reciprocal(s, factor, out, n):  # type: ignore[no-untyped-def]
    one, zero = np.float32(1), np.float32(0)
    for i in range(n):
        out[i] = one / (factor * s[i]) if s[i] > zero else zero


@_inner
def _count_robust(lit, w, count, n):  # type: ignore[no-untyped-def]
    """A light that ended with less than a fifth of its weight did not count."""
    one, zero, least = np.float32(1), np.float32(0), np.float32(0.2)
    count[:n] = zero
    for k in range(lit.shape[0]):
        lk, wk = lit[k], w[k]
        for i in range(n):
            lk[i] = one if wk[i] >= least else zero
        for i in range(n):
            count[i] += lk[i]


@_inner
def _ends(knots, step, y, x0, ends):  # type: ignore[no-untyped-def]
    """(K, 7, 2): value at the segment's left end and slope per pixel of what the knots hold."""
    one = np.float32(1)
    row = np.float32(y) / np.float32(step)
    top = min(int(row), knots.shape[0] - 2)
    below = row - np.float32(top)
    left = x0 // step
    for k in range(ends.shape[0]):
        for c in range(ends.shape[1]):
            a = knots[top, left, k, c] * (one - below) + knots[top + 1, left, k, c] * below
            b = knots[top, left + 1, k, c] * (one - below) + knots[top + 1, left + 1, k, c] * below
            ends[k, c, 0] = a
            ends[k, c, 1] = (b - a) / np.float32(step)


@_inner
def _strengthen(v, ends, ramp, n):  # type: ignore[no-untyped-def]
    """Divides v by the lights' relative strength."""
    for k in range(v.shape[0]):
        vk, a, b = v[k], ends[k, 3, 0], ends[k, 3, 1]
        for i in range(n):
            vk[i] = vk[i] * (a + b * ramp[i])


@_inner
def _fill_field(ends, ramp, field, n):  # type: ignore[no-untyped-def]
    for k in range(field.shape[0]):
        for c in range(3):
            target, a, b = field[k, c], ends[k, c, 0], ends[k, c, 1]
            for i in range(n):
                target[i] = a + b * ramp[i]


@_inner
def _linear_near(v, ends, ramp, set_condition, g, condition, n):  # type: ignore[no-untyped-def]
    """g = pinv(L) I with a pseudo-inverse that changes linearly along the segment."""
    g[:, :n] = np.float32(0)
    condition[:n] = set_condition
    gx, gy, gz = g[0], g[1], g[2]
    for k in range(v.shape[0]):
        vk = v[k]
        x, y, z = ends[k, 4, 0], ends[k, 5, 0], ends[k, 6, 0]
        dx, dy, dz = ends[k, 4, 1], ends[k, 5, 1], ends[k, 6, 1]
        for i in range(n):
            gx[i] += vk[i] * (x + dx * ramp[i])
            gy[i] += vk[i] * (y + dy * ramp[i])
            gz[i] += vk[i] * (z + dz * ramp[i])


@_inner
def _squares_near(v, ends, ramp, g, squares, n):  # type: ignore[no-untyped-def]
    """Sum of squared residuals over all lights."""
    squares[:n] = np.float32(0)
    gx, gy, gz = g[0], g[1], g[2]
    for k in range(v.shape[0]):
        vk = v[k]
        x, y, z = ends[k, 0, 0], ends[k, 1, 0], ends[k, 2, 0]
        dx, dy, dz = ends[k, 0, 1], ends[k, 1, 1], ends[k, 2, 1]
        for i in range(n):
            t = ramp[i]
            r = vk[i] - (gx[i] * (x + dx * t) + gy[i] * (y + dy * t) + gz[i] * (z + dz * t))
            squares[i] += r * r


@_inner
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


@_inner
def _weighted(v, lit, s, scratch, geometry, method, iterations, cauchy, g, condition, n):  # type: ignore[no-untyped-def]
    """Weighted least squares over the lights that count, once (masked) or re-weighted (robust)."""
    w, wv, sums, r, per_s = scratch
    lights, products, field, near = geometry
    if method == ROBUST:
        _reciprocal(s, np.float32(1), per_s, n)
        _soft_start(v, per_s, lit, w, n)
        _reciprocal(s, cauchy, per_s, n)
    else:
        w[:, :n] = lit[:, :n]
    for turn in range(iterations + 1 if method == ROBUST else 1):
        if turn > 0:
            _cauchy(v, per_s, lit, lights, field, near, g, w, r, n)
        if near:
            _accumulate_field(v, w, field, sums, n)
        else:
            _accumulate(v, w, products, wv, sums, n)
        _solve3(sums, g, condition, n)


@_inner
def _solve_segment(  # type: ignore[no-untyped-def]
    v, lit, done, clipped, geometry, inverse, set_condition, ends, ramp, network, quantile,
    method, shadow, dark, iterations, cauchy, g, rows, extremes, scratch, number, condition, squares, n,
):  # fmt: skip
    """g, condition, lit count and squared residuals of a segment whose v is loaded (`done`: g of plain ls too).

    Where `clipped`, lit (K, n) is already 0 for saturated samples.

    """
    lights, _, field, near = geometry
    r = scratch[3]
    certain = method == MASKED and not clipped and _all_lit(v, extremes[0], extremes[1], shadow, dark, n)
    if not (certain or clipped):
        lit[:, :n] = np.float32(1)
    if certain:
        number[:n] = np.float32(v.shape[0])
    elif method != LS:
        _quantile(v, rows, network, n)
        _light(v, rows[quantile], shadow, dark, lit, r, number, n)
    if near and not certain:
        _fill_field(ends, ramp, field, n)
    if done and certain:
        condition[:n] = set_condition
    elif near and (certain or method == LS):
        _linear_near(v, ends, ramp, set_condition, g, condition, n)
    elif certain or method == LS:
        _linear(v, inverse, set_condition, g, condition, n)
    else:
        _weighted(v, lit, rows[quantile], scratch, geometry, method, iterations, cauchy, g, condition, n)
    if method == ROBUST:
        _count_robust(lit, scratch[0], number, n)
    elif method == LS:
        _albedo(g, scratch[4], n)
        _light(v, scratch[4], shadow, dark, lit, r, number, n)
    if certain and near:
        _squares_near(v, ends, ramp, g, squares, n)
    elif certain:
        _squares_of_all(v, lights, g, squares, n)
    else:
        _squares(v, lit, lights, field, near, g, r, squares, n)


@_inner
def _products(lights):  # type: ignore[no-untyped-def]
    out = np.empty((lights.shape[0], 9), np.float32)
    for k in range(lights.shape[0]):
        x, y, z = lights[k, 0], lights[k, 1], lights[k, 2]
        out[k, 0], out[k, 1], out[k, 2], out[k, 3], out[k, 4], out[k, 5] = x * x, x * y, x * z, y * y, y * z, z * z
        out[k, 6], out[k, 7], out[k, 8] = x, y, z
    return out


@_entry
def solve_rows(  # type: ignore[no-untyped-def]
    ring, row0, row1, black, scale, limit, lights, inverse, set_condition, knots, segment, near, network, quantile,
    method, shadow, dark, worst, iterations, cauchy, saturated_map, out,
):  # fmt: skip
    """Rows row0..row1 of `ring` (K, H, W) into the maps of `out` and `saturated_map`.

    `black` (K,) DN, `scale` (K, 2, 2) per DN, `limit` DN of saturation, of the ring's type; `lights` (K, 3);
    `inverse` (3, K) their pseudo-inverse, `set_condition` their condition; `knots` (Y, X, K, 7) unit vector,
    reciprocal strength and column of the pseudo-inverse every `segment` pixels, used where `near`; `network` and
    `quantile` of network.comparators.
    """
    count, width, size = ring.shape[0], ring.shape[2], segment
    planes = np.empty((3 * count + 6, size), np.float32)
    v, lit, w, wv = planes[:count], planes[count : 2 * count], planes[2 * count : 3 * count], planes[3 * count :]
    rows, sums = np.empty((count + 2, size), np.float32), np.empty((9, size), np.float32)
    lines = np.empty((5, size), np.float32)
    r, per_s, number, condition, squares = lines[0], lines[1], lines[2], lines[3], lines[4]
    extremes = (np.empty((2, size), np.float32), np.empty((2, size), np.float32))
    g = np.empty((3, size), np.float32)
    field = np.empty((count, 3, size) if near else (1, 3, 1), np.float32)
    ends, ramp = np.empty((count, 7, 2), np.float32), np.arange(size).astype(np.float32)
    scratch, geometry = (w, wv, sums, r, per_s), (lights, _products(lights), field, near)
    most = np.empty(count, np.float32)
    mosaic = False
    for k in range(count):
        most[k] = (np.float32(limit) - np.float32(0.5) - black[k]) * scale[k, 0, 0]
        for phase in range(4):
            mosaic |= scale[k, phase >> 1, phase & 1] != scale[k, 0, 0]
    plain = not (near or mosaic) and method != ROBUST
    for y in range(row0, row1):
        for x0 in range(0, width, size):
            n = min(size, width - x0)
            clipped = _mark_saturated(ring, y, x0, n, limit, saturated_map[y, x0 : x0 + n])
            if plain:
                _load_linear(ring, y, x0, n, black, scale, inverse, v, g)
            else:
                _load(ring, y, x0, n, black, scale, v)
            if near:
                _ends(knots, size, y, x0, ends)
                _strengthen(v, ends, ramp, n)
            if plain and method == LS:
                _least(g, shadow, dark, r, n)
                _grade(v, lights, g, r, most, number, squares, n)
                condition[:n] = set_condition
            else:
                if clipped:
                    _unsaturated(ring, y, x0, n, limit, lit)
                _solve_segment(
                    v, lit, plain, clipped, geometry, inverse, set_condition, ends, ramp, network, quantile,
                    method, shadow, dark, iterations, cauchy, g, rows, extremes, scratch, number, condition, squares, n,
                )  # fmt: skip
            _write(g, number, condition, squares, worst, y, x0, n, out)
