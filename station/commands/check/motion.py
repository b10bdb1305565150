"""`station check --rig FILE --move`: the arm homes and visits the middle of each axis, and each light is shown."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from drivers.geometry.pose import Pose
from drivers.protocols import Arm, Camera, Lights
from drivers.registry import Travel
from station.commands.check.device import CURE, D, Device, DeviceCheck, cause_of
from station.commands.check.finding import Finding
from station.commands.check.light_response import show_lights

MIDDLE_ORDER = ("x_mm", "y_mm", "tilt_deg", "pan_deg", "z_mm")  # height last: what could be hit is below


def check_in_motion(
    of_lights: DeviceCheck[Lights], of_arm: DeviceCheck[Arm], of_camera: DeviceCheck[Camera], travel: Travel
) -> list[Finding]:
    """Open all devices at once and use them together.

    A failure becomes a finding, and whatever does not depend on it goes on. Lights are off at the end.
    """
    findings: list[Finding] = []
    with ExitStack() as stack:
        lights = _kept_open(stack, of_lights, findings)
        arm = _kept_open(stack, of_arm, findings)
        camera = _kept_open(stack, of_camera, findings)
        if lights is not None:
            stack.callback(_lights_out, lights, findings)
        if arm is not None:
            findings += _move_to_middle(arm, travel)
        if lights is not None and camera is not None:
            findings += show_lights(camera, lights)
    return findings


def _kept_open(stack: ExitStack, check: DeviceCheck[D], findings: list[Finding]) -> D | None:
    """The open device, closed when the stack unwinds, with its finding appended; None if it cannot be used."""
    try:
        device = check.open()
        stack.callback(_close, device, check.name, findings)
        findings.append(check.introduced(device))
    except Exception as error:  # of whatever kind, the other devices are looked at as well
        findings.append(check.failed(error))
        return None
    return device


def _close(device: Device, name: str, findings: list[Finding]) -> None:
    try:
        device.close()
    except Exception as error:  # the next device is closed as well
        findings.append(Finding(f"closing {name}", False, cause_of(error), CURE))


def _lights_out(lights: Lights, findings: list[Finding]) -> None:
    """Runs when the devices are closed, after everything else, whatever happened before."""
    try:
        lights.off()
        findings.append(Finding("lights off", True, "acknowledged"))
    except Exception as error:  # whatever it is, a light may be on and a person must know
        findings.append(Finding("lights off", False, cause_of(error), "switch the lights off by hand"))


def _move_to_middle(arm: Arm, travel: Travel) -> list[Finding]:
    """Home, then move one axis after the other; the first failure ends the motion."""
    findings: list[Finding] = []
    try:
        arm.home()
        findings.append(Finding("homing", arm.position_trusted, _as_text(arm.position())))
        for name in (name for name in MIDDLE_ORDER if name in travel):
            low, high = travel[name]
            there = arm.move_to(replace(arm.position(), **{name: (low + high) / 2}))
            findings.append(Finding(f"middle of {name}", True, f"{getattr(there, name):.3f}, read back"))
    except Exception as error:  # whatever it is, the lights are still shown and put out
        findings.append(Finding("arm in motion", False, cause_of(error), "look at the machine before the next attempt"))
    return findings


def _as_text(pose: Pose) -> str:
    return (
        f"at x {pose.x_mm:.2f} y {pose.y_mm:.2f} z {pose.z_mm:.2f} mm, tilt {pose.tilt_deg:.2f} pan {pose.pan_deg:.2f}"
    )
