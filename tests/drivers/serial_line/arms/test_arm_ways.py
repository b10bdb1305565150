"""Keep-out boxes and waypoints: no leg of a planned way may touch a box, and what cannot be planned is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.geometry.pose import Pose
from drivers.serial_line.arms.keep_out import KeepOutBox, Point, first_crossed
from drivers.serial_line.arms.waypoints import NoSafeWay, SafeWays

BOX = KeepOutBox("clamp", (-10.0, -20.0, 0.0), (10.0, 20.0, 50.0))
near = st.floats(-60.0, 60.0).map(lambda v: round(v, 2))
points = st.tuples(near, near, near)
sizes = st.floats(0.5, 40.0)
boxes = st.builds(
    lambda low, x, y, z: KeepOutBox("box", low, (low[0] + x, low[1] + y, low[2] + z)), points, sizes, sizes, sizes
)
poses = st.builds(lambda p: Pose(*p, 0.0, 0.0), points)


def on_the_way(start: Point, end: Point, share: float) -> Point:
    x, y, z = (a + share * (b - a) for a, b in zip(start, end, strict=True))
    return x, y, z


def contains(box: KeepOutBox, point: Point) -> bool:
    return all(low <= p <= high for low, p, high in zip(box.low, point, box.high, strict=True))


def place(pose: Pose) -> Point:
    return pose.x_mm, pose.y_mm, pose.z_mm


@given(boxes, points, points, st.floats(0.0, 1.0))
def test_a_way_with_a_point_inside_crosses(box: KeepOutBox, start: Point, end: Point, share: float) -> None:
    if contains(box.grown(-1e-6), on_the_way(start, end, share)):
        assert box.is_crossed_by(start, end)


@given(boxes, points, points)
def test_a_way_that_crosses_has_a_point_inside(box: KeepOutBox, start: Point, end: Point) -> None:
    if box.is_crossed_by(start, end):
        slightly_larger = box.grown(0.08)  # the samples lie 0.1 mm apart at most
        assert any(contains(slightly_larger, on_the_way(start, end, i / 2100)) for i in range(2101))


@given(boxes, points, points)
def test_crossing_knows_no_direction(box: KeepOutBox, start: Point, end: Point) -> None:
    shrunk, larger = box.grown(-1e-9), box.grown(1e-9)  # a grazing way may fall to either side of the rounding
    assert box.is_crossed_by(start, end) <= larger.is_crossed_by(end, start)
    assert shrunk.is_crossed_by(start, end) <= box.is_crossed_by(end, start)


@given(points, points)
def test_a_separating_plane_is_no_crossing(start: Point, end: Point) -> None:
    if max(start[2], end[2]) < BOX.low[2] or min(start[0], end[0]) > BOX.high[0]:
        assert first_crossed([BOX], start, end) is None


def test_touching_counts_and_passing_by_does_not() -> None:
    assert BOX.is_crossed_by((10.0, -50.0, 10.0), (10.0, 50.0, 10.0))
    assert not BOX.is_crossed_by((10.001, -50.0, 10.0), (10.001, 50.0, 10.0))
    assert BOX.is_crossed_by((0.0, 0.0, 10.0), (0.0, 0.0, 10.0))
    assert BOX.is_crossed_by((0.0, 30.0, 10.0), (20.0, 10.0, 10.0))  # one point of an edge


@given(st.lists(boxes, max_size=3), st.lists(poses, max_size=4), poses, poses, st.booleans())
def test_no_leg_of_a_route_touches_a_box(
    kept_out: list[KeepOutBox], stops: list[Pose], start: Pose, target: Pose, is_from_home: bool
) -> None:
    waypoints = {f"w{i}": pose for i, pose in enumerate(stops)}
    pairs = tuple((a, b) for a in waypoints for b in waypoints if a < b)
    try:
        ways = SafeWays(tuple(kept_out), waypoints, pairs, "w0" if waypoints else None, clearance_mm=0.5)
        route = ways.route(start, target, is_from_home=is_from_home)
    except (ValueError, NoSafeWay):
        return
    assert route[-1] == target
    for a, b in zip((start, *route), route, strict=False):
        assert first_crossed(kept_out, place(a), place(b)) is None


def pose(x: float, y: float, z: float) -> Pose:
    return Pose(x, y, z, 0.0, -90.0)


LEFT, RIGHT = pose(-50.0, 0.0, 20.0), pose(50.0, 0.0, 20.0)


def test_a_free_way_is_straight_and_without_boxes_all_are() -> None:
    assert SafeWays().route(LEFT, RIGHT) == (RIGHT,)
    assert SafeWays((BOX,)).route(LEFT, pose(-50.0, 50.0, 20.0)) == (pose(-50.0, 50.0, 20.0),)


def test_without_a_waypoint_the_move_is_refused_naming_the_box() -> None:
    with pytest.raises(NoSafeWay, match=r"touches the keep-out box clamp.*no waypoints lead around"):
        SafeWays((BOX,)).route(LEFT, RIGHT)
    with pytest.raises(NoSafeWay, match="lies in the keep-out box clamp"):
        SafeWays((BOX,)).route(LEFT, pose(0.0, 0.0, 40.0))


def test_the_shortest_chain_of_allowed_transitions_is_taken() -> None:
    waypoints = {
        "high_left": pose(-50.0, 0.0, 60.0),
        "high_right": pose(50.0, 0.0, 60.0),
        "far": pose(0.0, 300.0, 20.0),
    }
    ways = SafeWays((BOX,), waypoints, (("high_left", "high_right"),))
    assert ways.route(LEFT, RIGHT) == (waypoints["high_left"], waypoints["high_right"], RIGHT)
    detour = SafeWays((BOX,), waypoints)  # high_left and high_right are not joined: only `far` is left
    assert detour.route(LEFT, RIGHT) == (waypoints["far"], RIGHT)


def test_from_home_z_is_retracted_first_and_the_entry_is_passed() -> None:
    ways = SafeWays((BOX,), {"gate": pose(50.0, 50.0, 30.0)}, entry="gate")
    home = Pose(-50.0, 50.0, 70.0, 60.0, 200.0)
    across = pose(50.0, 50.0, 70.0)
    assert ways.route(home, RIGHT, is_from_home=True) == (across, pose(50.0, 50.0, 30.0), RIGHT)
    low = Pose(-50.0, 50.0, 10.0, 60.0, 200.0)
    assert ways.route(low, RIGHT, is_from_home=True)[0] == Pose(-50.0, 50.0, 30.0, 60.0, 200.0)
    assert ways.route(LEFT, pose(-50.0, 5.0, 20.0)) == (pose(-50.0, 5.0, 20.0),)  # later moves need no gate


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"transitions": (("a", "b"),)}, "no waypoint 'a'; there are none"),
        ({"entry": "gate"}, "no waypoint 'gate'"),
        ({"waypoints": {"a": pose(0.0, 0.0, 10.0)}}, "waypoint a lies in the keep-out box clamp"),
        ({"waypoints": {"a": LEFT, "b": RIGHT}, "transitions": (("a", "b"),)}, "transition a - b touches"),
    ],
)
def test_ways_that_cannot_be_meant(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SafeWays((BOX,), **options)


def test_clearance_keeps_the_housing_away_too() -> None:
    passing = pose(30.0, -50.0, 20.0), pose(30.0, 50.0, 20.0)
    assert SafeWays((BOX,)).route(*passing) == (passing[1],)
    with pytest.raises(NoSafeWay, match="clearance 25 mm"):
        SafeWays((BOX,), clearance_mm=25.0).route(*passing)
