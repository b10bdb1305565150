"""Where the camera stands, told in its own axes: as drawn, mounted askew, and as a record says."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.record import Calibration, ViewpointRecord
from drivers.geometry.pose import Pose
from drivers.simulated.scene.mounted import MountedCamera, arm_frame
from station.calibrate.bench.camera_pose import TOP, CameraPose, camera_pose_of
from station.calibrate.studies.compare import compare
from station.documents.document import load_document
from station.recipe.demo import SIMULATED_RIG_DRAWING


def test_a_camera_as_drawn_sees_the_target_at_its_origin_and_a_level_plane_square() -> None:
    camera_pose = CameraPose.as_drawn(TOP, 250.0)
    np.testing.assert_allclose(camera_pose.in_camera_axes((0, 0, 8)), [0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(
        camera_pose.in_camera_axes((5, 3, 10)), [5, 3, 2], atol=1e-9
    )  # x right, y away from the operator, up
    np.testing.assert_allclose(camera_pose.normal(), [0, 0, 1], atol=1e-12)
    assert camera_pose.plane_height_mm() == pytest.approx(0, abs=1e-9)


def test_from_a_side_the_plane_leans_toward_the_top_of_the_picture() -> None:
    camera_pose = CameraPose.as_drawn(Pose(0.0, -176.777, 184.777, 45.0, -90.0), 250.0)
    np.testing.assert_allclose(camera_pose.normal(), [0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-9)
    np.testing.assert_allclose(camera_pose.in_camera_axes((0, 0, 8)), [0, 0, 0], atol=1e-3)


def test_a_camera_mounted_askew_sees_the_plane_askew() -> None:
    camera = MountedCamera(shift_mm=(1.0, 0.0, -0.5), turn_deg=(0.0, 1.0, 0.0))
    camera_pose = CameraPose(arm_frame(TOP) @ camera.mount(), 250.0)
    assert np.degrees(np.arccos(camera_pose.normal()[2])) == pytest.approx(1.0, abs=1e-6)
    assert camera_pose.plane_height_mm() == pytest.approx(-0.5, abs=0.1)


def recorded(pose: np.ndarray) -> Calibration:
    rows = tuple(tuple(float(v) for v in row) for row in pose)
    spread = tuple(tuple(float(v) for v in row) for row in np.diag([1e-5**2] * 3 + [0.01**2] * 3))
    view = ViewpointRecord(name="top", arm=TOP.as_tuple(), camera_to_station=rows, covariance=spread, factor95=2.0)
    return load_document(SIMULATED_RIG_DRAWING, Calibration).model_copy(update={"viewpoints": (view,)})


def test_a_record_says_where_the_camera_stands_and_is_compared_with_the_truth() -> None:
    true = arm_frame(TOP) @ MountedCamera(shift_mm=(1.0, 0.0, -0.5), turn_deg=(0.0, 1.0, 0.0)).mount()
    off = true.copy()
    off[:3, 3] += [0.015, 0.0, 0.03]
    record = recorded(off)
    assert camera_pose_of(record).in_camera_axes((0, 0, 8)) == pytest.approx(
        CameraPose(off, 250.0).in_camera_axes((0, 0, 8))
    )
    assert camera_pose_of(load_document(SIMULATED_RIG_DRAWING, Calibration)).normal() == pytest.approx((0, 0, 1))
    truth = {
        "camera": {}, "viewpoints": {"top": true.tolist()},
        "lights": [
            {"channel": light.channel, "position_mm": light.position_mm, "power": 1.0, "lobe": 1.0}
            for light in record.lights if light.kind == "directional"
        ],
    }  # fmt: skip
    rows = {row.quantity: row for row in compare(record, truth)}
    position = rows["viewpoint position"]
    assert position.worst_error == pytest.approx(np.hypot(0.015, 0.03), rel=1e-6)
    assert (position.ok, position.inside, position.count) == (True, 2, 3)
    assert rows["viewpoint angles"].inside == 3
