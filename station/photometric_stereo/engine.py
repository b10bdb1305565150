"""Which engine solves (compiled or plain numpy), and the threads that all solving in a process shares."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Literal

Engine = Literal["numba", "numpy"]


def default_engine() -> Engine:
    """numba where it can be imported, else the numpy twin (slower, the same normals)."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return "numpy"
    return "numba"


def default_threads() -> int:
    """As many as the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def shared_threads(count: int) -> ThreadPoolExecutor:
    """One pool for all that solves in the process: views are solved one after the other, and cores are few."""
    return ThreadPoolExecutor(count, thread_name_prefix="photometric-stereo")
