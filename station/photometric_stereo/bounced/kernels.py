"""The compiled loops of `bounced`: lit sets pixel by pixel, shadows followed to what casts them, and horizons.

Long, because inner functions must stand in one file for the cache of compiled code to notice their changes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

SINGULAR = 1e-9  # of the trace cubed: a determinant below this decides nothing
ATTACHED = 0.05  # of the albedo: a light predicted darker than this has set behind the surface's own horizon
CAST = 0.5  # of the predicted value: a dark light must lie under this to be in a cast shadow
UNEXPLAINED = 10.0  # misfit of each dark light that is neither
LEAST_LIT = 0.1  # of the brightest value: the third of three lit lights, beyond the gap
STEEP = 0.5  # of a cell: a step that the slopes do not explain is a wall from here on
ASSUMED_FILL, ENOUGH = 0.1, 6  # of the brightest value; lights from which on the others show what is lit
KNOWN_TO = 0.3  # of itself: how well the bounced light is known, when the lit set of the round before is tried
SEARCHED_TO = 0.1  # the same when a new lit set is searched: a wide allowance would let dark lights pass as lit
MOST_TURN = 0.2  # radians per mm of height: lights that decide a normal badly would give more
LEAST_RATIO = 0.25  # of the albedos of two pixels side by side
ALIKE = 0.05  # 1 - cosine between pixel and cell, over which the cell's weight falls by e
FIGURES = (
    "misfit", "rms", "noise", "per_value", "fill", "dark", "taken", "corrected", "moved", "bounced_share",
    "could_bounce",
)  # fmt: skip
# misfit: residual over what noise and model allow; rms of the residual; rms angle by noise, and per error of one value
# (radians); fill left in dark lights, and before the correction; mean taken off; angle of the correction, and since the
# round before (radians); share of the lit signal that bounced; what would bounce off a pixel as bright as its
# surroundings, or the mean of its dark lights (or `_third`) where that is more, over the third brightest value: near 1,
# fewer than three lights are proven to reach the pixel.

_njit: Any = njit  # its type knows nothing of the wrappers that inner functions do without
_FAST = {"contract", "reassoc", "arcp", "nsz", "afn"}  # infinity and NaN keep their meaning
_inner = _njit(nogil=True, fastmath=_FAST, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
_entry = _njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")


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
    if condition != np.inf:
        _apply(values, lights, lit, fill, inverse, g)
    return condition


@_inner
def _apply(values, lights, lit, fill, inverse, g):  # type: ignore[no-untyped-def]
    """Fill g (3,) of the lit lights after subtracting `fill`, by the inverse of their products."""
    bx = by = bz = 0.0
    for k in range(len(values)):
        if lit[k] != 0.0:
            v = values[k] - fill
            bx, by, bz = bx + v * lights[k, 0], by + v * lights[k, 1], bz + v * lights[k, 2]
    g[0] = inverse[0] * bx + inverse[1] * by + inverse[2] * bz
    g[1] = inverse[1] * bx + inverse[3] * by + inverse[4] * bz
    g[2] = inverse[2] * bx + inverse[4] * by + inverse[5] * bz


@_inner
def _misfit(values, usable, lights, lit, fill, variances, known, share, model, g, length):  # type: ignore[no-untyped-def]
    """Root of the mean squared residual over what noise and model allow, its rms as such, and how many dark lights
    the solution does not explain."""
    squares = allowed = raw = 0.0
    count = unexplained = 0
    for k in range(len(values)):
        p = g[0] * lights[k, 0] + g[1] * lights[k, 1] + g[2] * lights[k, 2]
        if lit[k] != 0.0:
            r = values[k] - fill - p
            raw += r * r
            squares += r * r / (variances[k] + (share * known[k]) ** 2 + model * model)
            count += 1
        elif usable[k] and p > ATTACHED * length and values[k] - fill > CAST * p:
            unexplained += 1
    spare = count - 3
    allowed = squares / spare if spare > 0 else 0.0
    return math.sqrt(allowed), math.sqrt(raw / max(count, 1)), unexplained


@_inner
def _light_at(sources, lens, x, y, z, lights, strengths):  # type: ignore[no-untyped-def]
    """Fill lights (K, 3), unit vectors, and strengths (K,) at pixel x, y of height z, as `lights.light_vectors` does.

    lens = (mm per pixel, centre x, centre y, reciprocal distance of the camera, lobe exponent, lights are near).
    """
    mm, cx, cy, nearer, lobe, is_near = lens
    shrink = mm * (1.0 - z * nearer)
    px, py = (x - cx) * shrink, (cy - y) * shrink
    for k in range(len(strengths)):
        sx, sy, sz = sources[k, 0], sources[k, 1], sources[k, 2]
        if is_near:
            own = math.sqrt(sx * sx + sy * sy + sz * sz)
            rx, ry, rz = sx - px, sy - py, sz - z
            far = math.sqrt(rx * rx + ry * ry + rz * rz)
            rx, ry, rz = rx / far, ry / far, rz / far
            strength = (own / far) ** 2
            if lobe > 0.0:
                cosine = max((rx * sx + ry * sy + rz * sz) / own, 1e-6)
                strength *= cosine if lobe == 1.0 else cosine**lobe
            lights[k, 0], lights[k, 1], lights[k, 2], strengths[k] = rx, ry, rz, strength
        else:
            lights[k, 0], lights[k, 1], lights[k, 2], strengths[k] = sx, sy, sz, 1.0


@_inner
def _bounced_at(y, x, normal, cells, cell_normals, cell_known, cell_px, out):  # type: ignore[no-untyped-def]
    """Fill out (K,): bounced irradiance between the four nearest cells, those that face as the pixel does first."""
    height, width, count = cells.shape
    fy, fx = (y + 0.5) / cell_px - 0.5, (x + 0.5) / cell_px - 0.5
    top, left = math.floor(fy), math.floor(fx)
    out[:] = 0.0
    total = 0.0
    for i in range(4):
        row, column = top + i // 2, left + i % 2
        weight = max(1.0 - abs(fy - row), 0.05) * max(1.0 - abs(fx - column), 0.05)
        row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
        if not cell_known[row, column]:
            continue
        alike = 0.0
        for c in range(3):
            alike += normal[c] * cell_normals[c, row, column]
        weight = weight * math.exp((alike - 1.0) / ALIKE) + 1e-7
        total += weight
        for k in range(count):
            out[k] += weight * cells[row, column, k]
    if total > 0.0:
        for k in range(count):
            out[k] /= total


@_inner
def _unit(g, normal):  # type: ignore[no-untyped-def]
    """Fill normal (3,) with the direction of g; returns its length, and leaves normal at 0 if that is 0."""
    length = math.sqrt(g[0] ** 2 + g[1] ** 2 + g[2] ** 2)
    for c in range(3):
        normal[c] = g[c] / length if length > 0.0 else 0.0
    return length


@_inner
def _times_as_bright(v, lights, lit, normal, length, e, white):  # type: ignore[no-untyped-def]
    """How much larger the albedo of a pixel of values v (K,) is than `length`, that of a pixel nearby."""
    seen = expected = 0.0
    for k in range(len(v)):
        if lit[k] != 0.0:
            seen += v[k]
            facing = normal[0] * lights[k, 0] + normal[1] * lights[k, 1] + normal[2] * lights[k, 2]
            expected += length * max(facing, 0.0) + min(length, white) * e[k]
    return min(max(seen / expected, LEAST_RATIO), 1.0 / LEAST_RATIO) if expected > 0.0 else 1.0


@_inner
def _mean_dark(u, usable, lit):  # type: ignore[no-untyped-def]
    """Mean of the usable lights that are dark, not below 0; 0 where there is none."""
    total, number = 0.0, 0
    for k in range(len(u)):
        if usable[k] and lit[k] == 0.0:
            total += u[k]
            number += 1
    return max(total / number, 0.0) if number > 0 else 0.0


@_inner
def _count(lit):  # type: ignore[no-untyped-def]
    number = 0
    for k in range(len(lit)):
        if lit[k] != 0.0:
            number += 1
    return number


@_inner
def _in_order(u, usable, order):  # type: ignore[no-untyped-def]
    """Fill order with the usable lights, the darkest first; returns how many."""
    number = 0
    for k in range(len(u)):
        if usable[k]:
            at = number
            while at > 0 and u[order[at - 1]] > u[k]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = k
            number += 1
    return number


@_inner
def _third(v, usable):  # type: ignore[no-untyped-def]
    """The third largest usable value, 0 where there are fewer; and what bounced light is assumed where few are usable.

    Four or five lights can hardly disprove that shadows are lit: the light in them is then taken for ASSUMED_FILL.
    """
    first = second = third = 0.0
    number = 0
    for k in range(len(v)):
        if usable[k]:
            number += 1
            if v[k] > first:
                first, second, third = v[k], first, second
            elif v[k] > second:
                second, third = v[k], second
            elif v[k] > third:
                third = v[k]
    return third, ASSUMED_FILL * first if number < ENOUGH else 0.0


@_inner
def _try(u, usable, lights, lit, variances, known, share, model, worst, m6, i6, g):  # type: ignore[no-untyped-def]
    """Fill g by these lit lights. Returns misfit (infinite where nothing is decided), rms residual and the fill."""
    level = _mean_dark(u, usable, lit)
    if _solve(u, lights, lit, level, m6, i6, g) > worst or g[2] <= 0.0:
        return np.inf, 0.0, level
    length = math.sqrt(g[0] ** 2 + g[1] ** 2 + g[2] ** 2)
    over, rms, unexplained = _misfit(u, usable, lights, lit, level, variances, known, share, model, g, length)
    return over + UNEXPLAINED * unexplained, rms, level


@_inner
def _earn(u, usable, lights, variances, known, rules, before, lit, work):  # type: ignore[no-untyped-def]
    """Fill lit and work's last array, g, with the smallest set of dark lights that fits; `before` is tried first.

    Returns misfit, rms residual and fill; the misfit is infinite where no three lights decide a normal.
    """
    model_of, accepted, gap, most_dark, worst = rules
    order, trial, m6, i6, now, g = work
    number = _in_order(u, usable, order)
    if number < 3:
        return np.inf, 0.0, 0.0
    brightest = u[order[number - 1]]
    model = model_of * max(brightest, 0.0)
    lit[:] = 0.0
    if _count(before) >= 3:
        over, rms, level = _try(u, usable, lights, before, variances, known, KNOWN_TO, model, worst, m6, i6, g)
        if over <= accepted:
            lit[:] = before
            return over, rms, level
    best, best_rms, best_level = np.inf, 0.0, 0.0
    for k in range(len(u)):
        trial[k] = 1.0 if usable[k] else 0.0
    for dark in range(min(number - 3, most_dark) + 1):
        if dark > 0:
            trial[order[dark - 1]] = 0.0
        if number - dark == 3 and u[order[dark]] < gap * _mean_dark(u, usable, trial) + LEAST_LIT * brightest:
            continue  # no equation is spare: only a clear gap shows that the third light is lit
        over, rms, level = _try(u, usable, lights, trial, variances, known, SEARCHED_TO, model, worst, m6, i6, now)
        if over < best:
            best, best_rms, best_level = over, rms, level
            g[:] = now
            lit[:] = trial
        if over <= accepted:
            break
    return best, best_rms, best_level


@_entry
def earn_rows(  # type: ignore[no-untyped-def]
    signals, usable, sources, lens, heights, bounced, normals, known, around, cell_px, white, noise, rules, lit, g,
    figures, is_near, first, last,
):  # fmt: skip
    """Solve rows `first` to `last` by the lit sets that they earn, after taking off the bounced light.

    In: signals (H, W, K) over the lights' intensities, usable (H, W, K); sources (K, 3) positions or unit vectors and
    lens as in `_light_at`; of the cells of `cell_px` pixels: heights (h, w) in mm, bounced irradiance (h, w, K),
    normals (3, h, w), known (h, w), around (h, w) the albedo of their surroundings; white: the value of albedo 1; noise
    (2, K): constant variance, and variance per value; rules: model error of the brightest value, misfit accepted, gap
    between dark and lit where no equation is spare, most dark lights, worst condition.
    In and out: lit (H, W, K) 0 or 1 and g (H, W, 3), those of the round before, 0 for none; where `is_near`, those of
    a pixel nearby.
    Out: figures (H, W, 11), see FIGURES. A pixel where no three lights decide a normal gets g = 0.
    Long, because the scratch arrays of a pixel are made once here, and not in a call for each.
    """
    count = signals.shape[2]
    u, v, variances, e = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    lights, strengths, before, now = np.empty((count, 3)), np.empty(count), np.empty(count), np.empty(count)
    turn, fade = np.empty((count, 3)), np.empty(count)
    normal, plain, spread = np.empty(3), np.empty(3), np.empty(2)
    work = (np.empty(count, np.int64), np.empty(count), np.empty(6), np.empty(6), np.empty(3), np.empty(3))
    free, found = np.empty(count, np.bool_), work[5]
    for y in range(first, last):
        for x in range(signals.shape[1]):
            row, column = min(y // cell_px, heights.shape[0] - 1), min(x // cell_px, heights.shape[1] - 1)
            if x % cell_px == 0:  # between the sides of a cell, lights turn evenly
                z = heights[row, column]
                _light_at(sources, lens, float(x + cell_px), float(y), z, turn, fade)
                _light_at(sources, lens, float(x), float(y), z, lights, strengths)
                turn[:] = (turn - lights) / cell_px
                fade[:] = (fade - strengths) / cell_px
            else:
                lights += turn
                strengths += fade
            for k in range(count):
                v[k] = signals[y, x, k] / strengths[k]
                variances[k] = noise[0, k] + noise[1, k] * max(v[k], 0.0)
                free[k] = usable[y, x, k]
                before[k] = lit[y, x, k] if free[k] else 0.0
            length = _unit(g[y, x], normal)
            e[:] = 0.0
            if is_near and length == 0.0:  # the pixel nearby knows nothing: begin without bounced light
                if _earn(v, free, lights, variances, e, rules, before, now, work)[0] < np.inf:
                    length = _unit(found, normal)
                    before[:] = now
                    _bounced_at(y, x, normal, bounced, normals, known, cell_px, e)
            elif length > 0.0:
                _bounced_at(y, x, normal, bounced, normals, known, cell_px, e)
                if is_near:
                    length *= _times_as_bright(v, lights, before, normal, length, e, white)
            for k in range(count):
                e[k] *= min(length, white)
                u[k] = v[k] - e[k]
            ghost = 0.0
            for k in range(count):
                ghost = max(ghost, e[k])
            if length > 0.0:
                ghost *= around[row, column] / min(length, white)
            misfit, rms, level = _earn(u, free, lights, variances, e, rules, before, now, work)
            figures[y, x, :] = 0.0
            figures[y, x, 0] = misfit
            if misfit == np.inf:
                g[y, x, :] = 0.0
                lit[y, x, :] = 0
                continue
            albedo = math.sqrt(found[0] ** 2 + found[1] ** 2 + found[2] ** 2)
            _products(lights, now, work[2])
            _inverse(work[2], work[3])
            _tangent(lights, now, variances, found, work[3], spread)
            dark = _mean_dark(v, free, now)
            _apply(v, lights, now, dark, work[3], plain)
            lit_number = signal = taken = 0.0
            for k in range(count):
                lit[y, x, k] = 1 if now[k] != 0.0 else 0
                if now[k] != 0.0:
                    lit_number += 1.0
                    signal += v[k]
                    taken += e[k] + level
            figures[y, x, 1] = rms
            figures[y, x, 2] = spread[0]
            figures[y, x, 3] = spread[1] / albedo
            figures[y, x, 4] = level
            figures[y, x, 5] = dark
            figures[y, x, 6] = taken / lit_number
            figures[y, x, 7] = _angle(plain, found)
            figures[y, x, 8] = _angle(normal, found) if length > 0.0 else 0.0
            figures[y, x, 9] = taken / max(signal, 1e-12)
            third, assumed = _third(v, free)
            figures[y, x, 10] = max(ghost, dark, assumed) / max(third, 1e-12)
            for c in range(3):
                g[y, x, c] = found[c]


@_inner
def _angle(a, b):  # type: ignore[no-untyped-def]
    """Between two vectors, in radians."""
    x, y, z = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    return math.atan2(math.sqrt(x * x + y * y + z * z), a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


@_inner
def _tangent(lights, lit, variances, g, i6, out):  # type: ignore[no-untyped-def]
    """Fill out (2,): the normal's rms angle by noise, in radians, and that by an error of one value in each light."""
    length = math.sqrt(g[0] ** 2 + g[1] ** 2 + g[2] ** 2)
    nx, ny, nz = g[0] / length, g[1] / length, g[2] / length
    noise = even = 0.0
    for k in range(len(lit)):
        if lit[k] != 0.0:
            x, y, z = lights[k, 0], lights[k, 1], lights[k, 2]
            a = i6[0] * x + i6[1] * y + i6[2] * z
            b = i6[1] * x + i6[3] * y + i6[4] * z
            c = i6[2] * x + i6[4] * y + i6[5] * z
            along = a * nx + b * ny + c * nz
            square = a * a + b * b + c * c - along * along
            noise += variances[k] * square
            even += square
    out[0], out[1] = math.sqrt(noise) / length, math.sqrt(even)


