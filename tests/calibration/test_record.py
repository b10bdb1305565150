"""The calibration record: what was measured, in which frame of reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from calibration.record import CalibratedLight, Calibration


def make(**changes: Any) -> Calibration:
    values: dict[str, Any] = {
        "calibration_id": "test",
        "created": "2026-11-24T08:00:00Z",
        "camera_serial_number": "FACET-SIM-0001",
        "image_width": 5472,
        "image_height": 3648,
        "fx_px": 24429.0,
        "fy_px": 24429.0,
        "cx_px": 2735.5,
        "cy_px": 1823.5,
        "working_distance_mm": 250.0,
        "black_level_dn": 64.0,
        "lights": [
            {"channel": 1, "name": "right", "kind": "directional", "position_mm": [150.0, 0.0, 200.0]},
            {"channel": 3, "name": "up", "kind": "directional", "direction": [0, 3, 4], "relative_intensity": 0.8},
            {"channel": 9, "name": "dome", "kind": "diffuse"},
        ],
        "is_simulated": True,
    }
    return Calibration.model_validate({**values, **changes})


def test_a_pixel_grows_with_binning() -> None:
    assert make().mm_per_px() * 5472 == pytest.approx(56.0, abs=0.01)
    assert make().mm_per_px(8) == pytest.approx(8 * make().mm_per_px())


def test_the_middle_of_the_sensor_stays_the_middle_when_binned() -> None:
    assert make().center_px(8) == ((684 - 1) / 2, (456 - 1) / 2)
    assert make(cx_px=0.0, cy_px=1.0).center_px(2) == (-0.25, 0.25)


def test_a_light_is_found_by_its_channel() -> None:
    assert make().light(3).name == "up"
    with pytest.raises(KeyError, match=r"channel 7 is not in calibration 'test'.*1, 3, 9"):
        make().light(7)


def test_positions_and_directions_both_give_unit_vectors_toward_the_light() -> None:
    np.testing.assert_allclose(make().directions([1, 3]), [[0.6, 0, 0.8], [0, 0.6, 0.8]])
    np.testing.assert_allclose(make().intensities([1, 3]), [1.0, 0.8])
    assert make().positions_mm([1, 3]) is None
    np.testing.assert_allclose(make().positions_mm([1]), [[150, 0, 200]])  # type: ignore[arg-type]


def test_a_diffuse_light_has_no_direction() -> None:
    with pytest.raises(ValueError, match="is diffuse"):
        make().light(9).unit_direction()


@pytest.mark.parametrize(
    "changes",
    [
        {"position_mm": None},
        {"direction": [0, 0, 1]},
        {"position_mm": [1, 0, -1]},
        {"position_mm": [1, float("nan"), 1]},
        {"position_mm": [1, 2]},
        {"kind": "diffuse"},
        {"relative_intensity": 0},
        {"unknown": 1},
    ],
)
def test_a_light_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    values = {"channel": 1, "name": "a", "kind": "directional", "position_mm": [1, 0, 1]}
    CalibratedLight.model_validate(values)
    with pytest.raises(ValidationError):
        CalibratedLight.model_validate({**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2},
        {"created": "yesterday"},
        {"created": "2026-11-24T08:00:00"},
        {"fx_px": 0},
        {"fx_px": float("inf")},
        {"image_width": -1},
        {"lights": []},
        {"calibration_id": "../up"},
        {"typo": 1},
    ],
)
def test_a_record_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**changes)


def test_two_lights_on_one_channel_are_refused_by_name_of_the_field() -> None:
    light = {"channel": 1, "name": "a", "kind": "directional", "position_mm": [1, 0, 1]}
    with pytest.raises(ValidationError) as caught:
        make(lights=[light, {**light, "name": "b"}])
    assert caught.value.errors()[0]["ctx"]["error"].field_path == ("lights", 1, "channel")
