"""All directional lights of a rig, measured on spheres and plane in turn, and judged against the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.camera_model import F64
from calibration.lights.check import (
    TABLE_TOLERANCE_DEG,
    LeftOut,
    SetCondition,
    disagreements,
    set_condition,
    table_faults,
)
from calibration.lights.diffuse_sphere import DiffuseFit
from calibration.lights.near import NearLight
from calibration.lights.rays import LightCalibrationError
from calibration.lights.white_plane import PlaneFit, PlaneTilt, block_means, fit_plane, plane_tilt
from calibration.record import Calibration
from calibration.sensor.dark import DarkFrame, dark_frame
from drivers.protocols import Frame
from station.calibrate.bench.camera_pose import CameraPose, camera_pose_of
from station.calibrate.bench.target_bench import Bench, Progress, light_of
from station.calibrate.errors import CalibrationRefused
from station.calibrate.lights.matte_sphere import MatteResult, measure_second_estimate
from station.calibrate.lights.mirror_sphere import MirrorResult, measure_mirror
from station.calibrate.lights.settings import LightSettings, pinhole
from station.calibrate.lights.setup import Setup
from station.calibrate.lights.white_plane import photograph_plane, plane_level_per_ms

DARK_FRAMES, DARK_EXPOSURE_US = 4, 8000.0
PLANE_LIES_DEG = 0.05  # how level the white plane lies, one sigma per axis
DRAWING_TOLERANCE_DEG = 8.0  # of lights mounted to 3 degrees rms 99.9 % pass; beyond, mounting or wiring is wrong


@dataclass(frozen=True)
class MeasuredLights:
    """All that was found of the directional lights, in the order of `channels`."""

    channels: tuple[int, ...]
    names: tuple[str, ...]
    near: tuple[NearLight, ...]
    diffuse: tuple[DiffuseFit, ...]
    disagreement_deg: F64  # (K,) mirror against matte sphere
    left_out: LeftOut
    plane: PlaneFit
    matte_intensities: F64  # (K,) from the matte sphere, mean 1
    condition: SetCondition
    dark: DarkFrame
    outline_rms_px: float
    flags: tuple[tuple[str, ...], ...]  # per light
    tilt: PlaneTilt  # of the white plane
    white: tuple[Frame, ...]  # of the plane, averaged, one per light
    camera_pose: CameraPose
    part_intensities: F64  # (K,) semi-calibrated, from the matte sphere as if it were a part; mean 1
    plane_levels_per_ms: Mapping[int, float]  # by channel, the diffuse one too; see `plane_level_per_ms`


def measure_lights(
    bench: Bench, reference: Calibration, settings: LightSettings, progress: Progress,
    camera_pose: CameraPose | None = None,
) -> MeasuredLights:  # fmt: skip
    """Dark frame, mirror sphere at several places, matte sphere, white plane.

    `reference` holds the camera, and the lights as they should be. `camera_pose` is by default that of the reference.
    Raises CalibrationRefused.
    """
    setup = Setup(bench, reference, settings, camera_pose or camera_pose_of(reference))
    names = tuple(light.name for light in setup.lights)
    lit = (*(light.channel for light in setup.lights), settings.diffuse_channel)
    try:
        dark = measure_dark(bench, settings, progress)
        mirror = measure_mirror(setup, progress)
        matte = measure_second_estimate(setup, mirror.near, progress)
        seen = photograph_plane(bench, lit, (*names, "diffuse"), settings.binning, progress, settings.plane_exposure_us)
        white = seen[: len(names)]
        plane = _fit_plane(setup, white, mirror.near)
    except (LightCalibrationError, ValueError) as error:
        raise CalibrationRefused(f"lights: {error}") from error
    levels = {channel: plane_level_per_ms(frame) for channel, frame in zip(lit, seen, strict=True)}
    return _judged(setup, dark, mirror, matte, plane, white, levels)


def _judged(
    setup: Setup, dark: DarkFrame, mirror: MirrorResult, matte: MatteResult, plane: PlaneFit, white: tuple[Frame, ...],
    levels_per_ms: Mapping[int, float],
) -> MeasuredLights:  # fmt: skip
    """What the independent estimates say of each other, and of the reference."""
    lights, near, diffuse = setup.lights, mirror.near, matte.fits
    names = tuple(light.name for light in lights)
    directions = np.array([n.direction for n in near])
    angles, apart = disagreements(directions, np.array([fit.direction for fit in diffuse]))
    faults = _reference_faults(setup, directions, np.array([n.spread_deg for n in near]))
    flags = tuple(
        (*mirror.flags[k], *near[k].flags, *diffuse[k].flags, *_given(apart[k], matte.left_out.flags[k]), *faults[k])
        for k in range(len(lights))
    )
    strengths = np.array([fit.strength for fit in diffuse])
    intensities = strengths / strengths.mean()
    doubt = np.hypot([fit.strength_spread for fit in diffuse], [np.radians(n.spread_deg) for n in near])
    tilt = plane_tilt(plane.intensities, intensities, directions, doubt, setup.camera_pose.normal())
    return MeasuredLights(
        tuple(light.channel for light in lights), names, near, diffuse, angles, matte.left_out, plane, intensities,
        set_condition(directions, names), dark, mirror.outline_rms_px, flags, tilt, white, setup.camera_pose,
        matte.part_intensities, levels_per_ms,
    )  # fmt: skip


def _given(*flags: str | None) -> list[str]:
    return [flag for flag in flags if flag is not None]


def _reference_faults(setup: Setup, directions: F64, spreads_deg: F64) -> list[list[str]]:
    """Per light: far off the reference, or exchanged with another, it is mounted or wired wrongly.

    A reference without provenance is a drawing, from which mounting may differ by DRAWING_TOLERANCE_DEG.
    """
    is_drawing = setup.reference.provenance is None
    table = np.array([light.unit_direction() for light in setup.lights])
    names = [light.name for light in setup.lights]
    tolerance = DRAWING_TOLERANCE_DEG if is_drawing else TABLE_TOLERANCE_DEG
    faults = table_faults(directions, table, spreads_deg, names, tolerance)
    return [[f"against the {'drawing' if is_drawing else 'record'}: {fault}" for fault in own] for own in faults]


def measure_dark(bench: Bench, settings: LightSettings, progress: Progress) -> DarkFrame:
    """The mean of DARK_FRAMES frames of the empty fixture with all lights off."""
    progress("dark frame: lights off")
    bench.place("empty")
    frames = [bench.photograph(None, DARK_EXPOSURE_US, settings.binning) for _ in range(DARK_FRAMES)]
    return dark_frame([f.pixels for f in frames], frames[0].black_level_dn, frames[0].full_scale_dn)


def _fit_plane(setup: Setup, frames: Sequence[Frame], near: Sequence[NearLight]) -> PlaneFit:
    """Intensities from the averaged frames of the plane, with the positions that the mirror sphere gave."""
    pose = setup.camera_pose
    signals = [block_means(light_of(f)) / f.exposure_us for f in frames]
    return fit_plane(
        np.array(signals), np.array([n.position_mm for n in near]), pinhole(setup.reference, setup.settings.binning),
        (frames[0].pixels.shape[0], frames[0].pixels.shape[1]), [light.name for light in setup.lights],
        plane_height_mm=pose.plane_height_mm(), normal=pose.normal(),
        plane_tilt_spread_deg=float(np.hypot(PLANE_LIES_DEG, pose.angle_spread_deg)), position_spreads=(
            np.array([n.spread_deg for n in near]), np.array([n.distance_spread_mm for n in near]),
        ),
    )  # fmt: skip
