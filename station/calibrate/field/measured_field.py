"""Flat-field maps of a record's lights, from the white plane under each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.camera_model import F64
from calibration.lights.rays import LightCalibrationError, unit
from calibration.lights.white_plane import PlaneTilt, block_means, fit_plane, plane_tilt
from calibration.record import Calibration
from drivers.protocols import Frame
from station.calibrate.bench.camera_pose import CameraPose, camera_pose_of
from station.calibrate.bench.target_bench import Bench, Progress, light_of
from station.calibrate.errors import CalibrationRefused
from station.calibrate.lights.settings import LightSettings, pinhole
from station.calibrate.lights.white_plane import photograph_plane
from station.photometric_stereo.flat_field import flat_field_from_plane
from station.photometric_stereo.lights import PointLights
from station.recipe.calibrated_lights import directional_channels, light_model
from station.recipe.flat_field_file import FieldMaps, maps_of

STEP_PX = 128  # on the full sensor; a node averages over twice that


@dataclass(frozen=True)
class MeasuredField:
    """Flat-field maps beside a record's light model, and how the plane lay."""

    maps: FieldMaps
    tilt: PlaneTilt
    intensities: F64  # (K,) mean 1

    @property
    def departure_percent(self) -> float:
        """Rms of the maps about 1 without what all lights share: the part that the light model does not explain."""
        _, own = self.maps.shared_and_own()
        return 100 * float(np.sqrt(((own - 1) ** 2).mean()))


def field_maps(record: Calibration, frames: Sequence[Frame], binning: int, camera_pose: CameraPose) -> FieldMaps:
    """The maps from `frames` of the plane, one per directional light of the record, in the record's order."""
    channels = directional_channels(record)
    lights = light_model(record, channels, binning)
    if isinstance(lights, PointLights):
        lights = replace(lights, plane_height_mm=camera_pose.plane_height_mm())
    field = flat_field_from_plane(frames, lights, camera_pose.normal(), STEP_PX // binning)
    return maps_of(field, channels, binning)


def measure_field(
    bench: Bench,
    record: Calibration,
    settings: LightSettings,
    progress: Progress,
    camera_pose: CameraPose | None = None,
) -> MeasuredField:
    """The maps of a rig whose lights are in the record; the plane's tilt is judged by the record's intensities.

    `camera_pose` is by default that of the record. Raises CalibrationRefused where the record has no positions of the
    lights, or the plane's pictures cannot be used.
    """
    camera_pose = camera_pose or camera_pose_of(record)
    channels = directional_channels(record)
    names = [record.light(channel).name for channel in channels]
    positions = record.positions_mm(channels)
    if positions is None:
        raise CalibrationRefused("flat field: the record knows no positions of the lights; calibrate the lights first")
    try:
        frames = photograph_plane(bench, channels, names, settings.binning, progress, settings.plane_exposure_us)
        signals = np.array([block_means(light_of(f)) / f.exposure_us for f in frames])
        size = (frames[0].pixels.shape[0], frames[0].pixels.shape[1])
        plane = fit_plane(
            signals, positions, pinhole(record, settings.binning), size, names,
            plane_height_mm=camera_pose.plane_height_mm(), normal=camera_pose.normal(),
        )  # fmt: skip
        maps = field_maps(record, frames, settings.binning, camera_pose)
    except (LightCalibrationError, ValueError) as error:
        raise CalibrationRefused(f"flat field: {error}") from error
    expected = record.intensities(channels)
    spreads = np.array([record.light(channel).intensity_spread or 0.002 for channel in channels])
    tilt = plane_tilt(plane.intensities, expected / expected.mean(), unit(positions), spreads, camera_pose.normal())
    return MeasuredField(maps, tilt, plane.intensities)
