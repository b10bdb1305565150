"""How the camera sits on the arm, from visits with a known truth; and what a wrong board or arm gives away."""

from __future__ import annotations

import numpy as np
import pytest
from board_visits import EXPECTED, MOUNT, SIZE, TRUTH, Walk, camera_of

from calibration.hand_eye.adjust import calibrate_hand_eye
from calibration.hand_eye.check import hand_eye_faults, pitch_by_arm
from calibration.hand_eye.poses import arm_pose, arm_slopes, move_between, pose_of
from calibration.hand_eye.result import HandEye, Visit
from calibration.hand_eye.start import HandEyeError, park
from drivers.geometry.rigid import inverse, rotation, rotation_vector


def solved(visits: list[Visit]) -> HandEye:
    return calibrate_hand_eye(visits, camera_of(visits), SIZE, EXPECTED)


def faults_of(visits: list[Visit]) -> list[str]:
    start = camera_of(visits)
    found = calibrate_hand_eye(visits, start, SIZE, EXPECTED)
    return hand_eye_faults(visits, start, SIZE, EXPECTED, found)


def test_rotation_vectors_go_there_and_back_up_to_half_a_turn() -> None:
    rng = np.random.default_rng(0)
    for length in (0.0, 1e-10, 1e-3, 1.0, 3.1, np.pi):
        axis = rng.normal(size=3)
        vector = axis / np.linalg.norm(axis) * length
        back = rotation_vector(rotation(vector))
        assert np.allclose(rotation(back), rotation(vector), atol=1e-9)
        assert np.linalg.norm(back) == pytest.approx(length, abs=1e-6)


def test_the_arms_pose_is_that_of_the_protocol() -> None:
    top = arm_pose((0.0, 0.0, 258.0, 0.0, -90.0))
    assert np.allclose(top[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-12)  # x right, picture's up is y, looks down
    front = arm_pose((0.0, -176.777, 184.777, 45.0, -90.0))
    target = front[:3, 3] + 250 * front[:3, 2]
    assert np.allclose(target, [0, 0, 8], atol=1e-3)
    axes, step = (3.0, -20.0, 200.0, 30.0, 40.0), np.array([0.01, -0.02, 0.03, 0.004, -0.005])
    assert np.allclose(arm_slopes(axes) @ step, move_between(arm_pose(axes), arm_pose(axes + step)), atol=1e-6)


def test_park_is_exact_without_noise() -> None:
    visits = Walk(mm=0.0, deg=0.0, noise_px=0.0).visits()
    arm = [arm_pose(v.axes) for v in visits]
    rng = np.random.default_rng(1)
    boards = {k: pose_of(rng.normal(size=3), 20 * rng.normal(size=3)) for k in range(3)}
    seen = [inverse(MOUNT) @ inverse(a) @ boards[v.placement] for a, v in zip(arm, visits, strict=True)]
    found = park(arm, seen, [v.placement for v in visits])
    assert np.allclose(found, MOUNT, atol=1e-6)


def test_mount_camera_and_repeatability_are_found_and_the_intervals_hold() -> None:
    inside = np.zeros(6)
    for seed in range(4):
        found = solved(Walk(seed).visits())
        off = move_between(MOUNT, found.mount)
        assert np.linalg.norm(off[3:]) < 0.1
        assert np.degrees(np.linalg.norm(off[:3])) < 0.02
        assert found.camera.fx_px == pytest.approx(TRUTH.fx_px, rel=2e-4)
        assert found.repeatability.mm == pytest.approx(0.05, rel=0.4)
        assert found.repeatability.deg == pytest.approx(0.01, rel=0.4)
        assert found.noise_px == pytest.approx(0.1, rel=0.1)
        inside += np.abs(off) <= 2.4 * np.sqrt(np.diag(found.mount_covariance))
    assert (inside >= 3).all(), inside


def test_a_good_board_and_arm_raise_no_flag() -> None:
    assert faults_of(Walk(11).visits()) == []


def test_an_evenly_wrong_pitch_shows_against_the_arms_own_travel() -> None:
    visits = Walk(4, pitch=1.005).visits()
    pitch, spread = pitch_by_arm(visits, camera_of(visits), SIZE, EXPECTED)
    assert pitch == pytest.approx(1.005, abs=max(4 * spread, 1e-4))
    assert any("wrong board pitch" in fault and "+0.5" in fault for fault in faults_of(visits))


def test_a_bowed_board_does_not_reach_the_viewpoints() -> None:
    found = solved(Walk(5, bow_um=20.0).visits())
    assert np.linalg.norm(move_between(MOUNT, found.mount)[3:]) < 0.1
    assert found.camera.fx_px == pytest.approx(TRUTH.fx_px, rel=3e-4)


def test_a_visit_that_stood_elsewhere_is_named() -> None:
    faults = faults_of(Walk(6, bumps={9: (0.0, 0.6, 0.0, 0.0, 0.0)}).visits())
    assert any("visit 9:" in fault and " in y" in fault for fault in faults)


def test_an_arm_much_worse_than_said_is_told() -> None:
    faults = faults_of(Walk(7, mm=0.2, deg=0.01).visits())
    assert any("the arm's position scatters by 0.2" in fault for fault in faults)


def test_turns_about_one_axis_are_refused() -> None:
    visits = Walk(8).visits()
    same_tilt = [v for v in visits if v.axes[3] == 0.0]
    with pytest.raises(HandEyeError, match="one axis"):
        calibrate_hand_eye(same_tilt, camera_of(visits), SIZE, EXPECTED)
