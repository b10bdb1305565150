"""Block and lever: what they are drawn for is there to be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.simulated.scene import Placement, Scene, make_part, random_defect
from drivers.simulated.scene.products import block, lever

TOP = Pose(0.0, 0.0, 258.0, 0.0, -90.0)
LEFT = Pose(-176.777, 0.0, 184.777, 45.0, 180.0)
RIGHT = Pose(176.777, 0.0, 184.777, 45.0, 0.0)
BINNING = 16


def test_the_block_has_a_pocket_a_hole_and_a_step_at_their_depths() -> None:
    scene = Scene(make_part("block", 0))
    truth = scene.truth(TOP, BINNING)
    height = 258.0 - truth.depth_mm
    for face, z in (("top", block.BLOCK_Z_MM), ("pocket_floor", block.POCKET_FLOOR_MM), ("tread", block.STEP_Z_MM)):
        seen = truth.faces == scene.part.faces.index(face)
        assert seen.sum() > 2000
        assert height[seen] == pytest.approx(z, abs=1e-4)
    assert (truth.faces == scene.part.faces.index("hole_floor")).sum() > 100
    assert scene.shadow(TOP, 1, BINNING)[truth.faces == scene.part.faces.index("pocket_floor")].mean() > 0.2


def test_the_lever_s_fillet_turns_from_base_to_wall_without_an_edge() -> None:
    scene = Scene(make_part("lever", 0))
    truth = scene.truth(LEFT, BINNING)
    faces = [scene.part.faces.index(name) for name in ("base_top", "wall_fillet", "wall_left")]
    column = truth.faces[:, 130]
    rows = np.flatnonzero(np.isin(column, faces))
    assert set(column[rows]) == set(faces)
    normals = truth.normals[:, rows, 130].astype(np.float64)
    turns = np.sum(normals[:, 1:] * normals[:, :-1], axis=0)
    assert turns.min() > np.cos(np.radians(10.0))
    assert normals[:, 0] @ normals[:, -1] == pytest.approx(0.0, abs=1e-4)


def test_nothing_of_the_lever_stands_in_its_bore() -> None:
    scene = Scene(replace(make_part("lever", 0), placement=Placement()))
    truth = scene.truth(TOP, BINNING)
    x, y = np.meshgrid(np.arange(truth.faces.shape[1]) - 170.5, 113.5 - np.arange(truth.faces.shape[0]))
    points = np.stack([x, y]) * (truth.depth_mm * 16 / 24429.0)
    inside = np.hypot(points[0] - lever.ROUND_X_MM, points[1]) < lever.BORE_R_MM - 0.01
    seen = {scene.part.faces[i] for i in np.unique(truth.faces[inside])}
    assert inside.sum() > 300
    assert seen <= {"bore_floor", "bore_wall"}


@pytest.mark.parametrize("product", ["block", "lever"])
def test_a_defect_and_a_missing_feature_can_be_seen(product: str) -> None:
    for kind in ("scratch", "missing_feature"):
        scene = Scene(make_part(product, 1, [random_defect(product, kind, 2)]))
        assert max(int(scene.truth(pose, BINNING).defect_mask.sum()) for pose in (TOP, LEFT, RIGHT)) > 8


def test_the_lever_without_its_groove_is_flat_there() -> None:
    whole, without = lever.build(), lever.build("groove")
    assert {p.face for p in whole.patches} - {p.face for p in without.patches} == {
        "groove",
        "groove_west",
        "groove_east",
    }
