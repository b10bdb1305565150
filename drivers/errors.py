"""What can go wrong with a device. Every driver raises these, and nothing else once it was constructed.

A message states what was asked of which device, what came back, and what an operator is to do.
"""

from __future__ import annotations


class DeviceError(Exception):
    """A device did not do what was asked.

    `device` names it (camera, gantry, arm, lights); `message` is the text without that name.
    """

    def __init__(self, device: str, message: str) -> None:
        super().__init__(f"{device}: {message}")
        self.device = device
        self.message = message

    def __reduce__(self) -> tuple[type[DeviceError], tuple[str, str]]:
        return type(self), (self.device, self.message)


class DeviceNotFound(DeviceError):
    """No such device, port or producer; the text names what was looked for and what is there."""


class DeviceLost(DeviceError):
    """The device was there and is gone (unplugged, port closed, process ended)."""


class DeviceTimeout(DeviceError):
    """The device did not answer, arrive or deliver within the time computed for it."""


class CommandRefused(DeviceError):
    """The device answered, and the answer was no."""


class FeatureMissing(DeviceError):
    """The device lacks a feature that was asked for, or the value lies outside its range."""


class FrameIncomplete(DeviceError):
    """A frame arrived with fewer bytes than its format needs."""


class FrameOutOfOrder(DeviceError):
    """A frame is stale, duplicate or follows a gap: its id or timestamp does not fit the trigger."""


class OutOfTravel(DeviceError):
    """The target, or the way to it, leaves the allowed travel; nothing was sent to the device."""


class PositionUntrusted(DeviceError):
    """The arm is not homed, or something happened after which its position is not known."""


class PositionError(DeviceError):
    """The arm reports that it stands, but not where it was sent."""


class LightStateUnknown(DeviceError):
    """The lights were switched off and did not acknowledge it: one may still be on."""


class LightFault(DeviceError):
    """The light controller itself reports a fault of a light."""
