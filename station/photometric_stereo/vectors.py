"""Vectors for numba kernels: eight float32 lanes that stay in registers.

numba's own loops leave it to the compiler whether sums stay in registers; these types decide it. LLVM turns eight
lanes into the registers at hand: one with AVX2, two with SSE2 or NEON. Kernels write plain
arithmetic (`a * b + c` is fused where the machine can). Memory is reached through `pointer(array)`, which knows
the type of the elements and nothing of bounds or strides; numba counts references to arrays in the innermost loop.
"""

# numba and llvmlite are typed in part only; arguments of an intrinsic are used through its signature.
# mypy: disable-error-code="import-untyped, no-untyped-call, untyped-decorator, attr-defined"
# ruff: noqa: ARG001

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

from station.photometric_stereo.network import quantile_index, selection_network
from station.photometric_stereo.packing import ALBEDO_FULL_SCALE, ORIGIN, RESIDUAL_FULL_SCALE, TOP, UNIT
from station.photometric_stereo.projection import MOST_PROJECTED, supports

_intrinsic: Any = intrinsic  # its type shows the typing context that callers do not give

LANES = 8
_WHOLE = 2.0**23
_ROWS_AT_ONCE = 4  # of the projection: their sums take half the registers of AVX2
GROUP = 32  # pixels whose raw counts are compared at a time, in their own width

_FUSED = ("contract",)
_ROUGH = ("fast",)  # only where an estimate with one Newton step will do: 1 / sqrt
_I8, _I16, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS = ir.VectorType(_F32, LANES)
_INTS = ir.VectorType(_I32, LANES)
_HAS_AVX = bool(get_host_cpu_features().get("avx"))


class _Lanes(types.Type):
    """A vector value; `element` is its LLVM type."""

    def __init__(self, name: str, element: Any, lanes: int) -> None:
        self.vector = ir.VectorType(element, lanes)
        super().__init__(name=name)


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Any) -> None:
        super().__init__(manager, lanes, lanes.vector)


