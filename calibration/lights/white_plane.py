"""The white plane: how each light falls over the field, and from that the lights' relative intensities and its tilt.

A matte plane shows a near light k at a point as e_k n.l (d0 / d)^2 cos^mu, with d the distance from the light, d0 that
of the target point and cos^mu the LED's lobe. In the logarithm the intensities e_k and the exponent mu are linear, and
what all lights share (vignetting, the plane's own shade) drops out of their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera_model import F64
from calibration.lights.rays import LightCalibrationError, Pinhole, unit

BLOCKS = (12, 18)  # rows, columns
SECTORS = 6  # of the field, left out one at a time for the spread
LEAST_COSINE = 0.2  # light against plane: below, the plane says little of the light
CLIPPED_SHARE = 0.001
MOST_TILT_DEG, SIGMAS = 0.4, 3.0


@dataclass(frozen=True)
class PlaneFit:
    """Intensities at the target point, and the part of the field that the light model does not explain."""

    intensities: F64  # (K,) mean 1
    spreads: F64  # (K,) relative, one sigma
    lobe_exponent: float  # of the LEDs, common to all
    field: F64  # (rows, columns) what all lights have in common: vignetting and the plane's own shade, mean 1
    factors: F64  # (K, rows, columns) seen over modelled, field taken out: 1 where the model is right
    residual: float  # rms of factors about 1
    flags: tuple[str, ...]


def block_means(picture: NDArray[np.generic]) -> F64:
    """(rows, columns) means of equal blocks of a picture (H, W)."""
    rows, columns = BLOCKS
    return np.asarray(
        cv2.resize(np.asarray(picture, np.float32), (columns, rows), interpolation=cv2.INTER_AREA), np.float64
    )


def check_level(name: str, picture: NDArray[np.generic], black_dn: float, full_scale: float) -> None:
    """Raises LightCalibrationError for a picture of the plane that is clipped or dark."""
    values = picture.astype(np.float64)
    if (values >= 0.995 * full_scale).mean() > CLIPPED_SHARE:
        raise LightCalibrationError(f"{name}: the white plane is saturated; expose less")
    if np.median(values) - black_dn < 0.05 * full_scale:
        raise LightCalibrationError(f"{name}: the white plane is dark; expose more, or see whether the light is on")


def fit_plane(
    signals: F64,
    positions_mm: F64,
    rays: Pinhole,
    size: tuple[int, int],
    names: Sequence[str],
    *,
    plane_height_mm: float = 0.0,
    normal: tuple[float, float, float] = (0.0, 0.0, 1.0),
    position_spreads: tuple[F64, F64] | None = None,
    plane_tilt_spread_deg: float = 0.05,
) -> PlaneFit:
    """Fits the light model to the plane under each light.

    `signals` (K, rows, columns) are `block_means` per microsecond of exposure at unit gain; `positions_mm` (K, 3) are
    the lights in camera axes; `size` is (height, width) of the pictures. `position_spreads` are degrees and mm, one
    sigma, (K,) each. Raises LightCalibrationError for a light that only grazes the plane.
    """
    n = unit(np.asarray(normal, np.float64))
    points = _plane_points(rays, size, plane_height_mm, n)
    logs = np.log(np.maximum(signals.reshape(len(signals), -1), 1e-12))
    cosines = unit(positions_mm) @ n
    if cosines.min() < LEAST_COSINE:
        k = int(cosines.argmin())
        raise LightCalibrationError(
            f"light {names[k]} grazes the plane (cosine {cosines[k]:.2f}); tilt the view or lift it"
        )
    intensities, exponent = _solve(logs, positions_mm, points, n, np.arange(points.shape[0]))
    parts = np.array([
        _solve(logs, positions_mm, points, n, keep)[0] for keep in _without_sectors(len(points))
    ])  # fmt: skip
    jackknife = np.sqrt((SECTORS - 1) / SECTORS * ((parts - parts.mean(0)) ** 2).sum(0)) / intensities
    spreads = np.hypot(jackknife, _geometry_spread(positions_mm, n, position_spreads, plane_tilt_spread_deg))
    model, lobe = _model(positions_mm, points, n)
    rest = logs - np.log(intensities)[:, None] - model - exponent * lobe
    common = rest.mean(axis=0)
    factors = np.exp(rest - common).reshape(signals.shape)
    field = np.exp(common - common.mean()).reshape(signals.shape[1:])
    residual = float(np.sqrt(((factors - 1) ** 2).mean()))
    return PlaneFit(intensities, spreads, exponent, field, factors, residual, _departing(factors, names))


def _departing(factors: F64, names: Sequence[str]) -> tuple[str, ...]:
    """A flag for each light whose fall over the plane is not that of its position."""
    flags = []
    for k, name in enumerate(names):
        own = float(np.sqrt(((factors[k] - 1) ** 2).mean()))
        others = float(np.median([np.sqrt(((factors[j] - 1) ** 2).mean()) for j in range(len(names)) if j != k]))
        if own > max(2.5 * others, 0.01):
            flags.append(f"light {name}: its fall over the plane departs by {own:.1%} rms from its position's")
    return tuple(flags)


def _plane_points(rays: Pinhole, size: tuple[int, int], height_mm: float, normal: F64) -> F64:
    """(N, 3) points of the plane that the middles of the blocks show."""
    rows, columns = BLOCKS
    y = (np.arange(rows) + 0.5) * size[0] / rows - 0.5
    x = (np.arange(columns) + 0.5) * size[1] / columns - 0.5
    grid_x, grid_y = np.meshgrid(x, y)
    origins, directions = rays.through(grid_x.ravel(), grid_y.ravel())
    on_plane = normal * height_mm
    along = ((on_plane - origins) @ normal) / (directions @ normal)
    return np.asarray(origins + along[:, None] * directions, np.float64)


def _model(positions: F64, points: F64, normal: F64) -> tuple[F64, F64]:
    """(K, N) logarithms of n.l (d0 / d)^2, and of the cosine off the LED's axis, which aims at the target."""
    toward = positions[:, None, :] - points[None]
    distance = np.linalg.norm(toward, axis=-1)
    reach = np.linalg.norm(positions, axis=-1)[:, None]
    shading = (toward @ normal) / distance
    axis = np.einsum("kni,ki->kn", toward, positions) / distance / reach
    return np.log(np.maximum(shading, 1e-6) * (reach / distance) ** 2), np.log(np.maximum(axis, 1e-6))