@_entry
def turn_by_height(sources, lens, heights, normals, lit, cell_px, out):  # type: ignore[no-untyped-def]
    """Fill out (h, w): the angle in radians by which a cell's normal turns if it lies 1 mm higher than thought.

    In: sources and lens as in `_light_at`, heights (h, w) in mm, normals (3, h, w), lit (h, w, K) shares of a cell.
    0 where fewer than three lights reach half of the cell, and under far lights.
    """
    height, width, count = lit.shape
    lights, strengths, values, others = np.empty((count, 3)), np.empty(count), np.empty(count), np.empty(count)
    reached, m6, i6, g, normal = np.empty(count), np.empty(6), np.empty(6), np.empty(3), np.empty(3)
    for row in range(height):
        for column in range(width):
            out[row, column] = 0.0
            x, y = (column + 0.5) * cell_px - 0.5, (row + 0.5) * cell_px - 0.5
            for c in range(3):
                normal[c] = normals[c, row, column]
            _light_at(sources, lens, x, y, heights[row, column], lights, strengths)
            for k in range(count):
                facing = normal[0] * lights[k, 0] + normal[1] * lights[k, 1] + normal[2] * lights[k, 2]
                values[k] = max(facing, 0.0) * strengths[k]
                reached[k] = 1.0 if lit[row, column, k] > 0.5 else 0.0
            if _count(reached) < 3:
                continue
            _light_at(sources, lens, x, y, heights[row, column] + 1.0, lights, others)
            for k in range(count):
                values[k] /= others[k]
            if _solve(values, lights, reached, 0.0, m6, i6, g) != np.inf:
                out[row, column] = min(_angle(normal, g), MOST_TURN)


