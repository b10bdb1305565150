"""What a person reads on a machine that lacks something: what it is and the line to type, and never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lonely_library import NOWHERE, build_lonely_module

from drivers.errors import DeviceError
from drivers.registry import DriverSource, LibraryMissing

ROOT = Path(__file__).parents[3]
LIBRARY = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
# Python's own words where the loader does not find a library of an extension module
BINDING_WITHOUT_LIBRARY = f"""
import sys
from importlib.abc import MetaPathFinder

class Loader(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "genicam":
            raise ImportError("{LIBRARY}: cannot open shared object file: No such file or directory")

sys.meta_path.insert(0, Loader())
from station.commands.main import main
main()
"""


def test_a_binding_without_its_library_is_a_fault_of_the_machine_in_one_line(tmp_path: Path) -> None:
    """Issue 15, point 1: it was a traceback of pydantic with the cause in its seventh line."""
    run = subprocess.run(
        [sys.executable, "-c", BINDING_WITHOUT_LIBRARY, "rig", "up", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 3
    assert run.stderr.splitlines() == [
        f"error: driver genicam: it cannot be loaded, because this machine lacks the shared library {LIBRARY}; "
        f"type: sudo apt-get install {LIBRARY.removesuffix('.so.1.0')}. `station check` lists everything else that is "
        "missing"
    ]


def test_a_driver_that_lacks_a_library_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 15, point 1."""
    build_lonely_module(tmp_path, "lonely_driver")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LibraryMissing, match=NOWHERE) as caught:
        DriverSource("acme", "lonely_driver:DRIVER", "acme 1.0").load()
    assert isinstance(caught.value, DeviceError), "a fault of the machine: exit code 3"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A copy of what set-up reads, and a PATH whose programs answer as on a bare Debian for a user without root."""
    for name in ("scripts", "requirements", "drivers"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.cti", "__pycache__"))
    for name in ("pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    python = (
        'case "$*" in\n'
        '*"drivers.system_libraries --package"*) echo libpython3.12 ;;\n'
        f'*) exec "{sys.executable}" "$@" ;;\n'
        "esac"
    )
    for name, body in {"dpkg-query": "exit 1", "id": "echo 1000", "python3": python}.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    return tmp_path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="set-up installs through apt")
def test_set_up_without_root_names_the_packages_and_stops_before_anything_is_made(bare: Path) -> None:
    """Issue 15, point 1."""
    run = subprocess.run(
        ["sh", "scripts/setup.sh", "station"],
        cwd=bare,
        env={**os.environ, "PATH": f"{bare / 'bin'}:{os.environ['PATH']}", "PYTHON": "python3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    line = next(line for line in run.stderr.splitlines() if "apt-get install" in line)
    assert line.split()[:3] == ["sudo", "apt-get", "install"]
    assert {"libpython3.12", "libgl1", "libxcb-cursor0"} <= set(line.split())
    assert not (bare / ".venv").exists()
