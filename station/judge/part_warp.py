"""Where a part that lies elsewhere on the fixture is seen: from the reference's pixels to those of a picture.

A part that was shifted by (x, y) and turned about the station's z axis moves every point of its surface rigidly. With
the surface's height over z = 0 known, a pixel's ray gives the point, and the moved point gives the pixel where it is
seen now. At one height for all pixels this is the homography of that plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from station.recipe.part_reference_file import ViewCamera

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """Points of the part as the reference has it, three arrays of one shape: in mm in the station frame."""

    x_mm: F32
    y_mm: F32
    z_mm: F32


def surface_at(camera: ViewCamera, u_px: F32, v_px: F32, heights_mm: F32) -> Surface:
    """The points that are seen at these pixels of the model's grid, at these heights over the station's z = 0."""
    turn, eye = camera.to_station[:3, :3].astype(np.float32), camera.to_station[:3, 3].astype(np.float32)
    a, b = (u_px - camera.center_px[0]) / camera.focal_px, (v_px - camera.center_px[1]) / camera.focal_px
    ray = [turn[i, 0] * a + turn[i, 1] * b + turn[i, 2] for i in range(3)]
    far = (heights_mm - eye[2]) / ray[2]
    return Surface(*(np.asarray(eye[i] + far * ray[i], np.float32) for i in range(3)))


def seen_at(camera: ViewCamera, surface: Surface, x_mm: float, y_mm: float, turn_deg: float) -> tuple[F32, F32]:
    """The pixels (x, y) at which the points are seen once the part was turned about z = 0 0 and then shifted."""
    sine, cosine = np.float32(np.sin(np.radians(turn_deg))), np.float32(np.cos(np.radians(turn_deg)))
    eye = camera.to_station[:3, 3]
    x = cosine * surface.x_mm - sine * surface.y_mm + np.float32(x_mm - eye[0])
    y = sine * surface.x_mm + cosine * surface.y_mm + np.float32(y_mm - eye[1])
    z = surface.z_mm - np.float32(eye[2])
    right, down, ahead = (
        np.float32(axis[0]) * x + np.float32(axis[1]) * y + np.float32(axis[2]) * z
        for axis in camera.to_station[:3, :3].T
    )
    u, v = (
        np.float32(camera.focal_px) * side / ahead + np.float32(centre)
        for side, centre in zip((right, down), camera.center_px, strict=True)
    )
    return np.asarray(u, np.float32), np.asarray(v, np.float32)


def motion_of_pixels(camera: ViewCamera, surface: Surface) -> F32:
    """(3, 2, ...): how many pixels right and down the points move per mm in x, per mm in y, and per degree, at rest."""
    steps = ((0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5))
    moved = []
    for step in steps:
        ahead, back = (seen_at(camera, surface, *(sign * s for s in step)) for sign in (1, -1))
        moved.append([a - b for a, b in zip(ahead, back, strict=True)])
    return np.asarray(moved, np.float32)


def turned_back(camera: ViewCamera, turn_deg: float) -> F32:
    """(3, 3) that turns the normals (x right, y up, z toward the camera) of a turned part back to the reference."""
    angle = np.radians(turn_deg)
    about_z = np.array([[np.cos(angle), np.sin(angle), 0.0], [-np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    flip = np.diag([1.0, -1.0, -1.0])  # from normals' axes to the camera's frame, x right, y down, z ahead
    to_station = camera.to_station[:3, :3] @ flip
    return np.asarray(to_station.T @ about_z @ to_station, np.float32)
