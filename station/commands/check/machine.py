"""`station check`: what this machine lacks, each with what to do about it.

Every finding is made without opening a device or a window, and without importing torch.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from drivers.errors import DeviceNotFound
from drivers.genicam.producers import find_producer
from drivers.registry import DriverUnavailable, foreign_drivers
from station.commands.check.finding import Finding
from station.console.requirements import ConsoleUnavailable, require_qt
from station.errors import BadInput
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.rig.file import GROUPS

NEEDED = {  # package -> what the station needs it for
    "harvesters": "cameras",
    "genicam": "cameras",
    "serial": "arm and lights",
    "cv2": "pictures",
    "numba": "photometric stereo and the simulated rig",
    "onnxruntime": "the anomaly model",
    "sqlalchemy": "the archive",
    "yaml": "recipes",
}


def check_machine() -> list[Finding]:
    """Check Python, packages, the simulated camera, the window's needs, other packages' drivers and the demo recipes.

    Never raises for what is missing; a bad finding carries the cure as its action.
    """
    return [
        _python(),
        *(_package(name, why) for name, why in NEEDED.items()),
        _simulated_camera(),
        _console(),
        _training(),
        *_foreign_drivers(),
        *(_recipe(path) for path in sorted(DEMO_RECIPES.glob("*.yaml")) if _is_recipe(path)),
    ]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), found, "use Python 3.11, 3.12 or 3.13")


def _package(name: str, why: str) -> Finding:
    there = importlib.util.find_spec(name) is not None
    found = f"{'installed' if there else 'not installed'}; needed for {why}"
    return Finding(f"package {name}", there, found, "run `make setup-station`, or pip install -e .")


def _simulated_camera() -> Finding:
    """The GenTL producer `simcam.cti`, which pip builds from C; a machine without a compiler has none."""
    try:
        return Finding("simulated camera", True, find_producer("simcam").name)
    except DeviceNotFound as missing:
        compiler = "there is a C compiler" if shutil.which("gcc") or shutil.which("cc") else "there is no C compiler"
        return Finding(
            "simulated camera",
            False,
            f"{missing.message} ({compiler}); real cameras work without it, the simulated rig does not",
            "install gcc and the C library's headers, then run pip install -e . again",
        )


def _console() -> Finding:
    """PyQt6 and the system libraries that it loads; checked offscreen, because a station may have no screen here."""
    try:
        require_qt(is_offscreen=True)
    except ConsoleUnavailable as unavailable:
        action = "install what is named there; every other command works without the window"
        return Finding("console", False, str(unavailable), action)
    return Finding("console", True, "PyQt6 and its system libraries")


def _training() -> Finding:
    """Always ok: a station that only inspects needs no torch."""
    there = importlib.util.find_spec("torch") is not None
    absent = "torch is not installed; only `station train` needs it: pip install -e '.[train]'"
    found = "torch is installed" if there else absent
    return Finding("training (optional)", True, found)


def _foreign_drivers() -> list[Finding]:
    """Drivers that other packages bring: a broken one is reported here before a rig file asks for it."""
    findings = []
    for group in GROUPS.values():
        for source in foreign_drivers(group):
            what = f"driver {source.name!r} of {group}, from {source.package}"
            try:
                source.load()
                findings.append(Finding(what, True, source.target))
            except DriverUnavailable as error:
                action = f"repair or uninstall {source.package}; rig files that do not name this driver still work"
                findings.append(Finding(what, False, str(error), action))
    return findings


def _is_recipe(path: Path) -> bool:
    return not path.name.endswith(".calibration.yaml")


def _recipe(path: Path) -> Finding:
    """A demo recipe with its calibration record and its model, read and compared as an inspection would."""
    try:
        load_recipe(path)
    except BadInput as error:
        action = "restore the file, or make the model again with `station train`"
        return Finding(f"recipe {path.name}", False, str(error), action)
    return Finding(f"recipe {path.name}", True, "complete: its calibration and its model are there and fit it")
