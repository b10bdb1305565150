"""What all pictures of a light calibration share: bench, reference, settings and the camera's pose."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.lights.outline import Sphere, find_sphere_in_picture
from calibration.record import CalibratedLight, Calibration
from station.calibrate.bench.camera_pose import CameraPose
from station.calibrate.bench.target_bench import Bench, find_exposure_us, light_of
from station.calibrate.lights.settings import LightSettings, pinhole


@dataclass(frozen=True)
class Setup:
    """Handed to each step, so that all of them look with the same camera at the same lights."""

    bench: Bench
    reference: Calibration
    settings: LightSettings
    camera_pose: CameraPose

    @property
    def lights(self) -> tuple[CalibratedLight, ...]:
        """The directional lights of the reference, in its order: those that are measured."""
        return tuple(light for light in self.reference.lights if light.kind == "directional")

    def outline_exposure_us(self) -> float:
        """The exposure that shows the target's outline under the diffuse light. Raises ValueError."""
        return find_exposure_us(self.bench, self.settings.diffuse_channel, self.settings.binning, 8000.0, 0.999)

    def find_sphere(self, at_mm: tuple[float, float], exposure_us: float) -> Sphere:
        """The sphere that was put at x, y of the fixture. Raises LightCalibrationError where it is not seen there."""
        frame = self.bench.photograph(self.settings.diffuse_channel, exposure_us, self.settings.binning)
        rays, radius_mm = pinhole(self.reference, self.settings.binning), self.settings.sphere_radius_mm
        near = rays.project(self.camera_pose.in_camera_axes((at_mm[0], at_mm[1], radius_mm)))
        return find_sphere_in_picture(light_of(frame), rays, radius_mm, (float(near[0]), float(near[1])))
