"""One decorator for compiled kernels: no GIL, cached on disk, and typed for mypy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

from drivers.compile_notice import watch_compiles

watch_compiles("the simulated camera's renderer", "drivers.simulated.scene")

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile without fast-math: results depend neither on the number of threads nor on vector width.

    Divisions by zero give inf or nan as in numpy. numba's cache notices changes of the file that a
    kernel stands in, not of files it calls into: keep kernels that call each other in one file.
    """
    return cast(F, njit(nogil=True, cache=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """As `kernel`, written out where it is called: an array argument costs nine words per call."""
    return cast(F, njit(nogil=True, cache=True, error_model="numpy", inline="always")(function))
