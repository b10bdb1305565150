"""From a rig file to open devices: the only place that knows which driver serves which name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from drivers.errors import DeviceError
from drivers.genicam.camera import GenicamCamera
from drivers.protocols import Arm, Camera, Lights
from drivers.serial_line.gardasoft import GardasoftLights
from drivers.serial_line.grbl import AxisLimits, GrblArm
from station.rig import RigFile, load_rig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rig:
    """Three open devices. Closing goes in the order of an abort: lights, arm, camera."""

    name: str
    is_simulated: bool
    camera: Camera
    arm: Arm
    lights: Lights

    def close(self) -> list[str]:
        """Lights off, then close all; returns what could not be confirmed, and never raises."""
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
            except DeviceError as error:
                log.warning("%s not confirmed: %s", what, error)
                problems.append(f"{what} not confirmed: {error}")
        return problems

    def __enter__(self) -> Rig:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_lights(file: RigFile) -> GardasoftLights:
    lights = file.lights
    return GardasoftLights.open(
        lights.port, channels=lights.channels, settle_s=lights.settle_s, reply_timeout_s=lights.reply_timeout_s
    )


def open_arm(file: RigFile) -> GrblArm:
    axes = tuple(AxisLimits(a.name, a.minimum, a.maximum, a.machine_axis, a.offset) for a in file.arm.axes)
    return GrblArm.open(
        file.arm.port, axes=axes, tolerance_mm=file.arm.tolerance_mm, reply_timeout_s=file.arm.reply_timeout_s
    )


def open_camera(file: RigFile) -> GenicamCamera:
    camera = file.camera
    return GenicamCamera.open(camera.producer, camera.serial_number, camera.environment, camera.frame_timeout_s)


def open_rig(rig: RigFile | Path) -> Rig:
    """Open every device of the rig file; those already open are closed again if a later one fails.

    Raises DeviceNotFound, DeviceTimeout and the like, naming the device; DocumentError for the file.
    """
    file = load_rig(rig) if isinstance(rig, Path) else rig
    with ExitStack() as opened:
        lights = open_lights(file)
        opened.callback(lights.close)
        lights.off()
        arm = open_arm(file)
        opened.callback(arm.close)
        camera = open_camera(file)
        opened.pop_all()
    return Rig(file.name, file.simulated, camera, arm, lights)
