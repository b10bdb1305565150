"""`station check`: what is missing on this machine or rig, in plain words, each with what to do."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from drivers.errors import DeviceNotFound
from drivers.genicam.producers import find_producer
from drivers.registry import DriverUnavailable, foreign_drivers
from station.console.requirements import ConsoleUnavailable, require_qt
from station.errors import BadInput
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe
from station.rig.file import GROUPS


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    action: str = ""
    details: dict[str, object] = field(default_factory=dict)  # words -> text, number or tuple of texts

    def as_text(self) -> str:
        lines = [f"{'ok     ' if self.ok else 'MISSING'} {self.what}: {self.found}"]
        lines += [f"{name}: {_shown(value)}" for name, value in self.details.items()]
        lines += [self.action] if self.action and not self.ok else []
        return "\n        ".join(lines)


def _shown(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple | list) else str(value)


def check_machine() -> list[Finding]:
    """Python, packages, the simulated camera's library, what the window needs, the demo recipes and models."""
    return [
        _python(),
        *(_package(name, why) for name, why in NEEDED.items()),
        _simulated_camera(),
        _console(),
        _training(),
        *_foreign_drivers(),
        *(_recipe(path) for path in sorted(DEMO_RECIPES.glob("*.yaml")) if _is_recipe(path)),
    ]


NEEDED = {
    "harvesters": "cameras",
    "genicam": "cameras",
    "serial": "arm and lights",
    "cv2": "pictures",
    "numba": "photometric stereo and the simulated rig",
    "onnxruntime": "the anomaly model",
    "sqlalchemy": "the archive",
    "yaml": "recipes",
}


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", (3, 11) <= sys.version_info[:2] <= (3, 13), found, "use Python 3.11, 3.12 or 3.13")


def _package(name: str, why: str) -> Finding:
    there = importlib.util.find_spec(name) is not None
    return Finding(f"package {name}", there, f"for {why}", "run `make setup`, or pip install -e .")


def _simulated_camera() -> Finding:
    try:
        return Finding("simulated camera", True, find_producer("simcam").name)
    except DeviceNotFound as missing:
        compiler = "there is a C compiler" if shutil.which("gcc") or shutil.which("cc") else "there is no C compiler"
        return Finding(
            "simulated camera",
            False,
            f"{missing.message} ({compiler}); real cameras work without it, the simulated rig does not",
            "install gcc and the C library's headers, then pip install -e . again",
        )


def _console() -> Finding:
    try:
        require_qt(is_offscreen=True)
    except ConsoleUnavailable as unavailable:
        return Finding("console", False, str(unavailable), "all other commands work without it")
    return Finding("console", True, "PyQt6 and its system libraries")


def _training() -> Finding:
    there = importlib.util.find_spec("torch") is not None
    found = "torch" if there else "torch is not installed; only `station train` needs it: pip install -e '.[train]'"
    return Finding("training (optional)", True, found)


def _foreign_drivers() -> list[Finding]:
    """Drivers that other packages bring: a broken one is told here before a rig file asks for it."""
    findings = []
    for group in GROUPS.values():
        for source in foreign_drivers(group):
            what = f"driver {source.name!r} of {group}, from {source.package}"
            try:
                source.load()
                findings.append(Finding(what, True, source.target))
            except DriverUnavailable as error:
                findings.append(Finding(what, False, str(error), "rig files that do not name it work all the same"))
    return findings


def _is_recipe(path: Path) -> bool:
    return not path.name.endswith(".calibration.yaml")


def _recipe(path: Path) -> Finding:
    try:
        load_recipe(path)
    except BadInput as error:
        return Finding(f"recipe {path.name}", False, str(error), "run `station train`, or restore the file")
    return Finding(f"recipe {path.name}", True, "complete: calibration and model are there and fit")
