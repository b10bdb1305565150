"""No number in a file that people write is without bounds, and none is taken for one that it is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from calibration.record import CalibratedLight, Calibration
from calibration.viewpoints.record import ViewpointsRecord
from drivers.registry import driver_kind, driver_names
from drivers.simulated.config import SimulatedRigConfig
from station.calibrate.viewpoints.taught_views import TaughtViews
from station.recipe.fields import CaptureChoice, PoseChoice, Recipe
from station.rig.file import GROUPS, RigFile

DRIVERS = [driver_kind(group, name).settings for group in GROUPS.values() for name in driver_names(group)]
MODELS: list[type[BaseModel]] = [
    Recipe, SimulatedRigConfig, RigFile, Calibration, ViewpointsRecord, TaughtViews, *DRIVERS,
]  # fmt: skip


def numbers(schema: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place of a JSON schema that takes a number, and what it says of it."""
    if isinstance(schema, dict):
        if schema.get("type") in ("number", "integer") and "enum" not in schema and "const" not in schema:
            yield at, schema
        for key, value in schema.items():
            yield from numbers(value, f"{at}.{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from numbers(value, at)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_number_has_a_least_and_a_greatest_value(model: type[BaseModel]) -> None:
    """Issue 15, point 11: 1e59 s, 1e308 mm and an intensity of 2^31 were accepted."""
    unbounded = [
        at
        for at, schema in numbers(model.model_json_schema(), model.__name__)
        if not {"minimum", "exclusiveMinimum"} & set(schema) or not {"maximum", "exclusiveMaximum"} & set(schema)
    ]
    assert unbounded == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_bound_is_so_wide_that_it_is_none(model: type[BaseModel]) -> None:
    for at, schema in numbers(model.model_json_schema(), model.__name__):
        greatest = schema.get("maximum", schema.get("exclusiveMaximum"))
        assert abs(greatest) <= 1e12 or at.endswith(("seed", "schema_version")), at


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (CaptureChoice, '{"pixel_format": "Mono8", "binning": true}'),
        (CaptureChoice, '{"pixel_format": "Mono8", "binning": 2.0}'),
        (CaptureChoice, '{"pixel_format": "Mono8", "settle_s": true}'),
        (PoseChoice, '{"x_mm": 1e308, "y_mm": 0, "z_mm": 0, "tilt_deg": 0, "pan_deg": 0}'),
        (CalibratedLight, '{"channel": 1, "name": "L", "kind": "diffuse", "relative_intensity": 2147483648}'),
        (CalibratedLight, '{"channel": true, "name": "L", "kind": "diffuse"}'),
        (SimulatedRigConfig, '{"seed": true}'),
        (SimulatedRigConfig, '{"clock_speed": "2"}'),
        (SimulatedRigConfig, '{"prerendered": 1}'),
        (SimulatedRigConfig, '{"serial_latency_ms": 1e59}'),
        (SimulatedRigConfig, '{"imperfections": {"pose_repeatability_mm": 1e308}}'),
    ],
)
def test_an_absurd_value_is_refused(model: type[BaseModel], text: str) -> None:
    """Issue 15, point 11."""
    with pytest.raises(ValidationError):
        model.model_validate_json(text, strict=True)


def test_schema_versions_are_numbers() -> None:
    for model in (Calibration, ViewpointsRecord, TaughtViews):
        with pytest.raises(ValidationError) as refused:
            model.model_validate_json('{"schema_version": true}', strict=True)
        assert ("schema_version",) in [problem["loc"] for problem in refused.value.errors()]
