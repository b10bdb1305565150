"""Raw counts and bytes of 32 pixels at a time, compared in their own width."""

# numba and llvmlite are typed in part only; arguments of an intrinsic are used through its signature.
# mypy: disable-error-code="import-untyped, no-untyped-call, untyped-decorator, attr-defined"
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from station.photometric_stereo.compiled.lanes import (
    COUNTS,
    EIGHT_F32,
    FLOATS,
    GROUP,
    I8,
    I64,
    LANES,
    fetched,
    kernel_intrinsic,
    spread,
)
from station.photometric_stereo.normal_map import MOST_COUNTED


@kernel_intrinsic
def extremes(_, raw, step, lights):  # type: ignore[no-untyped-def]
    """Smallest and largest count over the lights at 32 pixels; lights lie `step` elements apart."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        def light(k: Any) -> Any:
            return fetched(context, builder, sig.args[0], args[0], builder.mul(args[1], k), GROUP)

        def smaller_and_larger(value: Any, low: Any, high: Any) -> tuple[Any, Any]:
            less, more = builder.icmp_unsigned("<", value, low), builder.icmp_unsigned(">", value, high)
            return builder.select(less, value, low), builder.select(more, value, high)

        low = high = light(I64(0))
        if isinstance(sig.args[2], types.Integer):
            kept_low, kept_high = cgutils.alloca_once_value(builder, low), cgutils.alloca_once_value(builder, high)
            with cgutils.for_range(builder, args[2], start=I64(1)) as loop:
                low, high = smaller_and_larger(light(loop.index), builder.load(kept_low), builder.load(kept_high))
                builder.store(low, kept_low)
                builder.store(high, kept_high)
            low, high = builder.load(kept_low), builder.load(kept_high)
        else:
            for k in range(1, len(sig.args[2])):
                low, high = smaller_and_larger(light(I64(k)), low, high)
        return context.make_tuple(builder, sig.return_type, (low, high))

    return types.UniTuple(COUNTS[raw.element.bitwidth], 2)(raw, types.int64, lights), emit


@kernel_intrinsic
def in_a_byte(_, number, lights):  # type: ignore[no-untyped-def]
    """The float lanes `number`, at most MOST_COUNTED; unchanged for a tuple of lights, which is never as long."""
    sig = FLOATS(FLOATS, lights)
    if not isinstance(lights, types.Integer):
        return sig, lambda _, __, ___, args: args[0]

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        most = ir.Constant(EIGHT_F32, [float(MOST_COUNTED)] * LANES)
        return builder.select(builder.fcmp_ordered("<", args[0], most), args[0], most)

    return sig, emit


@kernel_intrinsic
def load_counts(_, base, offset):  # type: ignore[no-untyped-def]
    """32 elements of uint8 or uint16, in their own type."""
    return COUNTS[base.element.bitwidth](base, types.int64), lambda context, builder, sig, args: fetched(
        context, builder, sig.args[0], args[0], args[1], GROUP
    )


@kernel_intrinsic
def reached(_, counts, limit):  # type: ignore[no-untyped-def]
    """Bytes: 1 where counts >= limit (a scalar of the counts' own type)."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        mask = builder.icmp_unsigned(">=", args[0], spread(builder, args[1], GROUP))
        return builder.zext(mask, ir.VectorType(I8, GROUP))

    return COUNTS[8](counts, limit), emit


@kernel_intrinsic
def all_between(_, low, floor, high, limit):  # type: ignore[no-untyped-def]
    """True if low > floor and high < limit in all of the 32 lanes; `limit` is a scalar."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        low, floor, high, limit = args
        above = builder.icmp_unsigned(">", low, floor)
        mask = builder.and_(above, builder.icmp_unsigned("<", high, spread(builder, limit, GROUP)))
        return builder.icmp_unsigned("==", builder.bitcast(mask, ir.IntType(GROUP)), ir.Constant(ir.IntType(GROUP), -1))

    return types.boolean(low, floor, high, limit), emit


@kernel_intrinsic
def add_between(_, number, counts, floor, limit):  # type: ignore[no-untyped-def]
    """Bytes `number`, one more where floor < counts < limit."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        number, counts, floor, limit = args
        below = builder.icmp_unsigned("<", counts, spread(builder, limit, GROUP))
        mask = builder.and_(builder.icmp_unsigned(">", counts, floor), below)
        return builder.add(number, builder.zext(mask, number.type))

    return COUNTS[8](number, counts, floor, limit), emit


@kernel_intrinsic
def splat_bytes(_, scalar):  # type: ignore[no-untyped-def]
    """The uint8 in all of 32 lanes."""
    if scalar != types.uint8:
        return None
    return COUNTS[8](scalar), lambda _, builder, __, args: spread(builder, args[0], GROUP)


@kernel_intrinsic
def differs(_, counts, scalar):  # type: ignore[no-untyped-def]
    """Bytes: 1 where the counts are not the scalar."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        mask = builder.icmp_unsigned("!=", args[0], spread(builder, args[1], GROUP))
        return builder.zext(mask, ir.VectorType(I8, GROUP))

    return COUNTS[8](counts, scalar), emit


@kernel_intrinsic
def same(_, x, y):  # type: ignore[no-untyped-def]
    """True if the counts are equal in every lane."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        bits = builder.bitcast(builder.icmp_unsigned("==", *args), ir.IntType(GROUP))
        return builder.icmp_unsigned("==", bits, ir.Constant(ir.IntType(GROUP), -1))

    return types.boolean(x, y), emit
