"""Where a near light stands: the point nearest to the lines toward it from several places of a mirror sphere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from calibration.camera_model import F64
from calibration.lights.rays import LightCalibrationError, angle_deg, unit

LEAST_BASE_MM = 5.0  # rms spread of the sphere's places; with less, the distance of a light at 250 mm is a guess
GROWING_SHARE = 0.5  # the part of one sighting's uncertainty that may grow with the place's distance from the middle


@dataclass(frozen=True)
class NearLight:
    """A light's position, in camera axes from the target point."""

    position_mm: F64  # (3,)
    direction: F64  # (3,) unit, seen from the target point
    spread_deg: float  # of the direction, one sigma per axis: jackknife over places, and one sighting's own
    distance_mm: float
    distance_spread_mm: float
    residual_deg: float  # rms angle between the seen directions and the position
    places: int
    flags: tuple[str, ...]


def nearest_point(points: F64, directions: F64, weights: F64) -> F64:
    """(3,) point of least weighted squared distance to the lines points (N, 3) + s directions (N, 3)."""
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    across = across * weights[:, None, None]
    return np.asarray(np.linalg.solve(across.sum(0), np.einsum("nij,nj->i", across, points)), np.float64)


def locate_light(points: F64, directions: F64, spreads_deg: F64) -> NearLight:
    """The light's position from reflecting points (N, 3) mm, the directions toward it there, and their spreads (N,)
    deg.

    Raises LightCalibrationError for fewer than three places, or places too close together.
    """
    count = len(points)
    if count < 3:
        raise LightCalibrationError(f"near light: {count} places of the sphere, at least 3 are needed")
    weights = 1 / np.maximum(spreads_deg, 0.01) ** 2
    position = nearest_point(points, directions, weights)
    distance = float(np.linalg.norm(position))
    base = float(np.sqrt(((points - points.mean(0)) ** 2).sum(-1).mean()))
    if base < LEAST_BASE_MM:
        raise LightCalibrationError(
            f"near light: the sphere's places spread by {base:.1f} mm only; at least {LEAST_BASE_MM:g} mm are needed"
        )
    misses = angle_deg(directions, unit(position - points))
    left_out = np.array([
        nearest_point(np.delete(points, i, 0), np.delete(directions, i, 0), np.delete(weights, i)) for i in range(count)
    ])  # fmt: skip
    factor = (count - 1) / count
    widen = float(student.ppf(0.975, count - 1)) / 1.96
    turned = angle_deg(unit(left_out), unit(position))
    scatter = widen * float(np.sqrt(factor * (turned**2).sum() / 2))
    # An error that all places share, such as a highlight's centre that is not its peak, does not average out.
    spread = float(np.hypot(scatter, np.median(spreads_deg)))
    lengths = np.linalg.norm(left_out, axis=1)
    loose = widen * float(np.sqrt(factor * ((lengths - lengths.mean()) ** 2).sum()))
    # Nor does one that grows with the place, as of a sphere whose radius is overstated: it shows as distance.
    growing = GROWING_SHARE * np.radians(float(np.median(spreads_deg))) * distance**2 / base
    return NearLight(
        position,
        unit(position),
        spread,
        distance,
        float(np.hypot(loose, growing)),
        float(np.sqrt((misses**2).mean())),
        count,
        _disagreeing(misses),
    )


def _disagreeing(misses_deg: F64) -> tuple[str, ...]:
    """A flag for the one place of the sphere that does not fit the others; needs four places."""
    worst = int(misses_deg.argmax())
    others = float(np.median(np.delete(misses_deg, worst)))
    if len(misses_deg) >= 4 and misses_deg[worst] > max(4 * others, 1.0):
        return (f"place {worst + 1} of the sphere disagrees with the others by {misses_deg[worst]:.1f} degrees",)
    return ()
