"""A machine that lacks a shared library: which one, whose package, and the line to type."""

from __future__ import annotations

import ctypes
import importlib
import sys
from pathlib import Path

import pytest
from lonely_library import NOWHERE, build_library, build_linked, build_lonely_module

from drivers.system_libraries import (
    cure_for,
    has_libpython,
    libpython_cure,
    libpython_name,
    load_libpython,
    missing_library,
    package_of,
)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_package_of_each_python_is_named_with_the_line_to_type(version: str) -> None:
    """Issue 15, point 1."""
    assert package_of(f"libpython{version}.so.1.0") == f"libpython{version}"
    assert libpython_cure(version, is_packaged=True) == f"type: sudo apt-get install libpython{version}"


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_a_python_that_the_system_does_not_package_gets_another_way_out(version: str) -> None:
    """Issue 15, point 1: on Debian 12 there is no package libpython3.12, so none may be named."""
    cure = libpython_cure(version, is_packaged=False)
    assert "apt-get" not in cure
    assert "make PYTHON=/usr/bin/python3" in cure
    assert f"--enable-shared pyenv install {version}" in cure


def test_the_name_is_that_of_the_running_python() -> None:
    assert libpython_name() == f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"


def test_one_line_installs_several_packages_and_names_what_it_does_not_know() -> None:
    cure = cure_for(["libgthread-2.0.so.0", "libglib-2.0.so.0", "libEGL.so.1", NOWHERE])
    assert cure == (
        f"type: sudo apt-get install libegl1 libglib2.0-0; install the package of your system that has {NOWHERE}"
    )


def test_the_missing_library_is_read_from_the_loaders_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_lonely_module(tmp_path, "lonely_here")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("lonely_here")
    assert missing_library(caught.value) == NOWHERE
    with pytest.raises(OSError, match="cannot open") as opened:
        ctypes.CDLL(NOWHERE)
    assert missing_library(opened.value) == NOWHERE


def test_other_errors_name_no_library() -> None:
    assert missing_library(ImportError("No module named 'genicam'")) is None
    assert missing_library(ValueError("x.so: cannot open shared object file")) is None


def test_a_python_with_a_library_of_its_own_makes_it_known_to_the_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 1: a Python that is not Debian's keeps libpython where the loader does not look."""
    own = tmp_path / "own"
    own.mkdir()
    library = build_library(own, "libfacet_own_python.so.1.0")
    binding = build_linked(tmp_path / "binding.so", library)
    monkeypatch.setattr("drivers.system_libraries.libpython_name", lambda: library.name)
    with pytest.raises(OSError, match="cannot open shared object file"):
        ctypes.CDLL(str(binding))
    assert not has_libpython()
    monkeypatch.setattr("sysconfig.get_config_var", lambda _name: str(own))
    load_libpython()
    ctypes.CDLL(str(binding))
    assert has_libpython()