@_entry
def follow_shadows(lit, lights, cell, normals, longest, found):  # type: ignore[no-untyped-def]
    """Each edge where a cast shadow ends, followed toward its light to the rim that casts it.

    In: lit (H, W, K) 0 or 1, lights (h, w, K, 3) of cells of `cell` pixels, normals (H, W, 3), longest run in pixels.
    Fills found (n, 7): row and column of the end, row and column of the rim, run in pixels, tangent of the light's
    height, and 1 where the surface must be torn under the rim (no face that turns away from the light shows there).
    Returns how many.
    """
    height, width, count = lit.shape
    number = 0
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            for k in range(count):
                if lit[y, x, k] == 0:
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
                    px, py = round(x + steps * sx), round(y + steps * sy)
                    if px < 0 or py < 0 or px >= width or py >= height:
                        dark = 0
                        break
                    if lit[py, px, k] != 0:
                        break
                    dark += 1
                    facing = 0.0
                    for c in range(3):
                        facing += normals[py, px, c] * light[c]
                    turned = turned + 1 if facing < 0.0 else 0
                    steps += 1
                if dark >= 3 and steps < longest and number < len(found):
                    found[number, 0], found[number, 1] = y, x
                    found[number, 2], found[number, 3] = y + steps * sy, x + steps * sx
                    found[number, 4], found[number, 5] = steps, lz / across
                    found[number, 6] = 1.0 if turned < cell else 0.0
                    number += 1
    return number


