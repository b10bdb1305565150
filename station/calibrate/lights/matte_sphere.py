"""The matte sphere: a second estimate of every light, independent of the mirror sphere; alone, the check of a shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.camera_model import F64
from calibration.lights.check import LeftOut, intensities_from_part, leave_one_out
from calibration.lights.diffuse_sphere import DiffuseFit, at_target, fit_light, sphere_face
from calibration.lights.near import NearLight
from calibration.lights.outline import Sphere
from calibration.lights.rays import LightCalibrationError, unit
from calibration.record import Calibration
from station.calibrate.bench.camera_pose import CameraPose, camera_pose_of
from station.calibrate.bench.target_bench import Bench, Progress, find_exposure_us, light_of, span_dn
from station.calibrate.errors import CalibrationRefused
from station.calibrate.lights.settings import LED_LOBE, LightSettings, pinhole
from station.calibrate.lights.setup import Setup


@dataclass(frozen=True)
class MatteResult:
    """In the order of the lights."""

    fits: tuple[DiffuseFit, ...]  # at the target point
    left_out: LeftOut  # how the mirror's directions predict the matte sphere
    part_intensities: F64  # (K,) mean 1, as if the sphere were a part of unknown normals


@dataclass(frozen=True)
class _Pictures:
    """The sphere under each light at one exposure: counts above black (H, W) and the span up to full scale."""

    frames: tuple[tuple[NDArray[np.float32], float], ...]
    sphere: Sphere
    exposure_us: float


def measure_second_estimate(setup: Setup, near: Sequence[NearLight], progress: Progress) -> MatteResult:
    """The matte sphere with the lights' distances known from the mirror sphere.

    Raises LightCalibrationError, ValueError where the sphere or an exposure is not found.
    """
    progress("matte sphere")
    pictures = _photographed(setup)
    sphere = pictures.sphere
    rays = pinhole(setup.reference, setup.settings.binning)
    reaches = [float(np.linalg.norm(n.position_mm - sphere.center)) for n in near]
    local = [
        fit_light(
            picture, sphere, rays, span, distance=reach, lobe_exponent=LED_LOBE,
            what=f"light {light.name} on the matte sphere",
        )
        for (picture, span), reach, light in zip(pictures.frames, reaches, setup.lights, strict=True)
    ]  # fmt: skip
    fits = tuple(at_target(fit, sphere, reach, LED_LOBE) for fit, reach in zip(local, reaches, strict=True))
    positions = np.array([n.position_mm for n in near])
    directions = unit(positions - sphere.center)
    values = _as_from_afar(setup, pictures, positions)
    judged = leave_one_out(values, directions, np.array([fit.strength for fit in local]) / pictures.exposure_us)
    to_target = np.array([fit.strength for fit in fits]) / np.array([fit.strength for fit in local])
    semi = intensities_from_part(values, directions) * to_target
    return MatteResult(fits, judged, semi / semi.mean())


def _as_from_afar(setup: Setup, pictures: _Pictures, positions_mm: F64) -> F64:
    """(K, N) brightness per microsecond with each near light's fall over the sphere divided out.

    One direction per light then predicts the whole face. Points that a light grazes are set to 0.
    """
    rays = pinhole(setup.reference, setup.settings.binning)
    first, sphere = pictures.frames[0][0], pictures.sphere
    face = sphere_face(sphere, rays, (first.shape[0], first.shape[1]))
    values = np.array([light[face.rows, face.columns] for light, _ in pictures.frames], np.float64)
    values = values / pictures.exposure_us
    toward = positions_mm[:, None, :] - (face.points + sphere.center)
    reach = np.linalg.norm(toward, axis=-1)
    center = np.linalg.norm(positions_mm - sphere.center, axis=-1)[:, None]
    shading = np.einsum("kni,ni->kn", toward, face.normals) / reach
    plain = unit(positions_mm - sphere.center) @ face.normals.T
    safe = (shading > 0.1) & (plain > 0.1)
    values = values * np.where(safe, plain / np.where(safe, shading, 1) * (reach / center) ** 2, 1)
    return np.where(safe, values, 0)


def _photographed(setup: Setup) -> _Pictures:
    """Finds the sphere under the diffuse light, then photographs it under each light at the shortest exposure found."""
    bench, binning = setup.bench, setup.settings.binning
    bench.place("sphere_diffuse")
    outline_us = setup.outline_exposure_us()
    sphere = setup.find_sphere((0.0, 0.0), outline_us)
    exposure = min(find_exposure_us(bench, light.channel, binning, 6000.0, 0.999) for light in setup.lights)
    frames = [bench.photograph(light.channel, exposure, binning) for light in setup.lights]
    return _Pictures(tuple((light_of(f), span_dn(f)) for f in frames), sphere, exposure)


def measure_matte(
    bench: Bench, reference: Calibration, settings: LightSettings, progress: Progress,
    camera_pose: CameraPose | None = None,
) -> tuple[DiffuseFit, ...]:  # fmt: skip
    """Each directional light on the matte sphere alone, at the distance that the reference states.

    Raises CalibrationRefused.
    """
    setup = Setup(bench, reference, settings, camera_pose or camera_pose_of(reference))
    progress("matte sphere")
    try:
        pictures = _photographed(setup)
        sphere, rays = pictures.sphere, pinhole(reference, settings.binning)
        fits = []
        for (picture, span), light in zip(pictures.frames, setup.lights, strict=True):
            reach = _distance_mm(light.position_mm, sphere)
            lobe = LED_LOBE if light.lobe_exponent is None else light.lobe_exponent
            what = f"light {light.name}"
            fit = fit_light(picture, sphere, rays, span, distance=reach, lobe_exponent=lobe, what=what)
            fits.append(fit if reach is None else at_target(fit, sphere, reach, lobe))
        return tuple(fits)
    except (LightCalibrationError, ValueError) as error:
        raise CalibrationRefused(f"matte sphere: {error}") from error


def _distance_mm(position_mm: tuple[float, float, float] | None, sphere: Sphere) -> float | None:
    return None if position_mm is None else float(np.linalg.norm(np.array(position_mm) - sphere.center))
