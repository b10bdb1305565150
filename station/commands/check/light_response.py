"""Whether the camera sees each light: a dark frame, then one frame per channel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drivers.errors import DeviceError
from drivers.protocols import Camera, CameraSettings, Frame, Lights
from drivers.registry import Describes
from station.commands.check.device import CURE
from station.commands.check.finding import Finding
from station.lights.levels import mean_level

FORMATS = ("Mono8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8", "Mono12", "BayerRG12", "RGB8")
BINNINGS = (8, 4, 2, 1)
EXPOSURE_US = 5000.0
BRIGHTNESS = 0.5
LIT_ABOVE_DARK = 0.002  # share of full scale that a lit channel adds at the least


def show_lights(camera: Camera, lights: Lights) -> list[Finding]:
    """A finding for the dark frame and one per channel; only the first if the dark frame fails.

    Each channel is on for one exposure at half brightness. It is ok if it adds `LIT_ABOVE_DARK` to the mean level.
    """
    try:
        settings = configure_any(camera)
        lights.off()
        dark = _levels(camera.expose(EXPOSURE_US))
    except DeviceError as error:
        return [Finding("dark frame", False, str(error), CURE)]
    findings = [
        Finding("dark frame", True, f"{settings.width} x {settings.height} {settings.pixel_format}", "", {**dark})
    ]
    return findings + [_show_channel(camera, lights, channel, dark["mean level"]) for channel in lights.channels]


def configure_any(camera: Camera) -> CameraSettings:
    """Set the first of the usual formats, with the strongest binning, that this camera accepts.

    Raises the camera's last refusal if it accepts none, DeviceError if it offers none.
    """
    offered: Mapping[str, object] = camera.describe() if isinstance(camera, Describes) else {}
    names = offered.get("pixel formats")
    formats = [name for name in FORMATS if not isinstance(names, tuple) or name in names]
    refused: DeviceError | None = None
    for pixel_format in formats:
        for binning in BINNINGS:
            try:
                return camera.configure(CameraSettings(pixel_format, binning))
            except DeviceError as error:
                refused = error
    if refused is not None:
        raise refused
    raise DeviceError("camera", f"its pixel formats are {names}; the check needs one of {', '.join(FORMATS)}")


def _levels(frame: Frame) -> dict[str, float]:
    """Mean level and share of saturated pixels, both as shares of 1."""
    full = frame.full_scale_dn
    return {
        "mean level": round(mean_level(frame), 5),
        "share at full scale": round(float(np.mean(frame.pixels >= full)), 5),
    }


def _show_channel(camera: Camera, lights: Lights, channel: int, dark_level: float) -> Finding:
    """Light the channel for one exposure and compare with the dark frame; the light is off again in any case."""
    what = f"light channel {channel}"
    try:
        try:
            lights.on(channel, BRIGHTNESS)
            levels = _levels(camera.expose(EXPOSURE_US))
        finally:
            lights.off()
    except DeviceError as error:
        return Finding(what, False, str(error), CURE)
    added = levels["mean level"] - dark_level
    seen = f"adds {added:.4f} of full scale to the dark frame ({EXPOSURE_US / 1e3:g} ms, brightness {BRIGHTNESS:g})"
    action = (
        f"the controller acknowledged, but the camera sees no light (at least {LIT_ABOVE_DARK:g} is expected): "
        "check the lamp and its cable, the lens cap, and that a part lies in the fixture"
    )
    return Finding(what, added >= LIT_ABOVE_DARK, seen, action, {**levels})
