"""Says that kernels are being compiled, which happens at the first use on a machine and takes a minute or more.

numba itself reports when it compiles; what it loads from its cache on disk stays quiet. A package of kernels calls
`watch_compiles` when it is imported. A program that talks to a person calls `report_compiles`; without it nothing is
said. Source of the events: numba's documentation, "Event API".
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Report = Callable[[str], None]

_reports: list[Report] = []


def report_compiles(report: Report) -> None:
    """Have `report` called with one sentence when a watched package begins to compile, once for each package."""
    _reports[:] = [report]


def report_on_stderr(text: str) -> None:
    """The report of a command: standard output holds its result alone."""
    print(text, file=sys.stderr, flush=True)


def tell(text: str) -> None:
    """Pass on such a sentence, for instance from the process of a simulated rig; nothing where nobody asked."""
    for report in _reports:
        report(text)


def watch_compiles(what: str, package: str) -> None:
    """Report the first compilation of a kernel in `package`; `what` names its kernels, such as "the solver"."""
    from numba.core import event

    class FirstCompile(event.Listener):
        is_said = False

        def on_start(self, found: Any) -> None:
            module = str(getattr(found.data["dispatcher"].py_func, "__module__", ""))
            if not self.is_said and module.startswith(package):
                self.is_said = True
                tell(f"compiling {what} for this machine: only this once; about a minute where nothing else runs")

        def on_end(self, _found: Any) -> None:
            """Nothing to say: what waited for the kernel goes on."""

    register: Any = event.register  # numba has no types
    register("numba:compile", FirstCompile())
