"""The order of the views, against every possible one."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.geometry.pose import Pose
from station.acquire.order import WORTH_S, Motion, least_travel, round_trip_s
from station.acquire.plan import expected_text, make_plan, visited
from station.recipe.demo import DEMO_RECIPES
from station.recipe.fields import Recipe
from station.recipe.loaded import load_recipe

MOTION = Motion()
places = st.floats(-200, 200, allow_nan=False)
poses = st.builds(Pose, places, places, st.floats(100, 300), st.floats(0, 60), st.floats(-180, 180))


def brute_force_s(found: list[Pose]) -> float:
    return min(round_trip_s([found[0], *rest], MOTION) for rest in permutations(found[1:]))


@settings(max_examples=40, deadline=None)
@given(st.lists(poses, min_size=4, max_size=6))
def test_no_order_is_shorter_than_the_one_found(found: list[Pose]) -> None:
    order = least_travel(found, MOTION)
    assert sorted(order) == list(range(len(found)))
    assert order[0] == 0
    assert round_trip_s([found[i] for i in order], MOTION) <= brute_force_s(found) + WORTH_S


def test_a_move_takes_as_long_as_its_slowest_axis() -> None:
    start = Pose(0, 0, 250, 0, 0)
    assert MOTION.move_s(start, Pose(500, 10, 250, 0, 0)) == pytest.approx(500 / 500 + 500 / 2000)
    assert MOTION.move_s(start, Pose(10, 0, 250, 0, 0)) == pytest.approx(2 * (10 / 2000) ** 0.5)
    assert MOTION.move_s(start, Pose(1, 0, 250, 0, 180)) == pytest.approx(180 / 180 + 180 / 720)


def recipe(order: str, views: tuple[str, ...]) -> Recipe:
    loaded = load_recipe(DEMO_RECIPES / "connector.yaml", need_model=False).recipe
    by_name = {view.name: view for view in loaded.viewpoints}
    capture = loaded.capture.model_copy(update={"order": order})
    return loaded.model_copy(update={"viewpoints": tuple(by_name[name] for name in views), "capture": capture})


CROSSED = ("top", "front", "back", "right", "left")


def test_views_that_are_written_crosswise_are_visited_round_about() -> None:
    shorter = recipe("least_travel", CROSSED)
    assert visited(shorter)[0].name == "top"
    assert [v.name for v in visited(shorter)] != list(CROSSED)
    assert "less than as written" in expected_text(shorter)
    assert [step.kind for step in make_plan(shorter)].index("dark") == 0


def test_a_recipe_may_fix_the_order() -> None:
    fixed = recipe("as_written", CROSSED)
    assert list(dict.fromkeys(step.view for step in make_plan(fixed))) == list(CROSSED)


def test_an_order_that_saves_nothing_does_not_change_the_recipes() -> None:
    written = ("top", "front", "right", "back", "left")
    assert [v.name for v in visited(recipe("least_travel", written))] == list(written)
