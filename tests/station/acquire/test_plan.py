"""The plan says everything before anything moves."""

from __future__ import annotations

from itertools import pairwise

import pytest

from station.acquire.plan import CaptureStep, format_plan, lit_steps, make_plan
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import load_recipe


@pytest.fixture
def plan() -> tuple[CaptureStep, ...]:
    return make_plan(load_recipe(DEMO_RECIPES / "connector.yaml", need_model=False).recipe)


def test_every_view_gets_every_light_once(plan: tuple[CaptureStep, ...]) -> None:
    assert len(lit_steps(plan)) == 5 * (4 + 1)
    assert [step.index for step in plan] == list(range(26))
    assert len({(step.view, step.light) for step in plan}) == 26


def test_the_first_step_of_a_part_is_dark_and_as_long_as_the_longest(plan: tuple[CaptureStep, ...]) -> None:
    dark = plan[0]
    assert [step.index for step in plan if step.kind == "dark"] == [0]
    assert (dark.view, dark.light, dark.channel, dark.brightness) == ("top", "dark", 0, 0.0)
    assert dark.exposure_us == max(step.exposure_us for step in plan[1:])
    assert (dark.pose, dark.gain_db) == (plan[1].pose, plan[1].gain_db)


def test_the_arm_visits_each_viewpoint_once(plan: tuple[CaptureStep, ...]) -> None:
    changes = [step.view for before, step in pairwise(plan) if before.pose != step.pose]
    assert [plan[0].view, *changes] == ["top", "front", "right", "back", "left"]


def test_a_step_is_complete(plan: tuple[CaptureStep, ...]) -> None:
    diffuse = plan[5]
    assert (diffuse.view, diffuse.light, diffuse.channel, diffuse.kind) == ("top", "diffuse", 9, "diffuse")
    assert diffuse.pose.as_tuple() == (0.0, 0.0, 258.0, 0.0, -90.0)
    assert diffuse.exposure_us > 0
    assert 0 < diffuse.brightness <= 1
    assert None not in [getattr(diffuse, name) for name in CaptureStep.__slots__]


def test_the_plan_prints_as_one_line_per_frame(plan: tuple[CaptureStep, ...]) -> None:
    lines = format_plan(plan).splitlines()
    assert len(lines) == 27
    assert lines[7].split()[:9] == ["6", "front", "0.00", "-176.78", "184.78", "45.0", "-90.0", "L45", "2"]
    assert {len(line) for line in lines} == {len(lines[0])}
