"""Stores of eight lanes into maps and scratch: float32 as they are, or packed into 16 bits.

The type of a map's elements decides when the kernel is compiled; `packing` holds the scales.
"""

# numba and llvmlite are typed in part only; arguments of an intrinsic are used through its signature.
# mypy: disable-error-code="import-untyped, no-untyped-call, untyped-decorator, attr-defined"
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from station.photometric_stereo.compiled.lanes import (
    EIGHT_F32,
    EIGHT_I32,
    FLOATS,
    I8,
    I16,
    I32,
    LANES,
    MASK,
    address,
    fetched,
    fused,
    kernel_intrinsic,
    put,
)
from station.photometric_stereo.packing import ALBEDO_FULL_SCALE, ORIGIN, RESIDUAL_FULL_SCALE, TOP, UNIT

_WHOLE = 2.0**23


@kernel_intrinsic
def store(_, base, offset, value):  # type: ignore[no-untyped-def]
    """Write all lanes of the value, in its own type."""
    return types.none(base, types.int64, value), lambda context, builder, sig, args: put(
        context, builder, sig.args[0], *args
    )


@kernel_intrinsic
def store_unit(_, base, offset, value):  # type: ignore[no-untyped-def]
    """Write lanes of -1..1: unchanged into float32, as round(32767 value) + 32768 into uint16."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        value = _packed(builder, sig.args[0], args[2], UNIT, ORIGIN, is_bounded=True)
        return put(context, builder, sig.args[0], args[0], args[1], value)

    return types.none(base, types.int64, FLOATS), emit


def _level(context: Any, builder: Any, sig: Any, args: Any, full_scale: float) -> Any:
    base, offset, value = args
    return put(context, builder, sig.args[0], base, offset, _packed(builder, sig.args[0], value, TOP / full_scale, 0))


@kernel_intrinsic
def store_albedo(_, base, offset, value):  # type: ignore[no-untyped-def]
    """Write lanes >= 0: unchanged into float32, as 0..65535 for 0..ALBEDO_FULL_SCALE into uint16."""
    return types.none(base, types.int64, FLOATS), lambda context, builder, sig, args: _level(
        context, builder, sig, args, ALBEDO_FULL_SCALE
    )


@kernel_intrinsic
def store_residual(_, base, offset, value):  # type: ignore[no-untyped-def]
    """As `store_albedo`, with RESIDUAL_FULL_SCALE."""
    return types.none(base, types.int64, FLOATS), lambda context, builder, sig, args: _level(
        context, builder, sig, args, RESIDUAL_FULL_SCALE
    )


def _packed(builder: Any, kind: Any, value: Any, factor: float, origin: int, *, is_bounded: bool = False) -> Any:
    """round(factor value) + origin, 65535 at most, in 16 bits; the value itself where the elements are float32."""
    if kind.element == types.float32:
        return value

    def all_lanes(number: float) -> Any:
        return ir.Constant(EIGHT_F32, [number] * LANES)

    # beyond 2^23 a float32 counts in whole numbers, and its low bits are the number
    scaled = fused(builder, value, all_lanes(factor), all_lanes(_WHOLE + origin))
    if not is_bounded:
        top = all_lanes(_WHOLE + TOP)
        scaled = builder.select(builder.fcmp_ordered("<", scaled, top), scaled, top)
    return builder.trunc(builder.bitcast(scaled, EIGHT_I32), ir.VectorType(I16, LANES))


@kernel_intrinsic
def keep_unit(_, base, offset, mask):  # type: ignore[no-untyped-def]
    """Leave what `store_unit` wrote where the mask is set; write that of 0 elsewhere."""
    return types.none(base, types.int64, MASK), lambda context, builder, sig, args: _keep(
        context, builder, sig.args[0], args, ORIGIN
    )


@kernel_intrinsic
def keep_albedo(_, base, offset, mask):  # type: ignore[no-untyped-def]
    """As `keep_unit`, for `store_albedo`."""
    return types.none(base, types.int64, MASK), lambda context, builder, sig, args: _keep(
        context, builder, sig.args[0], args, 0
    )


def _keep(context: Any, builder: Any, kind: Any, args: Any, blank: int) -> Any:
    base, offset, mask = args
    value = fetched(context, builder, kind, base, offset)
    nothing = ir.Constant(value.type, [float(0) if kind.element == types.float32 else blank] * LANES)
    return put(context, builder, kind, base, offset, builder.select(mask, value, nothing))


@kernel_intrinsic
def lengths(_, albedo, scratch):  # type: ignore[no-untyped-def]
    """Pointer to the full lengths of g: the map of albedo where that is float32, else the scratch."""
    is_full = albedo.element == types.float32
    return (albedo if is_full else scratch)(albedo, scratch), lambda _, __, ___, args: args[0 if is_full else 1]


@kernel_intrinsic
def store_if_packed(_, albedo, scratch, offset, value):  # type: ignore[no-untyped-def]
    """Write into the scratch where the map of albedo, being packed, does not hold the full lengths."""
    sig = types.none(albedo, scratch, types.int64, FLOATS)
    if albedo.element == types.float32:
        return sig, lambda context, _, __, ___: context.get_dummy_value()
    return sig, lambda context, builder, sig, args: put(context, builder, sig.args[1], *args[1:])


@kernel_intrinsic
def store_counts(_, base, offset, value):  # type: ignore[no-untyped-def]
    """Write eight floats truncated to whole numbers (the unsigned elements must hold them), or a mask as 0 and 1."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        kind = ir.VectorType(context.get_data_type(sig.args[0].element), LANES)
        value = args[2]
        is_mask = sig.args[2] == MASK
        value = builder.zext(value, kind) if is_mask else builder.trunc(builder.fptosi(value, EIGHT_I32), kind)
        return put(context, builder, sig.args[0], args[0], args[1], value)

    return types.none(base, types.int64, value), emit


@kernel_intrinsic
def expect_store(_, base, offset):  # type: ignore[no-untyped-def]
    """Fetch the cache line of an element that will be written soon, so that the store need not wait for memory."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        line = address(builder, args[0], sig.args[0].element, args[1], I8)
        kind = ir.FunctionType(ir.VoidType(), [line.type, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [line, I32(1), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.none(base, types.int64), emit
