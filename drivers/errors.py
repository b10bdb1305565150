"""What can go wrong with a device: every driver raises these and nothing else."""

from __future__ import annotations


class DeviceError(Exception):
    """A device did not do what was asked; the text says what was asked and what came back."""

    def __init__(self, device: str, message: str) -> None:
        super().__init__(f"{device}: {message}")
        self.device = device
        self.message = message

    def __reduce__(self) -> tuple[type[DeviceError], tuple[str, str]]:
        return type(self), (self.device, self.message)


class DeviceNotFound(DeviceError):
    """No such device, port or producer; the text says what was looked for and what is there."""


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
    """The arm says that it has stopped, but not where it was sent."""


class LightStateUnknown(DeviceError):
    """Lights off was commanded and not acknowledged: a light may still be on."""


class LightFault(DeviceError):
    """The light controller itself reports that something is wrong with a light."""