class _Pointer(types.Type):
    """An address of elements."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"pointer to {element}")


@register_model(_Pointer)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, manager: Any, pointer: Any) -> None:
        super().__init__(manager, pointer, _I64)


FLOATS = _Lanes("float32x8", _F32, LANES)
MASK = _Lanes("bool x8", ir.IntType(1), LANES)
COUNTS = {8: _Lanes("uint8x32", _I8, GROUP), 16: _Lanes("uint16x32", ir.IntType(16), GROUP)}


def _operator(function: Any, result: Any, operand: Any, emit: Callable[..., Any]) -> None:
    """Teaches numba `function(operand, operand) -> result`."""

    @infer_global(function)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, _: Any) -> Any:
            return signature(result, operand, operand) if args == (operand, operand) else None

    @lower_builtin(function, operand, operand)
    def _lower(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return emit(builder, *args)


for _function, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_function, FLOATS, FLOATS, lambda b, x, y, name=_name: getattr(b, name)(x, y, flags=_FUSED))
for _function, _name in ((operator.gt, ">"), (operator.ge, ">="), (operator.lt, "<"), (operator.le, "<=")):
    _operator(_function, MASK, FLOATS, lambda b, x, y, name=_name: b.fcmp_ordered(name, x, y))
_operator(operator.and_, MASK, MASK, lambda b, x, y: b.and_(x, y))
_operator(operator.or_, MASK, MASK, lambda b, x, y: b.or_(x, y))


def _spread(builder: Any, scalar: Any, lanes: int) -> Any:
    kind = ir.VectorType(scalar.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def _at(builder: Any, base: Any, element: Any, offset: Any, value: Any) -> Any:
    """A pointer to `value` types, `offset` elements beyond the base."""
    address = builder.add(base, builder.mul(offset, _I64(element.bitwidth // 8)))
    return builder.inttoptr(address, value.as_pointer())


def _fetch(context: Any, builder: Any, kind: Any, base: Any, offset: Any, lanes: int = LANES) -> Any:
    value = ir.VectorType(context.get_data_type(kind.element), lanes)
    return builder.load(_at(builder, base, kind.element, offset, value), align=kind.element.bitwidth // 8)


def _as_floats(builder: Any, value: Any) -> Any:
    """uint8 and uint16 by way of int32, which every machine converts at once."""
    return value if value.type.element == _F32 else builder.sitofp(builder.zext(value, _INTS), _FLOATS)


def _put(context: Any, builder: Any, kind: Any, base: Any, offset: Any, value: Any) -> Any:
    builder.store(value, _at(builder, base, kind.element, offset, value.type), align=1)
    return context.get_dummy_value()


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fadd(builder.fmul(a, b, flags=_FUSED), c, flags=_FUSED)


def _root(builder: Any, value: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.v{LANES}f32")
    return builder.call(function, [value], fastmath=_ROUGH)


@_intrinsic
def pointer(_, array):  # type: ignore[no-untyped-def]
    """None of None. Else where the array's elements begin. The array must outlive the pointer's last use."""

    if array == types.none:
        return types.none(array), lambda context, _, __, ___: context.get_dummy_value()

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return builder.ptrtoint(context.make_array(sig.args[0])(context, builder, args[0]).data, _I64)

    return _Pointer(array.dtype)(array), emit


@_intrinsic
def beyond(_, base, offset):  # type: ignore[no-untyped-def]
    """The pointer `offset` elements further on; None of None."""
    if base == types.none:
        return types.none(base, types.int64), lambda context, _, __, ___: context.get_dummy_value()

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        return builder.add(args[0], builder.mul(args[1], _I64(sig.args[0].element.bitwidth // 8)))

    return base(base, types.int64), emit


@_intrinsic
def splat(_, scalar):  # type: ignore[no-untyped-def]
    """The float32 in every lane."""
    if scalar != types.float32:
        return None
    return FLOATS(scalar), lambda _, builder, __, args: _spread(builder, args[0], LANES)


@_intrinsic
def load_alternate(_, base, even, odd):  # type: ignore[no-untyped-def]
    """The float32 at offset `even` in lanes 0, 2 ..., that at `odd` in lanes 1, 3 ..."""

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        first, second = (
            _spread(builder, builder.load(_at(builder, args[0], sig.args[0].element, offset, _F32)), LANES)
            for offset in args[1:]
        )
        return builder.shuffle_vector(first, second, ir.Constant(_INTS, [0, LANES] * (LANES // 2)))

    return FLOATS(base, types.int64, types.int64), emit


@_intrinsic
def ramp(_, start):  # type: ignore[no-untyped-def]
    """start, start + 1, ..."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        steps = ir.Constant(_FLOATS, [float(i) for i in range(LANES)])
        return builder.fadd(_spread(builder, args[0], LANES), steps)

    return FLOATS(start), emit


@_intrinsic
def load(_, base, offset):  # type: ignore[no-untyped-def]
    """Eight elements as floats."""
    return FLOATS(base, types.int64), lambda context, builder, sig, args: _as_floats(
        builder, _fetch(context, builder, sig.args[0], *args)
    )


@_intrinsic
def load_or(_, base, offset, otherwise):  # type: ignore[no-untyped-def]
    """Eight elements as floats, or `otherwise` where the base is None."""
    sig = FLOATS(base, types.int64, FLOATS)
    if base == types.none:
        return sig, lambda _, __, ___, args: args[2]
    return sig, lambda context, builder, sig, args: _as_floats(
        builder, _fetch(context, builder, sig.args[0], args[0], args[1])
    )


@_intrinsic
def line_or(_, base, offset, steps, otherwise):  # type: ignore[no-untyped-def]
    """The float32 at the offset plus the next one times `steps`, or `otherwise` where the base is None."""
    sig = FLOATS(base, types.int64, FLOATS, FLOATS)
    if base == types.none:
        return sig, lambda _, __, ___, args: args[3]

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        value, slope = (
            _spread(builder, builder.load(_at(builder, args[0], sig.args[0].element, offset, _F32)), LANES)
            for offset in (args[1], builder.add(args[1], _I64(1)))
        )
        return _fma(builder, slope, args[2], value)

    return sig, emit


