"""Light models: far lights by direction, near ones by position; their check, and light vectors over the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from station.errors import BadInput

SEGMENT_PX = 256  # of a row, solved at a time: its scratch stays in the first cache
MAXIMUM_SET_CONDITION = 1000.0  # of L^T L; a ring at 45 degrees slant has 2, one at 10 degrees 64


class LightGeometryError(BadInput, ValueError):
    """The lights as arranged cannot decide a normal; the text carries the figure that shows it."""


@dataclass(frozen=True)
class DirectionalLights:
    """Lights so far away that direction and strength are the same all over the picture."""

    names: tuple[str, ...]
    directions: NDArray[np.float64]  # (K, 3) unit vectors toward the light, x right, y up, z to the camera
    intensities: NDArray[np.float64]  # (K,) relative to each other, or (K, 2, 2) per phase of the Bayer mosaic


@dataclass(frozen=True)
class PointLights:
    """Near lights: L(x, y) = intensity * d0^2 (S - P) / |S - P|^3, with d0 = |S|, so |L| = intensity at the target."""

    names: tuple[str, ...]
    positions_mm: NDArray[np.float64]  # (K, 3) x right, y up, z toward the camera; origin at the target point
    intensities: NDArray[np.float64]  # (K,) at the target point, or (K, 2, 2) per phase of the Bayer mosaic
    mm_per_px: float
    center_px: tuple[float, float]  # (x, y) where the target point is seen
    plane_height_mm: float = 0.0  # of the part's surface above the target point
    lobe_exponent: float = 0.0  # mu of an LED that aims at the target point: strength * cos(angle off its axis)^mu


LightModel = DirectionalLights | PointLights


def check_lights(lights: LightModel) -> float:
    """Condition number of L^T L (of the directions at the target point).

    Raises LightGeometryError for fewer than three lights, shapes that do not match, values that are not
    finite and positive, directions that are not unit vectors, and coplanar directions.
    """
    count = len(lights.names)
    if count < 3:
        raise LightGeometryError(
            f"photometric stereo needs at least 3 lights, {count} given: {', '.join(lights.names)}"
        )
    if len(set(lights.names)) != count:
        raise LightGeometryError(f"light names are not unique: {', '.join(lights.names)}")
    _check_intensities(lights)
    directions = directions_at_target(lights)
    condition = float(np.linalg.cond(directions.T @ directions))
    if not condition <= MAXIMUM_SET_CONDITION:
        raise LightGeometryError(
            f"the directions of the {count} lights are coplanar or nearly so: condition number {condition:.3g} "
            f"of L^T L exceeds {MAXIMUM_SET_CONDITION:g}; spread the lights around the viewing axis"
        )
    return condition


def _check_intensities(lights: LightModel) -> None:
    """Raises LightGeometryError for another shape, and naming a light whose intensity is not finite and above 0."""
    count = len(lights.names)
    if lights.intensities.shape not in ((count,), (count, 2, 2)):
        raise LightGeometryError(
            f"intensities have shape {lights.intensities.shape}, expected ({count},) for {count} lights"
        )
    bad = ~(np.isfinite(lights.intensities) & (lights.intensities > 0)).reshape(count, -1).all(axis=1)
    if bad.any():
        name = lights.names[int(np.argmax(bad))]
        raise LightGeometryError(
            f"intensity of light {name!r} is {lights.intensities[int(np.argmax(bad))]}, must be > 0"
        )


def directions_at_target(lights: LightModel) -> NDArray[np.float64]:
    """(K, 3) unit vectors toward the lights at the target point.

    Raises LightGeometryError for another shape, and naming a light whose vector is not finite, is zero, or is a
    direction that is not of unit length.
    """
    given = lights.directions if isinstance(lights, DirectionalLights) else lights.positions_mm
    count = len(lights.names)
    if given.shape != (count, 3):
        raise LightGeometryError(f"light vectors have shape {given.shape}, expected ({count}, 3) for {count} lights")
    lengths = np.linalg.norm(given, axis=1)
    unit = isinstance(lights, PointLights)
    for name, length in zip(lights.names, lengths, strict=True):
        if not (np.isfinite(length) and length > 0 and (unit or abs(length - 1) < 0.01)):
            raise LightGeometryError(
                f"light {name!r}: vector of length {length:.4g}, expected {'> 0' if unit else '1'}"
            )
    return np.asarray(given / lengths[:, None], np.float64)


def select_lights(lights: LightModel, keep: list[int]) -> LightModel:
    """The lights at the indices `keep`, in that order, as a set of their own."""
    names = tuple(lights.names[i] for i in keep)
    if isinstance(lights, DirectionalLights):
        return replace(lights, names=names, directions=lights.directions[keep], intensities=lights.intensities[keep])
    return replace(lights, names=names, positions_mm=lights.positions_mm[keep], intensities=lights.intensities[keep])


def light_vectors(
    lights: LightModel,
    x_px: NDArray[np.float64],
    y_px: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit directions (..., K, 3) and strengths (..., K) relative to the intensities, at pixels x, y of shape (...)."""
    shape = np.broadcast_shapes(x_px.shape, y_px.shape)
    if isinstance(lights, DirectionalLights):
        directions = directions_at_target(lights)
        return np.broadcast_to(directions, (*shape, *directions.shape)), np.ones((*shape, len(directions)))
    points_mm = np.zeros((*shape, 1, 3))
    points_mm[..., 0, 0] = (x_px - lights.center_px[0]) * lights.mm_per_px
    points_mm[..., 0, 1] = (lights.center_px[1] - y_px) * lights.mm_per_px
    points_mm[..., 0, 2] = lights.plane_height_mm
    rays_mm = lights.positions_mm - points_mm
    distances_mm = np.linalg.norm(rays_mm, axis=-1)
    target_mm = np.linalg.norm(lights.positions_mm, axis=-1)
    directions, strengths = rays_mm / distances_mm[..., None], (target_mm / distances_mm) ** 2
    if lights.lobe_exponent > 0:
        cosines = (directions * (lights.positions_mm / target_mm[:, None])).sum(axis=-1)
        strengths = strengths * np.maximum(cosines, 0) ** lights.lobe_exponent
    return directions, strengths


def mosaic_intensities(lights: LightModel) -> NDArray[np.float64]:
    """(K, 2, 2) intensities per phase of a 2 x 2 mosaic, equal where one figure per light was given."""
    count = len(lights.names)
    values = lights.intensities.reshape(count, -1)
    return (
        np.ascontiguousarray(np.broadcast_to(values, (count, 4)).reshape(count, 2, 2))
        if values.shape[1] == 1
        else (np.ascontiguousarray(values.reshape(count, 2, 2)))
    )


def knot_step_px(lights: LightModel) -> int:
    """Distance of the knots between which near light is interpolated linearly; a power of two, SEGMENT_PX at most.

    A 64th of the nearest light's distance keeps the interpolation's error near 0.005 degrees.
    """
    if isinstance(lights, DirectionalLights):
        return SEGMENT_PX
    longest_px = float(np.linalg.norm(lights.positions_mm, axis=1).min()) / 64 / lights.mm_per_px
    return int(min(SEGMENT_PX, max(8, 2 ** int(np.log2(max(longest_px, 1.0))))))
