"""The compiled loops of `bounced`: lit sets pixel by pixel, shadows followed to what casts them, and horizons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

SINGULAR = 1e-9  # of the trace cubed: a determinant below this decides nothing
ATTACHED = 0.05  # of the albedo: a light predicted darker than this has set behind the surface's own horizon
CAST = 0.5  # of the predicted value: a dark light must lie under this to be in a cast shadow

_njit: Any = njit  # its type knows nothing of the wrappers that inner functions do without
_inner = _njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_entry = _njit(nogil=True, cache=True, error_model="numpy")


@_inner
def _products(lights, weights, out):  # type: ignore[no-untyped-def]
    """Fill out (6,) with sum w l l^T: xx, xy, xz, yy, yz, zz."""
    out[:] = 0.0
    for k in range(len(weights)):
        w, x, y, z = weights[k], lights[k, 0], lights[k, 1], lights[k, 2]
        if w != 0.0:
            out[0] += w * x * x
            out[1] += w * x * y
            out[2] += w * x * z
            out[3] += w * y * y
            out[4] += w * y * z
            out[5] += w * z * z


@_inner
def _inverse(m, out):  # type: ignore[no-untyped-def]
    """Fill out (6,), the inverse of the symmetric matrix m (6,). Returns tr(A) tr(A^-1) / 9, infinite if singular."""
    c00, c01, c02 = m[3] * m[5] - m[4] * m[4], m[2] * m[4] - m[1] * m[5], m[1] * m[4] - m[2] * m[3]
    c11, c12, c22 = m[0] * m[5] - m[2] * m[2], m[1] * m[2] - m[0] * m[4], m[0] * m[3] - m[1] * m[1]
    determinant, trace = m[0] * c00 + m[1] * c01 + m[2] * c02, m[0] + m[3] + m[5]
    if not determinant > SINGULAR * trace**3:
        return np.inf
    scale = 1.0 / determinant
    out[0], out[1], out[2], out[3], out[4], out[5] = (
        scale * c00, scale * c01, scale * c02, scale * c11, scale * c12, scale * c22,
    )  # fmt: skip
    return trace * (c00 + c11 + c22) * scale / 9.0


@_inner
def _solve(values, lights, lit, fill, scratch, inverse, g):  # type: ignore[no-untyped-def]
    """Fill g (3,) of the lit lights after subtracting `fill`; returns the condition."""
    _products(lights, lit, scratch)
    condition = _inverse(scratch, inverse)
    if condition == np.inf:
        return condition
    bx = by = bz = 0.0
    for k in range(len(values)):
        if lit[k] != 0.0:
            v = values[k] - fill
            bx, by, bz = bx + v * lights[k, 0], by + v * lights[k, 1], bz + v * lights[k, 2]
    g[0] = inverse[0] * bx + inverse[1] * by + inverse[2] * bz
    g[1] = inverse[1] * bx + inverse[3] * by + inverse[4] * bz
    g[2] = inverse[2] * bx + inverse[4] * by + inverse[5] * bz
    return condition


@_inner
def _misfit(values, usable, lights, lit, fill, variances, model, g, length):  # type: ignore[no-untyped-def]
    """Root of the mean squared residual over what noise and model allow, its rms as such, and how many dark lights
    the solution does not explain."""
    squares = allowed = raw = 0.0
    count = unexplained = 0
    for k in range(len(values)):
        p = g[0] * lights[k, 0] + g[1] * lights[k, 1] + g[2] * lights[k, 2]
        if lit[k] != 0.0:
            r = values[k] - fill - p
            raw += r * r
            squares += r * r / (variances[k] + model * model)
            count += 1
        elif usable[k] and p > ATTACHED * length and values[k] - fill > CAST * p:
            unexplained += 1
    spare = count - 3
    allowed = squares / spare if spare > 0 else 0.0
    return math.sqrt(allowed), math.sqrt(raw / max(count, 1)), unexplained


@_entry
def earn_lit_sets(values, usable, lights, known, noise, rules, lit, g, fill, rms, misfit, condition, spread):  # type: ignore[no-untyped-def]
    """The smallest set of dark lights, from the darkest up, whose other lights fit one normal; pixel by pixel.

    In: values, usable (n, K), lights (n, K, 3) unit vectors, known (n, K) bounced light to be subtracted, noise
    (2, K) constant variance and variance per value, rules = (model error of the brightest value, misfit that is
    accepted, gap between lit and dark where no equation is spare, most dark lights, worst condition).
    Out: lit (n, K) 0 or 1, g (n, 3), fill, rms, misfit, condition (n,), spread (n, 2) trace and trace of the square
    of the covariance of the unit normal on its tangent plane. A pixel without three lit lights has g = 0.
    """
    pixels, count = values.shape
    model_of, accepted, gap, most_dark, worst = rules
    u, order, trial = np.empty(count), np.empty(count, np.int64), np.empty(count)
    variances, m6, i6, now = np.empty(count), np.empty(6), np.empty(6), np.empty(3)
    for p in range(pixels):
        number = 0
        for k in range(count):
            u[k] = values[p, k] - known[p, k]
            variances[k] = noise[0, k] + noise[1, k] * max(values[p, k], 0.0)
            lit[p, k] = 0.0
            trial[k] = 1.0 if usable[p, k] else 0.0
            if usable[p, k]:
                at = number
                while at > 0 and u[order[at - 1]] > u[k]:
                    order[at] = order[at - 1]
                    at -= 1
                order[at] = k
                number += 1
        g[p, 0] = g[p, 1] = g[p, 2] = fill[p] = rms[p] = 0.0
        misfit[p], condition[p] = np.inf, np.inf
        spread[p, 0] = spread[p, 1] = np.inf
        if number < 3:
            continue
        model = model_of * max(u[order[number - 1]], 0.0)
        total = 0.0
        best = np.inf
        for dark in range(0, min(number - 3, most_dark) + 1):
            if dark > 0:
                total += u[order[dark - 1]]
                trial[order[dark - 1]] = 0.0
            level = total / dark if dark > 0 else 0.0
            if number - dark == 3 and u[order[dark]] < gap * max(level, 0.0) + 0.1 * u[order[number - 1]]:
                continue
            con = _solve(u, lights[p], trial, level, m6, i6, now)
            if con > worst or now[2] <= 0.0:
                continue
            length = math.sqrt(now[0] ** 2 + now[1] ** 2 + now[2] ** 2)
            over, residual, unexplained = _misfit(u, usable[p], lights[p], trial, level, variances, model, now, length)
            over += 10.0 * unexplained
            if over < best:
                best = over
                g[p, 0], g[p, 1], g[p, 2] = now[0], now[1], now[2]
                fill[p], rms[p], misfit[p], condition[p] = level, residual, over, con
                for k in range(count):
                    lit[p, k] = trial[k]
            if over <= accepted:
                break
        if best < np.inf:
            _tangent(lights[p], lit[p], variances, g[p], m6, i6, spread[p])


@_inner
def _tangent(lights, lit, variances, g, m6, i6, out):  # type: ignore[no-untyped-def]
    """Fill out (2,) with trace and trace of the square of the unit normal's covariance, by noise alone."""
    _products(lights, lit, m6)
    if _inverse(m6, i6) == np.inf:
        return
    length = math.sqrt(g[0] ** 2 + g[1] ** 2 + g[2] ** 2)
    nx, ny, nz = g[0] / length, g[1] / length, g[2] / length
    c = np.zeros((3, 3))
    for k in range(len(lit)):
        if lit[k] != 0.0:
            x, y, z = lights[k, 0], lights[k, 1], lights[k, 2]
            a = i6[0] * x + i6[1] * y + i6[2] * z
            b = i6[1] * x + i6[3] * y + i6[4] * z
            d = i6[2] * x + i6[4] * y + i6[5] * z
            along = a * nx + b * ny + d * nz
            a, b, d = a - along * nx, b - along * ny, d - along * nz
            s = variances[k] / (length * length)
            c[0, 0] += s * a * a
            c[0, 1] += s * a * b
            c[0, 2] += s * a * d
            c[1, 1] += s * b * b
            c[1, 2] += s * b * d
            c[2, 2] += s * d * d
    out[0] = c[0, 0] + c[1, 1] + c[2, 2]
    out[1] = c[0, 0] ** 2 + c[1, 1] ** 2 + c[2, 2] ** 2 + 2.0 * (c[0, 1] ** 2 + c[0, 2] ** 2 + c[1, 2] ** 2)


