"""One device of a rig file: what it states about itself, or why it could not be opened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from drivers.errors import DeviceError
from drivers.protocols import Arm, Camera, Lights
from drivers.registry import Describes, Travel
from station.commands.check.finding import Finding
from station.rig.devices import error_text
from station.rig.file import RigFile, Section

log = logging.getLogger(__name__)

Device = Camera | Arm | Lights
D = TypeVar("D", Camera, Arm, Lights)

CURE = "check its cable and power, and its section of the rig file"


@dataclass(frozen=True, slots=True)
class DeviceCheck(Generic[D]):
    """A section of the rig file, how to open its device, and what the device states beyond its identity."""

    file: RigFile
    section: Section
    opener: Callable[[RigFile], D]
    details: Callable[[D], dict[str, object]]

    @property
    def name(self) -> str:
        """Section, driver and place, such as `lights (gardasoft) at /dev/ttyUSB0`."""
        return f"{self.section} ({self.file.driver_of(self.section)}) at {self.file.place_of(self.section)}"

    def open(self) -> D:
        """The open device; neither moved nor lit. Raises what the driver raises."""
        return self.opener(self.file)

    def introduced(self, device: D) -> Finding:
        """The open device's identity and details; not ok if the driver lists features under `missing`."""
        who = device.identity
        number = who.serial_number or "(none reported)"
        text = f"{who.vendor} {who.model}, serial number {number}, firmware {who.firmware}"
        details = self.details(device)
        found = Finding(self.name, True, text, details=details)
        if not details.get("missing"):
            return found
        cure = "it lacks the features listed under `missing`, which the station needs: use a device that has them"
        return replace(found, ok=False, action=cure)

    def failed(self, error: Exception) -> Finding:
        """The finding for a device that could not be opened or asked."""
        return Finding(self.name, False, cause_of(error), CURE)


def cause_of(error: Exception) -> str:
    """One line about the error. The trace of one that is no DeviceError goes to the log, for the driver's author."""
    if not isinstance(error, DeviceError):
        log.error("a driver raised an exception that is not a DeviceError", exc_info=error)
    return error_text(error)


def described(device: Device) -> dict[str, object]:
    """What the driver reads from the device, if it can; {} otherwise."""
    return dict(device.describe()) if isinstance(device, Describes) else {}


def light_details(lights: Lights) -> dict[str, object]:
    """The channels of the rig file, and what the controller reports."""
    return {"channels": tuple(lights.channels), **described(lights)}


def arm_details(arm: Arm, travel: Travel) -> dict[str, object]:
    """Travel per axis (mm, degrees) from the rig file, whether the arm is homed, and what its controller reports."""
    limits = {f"travel {name}": f"{low:g} .. {high:g}" for name, (low, high) in travel.items()}
    return {**limits, "position trusted": "yes" if arm.position_trusted else "no: not homed", **described(arm)}
