"""What is the same for every light controller, whatever its frames: a wrong request, and an `off` left open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drivers.errors import DeviceError, FeatureMissing, LightStateUnknown


def check_request(device: str, channels: Sequence[int], channel: int, brightness: float) -> None:
    """Raises FeatureMissing for a channel or a brightness that the controller does not have."""
    if channel not in channels:
        raise FeatureMissing(device, f"no channel {channel}; there are {', '.join(map(str, channels))}")
    if not 0.0 <= brightness <= 1.0:
        raise FeatureMissing(device, f"brightness {brightness:g} of channel {channel} is outside 0..1")


def off_not_confirmed(device: str, channels: Iterable[int], problem: DeviceError | None) -> LightStateUnknown:
    """The fault to raise when lights may still be on; the channels are named in the order given."""
    names = ", ".join(map(str, channels))
    return LightStateUnknown(
        device, f"off was not confirmed for channel {names} ({problem}). If in doubt, cut the lights' power"
    )