@_entry
def follow_shadows(lit, lights, cell, normals, longest, found):  # type: ignore[no-untyped-def]
    """Each edge where a cast shadow ends, followed toward its light to the rim that casts it.

    In: lit (H, W, K) 0 or 1, lights (h, w, K, 3) of cells of `cell` pixels, normals (3, H, W), longest run in pixels. Fills found (n, 7): row
    and column of the end, row and column of the rim, run in pixels, tangent of the light's height, and 1 where the
    surface must be torn under the rim (the last dark pixel faces the light). Returns how many.
    """
    height, width, count = lit.shape
    number = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            for k in range(count):
                if lit[y, x, k] == 0.0:
                    continue
                light = lights[y // cell, x // cell, k]
                lx, ly, lz = light[0], -light[1], light[2]  # rows run down
                across = math.sqrt(lx * lx + ly * ly)
                if across < 1e-3:
                    continue
                sx, sy = lx / across, ly / across
                steps = 1
                dark = 0
                turned = 0
                while steps < longest:
                    px, py = int(round(x + steps * sx)), int(round(y + steps * sy))
                    if px < 0 or py < 0 or px >= width or py >= height:
                        dark = 0
                        break
                    if lit[py, px, k] != 0.0:
                        break
                    dark += 1
                    facing = 0.0
                    for c in range(3):
                        facing += normals[c, py, px] * light[c]
                    turned = turned + 1 if facing < 0.0 else 0
                    steps += 1
                if dark >= 3 and steps < longest and number < len(found):
                    found[number, 0], found[number, 1] = y, x
                    found[number, 2], found[number, 3] = y + steps * sy, x + steps * sx
                    found[number, 4], found[number, 5], found[number, 6] = steps, lz / across, 1.0 if turned < cell else 0.0
                    number += 1
    return number


@_entry
def gather(z, slopes, normals, known, azimuths, longest, step_mm, starts, columns, weights):  # type: ignore[no-untyped-def]
    """Which cells and walls each cell sees above its horizon, and with what share of its cosine-weighted sky.

    In: z (h, w) heights in mm, slopes (2, h, w) dz per mm to the right and up, normals (3, h, w), known (h, w), number
    of azimuths, longest distance in cells, size of a cell. Fills the rows of a sparse matrix: starts (h w + 1,),
    columns, weights; a column is a cell's index, or h w + index for the wall under the cell's rim. Returns how many
    entries, or -1 where the arrays are too short.
    """
    height, width = z.shape
    cells = height * width
    number = 0
    for y in range(height):
        for x in range(width):
            here = y * width + x
            starts[here] = number
            if not known[y, x]:
                continue
            for turn in range(azimuths):
                angle = 2.0 * math.pi * (turn + 0.5) / azimuths
                dx, dy = math.cos(angle), math.sin(angle)
                a = normals[0, y, x] * dx + normals[1, y, x] * dy
                b = normals[2, y, x]
                horizon = math.atan2(-a, b)
                before, bz, bx, by = horizon, z[y, x], x, y
                for step in range(1, longest):
                    cx, cy = int(round(x + step * dx)), int(round(y - step * dy))
                    if cx < 0 or cy < 0 or cx >= width or cy >= height:
                        break
                    rise = z[cy, cx] - bz
                    expected = 0.5 * (
                        (slopes[0, by, bx] + slopes[0, cy, cx]) * (cx - bx) - (slopes[1, by, bx] + slopes[1, cy, cx]) * (cy - by)
                    ) * step_mm
                    over = rise - expected
                    bz, bx, by = z[cy, cx], cx, cy
                    far = math.sqrt(float((cx - x) ** 2 + (cy - y) ** 2)) * step_mm
                    up = math.atan2(z[cy, cx] - z[y, x], far)
                    if up <= horizon:
                        continue
                    middle = horizon
                    if over > 0.5 * step_mm:
                        middle = min(max(math.atan2(z[cy, cx] - over - z[y, x], far), horizon), up)
                    else:
                        middle = up
                    if number + 2 > len(columns):
                        return -1
                    if middle > horizon and known[cy, cx]:
                        columns[number] = cy * width + cx
                        weights[number] = _slice(a, b, horizon, middle) * 2.0 / azimuths
                        number += 1
                    if up > middle:
                        columns[number] = cells + cy * width + cx
                        weights[number] = _slice(a, b, middle, up) * 2.0 / azimuths
                        number += 1
                    horizon = up
    starts[cells] = number
    return number


@_inner
def _slice(a, b, low, high):  # type: ignore[no-untyped-def]
    """Integral of (a cos t + b sin t) cos t from low to high: a normal's share of one azimuth's slice of the sky."""
    upper = a * (0.5 * high + 0.25 * math.sin(2.0 * high)) + 0.5 * b * math.sin(high) ** 2
    return upper - a * (0.5 * low + 0.25 * math.sin(2.0 * low)) - 0.5 * b * math.sin(low) ** 2
