"""`station check --rig FILE`: what each device of a rig states about itself.

Without `--move` nothing moves and no light shines: devices are opened, asked and closed. With it (`motion`) the
arm homes, each axis goes to the middle of its travel, and each light channel is shown to the camera once.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from drivers.errors import DeviceError
from station.commands.check.device import D, DeviceCheck, arm_details, described, light_details
from station.commands.check.finding import Finding
from station.commands.check.motion import check_in_motion
from station.errors import StationFault
from station.rig.devices import open_arm, open_camera, open_lights
from station.rig.file import load_rig
from station.rig.owner import owned_rig


def check_rig(path: Path, *, move: bool = False) -> list[Finding]:
    """Check lights, arm and camera independently, so that a missing one does not hide the others.

    Raises DocumentError for the rig file. Whatever a driver raises becomes a finding, and so does a rig that another
    process owns.
    """
    try:
        file = load_rig(path)
        travel = file.travel()
    except DeviceError as error:
        return [Finding(f"drivers of {path}", False, str(error), "mend that first, then check again")]
    lights = DeviceCheck(file, "lights", open_lights, light_details)
    arm = DeviceCheck(file, "arm", open_arm, lambda arm: arm_details(arm, travel))
    camera = DeviceCheck(file, "camera", open_camera, described)
    try:
        with owned_rig(path, "station check"):
            if move:
                return check_in_motion(lights, arm, camera, travel)
            return [_opened_once(lights), _opened_once(arm), _opened_once(camera)]
    except StationFault as error:
        return [Finding(f"devices of {path}", False, str(error), "no device was opened: end what owns the rig first")]


def _opened_once(check: DeviceCheck[D]) -> Finding:
    try:
        with closing(check.open()) as device:
            return check.introduced(device)
    except Exception as error:  # of whatever kind, the other devices are looked at as well
        return check.failed(error)