@_entry
def gather(  # type: ignore[no-untyped-def]
    z, slopes, normals, known, inside, azimuths, longest, step_mm, starts, columns, weights, is_part, beyond
):  # fmt: skip
    """Which cells and walls each cell sees above its horizon, and with what share of its cosine-weighted sky.

    In: z (h, w) heights in mm, slopes (2, h, w) dz per mm to the right and up, normals (3, h, w), known (h, w), inside
    (h, w) whose sky is wanted, number of azimuths, longest distance in cells, size of a cell. Fills the rows of a
    sparse matrix: starts (h w + 1,), columns, weights; a column is a cell's index, or h w + index for the wall under
    the cell's rim. Returns how many entries, or -1 where the arrays are too short. Fills also beyond (h, w): the share
    of the sky above the cell's own horizon and under the picture's plane in which the part, is_part (h, w), leaves the
    picture: what stands there is not known.
    Where it is not the part, but the ground that leaves, the ground goes on as its last cell begins it, without an end.
    """
    height, width = z.shape
    cells = height * width
    number = 0
    for y in range(height):
        for x in range(width):
            here = y * width + x
            starts[here] = number
            if not (known[y, x] and inside[y, x]):
                continue
            for turn in range(azimuths):
                angle = 2.0 * math.pi * (turn + 0.5) / azimuths
                dx, dy = math.cos(angle), math.sin(angle)
                a = normals[0, y, x] * dx + normals[1, y, x] * dy
                b = normals[2, y, x]
                horizon = math.atan2(-a, b)
                slope = math.tan(horizon)
                bx, by = x, y
                step = 0
                left = False
                while step < longest:
                    step += 1 + step // 6  # far cells are small in the sky
                    cx, cy = round(x + step * dx), round(y - step * dy)
                    if cx < 0 or cy < 0 or cx >= width or cy >= height:
                        break
                    if not left and not inside[cy, cx]:
                        left = True
                        if horizon < 0.0 and is_part[cy, cx]:
                            beyond[y, x] += _slice(a, b, horizon, 0.0) * 2.0 / azimuths
                    px, py, bx, by = bx, by, cx, cy
                    far = math.sqrt(float((cx - x) ** 2 + (cy - y) ** 2)) * step_mm
                    if z[cy, cx] - z[y, x] <= slope * far:
                        continue
                    up = math.atan2(z[cy, cx] - z[y, x], far)
                    over = z[cy, cx] - z[py, px] - _expected_rise(slopes, px, py, cx, cy) * step_mm
                    middle = up  # from here on a wall that no normal shows
                    if over > STEEP * step_mm:
                        middle = min(max(math.atan2(z[cy, cx] - over - z[y, x], far), horizon), up)
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
                    horizon, slope = up, (z[cy, cx] - z[y, x]) / far
                if known[by, bx] and not is_part[by, bx]:  # the ground goes on for ever
                    up = math.atan(slopes[0, by, bx] * dx + slopes[1, by, bx] * dy)
                    if up > horizon:
                        if number + 1 > len(columns):
                            return -1
                        columns[number] = by * width + bx
                        weights[number] = _slice(a, b, horizon, up) * 2.0 / azimuths
                        number += 1
    starts[cells] = number
    return number


@_inner
def _expected_rise(slopes, bx, by, cx, cy):  # type: ignore[no-untyped-def]
    """From cell b to cell c, by the mean of their slopes, in sizes of a cell; rows run down."""
    right, up = slopes[0, by, bx] + slopes[0, cy, cx], slopes[1, by, bx] + slopes[1, cy, cx]
    return 0.5 * (right * (cx - bx) - up * (cy - by))


@_inner
def _slice(a, b, low, high):  # type: ignore[no-untyped-def]
    """Integral of (a cos t + b sin t) cos t from low to high: a normal's share of one azimuth's slice of the sky."""
    upper = a * (0.5 * high + 0.25 * math.sin(2.0 * high)) + 0.5 * b * math.sin(high) ** 2
    return upper - a * (0.5 * low + 0.25 * math.sin(2.0 * low)) - 0.5 * b * math.sin(low) ** 2
