"""Vector types for numba kernels, their operators, and what emits LLVM code for them.

numba leaves it to the compiler whether sums stay in registers; these types decide it. A kernel works on eight
float32 lanes, which LLVM maps to the registers at hand: one with AVX2, two with SSE2 or NEON. Raw counts are compared
32 pixels at a time in their own width. Kernels write plain arithmetic (`a * b + c` is fused where the machine can).

Memory is reached through `pointer(array)`, which knows the type of the elements and nothing of bounds or strides: numba
would count references to arrays in the innermost loop.
"""

# numba and llvmlite are typed in part only; arguments of an intrinsic are used through its signature.
# mypy: disable-error-code="import-untyped, no-untyped-call, untyped-decorator, attr-defined"
# ruff: noqa: ARG001

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

kernel_intrinsic: Any = intrinsic  # its type shows the typing context that callers do not give

LANES = 8
GROUP = 32  # pixels whose raw counts are compared at a time, in their own width

FUSED = ("contract",)
ROUGH = ("fast",)  # only where an estimate with one Newton step will do: 1 / sqrt
I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
EIGHT_F32 = ir.VectorType(F32, LANES)
EIGHT_I32 = ir.VectorType(I32, LANES)


class _Lanes(types.Type):
    """numba's type of a vector value; `element` is its elements' LLVM type."""

    def __init__(self, name: str, element: Any, lanes: int) -> None:
        self.vector = ir.VectorType(element, lanes)
        super().__init__(name=name)


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Any) -> None:
        super().__init__(manager, lanes, lanes.vector)


class _Pointer(types.Type):
    """numba's type of an address; `element` is the numba type of what lies there."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"pointer to {element}")


@register_model(_Pointer)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, manager: Any, pointer: Any) -> None:
        super().__init__(manager, pointer, I64)


FLOATS = _Lanes("float32x8", F32, LANES)
MASK = _Lanes("bool x8", ir.IntType(1), LANES)
COUNTS = {8: _Lanes("uint8x32", I8, GROUP), 16: _Lanes("uint16x32", ir.IntType(16), GROUP)}


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
    _operator(_function, FLOATS, FLOATS, lambda b, x, y, name=_name: getattr(b, name)(x, y, flags=FUSED))
for _function, _name in ((operator.gt, ">"), (operator.ge, ">="), (operator.lt, "<"), (operator.le, "<=")):
    _operator(_function, MASK, FLOATS, lambda b, x, y, name=_name: b.fcmp_ordered(name, x, y))
_operator(operator.and_, MASK, MASK, lambda b, x, y: b.and_(x, y))
_operator(operator.or_, MASK, MASK, lambda b, x, y: b.or_(x, y))


def spread(builder: Any, scalar: Any, lanes: int) -> Any:
    kind = ir.VectorType(scalar.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, I32(0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), zeros)


def address(builder: Any, base: Any, element: Any, offset: Any, value: Any) -> Any:
    """LLVM pointer to values of that type, `offset` elements beyond the base."""
    address = builder.add(base, builder.mul(offset, I64(element.bitwidth // 8)))
    return builder.inttoptr(address, value.as_pointer())


def fetched(context: Any, builder: Any, kind: Any, base: Any, offset: Any, lanes: int = LANES) -> Any:
    value = ir.VectorType(context.get_data_type(kind.element), lanes)
    return builder.load(address(builder, base, kind.element, offset, value), align=kind.element.bitwidth // 8)


def as_floats(builder: Any, value: Any) -> Any:
    """Eight float32; uint8 and uint16 go by way of int32, which every machine converts at once."""
    return value if value.type.element == F32 else builder.sitofp(builder.zext(value, EIGHT_I32), EIGHT_F32)


def put(context: Any, builder: Any, kind: Any, base: Any, offset: Any, value: Any) -> Any:
    builder.store(value, address(builder, base, kind.element, offset, value.type), align=1)
    return context.get_dummy_value()


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fadd(builder.fmul(a, b, flags=FUSED), c, flags=FUSED)


@kernel_intrinsic
def pointer(_, array):  # type: ignore[no-untyped-def]
    """Where the array's elements begin, or None for None. The array must outlive the pointer's last use."""

    if array == types.none:
        return types.none(array), lambda context, _, __, ___: context.get_dummy_value()

    def emit(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return builder.ptrtoint(context.make_array(sig.args[0])(context, builder, args[0]).data, I64)

    return _Pointer(array.dtype)(array), emit


@kernel_intrinsic
def count_of(_, lights):  # type: ignore[no-untyped-def]
    """How many lights: the length of a tuple, known when compiled, or the int64 itself."""
    if isinstance(lights, types.Integer):
        return types.int64(types.int64), lambda _, __, ___, args: args[0]
    return types.int64(lights), lambda _, __, sig, ___: I64(len(sig.args[0]))


@kernel_intrinsic
def beyond(_, base, offset):  # type: ignore[no-untyped-def]
    """The pointer `offset` elements further on, or None for None."""
    if base == types.none:
        return types.none(base, types.int64), lambda context, _, __, ___: context.get_dummy_value()

    def emit(_, builder, sig, args):  # type: ignore[no-untyped-def]
        return builder.add(args[0], builder.mul(args[1], I64(sig.args[0].element.bitwidth // 8)))

    return base(base, types.int64), emit
