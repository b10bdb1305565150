"""Where a calibration sphere lies: its outline in a mask or a picture, and the sphere that has this outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from calibration.camera_model import F64
from calibration.lights.rays import LightCalibrationError, Rays

LEAST_RADIUS_PX = 15.0
LEAST_POINTS = 40
ROUGH_OUTLINE = 0.03  # of the radius: no sphere's outline strays farther from its circle


@dataclass(frozen=True)
class Circle:
    """A circle in the picture."""

    x_px: float
    y_px: float
    radius_px: float
    rms_px: float  # of the outline points that were kept


@dataclass(frozen=True)
class Sphere:
    """A sphere in space, in the unit of its `Rays` (mm, or pixels where the camera is unknown)."""

    center: F64  # (3,) camera axes
    radius: float
    circle: Circle  # fitted to its outline in the picture
    outline_rms_px: float
    center_spread: F64  # (3,) one sigma, from the outline's own scatter

    def normals(self, rays: Rays, x_px: F64, y_px: F64) -> tuple[F64, F64, NDArray[np.bool_]]:
        """Surface points (N, 3), unit normals (N, 3), and which of the pixels' lines of sight meet the sphere (N,)."""
        points, directions = rays.through(x_px, y_px)
        offset = points - self.center
        along = (offset * directions).sum(-1)
        under = along**2 - (offset**2).sum(-1) + self.radius**2
        meets = under > 0
        distance = -along - np.sqrt(np.where(meets, under, 0))
        surface = points + distance[..., None] * directions
        return surface, (surface - self.center) / self.radius, meets


