"""A light's direction and strength from a matte sphere: brightness e max(n.l, 0), fitted robustly.

Of a near light whose distance is known, the fall over the sphere and the LED's lobe are part of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.camera_model import F64
from calibration.lights.outline import Sphere
from calibration.lights.rays import LightCalibrationError, Rays, angle_deg, unit

LIT_COSINE = 0.15  # pixels that the light grazes more than this are left out
RIM = 0.95  # of the radius
ITERATIONS = 8
SECTORS = 8  # of the sphere's face, left out one at a time for the spread
MOST_PIXELS = 6_000
CLIPPED_SHARE = 0.002
LEAST_PIXELS = 200


@dataclass(frozen=True)
class DiffuseFit:
    """One light as one matte sphere shows it."""

    direction: F64  # (3,) unit, from the sphere's centre toward the light
    strength: float  # brightness of a surface that faces the light at the sphere's centre
    spread_deg: float  # one sigma per axis: jackknife over sectors of the face
    strength_spread: float  # relative, one sigma
    residual: float  # robust rms over the strength
    flags: tuple[str, ...]


def at_target(fit: DiffuseFit, sphere: Sphere, distance: float, lobe_exponent: float) -> DiffuseFit:
    """A fit at the sphere's centre, converted to direction and strength at the target point, where the light aims."""
    toward = fit.direction * distance
    position = sphere.center + toward
    reach = float(np.linalg.norm(position))
    off_axis = float(toward @ position) / (distance * reach)
    return replace(
        fit,
        direction=position / reach,
        strength=fit.strength * (distance / reach) ** 2 / off_axis**lobe_exponent,
        spread_deg=fit.spread_deg * distance / reach,
    )


