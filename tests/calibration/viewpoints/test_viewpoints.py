"""Viewpoints: their intervals, how pixels map between them, how visits scatter, and what a drift check names."""

from __future__ import annotations

import json

import numpy as np
import pytest
from board_visits import SIZE, TRUTH

from calibration.hand_eye.poses import arm_pose, pose_of, small_move
from calibration.hand_eye.result import Repeatability
from calibration.viewpoints.drift import Fiducial, TooFewViews, check_drift, fiducials_by_consensus
from calibration.viewpoints.record import FiducialView, fiducial_view
from calibration.viewpoints.taught import Viewpoint, on_plane, pixels_of, station_ray, study_returns, transfer
from drivers.geometry.rigid import inverse

ARM = Repeatability(0.05, 0.01)
AXES = {
    "top": (0.0, 0.0, 258.0, 0.0, -90.0), "front": (0.0, -176.777, 184.777, 45.0, -90.0),
    "right": (176.777, 0.0, 184.777, 45.0, 0.0), "back": (0.0, 176.777, 184.777, 45.0, 90.0),
    "left": (-176.777, 0.0, 184.777, 45.0, 180.0),
}  # fmt: skip
BOARD_IN_STATION = pose_of(np.array([np.pi, 0.0, 0.0]), np.array([-30.0, 30.0, 8.0]))


def viewpoint(name: str) -> Viewpoint:
    mount = pose_of(np.radians([0.3, -0.2, 0.25]), np.array([0.6, -0.4, 0.5]))
    covariance = np.diag([1e-9, 2e-9, 3e-9, 1e-4, 2e-4, 9e-4])
    return Viewpoint(name, AXES[name], arm_pose(AXES[name]) @ mount, covariance, 2.0)


def fiducial(name: str) -> Fiducial:
    pose = viewpoint(name).pose
    return Fiducial(inverse(BOARD_IN_STATION) @ pose, pose, 4)


def returns(seed: int, **bumped: tuple[float, ...]) -> dict[str, list[np.ndarray]]:
    """Two visits each: camera to board."""
    rng = np.random.default_rng(seed)
    scale = [np.radians(ARM.deg)] * 3 + [ARM.mm] * 3
    out = {}
    for name in AXES:
        place = fiducial(name).camera_to_board @ small_move(np.array(bumped.get(name, (0.0,) * 6)))
        out[name] = [place @ small_move(rng.standard_normal(6) * scale) for _ in range(2)]
    return out


def test_a_pixel_maps_to_where_the_other_view_sees_the_same_point() -> None:
    top, right = viewpoint("top"), viewpoint("right")
    points = np.array([[0.0, 0.0, 8.0], [10.0, -5.0, 8.0], [-12.0, 9.0, 8.0]])
    seen = pixels_of(top, TRUTH, points)
    up, plane = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 8.0])
    assert np.allclose(on_plane(top, TRUTH, seen, plane, up), points, atol=1e-6)
    assert np.allclose(transfer(seen, top, right, TRUTH, plane, up), pixels_of(right, TRUTH, points), atol=1e-3)
    origin, rays = station_ray(top, TRUTH, seen)
    assert np.allclose(origin + np.linalg.norm(points - origin, axis=1)[:, None] * rays, points, atol=1e-6)


def test_what_lies_behind_or_beside_a_plane_is_not_a_pixel() -> None:
    top = viewpoint("top")
    assert np.isnan(pixels_of(top, TRUTH, np.array([[0.0, 0.0, 400.0]]))).all()
    along_axis = np.array([1.0, 0.0, 0.0])  # a plane that the ray at its own point never meets ahead
    assert np.isnan(on_plane(top, TRUTH, np.array([[0.0, 0.0]]), np.array([500.0, 0.0, 0.0]), along_axis)).all()


def test_intervals_turn_with_the_camera_into_the_stations_axes() -> None:
    top, right = viewpoint("top"), viewpoint("right")
    assert top.position_interval95_mm[2] == pytest.approx(2 * 0.03, rel=0.01)  # along the optical axis
    assert right.position_interval95_mm[0] == pytest.approx(right.position_interval95_mm[2], rel=0.15)
    off, turn = top.errors(top.pose @ pose_of(np.radians([0.0, 0.1, 0.0]), np.zeros(3)))
    assert np.allclose(off, 0.0)
    assert np.allclose(turn, [0.0, -0.1, 0.0], atol=1e-9)


