"""`station check --rig FILE`: what each device says of itself; with `--move`, whether they do what they are told.

Without `--move` nothing moves and no light shines: devices are opened and asked. With it the arm homes, each
axis goes to the middle of its travel, and each light channel is shown to the camera once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from drivers.errors import DeviceError
from drivers.protocols import Arm, Camera, CameraSettings, Frame, Lights, Pose
from drivers.registry import Describes, Travel
from station.commands.check_machine import Finding
from station.lights.levels import mean_level
from station.rig.devices import open_arm, open_camera, open_lights, told
from station.rig.file import RigFile, Section, load_rig

log = logging.getLogger(__name__)

Device = Camera | Arm | Lights
D = TypeVar("D", Camera, Arm, Lights)

MIDDLE_ORDER = ("x_mm", "y_mm", "tilt_deg", "pan_deg", "z_mm")  # height last: what could be hit is below
FORMATS = ("Mono8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8", "Mono12", "BayerRG12", "RGB8")
BINNINGS = (8, 4, 2, 1)
EXPOSURE_US = 5000.0
BRIGHTNESS = 0.5
LIT_ABOVE_DARK = 0.002  # share of full scale that a lit channel adds at the least
CURE = "check cable, power and the rig file"


def check_rig(path: Path, *, move: bool = False) -> list[Finding]:
    """Each device by itself, so that one that is missing does not hide the others. Raises DocumentError."""
    file = load_rig(path)
    if move:
        return _checked_in_motion(file)
    return [
        _opened(file, "lights", open_lights, _light_details),
        _opened(file, "arm", open_arm, lambda arm: _arm_details(arm, file.travel())),
        _opened(file, "camera", open_camera, _more),
    ]


def _opened(
    file: RigFile, section: Section, opener: Callable[[RigFile], D], details: Callable[[D], dict[str, object]]
) -> Finding:
    try:
        with closing(opener(file)) as device:
            return _introduced(file, section, device, details(device))
    except Exception as error:  # of whatever kind, the other devices are looked at as well
        return _lacking(file, section, error)


def _lacking(file: RigFile, section: Section, error: Exception) -> Finding:
    return Finding(_name(file, section), False, _cause(error), CURE)


def _cause(error: Exception) -> str:
    """What only the driver's author can make sense of goes to the log as a whole."""
    if not isinstance(error, DeviceError):
        log.error("a driver raised what is no DeviceError", exc_info=error)
    return told(error)


def _introduced(file: RigFile, section: Section, device: Device, details: dict[str, object]) -> Finding:
    who = device.identity
    text = f"{who.vendor} {who.model}, serial number {who.serial_number or '(none told)'}, firmware {who.firmware}"
    missing = details.get("missing")
    found = Finding(_name(file, section), not missing, text, details=details)
    return found if not missing else replace(found, action="this camera lacks what the station needs; see `missing`")


def _name(file: RigFile, section: Section) -> str:
    return f"{section} ({file.driver_of(section)}) at {file.place_of(section)}"


def _more(device: Device) -> dict[str, object]:
    return dict(device.describe()) if isinstance(device, Describes) else {}


def _light_details(lights: Lights) -> dict[str, object]:
    return {"channels": tuple(lights.channels), **_more(lights)}


def _arm_details(arm: Arm, travel: Travel) -> dict[str, object]:
    limits = {f"travel {name}": f"{low:g} .. {high:g}" for name, (low, high) in travel.items()}
    return {**limits, "position trusted": "yes" if arm.position_trusted else "no: not homed", **_more(arm)}


# -- with --move ------------------------------------------------------------------------------


def _checked_in_motion(file: RigFile) -> list[Finding]:
    """All devices stay open; what fails is told, and what does not need it goes on. Lights are off at the end."""
    findings: list[Finding] = []
    with ExitStack() as stack:
        lights = _kept(stack, file, "lights", open_lights, _light_details, findings)
        arm = _kept(stack, file, "arm", open_arm, lambda a: _arm_details(a, file.travel()), findings)
        camera = _kept(stack, file, "camera", open_camera, _more, findings)
        if lights is not None:
            stack.callback(_lights_out, lights, findings)
        if arm is not None:
            findings += _move_to_middle(arm, file.travel())
        if lights is not None and camera is not None:
            findings += _show_lights(camera, lights)
    return findings


def _kept(
    stack: ExitStack,
    file: RigFile,
    section: Section,
    opener: Callable[[RigFile], D],
    details: Callable[[D], dict[str, object]],
    findings: list[Finding],
) -> D | None:
    try:
        device = opener(file)
        stack.callback(_close, device, _name(file, section), findings)
        findings.append(_introduced(file, section, device, details(device)))
    except Exception as error:  # of whatever kind, the other devices are looked at as well
        findings.append(_lacking(file, section, error))
        return None
    return device


def _close(device: Device, name: str, findings: list[Finding]) -> None:
    try:
        device.close()
    except Exception as error:  # the next device is closed as well
        findings.append(Finding(f"closing {name}", False, _cause(error), CURE))


def _lights_out(lights: Lights, findings: list[Finding]) -> None:
    try:
        lights.off()
        findings.append(Finding("lights off", True, "acknowledged"))
    except Exception as error:  # whatever it is, a light may be on and a person must know
        findings.append(Finding("lights off", False, _cause(error), "switch the lights off by hand"))


def _move_to_middle(arm: Arm, travel: Travel) -> list[Finding]:
    """Homed, then one axis after the other; the first that fails ends it."""
    findings: list[Finding] = []
    try:
        arm.home()
        findings.append(Finding("homing", arm.position_trusted, _as_text(arm.position())))
        for name in (name for name in MIDDLE_ORDER if name in travel):
            low, high = travel[name]
            there = arm.move_to(replace(arm.position(), **{name: (low + high) / 2}))
            findings.append(Finding(f"middle of {name}", True, f"{getattr(there, name):.3f}, read back"))
    except Exception as error:  # whatever it is, the lights are still shown and put out
        findings.append(Finding("arm in motion", False, _cause(error), "look at the machine before the next attempt"))
    return findings


def _as_text(pose: Pose) -> str:
    return (
        f"at x {pose.x_mm:.2f} y {pose.y_mm:.2f} z {pose.z_mm:.2f} mm, tilt {pose.tilt_deg:.2f} pan {pose.pan_deg:.2f}"
    )


def _show_lights(camera: Camera, lights: Lights) -> list[Finding]:
    """A dark frame, then one per channel: each must add light to the dark."""
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
    """The first of the usual formats and the strongest binning that this camera takes; raises what it said last."""
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
    raise refused if refused is not None else DeviceError("camera", f"offers none of {', '.join(FORMATS)}")


def _levels(frame: Frame) -> dict[str, float]:
    full = frame.full_scale_dn
    return {
        "mean level": round(mean_level(frame), 5),
        "share at full scale": round(float(np.mean(frame.pixels >= full)), 5),
    }


def _show_channel(camera: Camera, lights: Lights, channel: int, dark_level: float) -> Finding:
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
    action = "acknowledged, but the camera sees no light: lamp, its cable, lens cap, or nothing in the fixture"
    return Finding(what, added >= LIT_ABOVE_DARK, seen, action, {**levels})
