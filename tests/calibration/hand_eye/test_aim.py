"""The arm is sent where a camera that sits otherwise on it sees what the old one saw."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.camera_model import F64
from calibration.hand_eye.aim import CameraOnArm, aim, mount_of
from calibration.hand_eye.poses import arm_pose, pose_of
from drivers.geometry.rigid import inverse, rotation_vector

DRAWN = CameraOnArm(np.eye(4), 24429.0, (2735.5, 1823.5))
DISTANCE_MM = 250.0
VIEWS = [(0.0, 0.0, 258.0, 0.0, -90.0), (0.0, -176.8, 184.8, 45.0, -90.0), (-176.8, 0.0, 184.8, 45.0, 180.0)]


def built(seed: int) -> CameraOnArm:
    draw = np.random.default_rng(seed).standard_normal(9)
    mount = pose_of(np.radians(0.3 * draw[:3]), 0.5 * draw[3:6])
    return CameraOnArm(mount, 24429.0 * (1 + 0.005 * draw[6]), (2735.5 + 30 * draw[7], 1823.5 + 30 * draw[8]))


def seen_px(camera: CameraOnArm, axes: tuple[float, ...], point: F64) -> F64:
    x, y, z, _ = inverse(arm_pose(axes) @ camera.mount) @ point
    return np.array([camera.center_px[0] + camera.focal_px * x / z, camera.center_px[1] + camera.focal_px * y / z])


@pytest.mark.parametrize("axes", VIEWS)
@pytest.mark.parametrize("seed", range(4))
def test_the_target_point_lies_at_its_old_pixel_and_its_surroundings_nearly(axes: tuple[float, ...], seed: int) -> None:
    now = built(seed)
    found = aim(axes, DRAWN, now, DISTANCE_MM)
    assert found[3] >= 0.0
    for off, within in (((0.0, 0.0), 1e-3), ((20.0, 0.0), 25.0), ((0.0, 12.0), 25.0)):
        point = arm_pose(axes) @ [*off, DISTANCE_MM, 1.0]
        before = np.linalg.norm(seen_px(now, axes, point) - seen_px(DRAWN, axes, point))
        after = np.linalg.norm(seen_px(now, found, point) - seen_px(DRAWN, axes, point))
        assert after < min(within, before)
    turned = (arm_pose(axes) @ DRAWN.mount)[:3, :3].T @ (arm_pose(found) @ now.mount)[:3, :3]
    assert np.linalg.norm(rotation_vector(turned)) <= np.linalg.norm(rotation_vector(now.mount[:3, :3])) + 1e-9


def test_the_camera_of_then_needs_no_other_pose() -> None:
    camera = built(7)
    for axes in VIEWS:
        assert aim(axes, camera, camera, DISTANCE_MM) == pytest.approx(axes, abs=1e-4)
    assert camera.is_like(camera)
    assert not camera.is_like(DRAWN)


def test_the_mount_is_what_lies_between_the_arm_and_the_camera_that_was_found() -> None:
    camera = built(3)
    for axes in VIEWS:
        np.testing.assert_allclose(mount_of(axes, arm_pose(axes) @ camera.mount), camera.mount, atol=1e-9)