def outline_of_mask(mask: NDArray[np.bool_]) -> F64:
    """(N, 2) points x, y of the border of the mask's largest region, between its last pixel and the next.

    Points on the picture's border are left out. Raises LightCalibrationError where nothing is masked, or too little of
    the outline lies inside the picture.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        raise LightCalibrationError("mask: nothing is masked; paint the sphere white")
    points = max(contours, key=cv2.contourArea).reshape(-1, 2).astype(np.float64)
    height, width = mask.shape
    inner = (points[:, 0] > 0) & (points[:, 1] > 0) & (points[:, 0] < width - 1) & (points[:, 1] < height - 1)
    if inner.sum() < LEAST_POINTS:
        raise LightCalibrationError(
            f"mask: an outline of {int(inner.sum())} pixels is too small; at least {LEAST_POINTS}"
        )
    points = points[inner]
    rough = fit_circle(points)
    outward = points - [rough.x_px, rough.y_px]
    # A contour runs through the centres of the last masked pixels: the border is half a pixel further out
    return np.asarray(points + 0.5 * outward / np.linalg.norm(outward, axis=1, keepdims=True))


def fit_circle(points: F64) -> Circle:
    """The circle of least geometric distance to points (N, 2); outliers are bounded first, then left out.

    Raises LightCalibrationError for too few points, too small a circle, or points that are none.
    """
    if len(points) < LEAST_POINTS:
        raise LightCalibrationError(f"sphere: {len(points)} outline points, at least {LEAST_POINTS} are needed")
    mean = points.mean(axis=0)
    local = points - mean
    system = np.column_stack([2 * local, np.ones(len(local))])
    x, y, c = np.linalg.lstsq(system, (local**2).sum(1), rcond=None)[0]
    start = np.array([x, y, np.sqrt(max(c + x * x + y * y, 1.0))])

    def residuals(p: F64) -> F64:
        return np.asarray(np.hypot(local[:, 0] - p[0], local[:, 1] - p[1]) - p[2])

    fit = least_squares(residuals, start, loss="soft_l1", f_scale=0.5)
    miss = residuals(fit.x)
    kept = np.abs(miss) <= max(3 * 1.4826 * float(np.median(np.abs(miss))), 0.75)

    def kept_residuals(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return residuals(p)[kept]

    fit = least_squares(kept_residuals, fit.x)
    circle = Circle(
        float(fit.x[0] + mean[0]), float(fit.x[1] + mean[1]), float(fit.x[2]),
        float(np.sqrt((residuals(fit.x)[kept] ** 2).mean())),
    )  # fmt: skip
    if circle.radius_px < LEAST_RADIUS_PX:
        raise LightCalibrationError(
            f"sphere: radius of {circle.radius_px:.1f} px, at least {LEAST_RADIUS_PX:g} are needed; go nearer"
        )
    if circle.rms_px > max(ROUGH_OUTLINE * circle.radius_px, 1.5) or kept.mean() < 0.6:
        raise LightCalibrationError(
            f"sphere: the outline strays by {circle.rms_px:.1f} px rms from a circle of {circle.radius_px:.0f} px"
        )
    return circle


def fit_sphere(points: F64, rays: Rays, radius: float | None = None) -> Sphere:
    """The sphere that the lines of sight through the outline's points (N, 2) touch.

    `radius` (mm) is needed with a calibrated camera; without one the radius comes from the circle, in pixels.
    Raises LightCalibrationError.
    """
    circle = fit_circle(points)
    focal = rays.focal_px
    if focal is None:
        center = np.array([circle.x_px, -circle.y_px, 0.0])
        scatter = circle.rms_px * np.sqrt(2 / len(points))
        return Sphere(center, circle.radius_px, circle, circle.rms_px, np.array([scatter, scatter, 0.0]))
    if radius is None:
        raise LightCalibrationError("sphere: its radius in mm is needed with a calibrated camera")
    origins, directions = rays.through(points[:, 0], points[:, 1])
    origin, ahead = rays.through(np.array([circle.x_px]), np.array([circle.y_px]))
    scale = circle.radius_px / focal
    start = origin[0] + ahead[0] * (radius * np.sqrt(1 + 1 / scale**2))
    px_per_unit = circle.radius_px / radius

    def residuals(center: F64) -> F64:
        offset = center - origins
        along = (offset * directions).sum(-1)
        return np.asarray((np.sqrt(np.maximum((offset**2).sum(-1) - along**2, 0)) - radius) * px_per_unit)

    fit = least_squares(residuals, start, loss="soft_l1", f_scale=1.0, x_scale=[1, 1, 10])
    miss = residuals(fit.x)
    jacobian = np.asarray(fit.jac, np.float64)
    covariance = np.linalg.inv(jacobian.T @ jacobian) * float((miss**2).mean())
    rms = float(np.sqrt(np.median(miss**2) / 0.4549))
    return Sphere(fit.x, radius, circle, rms, np.sqrt(np.diag(covariance)))


def outline_in_picture(
    picture: NDArray[np.float32] | F64, near: tuple[float, float], radius_px: float, rays_count: int = 360
) -> F64:
    """(N, 2) points x, y where brightness changes most along rays from `near` (x, y), about `radius_px` away.

    picture: (H, W), evenly lit (diffuse light), dark frame taken off. The change's middle is found between
    pixels: halfway between the levels on either side. Raises LightCalibrationError where too little is seen.
    """
    angle = np.linspace(0, 2 * np.pi, rays_count, endpoint=False)
    step = 0.25
    radii = np.arange(0.8 * radius_px, 1.2 * radius_px, step)
    x = (near[0] + radii[None] * np.cos(angle)[:, None]).astype(np.float32)
    y = (near[1] + radii[None] * np.sin(angle)[:, None]).astype(np.float32)
    profile = cv2.remap(picture.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    half = round(1.0 / step)
    change = np.zeros_like(profile)
    change[:, half:-half] = profile[:, 2 * half :] - profile[:, : -2 * half]
    height, width = picture.shape
    change[(x < 1) | (y < 1) | (x > width - 2) | (y > height - 2)] = 0
    best = np.abs(change).argmax(axis=1)
    rows = np.arange(rays_count)
    strength = np.abs(change[rows, best])
    keep = (strength > 0.5 * np.median(strength)) & (best >= 2 * half) & (best < len(radii) - 2 * half)
    if keep.sum() < LEAST_POINTS:
        raise LightCalibrationError(
            f"sphere: only {int(keep.sum())} of {rays_count} outline points found; light it evenly, on plain ground"
        )
    at = np.array([_crossing(profile[i], int(best[i]), 2 * half) for i in rows[keep]]) * step + radii[0]
    return np.stack([near[0] + at * np.cos(angle[keep]), near[1] + at * np.sin(angle[keep])], axis=-1)


def _crossing(profile: NDArray[np.float32], at: int, reach: int) -> float:
    """Index, with its fraction, at which the profile crosses halfway between its levels at `at` - and + `reach`."""
    first = profile[at - reach : at + reach + 1].astype(np.float64)
    level = (first[0] + first[-1]) / 2
    above = first > level
    cross = np.flatnonzero(above[1:] != above[:-1])
    if not len(cross):
        return float(at)
    i = int(cross[np.abs(cross - reach).argmin()])
    return at - reach + i + float((level - first[i]) / (first[i + 1] - first[i]))


def find_sphere_in_picture(
    picture: NDArray[np.float32] | F64, rays: Rays, radius: float, near: tuple[float, float]
) -> Sphere:
    """The sphere of known radius (mm) that is seen about `near` (x, y px) in an evenly lit picture.

    Raises LightCalibrationError where it is not found, or the camera is not calibrated.
    """
    focal = rays.focal_px
    if focal is None:
        raise LightCalibrationError("sphere: finding it in a picture needs a calibrated camera; give a mask instead")
    points, directions = rays.through(np.array([near[0]]), np.array([near[1]]))
    radius_px = radius * focal / float(np.abs(points[0, 2] / directions[0, 2]))
    for _ in range(3):
        sphere = fit_sphere(outline_in_picture(picture, near, radius_px), rays, radius)
        near, radius_px = (sphere.circle.x_px, sphere.circle.y_px), sphere.circle.radius_px
    return sphere
