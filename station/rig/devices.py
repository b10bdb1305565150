"""Opens the devices of a rig file with the drivers that it names, and closes them in a safe order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from drivers.errors import DeviceError, FeatureMissing
from drivers.protocols import Arm, Camera, Lights, StrobeCamera, StrobeLights
from drivers.registry import driver_kind
from station.rig.file import GROUPS, RigFile, Section, load_rig
from station.rig.inference import CPU, InferenceChoice

log = logging.getLogger(__name__)

# What a driver needs beside its Protocol for `stepping: strobe` (StrobeCamera, StrobeLights).
STROBE_CAMERA, STROBE_LIGHTS = ("set_strobe", "trigger", "wait_exposed", "collect"), ("arm", "disarm")


@dataclass(frozen=True, slots=True)
class Strobes:
    """The same camera and lights, typed for strobing: the camera's exposure line fires the light that is armed."""

    camera: StrobeCamera
    lights: StrobeLights


@dataclass(frozen=True, slots=True)
class Rig:
    """Three open devices; a context manager that closes them in the order of an abort: lights, arm, camera."""

    name: str
    is_simulated: bool
    camera: Camera
    arm: Arm
    lights: Lights
    strobes: Strobes | None = None  # None: lights are stepped by software
    inference: InferenceChoice = CPU  # on what this machine runs a model

    def close(self) -> list[str]:
        """Put the lights out, then close every device.

        Returns a line for each step that was not confirmed and never raises, so that no device stays open or lit
        because another failed.
        """
        problems: list[str] = []
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("lights off", self.lights.off),
            ("lights closed", self.lights.close),
            ("arm closed", self.arm.close),
            ("camera closed", self.camera.close),
        )
        for what, step in steps:
            try:
                step()
            except Exception as error:  # whatever a driver of another package raises, the next device is closed
                log.warning("%s not confirmed", what, exc_info=error)
                problems.append(f"{what} not confirmed: {error_text(error)}")
        return problems

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def error_text(error: Exception) -> str:
    """One line: a DeviceError already names its device; any other exception needs its type to mean something."""
    return str(error) if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"


def open_lights(file: RigFile) -> Lights:
    """The rig's light controller, connected. Raises DeviceError naming port and cause, as do the two below."""
    return cast(Lights, _open(file, "lights", Lights))


def open_arm(file: RigFile) -> Arm:
    """The rig's arm, connected and not moved; `position_trusted` says whether it needs homing."""
    return cast(Arm, _open(file, "arm", Arm))


def open_camera(file: RigFile) -> Camera:
    """The rig's camera, connected; it takes pictures once it has been configured."""
    return cast(Camera, _open(file, "camera", Camera))


def _open(file: RigFile, section: Section, promised: type) -> Any:
    """Raises FeatureMissing for a driver that lacks a method of its Protocol, before anything needs that method."""
    name = file.driver_of(section)
    device = driver_kind(GROUPS[section], name).open(getattr(file, section))
    methods = sorted(name for name in vars(promised) if not name.startswith("_"))
    lacking = [m for m in methods if not (hasattr(type(device), m) or hasattr(device, m))]
    if lacking:
        device.close()
        raise FeatureMissing(section, f"driver {name!r} has no {', no '.join(lacking)}: see drivers/protocols.py")
    return device


def open_rig(rig: RigFile | Path) -> Rig:
    """Open every device of the rig file, with the lights off; if one fails, those already open are closed again.

    Raises DocumentError for the file; DeviceNotFound, DeviceTimeout and the like, naming the device.
    """
    file = load_rig(rig) if isinstance(rig, Path) else rig
    with ExitStack() as opened:
        lights = open_lights(file)
        opened.callback(lights.close)
        lights.off()
        arm = open_arm(file)
        opened.callback(arm.close)
        camera = open_camera(file)
        opened.callback(camera.close)
        strobes = set_up_strobes(camera, lights, file.strobe_line) if file.stepping == "strobe" else None
        opened.pop_all()
    return Rig(file.name, file.simulated, camera, arm, lights, strobes, file.inference)


def set_up_strobes(camera: Camera, lights: Lights, line: str) -> Strobes:
    """Set the camera's output `line` to its exposure, which fires the armed light.

    Raises FeatureMissing if a driver lacks the methods for it, or the camera the features.
    """
    for name, device, needed in (("camera", camera, STROBE_CAMERA), ("lights", lights, STROBE_LIGHTS)):
        lacking = [method for method in needed if not callable(getattr(device, method, None))]
        if lacking:
            raise FeatureMissing(
                name, f"`stepping: strobe` needs a driver with {', '.join(lacking)}; choose `stepping: software`"
            )
    strobes = Strobes(cast(StrobeCamera, camera), cast(StrobeLights, lights))
    strobes.camera.set_strobe(line)
    return strobes
