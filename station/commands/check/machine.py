"""`station check`: what this machine lacks, each with what to do about it.

Every finding is made without opening a device or a window, and without importing torch.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from station.commands.check.finding import Finding
from station.commands.check.libraries import check_libraries

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
    """Check Python, shared libraries, packages, the simulated camera, the window's needs, other packages' drivers and
    the demo recipes.

    Never raises for what is missing; a bad finding carries the cure as its action. Shared libraries come first, before
    anything is imported that might need a missing one.
    """
    return [
        _python(),
        check_libraries(),
        *(_package(name, why) for name, why in NEEDED.items()),
        *_if_loadable("simulated camera", _simulated_camera),
        *_if_loadable("console", _console),
        _training(),
        *_if_loadable("drivers of other packages", _foreign_drivers),
        *_if_loadable("demo recipes", _recipes),
    ]


def _if_loadable(what: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings of `look`, or one that says why it could not look: its own modules cannot be imported."""
    try:
        return look()
    except ImportError as error:
        return [Finding(what, False, f"not looked at: {error}", "mend what is named above first, then check again")]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), found, "use Python 3.11, 3.12 or 3.13")


def _package(name: str, why: str) -> Finding:
    there = importlib.util.find_spec(name) is not None
    found = f"{'installed' if there else 'not installed'}; needed for {why}"
    return Finding(f"package {name}", there, found, "run `make setup-station`, or pip install -e .")


def _simulated_camera() -> list[Finding]:
    """The GenTL producer `simcam.cti`, which pip builds from C; a machine without a compiler has none."""
    from drivers.errors import DeviceNotFound
    from drivers.genicam.producers import find_producer

    try:
        return [Finding("simulated camera", True, find_producer("simcam").name)]
    except DeviceNotFound as missing:
        compiler = "there is a C compiler" if shutil.which("gcc") or shutil.which("cc") else "there is no C compiler"
        found = f"{missing.message} ({compiler}); real cameras work without it, the simulated rig does not"
        action = "type: sudo apt-get install gcc libc6-dev, then run pip install -e . again"
        return [Finding("simulated camera", False, found, action)]


def _console() -> list[Finding]:
    """PyQt6 and the system libraries that it loads; checked offscreen, because a station may have no screen here."""
    from station.console.requirements import ConsoleUnavailable, require_qt

    try:
        require_qt(is_offscreen=True)
    except ConsoleUnavailable as unavailable:
        action = "install what is named there; every other command works without the window"
        return [Finding("console", False, str(unavailable), action)]
    return [Finding("console", True, "PyQt6 and its system libraries")]


def _training() -> Finding:
    """Always ok: a station that only inspects needs no torch."""
    there = importlib.util.find_spec("torch") is not None
    absent = "torch is not installed; only `station train` needs it: pip install -e '.[train]'"
    found = "torch is installed" if there else absent
    return Finding("training (optional)", True, found)


def _foreign_drivers() -> list[Finding]:
    """Drivers that other packages bring: a broken one is reported here before a rig file asks for it."""
    from drivers.registry import DriverUnavailable, LibraryMissing, foreign_drivers
    from station.rig.file import GROUPS

    findings = []
    for group in GROUPS.values():
        for source in foreign_drivers(group):
            what = f"driver {source.name!r} of {group}, from {source.package}"
            try:
                source.load()
                findings.append(Finding(what, True, source.target))
            except (DriverUnavailable, LibraryMissing) as error:
                action = f"repair or uninstall {source.package}; rig files that do not name this driver still work"
                findings.append(Finding(what, False, str(error), action))
    return findings


def _recipes() -> list[Finding]:
    """Each demo recipe with its calibration record and its model, read and compared as an inspection would."""
    from station.recipe.demo import DEMO_RECIPES

    return [_recipe(path) for path in sorted(DEMO_RECIPES.glob("*.yaml")) if _is_recipe(path)]


def _is_recipe(path: Path) -> bool:
    return not path.name.endswith(".calibration.yaml")


def _recipe(path: Path) -> Finding:
    from station.errors import BadInput
    from station.recipe.loaded import awaits_model, load_recipe

    try:
        if awaits_model(path):
            load_recipe(path, need_model=False)
            return Finding(f"recipe {path.name}", True, "was never trained, which takes its user (docs/product.md)")
        load_recipe(path)
    except BadInput as error:
        action = "restore the file, or make the model again with `station train`"
        return Finding(f"recipe {path.name}", False, str(error), action)
    return Finding(f"recipe {path.name}", True, "complete: its calibration and its model are there and fit it")