@_intrinsic
def load_splat(_, base, offset):  # type: ignore[no-untyped-def]
    """One float32 in every lane."""

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        return _spread(builder, builder.load(_at(builder, args[0], sig.args[0].element, args[1], _F32)), LANES)

    return FLOATS(base, types.int64), emit


@_intrinsic
def store(_, base, offset, value):  # type: ignore[no-untyped-def]
    """All lanes of the value, in its own type."""
    return types.none(base, types.int64, value), lambda context, builder, sig, args: _put(
        context, builder, sig.args[0], *args
    )


@_intrinsic
def store_unit(_, base, offset, value):  # type: ignore[no-untyped-def]
    """Lanes -1..1: as they are into float32, as round(32767 value) + 32768 into uint16."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        value = _packed(builder, sig.args[0], args[2], UNIT, ORIGIN, is_bounded=True)
        return _put(context, builder, sig.args[0], args[0], args[1], value)

    return types.none(base, types.int64, FLOATS), emit


def _level(context: Any, builder: Any, sig: Any, args: Any, full_scale: float) -> Any:
    base, offset, value = args
    return _put(context, builder, sig.args[0], base, offset, _packed(builder, sig.args[0], value, TOP / full_scale, 0))


@_intrinsic
def store_albedo(_, base, offset, value):  # type: ignore[no-untyped-def]
    """Lanes >= 0: as they are into float32, as 0..65535 for 0..ALBEDO_FULL_SCALE into uint16."""
    return types.none(base, types.int64, FLOATS), lambda context, builder, sig, args: _level(
        context, builder, sig, args, ALBEDO_FULL_SCALE
    )


@_intrinsic
def store_residual(_, base, offset, value):  # type: ignore[no-untyped-def]
    """The same with RESIDUAL_FULL_SCALE."""
    return types.none(base, types.int64, FLOATS), lambda context, builder, sig, args: _level(
        context, builder, sig, args, RESIDUAL_FULL_SCALE
    )


def _packed(builder: Any, kind: Any, value: Any, factor: float, origin: int, *, is_bounded: bool = False) -> Any:
    """round(factor value) + origin, 65535 at most, in 16 bits; the value itself where the elements are float32."""
    if kind.element == types.float32:
        return value

    def all_lanes(number: float) -> Any:
        return ir.Constant(_FLOATS, [number] * LANES)

    # beyond 2^23 a float32 counts in whole numbers, and its low bits are the number
    scaled = _fma(builder, value, all_lanes(factor), all_lanes(_WHOLE + origin))
    if not is_bounded:
        top = all_lanes(_WHOLE + TOP)
        scaled = builder.select(builder.fcmp_ordered("<", scaled, top), scaled, top)
    return builder.trunc(builder.bitcast(scaled, _INTS), ir.VectorType(_I16, LANES))


@_intrinsic
def keep_unit(_, base, offset, mask):  # type: ignore[no-untyped-def]
    """What `store_unit` wrote stays where the mask is set, and is that of 0 elsewhere."""
    return types.none(base, types.int64, MASK), lambda context, builder, sig, args: _keep(
        context, builder, sig.args[0], args, ORIGIN
    )


@_intrinsic
def keep_albedo(_, base, offset, mask):  # type: ignore[no-untyped-def]
    """The same of `store_albedo`."""
    return types.none(base, types.int64, MASK), lambda context, builder, sig, args: _keep(
        context, builder, sig.args[0], args, 0
    )


def _keep(context: Any, builder: Any, kind: Any, args: Any, blank: int) -> Any:
    base, offset, mask = args
    value = _fetch(context, builder, kind, base, offset)
    nothing = ir.Constant(value.type, [float(0) if kind.element == types.float32 else blank] * LANES)
    return _put(context, builder, kind, base, offset, builder.select(mask, value, nothing))


@_intrinsic
def lengths(_, albedo, scratch):  # type: ignore[no-untyped-def]
    """Where lengths of g are read again in full: from the map of albedo where that is float32, else from scratch."""
    is_full = albedo.element == types.float32
    return (albedo if is_full else scratch)(albedo, scratch), lambda _, __, ___, args: args[0 if is_full else 1]


@_intrinsic
def store_if_packed(_, albedo, scratch, offset, value):  # type: ignore[no-untyped-def]
    """Into scratch, where the map of albedo does not hold the lengths in full."""
    sig = types.none(albedo, scratch, types.int64, FLOATS)
    if albedo.element == types.float32:
        return sig, lambda context, _, __, ___: context.get_dummy_value()
    return sig, lambda context, builder, sig, args: _put(context, builder, sig.args[1], *args[1:])


@_intrinsic
def store_counts(_, base, offset, value):  # type: ignore[no-untyped-def]
    """Eight floats, cut off to whole numbers that the unsigned elements can hold, or a mask as 0 and 1."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        kind = ir.VectorType(context.get_data_type(sig.args[0].element), LANES)
        value = args[2]
        is_mask = sig.args[2] == MASK
        value = builder.zext(value, kind) if is_mask else builder.trunc(builder.fptosi(value, _INTS), kind)
        return _put(context, builder, sig.args[0], args[0], args[1], value)

    return types.none(base, types.int64, value), emit