def _solve(logs: F64, positions: F64, points: F64, normal: F64, keep: NDArray[np.intp]) -> tuple[F64, float]:
    """(K,) intensities of mean 1 and the LED's exponent, from the blocks `keep`."""
    model, lobe = _model(positions, points[keep], normal)
    seen = logs[:, keep] - model

    def centred(values: F64) -> F64:
        return np.asarray(values - values.mean(1, keepdims=True) - values.mean(0, keepdims=True) + values.mean())

    a, b = centred(lobe), centred(seen)
    exponent = float((a * b).sum() / max(float((a * a).sum()), 1e-12))
    level = (seen - exponent * lobe).mean(axis=1)
    intensities = np.exp(level - level.mean())
    return np.asarray(intensities / intensities.mean(), np.float64), exponent


def _without_sectors(count: int) -> list[NDArray[np.intp]]:
    """The blocks' indices, with each of SECTORS sectors left out in turn."""
    rows, columns = BLOCKS
    index = np.arange(count)
    sector = (index // columns) * 2 // rows * 3 + (index % columns) * 3 // columns
    return [index[sector != s] for s in range(SECTORS)]


def _geometry_spread(positions: F64, normal: F64, spreads: tuple[F64, F64] | None, tilt_deg: float) -> F64:
    """(K,) relative spread of intensities due to position and tilt of the plane: d log(n.l) = tan(slant) d angle."""
    cosine = unit(positions) @ normal
    tangent = np.sqrt(np.maximum(1 - cosine**2, 0)) / cosine
    angle = np.full(len(positions), np.radians(tilt_deg))
    if spreads is None:
        return np.asarray(tangent * angle)
    return np.asarray(tangent * np.hypot(angle, np.radians(spreads[0])))


@dataclass(frozen=True)
class PlaneTilt:
    """By how much the white plane leans from where it should lie, as the lights themselves show it."""

    tilt_deg: float
    azimuth_deg: float  # toward which the plane's normal leans: 0 right, 90 up in the picture
    spread_deg: float  # one sigma per axis
    flags: tuple[str, ...]


def plane_tilt(
    plane: F64, matte: F64, directions: F64, spreads: F64, normal: tuple[float, float, float] = (0.0, 0.0, 1.0)
) -> PlaneTilt:
    """The tilt that explains the ratios of two sets of intensities (K,), relative spreads (K,) one sigma.

    `plane` was found under the assumption that the plane's normal is `normal`; `matte` is from a sphere, whose normals
    are known. A normal off by d changes light l's share of the plane by d.l / n.l, so the ratios determine d. An
    unknown tilt of the plane would go one to one into the normals of every part.
    """
    sigma = np.maximum(spreads, 1e-5)
    slopes = directions[:, :2] / (directions @ np.asarray(normal))[:, None]
    matrix = np.column_stack([np.ones(len(plane)), slopes]) / sigma[:, None]
    ratios = np.log(plane / matte) / sigma
    covariance = np.linalg.inv(matrix.T @ matrix)
    found = covariance @ matrix.T @ ratios
    spare = len(plane) - 3
    misfit = float(((ratios - matrix @ found) ** 2).sum() / spare) if spare > 0 else 1.0
    spread = float(np.degrees(np.sqrt(np.diag(covariance)[1:].mean() * max(misfit, 1.0))))
    tilt = float(np.degrees(np.hypot(found[1], found[2])))
    azimuth = float(np.degrees(np.arctan2(found[2], found[1])) % 360)
    flags = []
    if tilt > max(MOST_TILT_DEG, SIGMAS * spread):
        flags.append(
            f"the white plane is tilted by {tilt:.2f} degrees toward azimuth {azimuth:.0f} (0 right, 90 up in the "
            "picture) from where it should lie; level it"
        )
    return PlaneTilt(tilt, azimuth, spread, tuple(flags))
