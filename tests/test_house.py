"""The floors of the house, checked: who may import what, and whose the four package names are."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
PACKAGES = ("station", "drivers", "calibration", "models")
# third-party package -> the only folder that may import it
ROOMS = {
    "harvesters": "drivers/genicam",
    "genicam": "drivers/genicam",
    "serial": "drivers/serial_line",
    "PyQt6": "station/console",
    "torch": "models",
    "onnx": "models",
    "diffusers": "models/generative",
    "trimesh": "drivers/simulated/scene/meshes",
    "embreex": "drivers/simulated/scene/meshes",
    "manifold3d": "drivers/simulated/scene/meshes",
}


@cache
def _imports(file: Path) -> frozenset[str]:
    return frozenset(_imported(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _source_files() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize(("package", "room"), ROOMS.items())
def test_a_heavy_package_is_imported_in_its_own_room_only(package: str, room: str) -> None:
    strays = [
        str(file.relative_to(ROOT))
        for file in _source_files()
        if package in _imports(file) and not file.is_relative_to(ROOT / room)
    ]
    assert strays == []


def test_the_floors_hold() -> None:
    run = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_circle_of_imports_at_run_time_or_in_types() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    direct = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    list(TopologicalSorter(direct).static_order())  # raises CycleError with the circle's modules


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_name_resolves_inside_this_tree(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)
    owners = importlib.metadata.packages_distributions().get(package, [])
    assert set(owners) <= {"facet-station"}


def test_the_command_line_starts_without_torch_and_without_qt() -> None:
    code = (
        "import sys, station.commands.app, station.engine.engine; "
        "bad = sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'PyQt6', 'onnx', 'models'}); "
        "sys.exit(', '.join(bad) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_no_file_sits_on_a_standard_library_name() -> None:
    taken = set(sys.stdlib_module_names)
    assert [str(f.relative_to(ROOT)) for f in (ROOT).glob("*.py") if f.stem in taken] == []


def test_no_lock_or_configuration_names_an_index_host() -> None:
    files = [*ROOT.glob("requirements/*.txt"), ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / "scripts/setup.sh"]
    named = [f.name for f in files if "index-url" in f.read_text("utf-8") or "find-links" in f.read_text("utf-8")]
    assert named == []
