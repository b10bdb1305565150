"""What pictures of lights are taken with: binning, sphere, exposures, and the diffuse light that shows the targets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from calibration.lights.rays import Pinhole
from calibration.record import Calibration
from station.calibrate.errors import CalibrationRefused

LED_LOBE = 1.0  # exponent of a bare LED's cosine law, until the plane shows the real one


@dataclass(frozen=True)
class LightSettings:
    """How the pictures are taken; exposures that are None are searched for each light."""

    binning: int = 4
    sphere_radius_mm: float = 8.0
    diffuse_channel: int = 9  # the simulated rig's; `for_lights_of` takes a rig's own
    mirror_exposure_us: float | None = None  # of the highlights on the mirror sphere
    plane_exposure_us: float | None = None  # of the white plane

    def for_lights_of(self, reference: Calibration) -> LightSettings:
        """The same settings with the diffuse light of that reference. Raises CalibrationRefused where it has none."""
        return replace(self, diffuse_channel=diffuse_channel_of(reference))


def diffuse_channel_of(reference: Calibration) -> int:
    """The light that shows boards, spheres and the white plane. Raises CalibrationRefused where there is none."""
    for light in reference.lights:
        if light.kind == "diffuse":
            return light.channel
    raise CalibrationRefused(
        f"{reference.calibration_id}: none of its lights is of kind `diffuse`; calibration needs one to see its targets"
    )


def pinhole(calibration: Calibration, binning: int) -> Pinhole:
    """The calibrated camera at that binning."""
    x, y = calibration.center_px(binning)
    return Pinhole(
        calibration.fx_px / binning, calibration.fy_px / binning, x, y, calibration.working_distance_mm,
        calibration.distortion,
    )  # fmt: skip
