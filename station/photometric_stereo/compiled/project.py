"""Plain least squares under far lights, emitted for one number of lights: two times eight pixels at once."""

# numba and llvmlite are typed in part only; arguments of an intrinsic are used through its signature.
# mypy: disable-error-code="import-untyped, no-untyped-call, untyped-decorator, attr-defined"
# ruff: noqa: ARG001

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types

from station.photometric_stereo.compiled.lanes import (
    EIGHT_I32,
    F32,
    FLOATS,
    FUSED,
    I32,
    I64,
    LANES,
    address,
    fetched,
    fused,
    kernel_intrinsic,
    spread,
)
from station.photometric_stereo.compiled.projection import MOST_PROJECTED, supports

_ROWS_AT_ONCE = 4  # of the projection: their sums take half the registers of AVX2


@kernel_intrinsic
def project(_, raw, step, dark, table, lights):  # type: ignore[no-untyped-def]
    """g (three vectors) of plain least squares and its sum of squared residuals, for twice eight pixels of raw counts.

    The next light's counts lie `step` elements further on. `dark` is a pointer to what to subtract from every
    light, or None. `lights` is a tuple as long as there are lights; `table` is that of projection.projection_table.
    Sums stay in registers, and each coefficient is loaded once for both eights.
    """
    return _projecting(raw, dark, table, lights, even=False)


@kernel_intrinsic
def project_even(_, raw, step, dark, table, lights):  # type: ignore[no-untyped-def]
    """`project` for lights that share black and scale: a fifth fewer operations."""
    return _projecting(raw, dark, table, lights, even=True)


def _projecting(raw: Any, dark: Any, table: Any, lights: Any, *, even: bool) -> Any:
    """Signature and code of `project` and `project_even`."""
    twice = 2 * LANES
    wide = ir.VectorType(F32, twice)

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        count = len(sig.args[4])

        def floats(which: int, offset: Any) -> Any:
            value = fetched(context, builder, sig.args[which], args[which], offset, twice)
            is_float = value.type.element == F32
            return value if is_float else builder.sitofp(builder.zext(value, ir.VectorType(I32, twice)), wide)

        black = None if sig.args[2] == types.none else floats(2, I64(0))

        def light(k: int) -> Any:
            value = floats(0, builder.mul(args[1], I64(k)))
            return value if black is None else builder.fsub(value, black)

        def entry(index: int) -> Any:
            where = address(builder, args[3], sig.args[3].element, I64(index), F32)
            return spread(builder, builder.load(where), twice)

        if count <= MOST_PROJECTED:
            *g, squares = _projected(builder, count, light, entry)
        else:
            *g, squares = _by_difference(builder, count, light, entry, even=even)
        halves = [
            builder.shuffle_vector(v, v, ir.Constant(EIGHT_I32, list(range(start, start + LANES))))
            for start in (0, LANES)
            for v in (*g, squares)
        ]
        return context.make_tuple(builder, sig.return_type, halves)

    return types.UniTuple(FLOATS, 8)(raw, types.int64, dark, table, lights), emit


def _projected(builder: Any, count: int, light: Callable[[int], Any], entry: Callable[[int], Any]) -> list[Any]:
    """g, and the sum of squares of the rows that g cannot explain."""
    sums = [entry(count * count + j) for j in range(count)]
    values, rows = [light(k) for k in range(count)], supports(count)
    for start in range(0, count, _ROWS_AT_ONCE):
        for k in range(count):
            for j in range(start, min(start + _ROWS_AT_ONCE, count)):
                if rows[j][0] <= k < rows[j][1]:
                    sums[j] = fused(builder, values[k], entry(j * count + k), sums[j])
    return [*sums[:3], _sum_of_squares(builder, sums[3:])]


def _by_difference(
    builder: Any, count: int, light: Callable[[int], Any], entry: Callable[[int], Any], *, even: bool
) -> list[Any]:
    """g and |I|^2 - |U g|^2, never below 0. Even lights are scaled by their column and at the end."""
    zero = ir.Constant(ir.VectorType(F32, 2 * LANES), [0.0] * (2 * LANES))
    g, whole = [zero] * 3, zero
    last = 5 * count
    black, scale_squared = entry(last + 6), entry(last + 7)
    for k in range(count):
        counts = light(k)
        value = builder.fsub(counts, black) if even else fused(builder, counts, entry(5 * k), entry(5 * k + 1))
        whole = fused(builder, value, value, whole)
        g = [fused(builder, value, entry(5 * k + 2 + c), g[c]) for c in range(3)]
    triangle = [[entry(last), entry(last + 1), entry(last + 2)], [entry(last + 3), entry(last + 4)], [entry(last + 5)]]
    lengths = []
    for c, row in enumerate(triangle):
        length = builder.fmul(g[c], row[0], flags=FUSED)
        for d, factor in enumerate(row[1:], start=c + 1):
            length = fused(builder, g[d], factor, length)
        lengths.append(length)
    explained = _sum_of_squares(builder, lengths)
    rest = builder.fsub(builder.fmul(whole, scale_squared, flags=FUSED), explained, flags=FUSED)
    return [*g, builder.select(builder.fcmp_ordered(">", rest, zero), rest, zero)]


def _sum_of_squares(builder: Any, values: list[Any]) -> Any:
    total = ir.Constant(ir.VectorType(F32, 2 * LANES), [0.0] * (2 * LANES))
    for value in values:
        total = fused(builder, value, value, total)
    return total