def test_returns_scatter_as_the_arm_does() -> None:
    rng = np.random.default_rng(2)
    place = fiducial("front").camera_to_board
    scale = np.array([np.radians(0.01)] * 3 + [0.05] * 3)
    found = study_returns([place @ small_move(rng.standard_normal(6) * scale) for _ in range(40)], 18200.0, 250.0)
    assert found.count == 40
    assert found.mm == pytest.approx(0.05, rel=0.25)
    assert found.deg == pytest.approx(0.01, rel=0.25)
    expected_px = 18200 * np.hypot(np.radians(0.01), 0.05 / 250)
    assert found.px == pytest.approx(expected_px, rel=0.25)
    assert found.worst_px > found.px
    with pytest.raises(ValueError, match="at least 2"):
        study_returns([place], 18200.0, 250.0)


def test_a_quiet_shift_is_accepted() -> None:
    known = {name: fiducial(name) for name in AXES}
    for seed in range(20):
        report = check_drift(known, returns(seed), ARM, 18200.0, 250.0)
        assert report.accepted, report.as_text()


def test_one_bumped_viewpoint_is_named_with_its_shift() -> None:
    known = {name: fiducial(name) for name in AXES}
    report = check_drift(known, returns(1, left=(0.0, 0.0, 0.0, 0.4, 0.0, 0.0)), ARM, 18200.0, 250.0)
    assert [view.name for view in report.views if not view.ok] == ["left"]
    assert len(report.reasons) == 1
    assert report.reasons[0].startswith("bumped viewpoint left: the camera stands 0.")
    turned = check_drift(known, returns(2, back=(np.radians(0.08), 0, 0, 0, 0, 0)), ARM, 18200.0, 250.0)
    assert [view.name for view in turned.views if not view.ok] == ["back"]


def test_a_knocked_camera_and_a_moved_fiducial_are_told_apart() -> None:
    known = {name: fiducial(name) for name in AXES}
    knock = (0.0, 0.001, 0.0, 0.3, 0.1, 0.0)
    report = check_drift(known, returns(3, **dict.fromkeys(AXES, knock)), ARM, 18200.0, 250.0)
    assert ["camera has moved on its arm" in reason for reason in report.reasons] == [True]
    shoved = small_move(np.array([0.0, 0.0, 0.002, 0.4, 0.1, 0.0]))
    moved = {name: [shoved @ pose for pose in poses] for name, poses in returns(4).items()}
    report = check_drift(known, moved, ARM, 18200.0, 250.0)
    assert ["fiducial, or the fixture" in reason for reason in report.reasons] == [True]


def test_without_a_fiducial_of_its_own_the_board_is_placed_by_all_views_together() -> None:
    poses = {name: viewpoint(name).pose for name in AXES}
    for seed, bump in ((6, {}), (7, {"front": (0.0, 0.0, 0.0, 0.5, 0.0, 0.0)})):
        seen = returns(seed, **bump)
        report = check_drift(fiducials_by_consensus(poses, seen), seen, ARM, 18200.0, 250.0)
        assert [view.name for view in report.views if not view.ok] == list(bump)


def test_too_few_views_are_not_judged_by_the_board_that_they_place_themselves() -> None:
    poses = {name: viewpoint(name).pose for name in AXES}
    seen = returns(8, top=(0.0, 0.0, 0.0, 2.0, 0.0, 0.0))
    assert fiducials_by_consensus(poses, {**seen, "left": [], "back": []}).keys() == poses.keys()
    for few in (("top",), ("top", "left")):
        with pytest.raises(TooFewViews, match=f"seen from {len(few)} viewpoints of 5, at least 3"):
            fiducials_by_consensus(poses, {name: seen[name] if name in few else [] for name in AXES})


def test_a_fiducial_that_is_not_seen_is_a_reason() -> None:
    seen = returns(5)
    seen["right"] = []
    report = check_drift({name: fiducial(name) for name in AXES}, seen, ARM, 18200.0, 250.0)
    assert report.reasons == (
        "viewpoint right: the fiducial was not found in its pictures; put it back, or calibrate the viewpoints anew",
    )


def test_a_viewpoint_is_written_and_read_back_exactly() -> None:
    known = fiducial("top")
    record = fiducial_view(viewpoint("top"), known.camera_to_board)
    back = FiducialView.model_validate_json(json.dumps(record.model_dump(mode="json")))
    assert np.array_equal(back.pose(), viewpoint("top").pose)
    assert np.array_equal(np.array(back.covariance), viewpoint("top").covariance)
    again = back.fiducial()
    assert again is not None
    assert np.array_equal(again.camera_to_board, known.camera_to_board)
    assert (TRUTH.width_px, TRUTH.height_px) == SIZE
