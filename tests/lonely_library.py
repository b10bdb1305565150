"""Real shared libraries for tests of the loader, and an extension module that asks for one which no machine has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOWHERE = "libfacet_nowhere.so.7"


def build_lonely_module(folder: Path, name: str = "lonely") -> Path:
    """`folder/NAME.so`, which Python would import if the library `NOWHERE` were there. Skips without a C compiler."""
    library = build_library(folder, NOWHERE)
    module = build_linked(folder / f"{name}.so", library)
    library.unlink()
    return module


def build_library(folder: Path, name: str) -> Path:
    """`folder/NAME`, a shared library of that name. Skips without a C compiler."""
    _compile("-x", "c", "-", "-o", str(folder / name), f"-Wl,-soname,{name}")
    return folder / name


def build_linked(file: Path, library: Path) -> Path:
    """`file`, a shared library that asks for `library` by its name."""
    _compile("-x", "c", "-", "-o", str(file), "-Wl,--no-as-needed", "-x", "none", str(library))
    return file


def _compile(*arguments: str) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux")
    subprocess.run([compiler, "-shared", *arguments], input=b"int facet_nothing;", check=True)