@dataclass(frozen=True)
class _Face:
    """The pixels of one sphere that are used, with their normals; the same for all pictures of a set."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    normals: F64  # (N, 3) unit
    points: F64  # (N, 3) from the sphere's centre
    sectors: NDArray[np.intp]


def sphere_face(sphere: Sphere, rays: Rays, shape: tuple[int, int]) -> _Face:
    """Pixels of the sphere's inner face with their normals, thinned to about MOST_PIXELS."""
    y, x = np.nonzero(_disc(shape, sphere))
    keep = slice(None, None, max(1, len(x) // MOST_PIXELS))
    y, x = y[keep], x[keep]
    points, normals, meets = sphere.normals(rays, x.astype(np.float64), y.astype(np.float64))
    angle = np.arctan2(y - sphere.circle.y_px, x - sphere.circle.x_px)
    sectors = np.floor((angle + np.pi) / (2 * np.pi) * SECTORS).astype(np.intp) % SECTORS
    return _Face(y[meets], x[meets], normals[meets], points[meets] - sphere.center, sectors[meets])


def fit_light(
    picture: NDArray[np.float32] | F64,
    sphere: Sphere,
    rays: Rays,
    full_scale: float,
    *,
    distance: float | None = None,
    lobe_exponent: float = 0.0,
    what: str = "picture",
) -> DiffuseFit:
    """Fits one light to a picture (H, W) that is linear and has the dark frame taken off.

    `distance` of a near light is from the sphere's centre; None takes the light as infinitely far. `what` names the
    picture in messages. Raises LightCalibrationError where the sphere is not lit.
    """
    face = sphere_face(sphere, rays, (picture.shape[0], picture.shape[1]))
    values = picture[face.rows, face.columns].astype(np.float64)
    flags = []
    clipped = values >= 0.995 * full_scale
    if clipped.mean() > CLIPPED_SHARE:
        flags.append(f"saturated: {clipped.mean():.1%} of the sphere is clipped; expose less")
    usable = ~clipped & np.isfinite(values)
    if np.quantile(values, 0.95) <= 0.02 * full_scale:
        raise LightCalibrationError(
            f"{what}: the sphere is dark (95 % of it under 2 % of full scale); is the light on?"
        )
    vector, residual = _fit(values, face, usable, distance, lobe_exponent, what)
    parts = []
    for sector in range(SECTORS):
        others = usable & (face.sectors != sector)
        if (others & (face.normals @ vector > 0)).sum() >= LEAST_PIXELS:
            parts.append(_fit(values, face, others, distance, lobe_exponent, what)[0])
    return _fit_result(vector, np.array(parts), residual, flags)


def _fit_result(vector: F64, parts: F64, residual: float, flags: list[str]) -> DiffuseFit:
    """`parts` (n, 3): the vector as found with each sector left out, for the jackknife."""
    strength = float(np.linalg.norm(vector))
    n = len(parts)
    factor = (n - 1) / n
    spread = float(np.sqrt(factor * (angle_deg(unit(parts), unit(vector)) ** 2).sum() / 2))
    strengths = np.linalg.norm(parts, axis=1)
    loose = float(np.sqrt(factor * ((strengths - strengths.mean()) ** 2).sum()) / strength)
    return DiffuseFit(vector / strength, strength, spread, loose, residual / strength, tuple(flags))


def _disc(shape: tuple[int, int], sphere: Sphere) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    circle = sphere.circle
    return np.asarray((x - circle.x_px) ** 2 + (y - circle.y_px) ** 2 < (RIM * circle.radius_px) ** 2)


def _fit(
    values: F64, face: _Face, usable: NDArray[np.bool_], distance: float | None, lobe: float, what: str
) -> tuple[F64, float]:
    """Strength times direction at the sphere's centre, and the residuals' robust rms."""
    bright = usable & (values > 0.3 * np.quantile(values[usable], 0.95))
    vector: F64 = np.asarray(np.linalg.lstsq(face.normals[bright], values[bright], rcond=None)[0], np.float64)
    residual = 0.0
    for _ in range(ITERATIONS):
        direction = unit(vector)
        factors = _near_factors(face.points, direction, distance, lobe)
        shading = (face.normals * factors).sum(-1)
        lit = usable & (shading > LIT_COSINE)
        if lit.sum() < LEAST_PIXELS:
            raise LightCalibrationError(f"{what}: the light reaches {int(lit.sum())} pixels of the sphere only")
        strength = float(np.linalg.norm(vector))
        miss = values[lit] - strength * shading[lit]
        residual = float(1.4826 * np.median(np.abs(miss)))
        weight = 1 / (1 + (miss / max(3 * residual, 1e-6 * strength)) ** 2)
        # Linear in the direction while the near light's factors are held: I = e s(p) n.(l - p/d) = (e l).n s - e s
        # n.p/d
        scale, shift = _linearised(face.points[lit], direction, distance, lobe)
        system = face.normals[lit] * scale[:, None]
        known = values[lit] + strength * scale * (face.normals[lit] * shift).sum(-1)
        root = np.sqrt(weight)
        vector = np.asarray(np.linalg.lstsq(system * root[:, None], known * root, rcond=None)[0], np.float64)
    return vector, residual


def _linearised(points: F64, direction: F64, distance: float | None, lobe: float) -> tuple[F64, F64]:
    """s and p/d of I = e s n.(l - p/d), where s = (d/r)^3 lobe and r is the distance from the lamp."""
    if distance is None:
        return np.ones(len(points)), np.zeros_like(points)
    shift = points / distance
    toward = direction - shift
    reach = np.linalg.norm(toward, axis=-1)
    cosine = (toward @ direction) / reach
    return np.asarray(reach**-3.0 * cosine**lobe), shift


def _near_factors(points: F64, direction: F64, distance: float | None, lobe: float) -> F64:
    """(N, 3): the vector whose product with the normal is the shading; unit length at the sphere's centre."""
    scale, shift = _linearised(points, direction, distance, lobe)
    return np.asarray(scale[:, None] * (direction - shift))
