"""A real extension module that asks for a shared library which no machine has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOWHERE = "libfacet_nowhere.so.7"


def build_lonely_module(folder: Path, name: str = "lonely") -> Path:
    """`folder/NAME.so`, which Python would import if the library `NOWHERE` were there. Skips without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux")
    library, module = folder / NOWHERE, folder / f"{name}.so"
    for line in (
        ["-x", "c", "-", "-o", str(library), f"-Wl,-soname,{NOWHERE}"],
        ["-x", "c", "-", "-o", str(module), "-Wl,--no-as-needed", "-x", "none", str(library)],
    ):
        subprocess.run([compiler, "-shared", *line], input=b"int facet_nothing;", check=True)
    library.unlink()
    return module
