"""`station check`: what is missing on this machine or rig, in plain words, each with what to do."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import DeviceError, DeviceNotFound
from drivers.genicam.producers import find_producer
from drivers.protocols import Arm, Camera, DeviceIdentity, Lights
from station.bad_input import BadInput
from station.console.requirements import ConsoleUnavailable, require_qt
from station.devices import open_arm, open_camera, open_lights
from station.recipe import load_recipe
from station.rig import load_rig


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    action: str = ""

    def as_text(self) -> str:
        mark = "ok     " if self.ok else "MISSING"
        return f"{mark} {self.what}: {self.found}" + (f"\n        {self.action}" if self.action and not self.ok else "")


def check_machine() -> list[Finding]:
    """Python, packages, the simulated camera's library, what the window needs, the demo recipes and models."""
    return [
        _python(),
        *(_package(name, why) for name, why in NEEDED.items()),
        _simulated_camera(),
        _console(),
        _training(),
        *(_recipe(path) for path in sorted((Path(__file__).parent / "recipes").glob("*.yaml")) if _is_recipe(path)),
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


def _is_recipe(path: Path) -> bool:
    return not path.name.endswith(".calibration.yaml")


def _recipe(path: Path) -> Finding:
    try:
        load_recipe(path)
    except BadInput as error:
        return Finding(f"recipe {path.name}", False, str(error), "run `station train`, or restore the file")
    return Finding(f"recipe {path.name}", True, "complete: calibration and model are there and fit")


def check_rig(path: Path) -> list[Finding]:
    """Open each device by itself, so that one that is missing does not hide the others. Nothing moves or lights."""
    file = load_rig(path)
    openers: tuple[tuple[str, str, Callable[[], DeviceIdentity]], ...] = (
        ("lights", file.place_of("lights"), lambda: _identity_of(open_lights(file))),
        ("arm", file.place_of("arm"), lambda: _identity_of(open_arm(file))),
        ("camera", file.place_of("camera"), lambda: _identity_of(open_camera(file))),
    )
    return [_device(*opener) for opener in openers]


def _identity_of(device: Camera | Arm | Lights) -> DeviceIdentity:
    with closing(device):
        return device.identity


def _device(what: str, where: str, identify: Callable[[], DeviceIdentity]) -> Finding:
    try:
        identity = identify()
    except DeviceError as error:
        return Finding(f"{what} at {where}", False, str(error), "check cable, power and the rig file")
    text = f"{identity.vendor} {identity.model}, serial number {identity.serial_number}, firmware {identity.firmware}"
    return Finding(f"{what} at {where}", True, text)
