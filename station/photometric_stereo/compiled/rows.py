"""The compiled entry point: raw frames in, normals, albedo and quality out, a piece of a row at a time.

A piece (`PIECE_PX`) goes through short loops one after the other, so that its scratch stays in the first cache and
no loop waits for another's long chain: plain least squares; weighted least squares where a light does not count;
lengths, thresholds and output; lights counted in the counts' own width. Sums stay in registers (see `lanes`).

Arguments that go together, here and in the other kernels: `lights` (tuple of K zeros, so that K is known when
compiled; beyond MOST_UNROLLED lights the number itself, and one kernel serves every K); `frames` (pointer to the
counts of light 0, elements from light to light, pointer to the dark frame or None); `signal` (pointers to black (K,),
scale (K, 2, 2)); `near` (pointer to the row's ends or None, log2 of the knots' distance); `geometry` (pointers to
light vectors (K, 3) and pseudo-inverse (K, 3)); `rules` (method, shadow, dark, worst condition, iterations, cauchy);
`maps` (pointers to normals, albedo, lit count, residual, observable, saturated; elements from one component of the
normals to the next). x, y are absolute where the mosaic's phase needs them, else of the region.

`solve_rows` is long because it owns all scratch arrays: inner kernels get raw pointers, and an array must outlive them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from station.photometric_stereo.compiled.jit import ENDS, LS, PIECE_PX, ROBUST, entry, f32, inner
from station.photometric_stereo.compiled.lanes import GROUP, LANES, beyond, count_of, pointer
from station.photometric_stereo.compiled.least_squares import solve_far, solve_near
from station.photometric_stereo.compiled.lighting import fill_row_ends
from station.photometric_stereo.compiled.output import count_far, count_near, finish_counted, finish_ls, maps_at
from station.photometric_stereo.compiled.sources import fingerprint
from station.photometric_stereo.compiled.weighted import sort_out


@inner
def _piece(  # type: ignore[no-untyped-def]
    lights, frames, signal, phase, near, geometry, table, plain, even, thresholds, bounds, rules, limit, top, x,
    scratch, maps, n,
):  # fmt: skip
    """`n` pixels, a multiple of GROUP, into the maps."""
    light, g, number, placed, floors, extreme = scratch
    if rules[0] != ROBUST:
        if plain is None:
            solve_near(lights, frames, signal, phase, near, geometry, x, light[0], g, n)
        elif plain:
            solve_far(lights, frames, table, even, g, maps, n)
        else:
            solve_near(lights, frames, signal, phase, near, geometry, x, light[0], g, n)
    if rules[0] != LS:
        sort_out(
            lights, frames, signal, phase, near, geometry[0], x, limit, bounds, rules, light, extreme, g, number,
            placed, maps, n,
        )  # fmt: skip
        finish_counted(g, number, placed, maps, n)
        return
    finish_ls(frames[2], g, rules, f32(top), thresholds, count_of(lights), floors, maps, n)
    if plain is None:
        count_near(lights, frames, signal, phase, near, x, limit, top, rules, g, floors, maps, n)
    elif plain:
        count_far(lights, frames, limit, top, thresholds, even, g, floors, maps, n)
    else:
        count_near(lights, frames, signal, phase, near, x, limit, top, rules, g, floors, maps, n)


def _compiled(sources: int) -> Any:
    """The entry point; numba finds it on disk by what it closes over, the fingerprint of all its sources."""

    @entry
    def solve_rows(  # type: ignore[no-untyped-def]
        ring, rows, corner, lights, network, dark, black, scale, limit, vectors, inverse, table, thresholds, plain,
        even, bounds, knots, shift, rules, normals, albedo, number_map, residual, seen, saturated,
    ):  # fmt: skip
        """Rows rows[0]..rows[1] of the region at `corner` (y, x) of `ring` (K, H, W), into maps, all C-contiguous.

        `lights` is a tuple of K zeros, and `network` None; or the number K with the table of network.network_table,
        and then `plain` is None; `dark` (H, W) of the ring's shape, or None; `black` (K,) DN; `scale`
        (K, 2, 2) per DN and phase of the mosaic; `limit` DN of saturation, in the ring's type; `vectors` and
        `inverse` (K, 3); `table` of projection.projection_table, used where `plain`; `thresholds` (K + 1, 2), `even`
        as of projection.is_even; `bounds` see `_certain`; `knots` (Y, X, K, 7) every 2^shift pixels of the region,
        or None; `rules` see above. The maps: normals (3, h, w), the others (h, w); normals, albedo and residual all
        float32 or all uint16 (see `packed`), the rest uint8. Every
        row of the ring (and of `dark`) must have GROUP elements to spare after the region. All finite.
        """
        count, width = count_of(lights), albedo.shape[1]
        step = ring.shape[1] * ring.shape[2]
        eights = np.empty((3, count, LANES), np.float32)
        floats, bytes_ = np.empty((4, PIECE_PX), np.float32), np.empty((2, PIECE_PX), np.uint8)
        counts, extreme = np.empty(PIECE_PX, ring.dtype), np.empty(2 * GROUP, ring.dtype)
        spare, spare_bytes = np.empty((5, GROUP), normals.dtype), np.empty((3, GROUP), np.uint8)
        light = (
            pointer(eights), beyond(pointer(eights), count * LANES), beyond(pointer(eights), 2 * count * LANES),
            pointer(network),
        )  # fmt: skip
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
        ends = np.zeros((1 if knots is None else knots.shape[1] + (GROUP >> shift) + 1, count, ENDS), np.float32)
        row_ends = pointer(knots)
        if knots is not None:
            row_ends = pointer(ends)
        top = counts.dtype.type(255 if ring.itemsize == 1 else 65535)
        for y in range(rows[0], rows[1]):
            if knots is not None:
                fill_row_ends(knots, count, 1 << shift, y, ends)
            row = (corner[0] + y) * ring.shape[2] + corner[1]
            phase = 2 * ((corner[0] + y) & 1) + (corner[1] & 1)
            x = 0
            while x < width:
                n = min(PIECE_PX, width - x) // GROUP * GROUP
                is_last = n == 0  # fewer pixels than a group: solved aside, and copied
                where = aside if is_last else maps_at(maps, y * width + x)
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
        # Keep the scratch arrays alive: the kernel holds raw pointers into them.
        scratch_arrays = eights.size + floats.size + bytes_.size + counts.size + extreme.size + ends.size
        return sources if scratch_arrays > 0 else 0

    return solve_rows


solve_rows = _compiled(fingerprint())
