"""Which pixels of a rendered view are concave, and which lie at a contact."""

from __future__ import annotations

import numpy as np
from foreign.views import BINNING, RenderedView
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from drivers.geometry.pose import Pose
from drivers.simulated.scene import Part, Placement
from drivers.simulated.scene.geometry import Standpoint, region
from drivers.simulated.scene.mesh import mesh_of
from drivers.simulated.scene.mounted import MountedCamera

Mask = NDArray[np.bool_]
F64 = NDArray[np.float64]

CONCAVE_SHARE, CONTACT_MM, CONTACT_RISE, SURFACE_STEP_MM = 0.05, 1.0, 0.2, 0.3


def concave(view: RenderedView) -> Mask:
    """(H, W): bounced light is over 5 % of the total of the lamps that reach the pixel, or no lamp reaches it."""
    share = (view.total - view.direct) / np.maximum(view.total, 1e-9)
    reached = view.lit.sum(axis=0)
    mean = np.where(view.lit, share, 0.0).sum(axis=0) / np.maximum(reached, 1)
    return np.asarray(view.part & ((mean > CONCAVE_SHARE) | (reached == 0)))


def contacts(part: Part, view: RenderedView, pose: Pose) -> Mask:
    """(H, W): within 1 mm of the pixel another patch, or the plate, rises over its tangent plane by 0.2 of the way."""
    points, normals = _placed(view, pose)
    samples, owners = _surface_points(part)
    pairs = cKDTree(points).sparse_distance_matrix(cKDTree(samples), CONTACT_MM, output_type="coo_matrix")
    way = samples[pairs.col] - points[pairs.row]
    rise = np.sum(way * normals[pairs.row], axis=1)
    other = owners[pairs.col] != view.patches[view.part][pairs.row]
    near = np.zeros(len(points), np.bool_)
    near[pairs.row[other & (rise > CONTACT_RISE * pairs.data)]] = True
    out = np.zeros(view.part.shape, np.bool_)
    out[view.part] = near
    return out


def _placed(view: RenderedView, pose: Pose) -> tuple[F64, F64]:
    """Points and normals (n, 3) of the part's pixels in the part frame."""
    stand = Standpoint.of(pose, Placement(), MountedCamera())
    rays = stand.rays(BINNING, region(BINNING, None))
    y, x = np.nonzero(view.part)
    directions = rays[:3] + x[:, None] * rays[3:6] + y[:, None] * rays[6:9]
    right, up, ahead = stand.axes
    n = view.normals[:, view.part].astype(np.float64)
    normals = n[0][:, None] * right - n[2][:, None] * ahead + n[1][:, None] * up
    return stand.position + directions * view.depth_mm[view.part][:, None].astype(np.float64), normals


def _surface_points(part: Part) -> tuple[F64, NDArray[np.int64]]:
    """Points (n, 3) all over the part and the plate round it, about 0.3 mm apart; their patches, -1 the plate."""
    mesh, rng = mesh_of(part.body), np.random.default_rng(3)
    wanted = mesh.areas_mm2() / SURFACE_STEP_MM**2
    chosen = np.repeat(np.arange(len(wanted)), rng.poisson(wanted))
    a, b = rng.random((2, len(chosen), 1))
    a, b = np.where(a + b > 1.0, 1.0 - a, a), np.where(a + b > 1.0, 1.0 - b, b)
    p, q, r = (mesh.vertices[mesh.triangles[chosen, i]] for i in range(3))
    low, high = mesh.vertices.min(axis=0) - 2 * CONTACT_MM, mesh.vertices.max(axis=0) + 2 * CONTACT_MM
    x, y = (g.ravel() for g in np.meshgrid(*(np.arange(low[c], high[c], SURFACE_STEP_MM) for c in (0, 1))))
    plate = np.stack([x, y, np.zeros_like(x)], axis=1)
    points = np.concatenate([p + a * (q - p) + b * (r - p), plate])
    return points, np.concatenate([mesh.patches[chosen], np.full(len(plate), -1)])
