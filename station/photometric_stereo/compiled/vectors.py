"""Loads of eight float32 lanes, and the arithmetic that plain operators do not cover."""

# numba and llvmlite are typed in part only; arguments of an intrinsic are used through its signature.
# mypy: disable-error-code="import-untyped, no-untyped-call, untyped-decorator, attr-defined"
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, types

from station.photometric_stereo.compiled.lanes import (
    EIGHT_F32,
    EIGHT_I32,
    F32,
    FLOATS,
    I64,
    LANES,
    ROUGH,
    address,
    as_floats,
    fetched,
    fused,
    kernel_intrinsic,
    spread,
)
from station.photometric_stereo.network import quantile_index, selection_network

_HAS_AVX = bool(get_host_cpu_features().get("avx"))


@kernel_intrinsic
def splat(_, scalar):  # type: ignore[no-untyped-def]
    """The float32 in every lane."""
    if scalar != types.float32:
        return None
    return FLOATS(scalar), lambda _, builder, __, args: spread(builder, args[0], LANES)


@kernel_intrinsic
def load_alternate(_, base, even, odd):  # type: ignore[no-untyped-def]
    """The float32 at offset `even` in lanes 0, 2, ... and the one at `odd` in lanes 1, 3, ..."""

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        first, second = (
            spread(builder, builder.load(address(builder, args[0], sig.args[0].element, offset, F32)), LANES)
            for offset in args[1:]
        )
        return builder.shuffle_vector(first, second, ir.Constant(EIGHT_I32, [0, LANES] * (LANES // 2)))

    return FLOATS(base, types.int64, types.int64), emit


@kernel_intrinsic
def ramp(_, start):  # type: ignore[no-untyped-def]
    """start, start + 1, ..."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        steps = ir.Constant(EIGHT_F32, [float(i) for i in range(LANES)])
        return builder.fadd(spread(builder, args[0], LANES), steps)

    return FLOATS(start), emit


@kernel_intrinsic
def load(_, base, offset):  # type: ignore[no-untyped-def]
    """Eight elements as floats."""
    return FLOATS(base, types.int64), lambda context, builder, sig, args: as_floats(
        builder, fetched(context, builder, sig.args[0], *args)
    )


@kernel_intrinsic
def load_or(_, base, offset, otherwise):  # type: ignore[no-untyped-def]
    """Eight elements as floats, or `otherwise` where the base is None."""
    sig = FLOATS(base, types.int64, FLOATS)
    if base == types.none:
        return sig, lambda _, __, ___, args: args[2]
    return sig, lambda context, builder, sig, args: as_floats(
        builder, fetched(context, builder, sig.args[0], args[0], args[1])
    )


@kernel_intrinsic
def line_or(_, base, offset, steps, otherwise):  # type: ignore[no-untyped-def]
    """The float32 at the offset plus the next one times `steps`, or `otherwise` where the base is None."""
    sig = FLOATS(base, types.int64, FLOATS, FLOATS)
    if base == types.none:
        return sig, lambda _, __, ___, args: args[3]

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        value, slope = (
            spread(builder, builder.load(address(builder, args[0], sig.args[0].element, offset, F32)), LANES)
            for offset in (args[1], builder.add(args[1], I64(1)))
        )
        return fused(builder, slope, args[2], value)

    return sig, emit


@kernel_intrinsic
def load_splat(_, base, offset):  # type: ignore[no-untyped-def]
    """The float32 at the offset in every lane."""

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        return spread(builder, builder.load(address(builder, args[0], sig.args[0].element, args[1], F32)), LANES)

    return FLOATS(base, types.int64), emit


def _root(builder: Any, value: Any) -> Any:
    kind = ir.FunctionType(EIGHT_F32, [EIGHT_F32])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f32")
    return builder.call(function, [value], fastmath=ROUGH)


@kernel_intrinsic
def reciprocal_root(_, value):  # type: ignore[no-untyped-def]
    """1 / sqrt(value), to a few parts in ten million; not finite at 0.

    Where the machine has an estimate (AVX), one Newton step makes it so; a root and a division take five times longer.
    """

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        if not _HAS_AVX:
            return builder.fdiv(ir.Constant(EIGHT_F32, [1.0] * LANES), _root(builder, args[0]), flags=ROUGH)
        kind = ir.FunctionType(EIGHT_F32, [EIGHT_F32])
        estimate = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx.rsqrt.ps.256")
        guess = builder.call(estimate, [args[0]])
        squared = builder.fmul(builder.fmul(args[0], guess), guess)
        factor = fused(builder, squared, ir.Constant(EIGHT_F32, [-0.5] * LANES), ir.Constant(EIGHT_F32, [1.5] * LANES))
        return builder.fmul(guess, factor)

    return FLOATS(value), emit


@kernel_intrinsic
def minimum(_, x, y):  # type: ignore[no-untyped-def]
    """The smaller value of each lane."""
    return FLOATS(x, y), lambda _, b, __, args: b.select(b.fcmp_ordered("<", *args), *args)


@kernel_intrinsic
def maximum(_, x, y):  # type: ignore[no-untyped-def]
    """The larger value of each lane."""
    return FLOATS(x, y), lambda _, b, __, args: b.select(b.fcmp_ordered(">", *args), *args)


@kernel_intrinsic
def select(_, mask, yes, no):  # type: ignore[no-untyped-def]
    """`yes` where the mask is set, else `no`."""
    return FLOATS(mask, yes, no), lambda _, builder, __, args: builder.select(*args)


@kernel_intrinsic
def every(_, mask):  # type: ignore[no-untyped-def]
    """True if the mask is set in every lane."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, -1))

    return types.boolean(mask), emit


@kernel_intrinsic
def quantile(_, values, lights, network, spare):  # type: ignore[no-untyped-def]
    """Per lane, the quantile of network.quantile_index over the lights of values (K, 8).

    A tuple of lights is sorted in registers. For a number of lights known at run time only, `network` points at
    network.network_table, and the values are sorted in `spare` (K, 8).
    """
    sig = FLOATS(values, lights, network, spare)
    if isinstance(lights, types.Integer):
        return sig, _quantile_in_memory

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        count = len(sig.args[1])
        index = quantile_index(count)
        rows = [fetched(context, builder, sig.args[0], args[0], I64(LANES * k)) for k in range(count)]
        for low, high in selection_network(count, index):
            a, b = rows[low], rows[high]
            less = builder.fcmp_ordered("<", a, b)
            rows[low], rows[high] = builder.select(less, a, b), builder.select(builder.fcmp_ordered(">", a, b), a, b)
        return rows[index]

    return sig, emit


def _quantile_in_memory(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Copies the values, runs the comparators of the table on the copy, and loads the wanted row."""
    values, count, network, spare = args

    def entry(at: Any) -> Any:
        return builder.load(address(builder, network, sig.args[2].element, at, I64))

    def row(at: Any) -> Any:
        return address(builder, spare, sig.args[3].element, builder.mul(at, I64(LANES)), EIGHT_F32)

    with cgutils.for_range(builder, count) as loop:
        value = fetched(context, builder, sig.args[0], values, builder.mul(loop.index, I64(LANES)))
        builder.store(value, row(loop.index), align=4)
    with cgutils.for_range(builder, entry(I64(1))) as loop:
        at = builder.add(builder.mul(loop.index, I64(2)), I64(2))
        low, high = row(entry(at)), row(entry(builder.add(at, I64(1))))
        a, b = builder.load(low, align=4), builder.load(high, align=4)
        less, more = builder.fcmp_ordered("<", a, b), builder.fcmp_ordered(">", a, b)
        builder.store(builder.select(less, a, b), low, align=4)
        builder.store(builder.select(more, a, b), high, align=4)
    return builder.load(row(entry(I64(0))), align=4)