@_intrinsic
def reciprocal_root(_, value):  # type: ignore[no-untyped-def]
    """1 / sqrt(value), to a few parts in ten million; not finite at 0.

    Where the machine has an estimate (AVX), one Newton step makes it so; a root and a division take five times longer.
    """

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        if not _HAS_AVX:
            return builder.fdiv(ir.Constant(_FLOATS, [1.0] * LANES), _root(builder, args[0]), flags=_ROUGH)
        kind = ir.FunctionType(_FLOATS, [_FLOATS])
        estimate = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx.rsqrt.ps.256")
        guess = builder.call(estimate, [args[0]])
        squared = builder.fmul(builder.fmul(args[0], guess), guess)
        factor = _fma(builder, squared, ir.Constant(_FLOATS, [-0.5] * LANES), ir.Constant(_FLOATS, [1.5] * LANES))
        return builder.fmul(guess, factor)

    return FLOATS(value), emit


@_intrinsic
def minimum(_, x, y):  # type: ignore[no-untyped-def]
    """Lane by lane."""
    return FLOATS(x, y), lambda _, b, __, args: b.select(b.fcmp_ordered("<", *args), *args)


@_intrinsic
def maximum(_, x, y):  # type: ignore[no-untyped-def]
    """Lane by lane."""
    return FLOATS(x, y), lambda _, b, __, args: b.select(b.fcmp_ordered(">", *args), *args)


@_intrinsic
def select(_, mask, yes, no):  # type: ignore[no-untyped-def]
    """`yes` where the mask is set, else `no`."""
    return FLOATS(mask, yes, no), lambda _, builder, __, args: builder.select(*args)


