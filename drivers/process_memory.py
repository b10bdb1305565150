"""The most memory that this process has ever held."""

from __future__ import annotations

import sys


def peak_memory_mb() -> float:
    """Peak resident size in MB; NaN where the system does not report it (Windows)."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
