"""The pictures of a light and sensor calibration, taken in turn, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.lights.check import (
    TABLE_TOLERANCE_DEG,
    LeftOut,
    SetCondition,
    disagreements,
    intensities_from_part,
    leave_one_out,
    set_condition,
    table_faults,
)
from calibration.lights.diffuse_sphere import DiffuseFit, fit_light, sphere_face, at_target
from calibration.lights.white_plane import PlaneFit, PlaneTilt, block_means, fit_plane, plane_tilt
from calibration.lights.mirror_sphere import MirrorSighting, sight_light
from calibration.lights.near import NearLight, locate_light
from calibration.lights.outline import Sphere, find_sphere_in_picture
from calibration.lights.rays import F64, LightCalibrationError, Pinhole, unit
from calibration.record import Calibration
from calibration.sensor.dark import DarkFrame, dark_frame
from calibration.sensor.photon_transfer import FramePair, SensorCharacter, photon_transfer
from drivers.protocols import Frame
from station.calibrate.bench.target_bench import Bench, Progress, find_exposure_us, light_of, span_dn
from station.calibrate.bench.camera_pose import CameraPose, camera_pose_of
from station.calibrate.lights.white_plane import photograph_plane, plane_level_per_ms
from station.errors import BadInput
from station.photometric_stereo.radiometry import full_scale_dn

PLACES_MM = ((0.0, 0.0), (17.0, 8.0), (-17.0, 8.0), (17.0, -8.0), (-17.0, -8.0))
DARK_FRAMES = 4
LED_LOBE = 1.0  # cosine law of a bare LED, before the plane tells better
PLANE_LIES_DEG = 0.05  # how level the white plane lies, one sigma per axis
DARK_EXPOSURE_US = 8000.0
DRAWING_TOLERANCE_DEG = 8.0  # of 3 degrees rms 99.9 % pass; what is farther off was mounted or wired wrongly
SENSOR_ROI_PX, SENSOR_LEVELS = 480, 12
SENSOR_SHARES = (0.04, 1.12)  # of the exposure that saturates


class CalibrationRefused(BadInput, ValueError):
    """The pictures do not allow a calibration; the text says which, why, and what to do."""


def diffuse_channel_of(reference: Calibration) -> int:
    """The light that shows boards, spheres and the white plane. Raises CalibrationRefused where there is none."""
    for light in reference.lights:
        if light.kind == "diffuse":
            return light.channel
    raise CalibrationRefused(
        f"{reference.calibration_id}: none of its lights is of kind `diffuse`; calibration needs one to see its targets"
    )


@dataclass(frozen=True)
class LightSettings:
    """What the pictures are taken with."""

    binning: int = 4
    sphere_radius_mm: float = 8.0
    diffuse_channel: int = 9  # the simulated rig's; `for_lights_of` takes a rig's own
    mirror_exposure_us: float | None = None  # of highlights and of the plane: searched for each light without these
    plane_exposure_us: float | None = None

    def for_lights_of(self, reference: Calibration) -> LightSettings:
        """The same with the diffuse light of that reference. Raises CalibrationRefused."""
        return replace(self, diffuse_channel=diffuse_channel_of(reference))


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


def pinhole(calibration: Calibration, binning: int) -> Pinhole:
    """The calibrated camera at that binning."""
    x, y = calibration.center_px(binning)
    return Pinhole(
        calibration.fx_px / binning, calibration.fy_px / binning, x, y, calibration.working_distance_mm,
        calibration.distortion,
    )  # fmt: skip


def measure_lights(
    bench: Bench, reference: Calibration, settings: LightSettings, progress: Progress, camera_pose: CameraPose | None = None
) -> MeasuredLights:
    """Mirror sphere at several places, matte sphere, white plane. `reference`: the camera, and where lights should be.

    `camera_pose`: where the camera is; by default what the reference knows of it.
    Raises CalibrationRefused.
    """
    camera_pose = camera_pose or camera_pose_of(reference)
    chosen = [light for light in reference.lights if light.kind == "directional"]
    channels, names = tuple(c.channel for c in chosen), tuple(c.name for c in chosen)
    try:
        dark = measure_dark(bench, settings, progress)
        near, outline_rms, own = _mirror(bench, reference, channels, names, settings, camera_pose, progress)
        diffuse, left_out, semi = _matte(bench, reference, channels, names, near, settings, camera_pose, progress)
        lit = (*channels, settings.diffuse_channel)
        seen = photograph_plane(bench, lit, (*names, "diffuse"), settings.binning, progress, settings.plane_exposure_us)
        white = seen[: len(channels)]
        plane = _plane(white, reference, names, near, settings, camera_pose)
    except (LightCalibrationError, ValueError) as error:
        raise CalibrationRefused(f"lights: {error}") from error
    directions = np.array([n.direction for n in near])
    matte_directions = np.array([fit.direction for fit in diffuse])
    angles, apart = disagreements(directions, matte_directions)
    table = np.array([c.unit_direction() for c in chosen])
    spreads = np.array([n.spread_deg for n in near])
    tolerance = DRAWING_TOLERANCE_DEG if reference.provenance is None else TABLE_TOLERANCE_DEG
    faults = [
        _gross(own, reference.provenance is None) for own in table_faults(directions, table, spreads, names, tolerance)
    ]
    strengths = np.array([fit.strength for fit in diffuse])
    flags = [
        (*own[k], *near[k].flags, *diffuse[k].flags, *_given(apart[k], left_out.flags[k]), *faults[k])
        for k in range(len(channels))
    ]
    matte = strengths / strengths.mean()
    doubt = np.hypot([fit.strength_spread for fit in diffuse], [np.radians(n.spread_deg) for n in near])
    tilt = plane_tilt(plane.intensities, matte, directions, doubt, camera_pose.normal())
    return MeasuredLights(
        channels, names, near, diffuse, angles, left_out, plane, matte, set_condition(directions, names), dark,
        outline_rms, tuple(flags), tilt, white, camera_pose, semi,
        {channel: plane_level_per_ms(frame) for channel, frame in zip(lit, seen, strict=True)},
    )  # fmt: skip


def _given(*flags: str | None) -> list[str]:
    return [flag for flag in flags if flag is not None]


def _gross(faults: Sequence[str], is_drawing: bool) -> list[str]:
    """A light far off its drawing, or exchanged with another, is wired or mounted wrongly."""
    return [f"against the {'drawing' if is_drawing else 'record'}: {fault}" for fault in faults]


def measure_dark(bench: Bench, settings: LightSettings, progress: Progress) -> DarkFrame:
    progress("dark frame: lights off")
    bench.place("empty")
    frames = [bench.photograph(None, DARK_EXPOSURE_US, settings.binning) for _ in range(DARK_FRAMES)]
    return dark_frame([f.pixels for f in frames], frames[0].black_level_dn, full_scale_dn(frames[0]))


def _find(
    bench: Bench, rays: Pinhole, settings: LightSettings, camera_pose: CameraPose, at: tuple[float, float], exposure: float
) -> Sphere:
    frame = bench.photograph(settings.diffuse_channel, exposure, settings.binning)
    near = rays.project(camera_pose.in_camera_axes((at[0], at[1], settings.sphere_radius_mm)))
    return find_sphere_in_picture(light_of(frame), rays, settings.sphere_radius_mm, (float(near[0]), float(near[1])))


def _mirror(
    bench: Bench, reference: Calibration, channels: Sequence[int], names: Sequence[str], settings: LightSettings,
    camera_pose: CameraPose, progress: Progress,
) -> tuple[tuple[NearLight, ...], float, list[tuple[str, ...]]]:  # fmt: skip
    rays = pinhole(reference, settings.binning)
    sightings: list[list[MirrorSighting]] = [[] for _ in channels]
    exposures: list[float] = []
    outline_us, outline_rms = 0.0, []
    for number, at in enumerate(PLACES_MM, 1):
        progress(f"mirror sphere, place {number} of {len(PLACES_MM)}: x {at[0]:+g}, y {at[1]:+g} mm")
        bench.place("sphere_mirror", *at)
        if not exposures:
            outline_us = find_exposure_us(bench, settings.diffuse_channel, settings.binning, 8000.0, 0.999)
            exposures = [
                settings.mirror_exposure_us or find_exposure_us(bench, c, settings.binning, 100.0, 1.0)
                for c in channels
            ]
        sphere = _find(bench, rays, settings, camera_pose, at, outline_us)
        outline_rms.append(sphere.outline_rms_px)
        for k, channel in enumerate(channels):
            frame = bench.photograph(channel, exposures[k], settings.binning)
            what = f"light {names[k]} in the mirror sphere at place {number}"
            sightings[k].append(sight_light(light_of(frame), sphere, rays, span_dn(frame), what))
    near = tuple(
        locate_light(
            np.array([s.point for s in seen]),
            np.array([s.direction for s in seen]),
            np.array([s.spread_deg for s in seen]),
        )
        for seen in sightings
    )
    return (
        near,
        float(np.mean(outline_rms)),
        [_once(seen) for seen in sightings],
    )


def _once(seen: Sequence[MirrorSighting]) -> tuple[str, ...]:
    """What was told at several places is told once, with their number."""
    kinds: dict[str, list[str]] = {}
    for sighting in seen:
        for flag in sighting.flags:
            kinds.setdefault(flag.partition(":")[0].partition(" (")[0], []).append(flag)
    return tuple(f"{own[0]} (at {len(own)} of {len(seen)} places)" for own in kinds.values())


def _matte(
    bench: Bench, reference: Calibration, channels: Sequence[int], names: Sequence[str], near: Sequence[NearLight],
    settings: LightSettings, camera_pose: CameraPose, progress: Progress,
) -> tuple[tuple[DiffuseFit, ...], LeftOut, F64]:  # fmt: skip
    """Directions and strengths from the matte sphere, how the mirror's directions predict it, and the strengths that
    follow with the normals unknown."""
    progress("matte sphere")
    frames, sphere, exposure = _matte_frames(bench, reference, channels, settings, camera_pose)
    rays = pinhole(reference, settings.binning)
    reaches = [float(np.linalg.norm(n.position_mm - sphere.center)) for n in near]
    local = [
        fit_light(
            light, sphere, rays, span, distance=reach, lobe_exponent=LED_LOBE, what=f"light {name} on the matte sphere"
        )
        for (light, span), reach, name in zip(frames, reaches, names, strict=True)
    ]
    fits = tuple(at_target(fit, sphere, reach, LED_LOBE) for fit, reach in zip(local, reaches, strict=True))
    face = sphere_face(sphere, rays, (frames[0][0].shape[0], frames[0][0].shape[1]))
    values = np.array([light[face.rows, face.columns] for light, _ in frames], np.float64) / exposure
    # the near light's fall over the sphere is divided out, so that one direction per light predicts it
    toward = np.array([n.position_mm for n in near])[:, None, :] - (face.points + sphere.center)
    reach = np.linalg.norm(toward, axis=-1)
    center = np.linalg.norm(np.array([n.position_mm for n in near]) - sphere.center, axis=-1)[:, None]
    directions = unit(np.array([n.position_mm for n in near]) - sphere.center)
    shading = np.einsum("kni,ni->kn", toward, face.normals) / reach
    plain = directions @ face.normals.T
    safe = (shading > 0.1) & (plain > 0.1)
    values = values * np.where(safe, plain / np.where(safe, shading, 1) * (reach / center) ** 2, 1)
    values = np.where(safe, values, 0)
    judged = leave_one_out(values, directions, np.array([fit.strength for fit in local]) / exposure)
    to_target = np.array([fit.strength for fit in fits]) / np.array([fit.strength for fit in local])
    semi = intensities_from_part(values, directions) * to_target
    return fits, judged, semi / semi.mean()


def _matte_frames(
    bench: Bench, reference: Calibration, channels: Sequence[int], settings: LightSettings, camera_pose: CameraPose
) -> tuple[list[tuple[NDArray[np.float32], float]], Sphere, float]:
    bench.place("sphere_diffuse")
    outline_us = find_exposure_us(bench, settings.diffuse_channel, settings.binning, 8000.0, 0.999)
    sphere = _find(bench, pinhole(reference, settings.binning), settings, camera_pose, (0.0, 0.0), outline_us)
    exposure = min(find_exposure_us(bench, c, settings.binning, 6000.0, 0.999) for c in channels)
    frames = [bench.photograph(c, exposure, settings.binning) for c in channels]
    return [(light_of(f), span_dn(f)) for f in frames], sphere, exposure


def measure_matte(
    bench: Bench, reference: Calibration, settings: LightSettings, progress: Progress, camera_pose: CameraPose | None = None
) -> tuple[DiffuseFit, ...]:
    """Each directional light on the matte sphere alone, at the distance that the calibration says.

    Raises CalibrationRefused.
    """
    chosen = [light for light in reference.lights if light.kind == "directional"]
    camera_pose = camera_pose or camera_pose_of(reference)
    progress("matte sphere")
    try:
        frames, sphere, _ = _matte_frames(bench, reference, [c.channel for c in chosen], settings, camera_pose)
        fits = []
        for (light, span), c in zip(frames, chosen, strict=True):
            reach, lobe = _distance_mm(c.position_mm, sphere), LED_LOBE if c.lobe_exponent is None else c.lobe_exponent
            rays = pinhole(reference, settings.binning)
            fit = fit_light(light, sphere, rays, span, distance=reach, lobe_exponent=lobe, what=f"light {c.name}")
            fits.append(fit if reach is None else at_target(fit, sphere, reach, lobe))
        return tuple(fits)
    except (LightCalibrationError, ValueError) as error:
        raise CalibrationRefused(f"matte sphere: {error}") from error


def _distance_mm(position_mm: tuple[float, float, float] | None, sphere: Sphere) -> float | None:
    return None if position_mm is None else float(np.linalg.norm(np.array(position_mm) - sphere.center))


def _plane(
    frames: Sequence[Frame], reference: Calibration, names: Sequence[str], near: Sequence[NearLight],
    settings: LightSettings, camera_pose: CameraPose,
) -> PlaneFit:  # fmt: skip
    signals = [block_means(light_of(f)) / f.exposure_us for f in frames]
    return fit_plane(
        np.array(signals), np.array([n.position_mm for n in near]), pinhole(reference, settings.binning),
        (frames[0].pixels.shape[0], frames[0].pixels.shape[1]), names,
        plane_height_mm=stand.plane_height_mm(), normal=stand.normal(),
        plane_tilt_spread_deg=float(np.hypot(PLANE_LIES_DEG, camera_pose.angle_spread_deg)), position_spreads=(
            np.array([n.spread_deg for n in near]), np.array([n.distance_spread_mm for n in near]),
        ),
    )  # fmt: skip


def measure_sensor(
    bench: Bench, reference: Calibration, settings: LightSettings, progress: Progress
) -> SensorCharacter:
    """Photon transfer on the white plane under the diffuse light, unbinned, in the middle of the picture.

    Raises CalibrationRefused.
    """
    progress("sensor: photon transfer on the white plane")
    side = SENSOR_ROI_PX
    roi = ((reference.image_width - side) // 2 // 8 * 8, (reference.image_height - side) // 2 // 8 * 8, side, side)
    bench.place("plane_white")
    channel = settings.diffuse_channel
    try:
        half_us = find_exposure_us(bench, channel, settings.binning, 4000.0, 0.5, 0.5)
        probe = bench.photograph(channel, half_us, 1, roi)
        full_us = half_us * span_dn(probe) / float(light_of(probe).mean())
        pairs = []
        for share in np.linspace(*SENSOR_SHARES, SENSOR_LEVELS):
            first, second = (bench.photograph(channel, float(share * full_us), 1, roi) for _ in range(2))
            pairs.append(FramePair(first.exposure_us, first.pixels, second.pixels))
        dark = [bench.photograph(None, float(SENSOR_SHARES[0] * full_us), 1, roi) for _ in range(2)]
        pair = FramePair(dark[0].exposure_us, dark[0].pixels, dark[1].pixels)
        return photon_transfer(pairs, pair, dark[0].significant_bits)
    except ValueError as error:
        raise CalibrationRefused(f"sensor: {error}") from error
