"""What rig files may say of arms: the examples work, and what cannot be meant names its field."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from drivers.registry import driver_kind
from drivers.serial_line.grbl.settings import GrblSettings
from drivers.serial_line.mycobot.settings import MyCobotSettings, transform_of
from drivers.settings import SettingsError
from drivers.simulated.firmware.mycobot import geometry as stated


def example(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(driver_kind("arms", name).example)
    assert content.pop("driver") == name
    return content


def parse(kind: type[Any], content: dict[str, Any]) -> Any:
    return kind.model_validate_json(json.dumps(content))


def refusal(kind: type[Any], content: dict[str, Any]) -> tuple[tuple[str | int, ...], str]:
    """Where and why: pydantic's own place, followed by that of a model's own check."""
    with pytest.raises(ValidationError) as caught:
        parse(kind, content)
    first = caught.value.errors()[0]
    own = first.get("ctx", {}).get("error")
    return (*first["loc"], *(own.field_path if isinstance(own, SettingsError) else ())), first["msg"]


@pytest.mark.parametrize("name", ["grbl", "mycobot"])
def test_the_example_is_what_the_settings_take(name: str) -> None:
    kind = driver_kind("arms", name)
    settings = kind.settings.model_validate_json(json.dumps(example(name)))
    assert kind.travel is not None
    assert set(kind.travel(settings)) == {"x_mm", "y_mm", "z_mm", "tilt_deg", "pan_deg"}


def test_a_three_axis_gantry_says_where_the_missing_axes_stand() -> None:
    content = example("grbl")
    content["axes"] = content["axes"][:3]
    place, why = refusal(GrblSettings, content)
    assert place == ("axes",)
    assert "tilt_deg is missing" in why
    assert "`fixed`" in why
    settings = parse(GrblSettings, {**content, "fixed": {"tilt_deg": 0.0, "pan_deg": -90.0}})
    assert settings.travel()["pan_deg"] == (-90.0, -90.0)


@pytest.mark.parametrize(
    ("change", "place", "why"),
    [
        ({"fixed": {"x_mm": 1.0}}, ("fixed", "x_mm"), "an axis drives it"),
        ({"parked": {"X": 1.0}}, ("parked", "X"), "drives x_mm"),
        ({"speed": 1.5}, ("speed",), "less than or equal to 1"),
        ({"homing_timeout_s": 0}, ("homing_timeout_s",), "greater than 0"),
        ({"ways": {"entry": "gate"}}, ("ways",), "no waypoint 'gate'"),
        ({"ways": {"keep_out": [{"name": "b", "low_mm": [0, 0, 0], "high_mm": [1, 0, 1]}]}}, ("ways",), "is not below"),
        ({"speeed": 1.0}, ("speeed",), "Extra inputs"),
    ],
)
def test_a_gantry_that_cannot_be_meant(change: dict[str, Any], place: tuple[str, ...], why: str) -> None:
    found = refusal(GrblSettings, {**example("grbl"), **change})
    assert found[0] == place
    assert why in found[1]


@pytest.mark.parametrize(
    ("change", "place", "why"),
    [
        ({"mount": [[1, 0, 0, 0]] * 4}, ("mount",), "no rotation"),
        ({"joint_limits_deg": [[-10, 10]] * 5}, ("joint_limits_deg",), "six joints"),
        ({"joint_limits_deg": [[-10, 10]] * 5 + [[10, -10]]}, ("joint_limits_deg", 5), "no range"),
        ({"home_joints_deg": [0, 0, 0, 0, 0, 181]}, ("home_joints_deg", 5), "outside the joint's"),
        ({"ways": {}}, ("ways",), "straight: true"),
        ({"ways": {}, "straight": True, "home_joints_deg": [0.0] * 6}, ("home_joints_deg",), "joint by joint"),
        ({"speed_percent": 101}, ("speed_percent",), "less than or equal to 100"),
        ({"model": "300"}, ("model",), "'280' or '320'"),
    ],
)
def test_an_arm_that_cannot_be_meant(change: dict[str, Any], place: tuple[str | int, ...], why: str) -> None:
    found = refusal(MyCobotSettings, {**example("mycobot"), **change})
    assert found[0] == place
    assert why in found[1]


def test_the_example_of_an_arm_is_the_simulated_ones_geometry() -> None:
    settings = parse(MyCobotSettings, example("mycobot"))
    assert transform_of(settings.base) == pytest.approx(stated.BASE)
    assert transform_of(settings.mount) == pytest.approx(stated.MOUNT)
