"""Depth and height of a view against analytic answers: the plate, a box, and a ball that trimesh has made."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from drivers.geometry.pose import Pose
from drivers.simulated.scene import Scene, make_part
from drivers.simulated.scene.discontinuities import discontinuities, near_steps
from drivers.simulated.scene.mounted import CENTER_PX, FOCAL_PX

HEIGHT_OF_CAMERA_MM = 258.0
TOP = Pose(0.0, 0.0, HEIGHT_OF_CAMERA_MM, 0.0, -90.0)
TILTED = Pose(176.777, 0.0, 184.777, 45.0, 0.0)
BINNING = 32
PIXEL_MM = 250.0 / FOCAL_PX * BINNING
PLAIN = "tolerance_mm: 0\nmaterial: {texture: plain, mottle: 0, slope: 0}\n"


def directions(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(2, H, W) how far right and down a ray goes for each mm ahead."""
    rows, columns = np.indices(shape)
    x = (columns + 0.5) * BINNING - 0.5 - CENTER_PX[0]
    y = (rows + 0.5) * BINNING - 0.5 - CENTER_PX[1]
    return np.stack([x, y]) / FOCAL_PX


def scene_of(folder: Path, mesh: trimesh.Trimesh) -> Scene:
    mesh.export(folder / "body.stl")
    (folder / "body.yaml").write_text(PLAIN)
    return Scene(make_part(str(folder / "body.stl"), 0))


def test_the_plate_lies_at_the_cameras_height_and_has_height_0() -> None:
    truth = Scene(make_part("knob", 0)).truth(TOP, BINNING)
    plate = truth.faces == 0
    assert plate.any()
    np.testing.assert_allclose(truth.depth_mm[plate], HEIGHT_OF_CAMERA_MM, atol=1e-4)
    np.testing.assert_allclose(truth.height_mm[plate], 0.0, atol=1e-4)


def test_a_tilted_camera_sees_a_plane_at_the_depth_of_the_formula() -> None:
    scene = Scene(make_part("plane_white", 0))
    truth = scene.truth(TILTED, BINNING)
    level = float(np.median(truth.height_mm[truth.part_mask]))
    _, down = directions(truth.depth_mm.shape)
    s = math.sqrt(0.5)
    expected = (TILTED.z_mm - level) / (s * (1 + down))  # a ray falls by s ahead, and by s for each mm down
    np.testing.assert_allclose(truth.depth_mm[truth.part_mask], expected[truth.part_mask], rtol=2e-5)


def test_a_box_has_its_height_on_top_and_steps_only_along_its_rim(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, trimesh.creation.box((20.0, 14.0, 9.0)))
    truth = scene.truth(TOP, BINNING)
    up = truth.part_mask & (truth.normals[2] > 0.99)
    np.testing.assert_allclose(truth.height_mm[up], 9.0, atol=1e-3)
    np.testing.assert_allclose(truth.depth_mm[up], HEIGHT_OF_CAMERA_MM - 9.0, atol=1e-3)
    torn = discontinuities(truth.depth_mm, truth.normals, PIXEL_MM)
    assert torn.any()
    rim = np.zeros_like(torn)
    rim[:-1] |= truth.part_mask[:-1] != truth.part_mask[1:]
    rim[1:] |= truth.part_mask[:-1] != truth.part_mask[1:]
    rim[:, :-1] |= truth.part_mask[:, :-1] != truth.part_mask[:, 1:]
    rim[:, 1:] |= truth.part_mask[:, :-1] != truth.part_mask[:, 1:]
    assert not (torn & ~rim).any()
    near = near_steps(torn, PIXEL_MM)
    assert torn.sum() < near.sum() < 0.5 * near.size


def test_a_ball_from_a_mesh_is_as_deep_as_the_formula_and_has_no_step_inside(tmp_path: Path) -> None:
    radius = 8.0
    scene = scene_of(tmp_path, trimesh.creation.icosphere(subdivisions=5, radius=radius))
    truth = scene.truth(TOP, BINNING)
    x, y = directions(truth.depth_mm.shape)
    origin = np.array([-scene.part.placement.x_mm, scene.part.placement.y_mm, radius - HEIGHT_OF_CAMERA_MM])
    ray = np.stack([x, y, np.ones_like(x)])
    a, b = (ray**2).sum(axis=0), np.einsum("c,cyx->yx", origin, ray)
    root = b**2 - a * (origin @ origin - radius**2)
    inner = truth.part_mask & (root > 0.1 * root.max())
    expected = (-b - np.sqrt(np.maximum(root, 0))) / a
    np.testing.assert_allclose(truth.depth_mm[inner], expected[inner], atol=0.01)  # a facet's sagitta: 0.005 mm
    shallow = truth.part_mask & (truth.normals[2] > 0.5)
    assert not (discontinuities(truth.depth_mm, truth.normals, PIXEL_MM) & shallow).any()