@_intrinsic
def every(_, mask):  # type: ignore[no-untyped-def]
    """True if the mask is set in every lane."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, -1))

    return types.boolean(mask), emit


def _projecting(raw: Any, dark: Any, table: Any, lights: Any, *, even: bool) -> Any:
    """What `project` and `project_even` emit."""
    twice = 2 * LANES
    wide = ir.VectorType(_F32, twice)

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        count = len(sig.args[4])

        def floats(which: int, offset: Any) -> Any:
            value = _fetch(context, builder, sig.args[which], args[which], offset, twice)
            is_float = value.type.element == _F32
            return value if is_float else builder.sitofp(builder.zext(value, ir.VectorType(_I32, twice)), wide)

        black = None if sig.args[2] == types.none else floats(2, _I64(0))

        def light(k: int) -> Any:
            value = floats(0, builder.mul(args[1], _I64(k)))
            return value if black is None else builder.fsub(value, black)

        def entry(index: int) -> Any:
            where = _at(builder, args[3], sig.args[3].element, _I64(index), _F32)
            return _spread(builder, builder.load(where), twice)

        if count <= MOST_PROJECTED:
            *g, squares = _projected(builder, count, light, entry)
        else:
            *g, squares = _by_difference(builder, count, light, entry, even=even)
        halves = [
            builder.shuffle_vector(v, v, ir.Constant(_INTS, list(range(start, start + LANES))))
            for start in (0, LANES)
            for v in (*g, squares)
        ]
        return context.make_tuple(builder, sig.return_type, halves)

    return types.UniTuple(FLOATS, 8)(raw, types.int64, dark, table, lights), emit


@_intrinsic
def project(_, raw, step, dark, table, lights):  # type: ignore[no-untyped-def]
    """g (three vectors) of plain least squares and its sum of squared residuals, for twice eight pixels of raw counts.

    The next light's counts lie `step` elements further on. `dark` is a pointer to what to subtract from every
    light, or None. `lights` is a tuple as long as there are lights; `table` is that of projection.projection_table.
    Sums stay in registers, and each coefficient is loaded once for both eights.
    """
    return _projecting(raw, dark, table, lights, even=False)


@_intrinsic
def project_even(_, raw, step, dark, table, lights):  # type: ignore[no-untyped-def]
    """`project` for lights that share black and scale: a fifth fewer operations."""
    return _projecting(raw, dark, table, lights, even=True)


def _projected(builder: Any, count: int, light: Callable[[int], Any], entry: Callable[[int], Any]) -> list[Any]:
    """g and the squares of the rows that g cannot explain."""
    sums = [entry(count * count + j) for j in range(count)]
    values, rows = [light(k) for k in range(count)], supports(count)
    for start in range(0, count, _ROWS_AT_ONCE):
        for k in range(count):
            for j in range(start, min(start + _ROWS_AT_ONCE, count)):
                if rows[j][0] <= k < rows[j][1]:
                    sums[j] = _fma(builder, values[k], entry(j * count + k), sums[j])
    return [*sums[:3], _sum_of_squares(builder, sums[3:])]


def _by_difference(
    builder: Any, count: int, light: Callable[[int], Any], entry: Callable[[int], Any], *, even: bool
) -> list[Any]:
    """g and |I|^2 - |U g|^2, never below 0. Even lights are scaled by their column and at the end."""
    zero = ir.Constant(ir.VectorType(_F32, 2 * LANES), [0.0] * (2 * LANES))
    g, whole = [zero] * 3, zero
    last = 5 * count
    black, scale_squared = entry(last + 6), entry(last + 7)
    for k in range(count):
        counts = light(k)
        value = builder.fsub(counts, black) if even else _fma(builder, counts, entry(5 * k), entry(5 * k + 1))
        whole = _fma(builder, value, value, whole)
        g = [_fma(builder, value, entry(5 * k + 2 + c), g[c]) for c in range(3)]
    triangle = [[entry(last), entry(last + 1), entry(last + 2)], [entry(last + 3), entry(last + 4)], [entry(last + 5)]]
    lengths = []
    for c, row in enumerate(triangle):
        length = builder.fmul(g[c], row[0], flags=_FUSED)
        for d, factor in enumerate(row[1:], start=c + 1):
            length = _fma(builder, g[d], factor, length)
        lengths.append(length)
    explained = _sum_of_squares(builder, lengths)
    rest = builder.fsub(builder.fmul(whole, scale_squared, flags=_FUSED), explained, flags=_FUSED)
    return [*g, builder.select(builder.fcmp_ordered(">", rest, zero), rest, zero)]


def _sum_of_squares(builder: Any, values: list[Any]) -> Any:
    total = ir.Constant(ir.VectorType(_F32, 2 * LANES), [0.0] * (2 * LANES))
    for value in values:
        total = _fma(builder, value, value, total)
    return total


@_intrinsic
def quantile(_, values, lights):  # type: ignore[no-untyped-def]
    """Per lane, the quantile of network.quantile_index over the lights of values (K, 8)."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        count = len(sig.args[1])
        index = quantile_index(count)
        rows = [_fetch(context, builder, sig.args[0], args[0], _I64(LANES * k)) for k in range(count)]
        for low, high in selection_network(count, index):
            a, b = rows[low], rows[high]
            less = builder.fcmp_ordered("<", a, b)
            rows[low], rows[high] = builder.select(less, a, b), builder.select(builder.fcmp_ordered(">", a, b), a, b)
        return rows[index]

    return FLOATS(values, lights), emit


