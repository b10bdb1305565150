"""Triangles of a body: cut-outs leave the right area, shells close, and rays hit them where they hit the Scene."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene import Scene, make_part
from drivers.simulated.scene.geometry import Standpoint, region
from drivers.simulated.scene.mesh import Mesh, mesh_of
from drivers.simulated.scene.mounted import MountedCamera
from drivers.simulated.scene.part import Part
from drivers.simulated.scene.products import block, connector

F64 = NDArray[np.float64]

FRONT = Pose(0.0, -176.777, 184.777, 45.0, -90.0)
BINNING = 32


def area_mm2(part: Part, mesh: Mesh, face: str) -> float:
    indices = [i for i, patch in enumerate(part.body.patches) if patch.face == face]
    return float(mesh.areas_mm2()[np.isin(mesh.patches, indices)].sum())


def test_straight_cut_outs_are_exact_and_round_ones_within_the_tolerance() -> None:
    part = make_part("connector", 0)
    mesh = mesh_of(part.body)
    opening = (connector.POCKET_X[1] - connector.POCKET_X[0]) * (connector.POCKET_Y[1] - connector.POCKET_Y[0])
    width, depth = (2 * (edge - connector.CHAMFER_MM) for edge in (connector.BODY_X_MM, connector.BODY_Y_MM))
    assert area_mm2(part, mesh, "body_top") == pytest.approx(width * depth - opening, rel=1e-12)
    flange = 4 * connector.FLANGE_X_MM * connector.FLANGE_Y_MM
    missing = flange - area_mm2(part, mesh, "flange_top")
    assert missing == pytest.approx(4 * math.pi * 0.9**2, rel=2e-3)
    slope = 2 * connector.BODY_X_MM * connector.CHAMFER_MM * math.sqrt(2) - connector.CHAMFER_MM**2 * math.sqrt(2)
    assert area_mm2(part, mesh, "chamfer_front") == pytest.approx(slope, rel=1e-9)


def test_a_sphere_has_its_area_and_normals_that_point_outward() -> None:
    mesh = mesh_of(make_part("sphere_diffuse", 0).body)
    assert mesh.areas_mm2().sum() == pytest.approx(4 * math.pi * 64.0, rel=1e-3)
    radial = (mesh.vertices - [0.0, 0.0, 8.0]) / 8.0
    assert np.abs(radial - mesh.normals).max() < 1e-9


def test_the_block_s_shell_is_closed_but_for_its_foot_and_holds_the_drawn_volume() -> None:
    mesh = mesh_of(make_part("block", 0).body)
    p, q, r = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    areas = np.cross(q - p, r - p) / 2.0
    foot_mm2 = 4 * block.BLOCK_X_MM * block.BLOCK_Y_MM
    assert areas.sum(axis=0) == pytest.approx([0.0, 0.0, foot_mm2], abs=1e-6)
    volume = float(np.sum(areas * (p + q + r) / 3.0) / 3.0)  # the foot lies in z = 0 and adds nothing
    step = (block.BLOCK_X_MM - block.STEP_X_MM) * 2 * block.BLOCK_Y_MM * (block.BLOCK_Z_MM - block.STEP_Z_MM)
    hole = math.pi * block.HOLE_R_MM**2 * (block.STEP_Z_MM - block.HOLE_FLOOR_MM)
    drawn = foot_mm2 * block.BLOCK_Z_MM - 16.0 * 12.0 * 6.0 - step - hole
    assert volume == pytest.approx(drawn, rel=1e-5)


@pytest.mark.parametrize("product", ["connector", "knob", "lever"])
def test_rays_hit_the_triangles_where_they_hit_the_scene(product: str) -> None:
    part = make_part(product, 0)
    truth = Scene(part).truth(FRONT, BINNING)
    stand = Standpoint.of(FRONT, part.placement, MountedCamera())
    rays = stand.rays(BINNING, region(BINNING, None))
    rows, columns = (index[::12] for index in np.nonzero(truth.part_mask))
    directions = rays[:3] + columns[:, None] * rays[3:6] + rows[:, None] * rays[6:9]
    found = first_hits(mesh_of(part.body, tolerance_mm=0.002), stand.position, directions)
    apart_um = 1000.0 * np.abs(found - truth.depth_mm[rows, columns])
    assert len(apart_um) > 100
    assert np.median(apart_um) < 2.0
    assert np.mean(apart_um < 20.0) > 0.99  # the rest looks past an edge


def test_a_tolerance_that_is_not_above_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="tolerance_mm must be above 0, found 0"):
        mesh_of(make_part("block", 0).body, tolerance_mm=0.0)


def first_hits(mesh: Mesh, origin: F64, directions: F64) -> F64:
    """Ray parameter of the nearest triangle met from outside, (n,) (Moeller and Trumbore, 1997)."""
    p, q, r = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    normals = np.cross(q - p, r - p)
    height = np.einsum("tc,tc->t", normals, origin - p)
    by_u, by_v = np.cross(r - p, origin - p), np.cross(origin - p, q - p)
    nearest = []
    for d in directions:
        facing = -normals @ d
        seen = np.flatnonzero(facing > 0.0)
        u, v = by_u[seen] @ d, by_v[seen] @ d
        hit = (u >= 0.0) & (v >= 0.0) & (u + v <= facing[seen])
        nearest.append((height[seen] / facing[seen])[hit].min(initial=np.inf))
    return np.array(nearest)
