"""A light's direction from its highlight on a mirror sphere, by the mirror law along the pixel's own line of sight."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera_model import F64
from calibration.lights.outline import Sphere
from calibration.lights.rays import LightCalibrationError, Rays, angle_deg, unit

RIM = 0.97  # of the radius: beyond it the sphere is seen too obliquely
LEVELS = (0.35, 0.5, 0.65, 0.8)  # of the maximum: how far the centroids at these levels differ is its spread
RIVAL = 0.5  # of the largest highlight's light: a second one of this share makes the light ambiguous
CLIPPED_RADIUS = 0.05  # of the sphere's radius: a saturated patch that large hides the peak


@dataclass(frozen=True)
class MirrorSighting:
    """One light as one mirror sphere shows it."""

    direction: F64  # (3,) unit, from the reflecting point toward the light
    point: F64  # (3,) where it reflects, in the unit of the rays
    highlight_px: tuple[float, float]
    spread_deg: float  # one sigma per axis
    clipped_px: int
    flags: tuple[str, ...]


def mirror_direction(normal: F64, toward_camera: F64) -> F64:
    """l = 2 (n.v) n - v for unit vectors (..., 3); v points from the reflecting point to the camera."""
    cosine = (normal * toward_camera).sum(-1, keepdims=True)
    return np.asarray(2 * cosine * normal - toward_camera, np.float64)


def sight_light(
    picture: NDArray[np.float32] | F64, sphere: Sphere, rays: Rays, full_scale: float, what: str = "picture"
) -> MirrorSighting:
    """The direction of the light that the sphere shows in a picture (H, W), linear and with the dark level taken off.

    Counts near `full_scale` are taken for clipped; `what` names the picture in messages.

    Raises LightCalibrationError where there is no highlight.
    """
    values = np.where(_inside(picture.shape, sphere), picture, 0).astype(np.float32)
    peak = float(values.max())
    ground = float(np.median(values[values > 0])) if (values > 0).any() else 0.0
    if peak <= 0.02 * full_scale or peak < 3 * max(ground, 1e-9):
        raise LightCalibrationError(
            f"{what}: no highlight on the sphere (brightest {peak:.3g} of {full_scale:.3g}, median {ground:.3g}); "
            "is the light on, and the sphere polished?"
        )
    flags = _rivals(values, peak)
    centres = np.array([_centroid(values, level * peak) for level in LEVELS])
    x, y = centres[1]
    clipped = int((values >= 0.995 * full_scale).sum())
    clipped_radius = np.sqrt(clipped / np.pi)
    radius_px = sphere.circle.radius_px
    if clipped_radius > CLIPPED_RADIUS * radius_px:
        flags.append(f"saturated highlight: {clipped} pixels clipped; expose less")
    direction, point, normal = _reflect(sphere, rays, x, y, what)
    slant = np.degrees(np.arccos(np.clip(normal[2], -1, 1)))
    if np.hypot(x - sphere.circle.x_px, y - sphere.circle.y_px) > 0.93 * radius_px:
        flags.append(f"highlight near the sphere's rim ({slant:.0f} degrees): little is known of the direction")
    miss_px = np.sqrt(
        0.05**2
        + float(((centres - centres.mean(0)) ** 2).sum(1).mean()) / 2
        + (0.15 * clipped_radius) ** 2
        + sphere.circle.rms_px**2 * 8 / 360
    )
    return MirrorSighting(
        direction, point, (float(x), float(y)), _degrees_per_px(sphere, rays, x, y, what) * float(miss_px), clipped,
        tuple(flags),
    )  # fmt: skip


def _inside(shape: tuple[int, ...], sphere: Sphere) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    circle = sphere.circle
    return np.asarray((x - circle.x_px) ** 2 + (y - circle.y_px) ** 2 < (RIM * circle.radius_px) ** 2)


def _rivals(values: NDArray[np.float32], peak: float) -> list[str]:
    """A flag where a second highlight is nearly as bright as the first."""
    count, labels, _, _ = cv2.connectedComponentsWithStats((values > 0.5 * peak).astype(np.uint8), connectivity=8)
    light = np.sort(np.bincount(labels.ravel(), weights=values.ravel().astype(np.float64), minlength=count)[1:])[::-1]
    if len(light) > 1 and light[1] > RIVAL * light[0]:
        return [f"two highlights of like size ({light[1] / light[0]:.0%}): more than one light, or a reflection"]
    return []


def _centroid(values: NDArray[np.float32], level: float) -> tuple[float, float]:
    """Of the largest connected region above `level`, weighted by what stands above it."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((values >= level).astype(np.uint8), connectivity=8)
    largest = 1 + int(stats[1:count, cv2.CC_STAT_AREA].argmax())
    y, x = np.nonzero(labels == largest)
    weight = values[y, x].astype(np.float64) - level + 1e-6 * float(values.max())
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


def _reflect(sphere: Sphere, rays: Rays, x: float, y: float, what: str) -> tuple[F64, F64, F64]:
    """Direction toward the light, reflecting point and normal there, of a highlight at x, y px."""
    points, normals, meets = sphere.normals(rays, np.array([x]), np.array([y]))
    if not meets[0]:
        raise LightCalibrationError(f"{what}: the highlight at ({x:.1f}, {y:.1f}) px lies off the sphere")
    _, away = rays.through(np.array([x]), np.array([y]))
    return unit(mirror_direction(normals[0], -away[0])), points[0], normals[0]


def _degrees_per_px(sphere: Sphere, rays: Rays, x: float, y: float, what: str) -> float:
    """The angle by which the direction turns where the highlight, or the outline, is off by a pixel."""
    here, _, _ = _reflect(sphere, rays, x, y, what)
    inward = np.sign([sphere.circle.x_px - x, sphere.circle.y_px - y]) * 0.5 + (x == sphere.circle.x_px) * 0.5
    turned = [
        float(angle_deg(here, _reflect(sphere, rays, x + dx, y + dy, what)[0])) * 2
        for dx, dy in ((inward[0], 0.0), (0.0, inward[1]))
    ]
    return float(np.sqrt(np.mean(np.square(turned))))