@_intrinsic
def extremes(_, raw, step, lights):  # type: ignore[no-untyped-def]
    """Smallest and largest count over the lights, of 32 pixels; `step` elements from light to light."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        low = high = None
        for k in range(len(sig.args[2])):
            value = _fetch(context, builder, sig.args[0], args[0], builder.mul(args[1], _I64(k)), GROUP)
            if low is None or high is None:
                low = high = value
            else:
                low = builder.select(builder.icmp_unsigned("<", value, low), value, low)
                high = builder.select(builder.icmp_unsigned(">", value, high), value, high)
        return context.make_tuple(builder, sig.return_type, (low, high))

    return types.UniTuple(COUNTS[raw.element.bitwidth], 2)(raw, types.int64, lights), emit


@_intrinsic
def load_counts(_, base, offset):  # type: ignore[no-untyped-def]
    """32 elements of uint8 or uint16."""
    return COUNTS[base.element.bitwidth](base, types.int64), lambda context, builder, sig, args: _fetch(
        context, builder, sig.args[0], args[0], args[1], GROUP
    )


@_intrinsic
def reached(_, counts, limit):  # type: ignore[no-untyped-def]
    """Bytes: 1 where counts >= limit (a scalar of the counts' own type)."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        mask = builder.icmp_unsigned(">=", args[0], _spread(builder, args[1], GROUP))
        return builder.zext(mask, ir.VectorType(_I8, GROUP))

    return COUNTS[8](counts, limit), emit


@_intrinsic
def all_between(_, low, floor, high, limit):  # type: ignore[no-untyped-def]
    """True if low > floor and high < limit in all of the 32 lanes; `limit` is a scalar."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        low, floor, high, limit = args
        above = builder.icmp_unsigned(">", low, floor)
        mask = builder.and_(above, builder.icmp_unsigned("<", high, _spread(builder, limit, GROUP)))
        return builder.icmp_unsigned("==", builder.bitcast(mask, ir.IntType(GROUP)), ir.Constant(ir.IntType(GROUP), -1))

    return types.boolean(low, floor, high, limit), emit


@_intrinsic
def add_between(_, number, counts, floor, limit):  # type: ignore[no-untyped-def]
    """Bytes `number`, one more where floor < counts < limit."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        number, counts, floor, limit = args
        below = builder.icmp_unsigned("<", counts, _spread(builder, limit, GROUP))
        mask = builder.and_(builder.icmp_unsigned(">", counts, floor), below)
        return builder.add(number, builder.zext(mask, number.type))

    return COUNTS[8](number, counts, floor, limit), emit


@_intrinsic
def splat_bytes(_, scalar):  # type: ignore[no-untyped-def]
    """The uint8 32 times."""
    if scalar != types.uint8:
        return None
    return COUNTS[8](scalar), lambda _, builder, __, args: _spread(builder, args[0], GROUP)


@_intrinsic
def differs(_, counts, scalar):  # type: ignore[no-untyped-def]
    """Bytes: 1 where the counts are not the scalar."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        mask = builder.icmp_unsigned("!=", args[0], _spread(builder, args[1], GROUP))
        return builder.zext(mask, ir.VectorType(_I8, GROUP))

    return COUNTS[8](counts, scalar), emit


@_intrinsic
def same(_, x, y):  # type: ignore[no-untyped-def]
    """True if the counts are equal in every lane."""

    def emit(_, builder, __, args):  # type: ignore[no-untyped-def]
        bits = builder.bitcast(builder.icmp_unsigned("==", *args), ir.IntType(GROUP))
        return builder.icmp_unsigned("==", bits, ir.Constant(ir.IntType(GROUP), -1))

    return types.boolean(x, y), emit


@_intrinsic
def expect_store(_, base, offset):  # type: ignore[no-untyped-def]
    """Fetches the cache line of an element that will be written soon; memory need not be waited for then."""

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        line = _at(builder, args[0], sig.args[0].element, args[1], _I8)
        kind = ir.FunctionType(ir.VoidType(), [line.type, _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [line, _I32(1), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.none(base, types.int64), emit
