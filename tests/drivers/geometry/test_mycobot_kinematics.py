"""Rigid transforms and the arm's closed-form kinematics: round trips, and the published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from drivers.geometry.mycobot_kinematics import GEOMETRIES, ModelName, nearest
from drivers.geometry.pose import Pose
from drivers.geometry.rigid import (
    angle_between_deg,
    camera_in_station,
    distance_mm,
    from_coordinates,
    inverse,
    pose_of_camera,
    rigid_from_rows,
    to_coordinates,
)
from drivers.simulated.firmware.mycobot import geometry as stated
from drivers.simulated.firmware.mycobot.motion import ArmMotion

mm = st.floats(-400.0, 400.0)
turns = st.floats(-180.0, 180.0)
poses = st.builds(Pose, mm, mm, mm, st.floats(0.0, 90.0), turns)


@given(mm, mm, mm, turns, turns, turns)
def test_coordinates_name_the_same_place_again(x: float, y: float, z: float, rx: float, ry: float, rz: float) -> None:
    place = from_coordinates(x, y, z, rx, ry, rz)
    assert from_coordinates(*to_coordinates(place)) == pytest.approx(place, abs=1e-9)
    assert place @ inverse(place) == pytest.approx(np.eye(4), abs=1e-9)


def test_angles_turn_about_the_fixed_x_then_y_then_z() -> None:
    turned = from_coordinates(0.0, 0.0, 0.0, 90.0, 0.0, 90.0)
    assert turned[:3, :3] @ [0.0, 1.0, 0.0] == pytest.approx([0.0, 0.0, 1.0])  # x first: y goes to z, and stays there
    assert turned[:3, :3] @ [1.0, 0.0, 0.0] == pytest.approx([0.0, 1.0, 0.0])


@given(poses)
def test_a_pose_is_read_back_from_its_camera(pose: Pose) -> None:
    found = pose_of_camera(camera_in_station(pose), near_pan_deg=pose.pan_deg)
    assert found.as_tuple() == pytest.approx(pose.as_tuple(), abs=1e-6)


@given(poses)
def test_a_camera_looks_as_the_protocols_say(pose: Pose) -> None:
    right, down, forward = camera_in_station(pose)[:3, :3].T
    t, p = math.radians(pose.tilt_deg), math.radians(pose.pan_deg)
    look = [-math.sin(t) * math.cos(p), -math.sin(t) * math.sin(p), -math.cos(t)]
    assert forward == pytest.approx(look, abs=1e-12)
    assert np.cross(forward, -down) == pytest.approx(right, abs=1e-12)
    assert np.cross(right, down) == pytest.approx(forward, abs=1e-12)


def test_the_top_view_has_the_stations_x_to_the_right_and_y_up() -> None:
    right, down, forward = camera_in_station(Pose(0.0, 0.0, 258.0, 0.0, -90.0))[:3, :3].T
    assert right == pytest.approx([1.0, 0.0, 0.0])
    assert down == pytest.approx([0.0, -1.0, 0.0])
    assert forward == pytest.approx([0.0, 0.0, -1.0])


@given(mm, turns, turns)
def test_the_angle_between_two_places_is_the_one_turn(x: float, about: float, turn: float) -> None:
    start = from_coordinates(x, 0.0, 0.0, about, 10.0, 20.0)
    end = start @ from_coordinates(1.0, 2.0, 2.0, turn, 0.0, 0.0)
    assert angle_between_deg(start, end) == pytest.approx(abs(turn), abs=1e-6)
    assert distance_mm(start, end) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([[1.0, 0.0, 0.0, 0.0]] * 4, "no rotation"),
        (np.diag([1.0, 1.0, -1.0, 1.0]).tolist(), "no rotation"),
        (np.eye(3).tolist(), "4 rows of 4"),
        ([*np.eye(4).tolist()[:3], [0.0, 0.0, 1.0, 1.0]], "last row"),
    ],
)
def test_a_matrix_that_is_no_rigid_transform_is_refused(rows: list[list[float]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        rigid_from_rows(rows)


@pytest.mark.parametrize("model", ["280", "320"])
def test_upright_the_arm_is_as_tall_as_its_links(model: ModelName) -> None:
    """All joints at 0: the links of joints 2 and 3 stand straight up, the flange looks along x."""
    g = GEOMETRIES[model]
    flange = g.flange((0.0,) * 6)
    assert flange[:3, 3] == pytest.approx([g.d6_mm, -g.d4_mm, g.d1_mm - g.a2_mm - g.a3_mm + g.d5_mm])
    assert flange[:3, 2] == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)


joints = st.tuples(*(st.floats(low, high) for low, high in GEOMETRIES["320"].limits_deg))


@given(st.sampled_from(["280", "320"]), joints)
def test_every_way_to_stand_stands_there_and_one_is_the_one_taken(model: ModelName, taken: tuple[float, ...]) -> None:
    assume(abs(math.sin(math.radians(taken[4] + 90.0))) > 0.02)  # joints 4 and 6 turn about one axis there
    g = GEOMETRIES[model]
    flange = g.flange(taken)
    ways = g.joints_for(flange)
    assert 1 <= len(ways) <= 8
    for way in ways:
        assert g.flange(way) == pytest.approx(flange, abs=1e-4)
    off_deg = [max(abs((a - b + 180.0) % 360.0 - 180.0) for a, b in zip(way, taken, strict=True)) for way in ways]
    assert min(off_deg) < 0.05


def test_out_of_reach_has_no_way() -> None:
    assert GEOMETRIES["320"].joints_for(from_coordinates(600.0, 0.0, 200.0, 0.0, 90.0, 0.0)) == []
    assert GEOMETRIES["320"].joints_for(from_coordinates(0.0, 0.0, 300.0, 0.0, 0.0, 0.0)) == []  # inside its own column
    assert nearest([], (0.0,) * 6) is None


def test_the_simulated_arm_reaches_the_five_viewpoints_within_its_limits() -> None:
    g = GEOMETRIES[stated.MODEL]
    side = 250.0 * math.sin(math.radians(45.0))
    views = [Pose(0.0, 0.0, 258.0, 0.0, -90.0)]
    views += [
        Pose(side * math.cos(p), side * math.sin(p), side + 8.0, 45.0, math.degrees(p))
        for p in (-math.pi / 2, 0.0, math.pi / 2, math.pi)
    ]
    for pose in views:
        flange = inverse(stated.BASE) @ camera_in_station(pose) @ inverse(stated.MOUNT)
        assert any(g.within_limits(way) for way in g.joints_for(flange))


def test_a_straight_move_is_straight_and_one_that_cannot_be_is_not_begun() -> None:
    motion = ArmMotion(GEOMETRIES["320"], stated.START_DEG)
    start = motion.geometry.flange(stated.START_DEG)
    target = start @ from_coordinates(20.0, -30.0, 10.0, 5.0, 0.0, 0.0)
    assert motion.line_to(0.0, target, 1.0)
    line = (target - start)[:3, 3]
    for share in np.linspace(0.0, 1.0, 11):
        at = motion.geometry.flange(motion.at(share * motion.end_s))[:3, 3] - start[:3, 3]
        assert np.linalg.norm(np.cross(at, line)) / np.linalg.norm(line) < 0.2  # mm beside the line
    assert motion.geometry.flange(motion.at(motion.end_s)) == pytest.approx(target, abs=1e-6)
    assert not motion.line_to(motion.end_s, start @ from_coordinates(900.0, 0.0, 0.0, 0.0, 0.0, 0.0), 1.0)
    assert not motion.is_moving_between(motion.end_s + 0.1, motion.end_s + 0.2)
