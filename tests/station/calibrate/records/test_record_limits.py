"""What a record's limits judge: nothing unmeasured passes, whoever writes the record; and what `all` calls good."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from calibration.lights.white_plane import PlaneTilt
from calibration.record import Calibration, Provenance
from calibration.viewpoints.record import ViewpointsRecord
from station.calibrate.bench.board_bench import LiveBoardBench
from station.calibrate.bench.camera_pose import TOP
from station.calibrate.bench.target_bench import Identity
from station.calibrate.errors import CalibrationRefused, RigChoiceError
from station.calibrate.field.measured_field import MeasuredField
from station.calibrate.lights.settings import LightSettings, diffuse_channel_of
from station.calibrate.records.limits import LIMITS, limit_flags
from station.calibrate.records.make_record import with_field
from station.calibrate.runs.all import calibrate_all
from station.calibrate.runs.all_report import normals_wanted
from station.calibrate.runs.field import calibrate_field
from station.calibrate.runs.opened_rig import OpenedRig, diffuse_channel_for
from station.calibrate.studies.demo_part import NormalErrors, When
from station.calibrate.viewpoints.drift_check import DriftRefused, check_same_camera
from station.documents.document import load_document, save_document
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.recipe.flat_field_file import FieldMaps

NAN = float("nan")


def quiet(_text: str) -> None:
    """Nobody to tell."""


@pytest.fixture(scope="module")
def reference() -> Calibration:
    return load_document(SIMULATED_RIG_DRAWING, Calibration)


@pytest.fixture(scope="module")
def released(reference: Calibration) -> Calibration:
    about = Provenance(
        lens_serial_number="L", lights_serial_number="C", temperature_c=None, measured=("light directions",),
        nominal=(), pictures=(), residuals={}, limits=LIMITS, flags=(), released_by="me",
        released="2020-01-01T00:00:00Z", expires="2020-06-01T00:00:00Z",
    )  # fmt: skip
    return reference.model_copy(update={"provenance": about})


def test_a_figure_that_could_not_be_measured_is_flagged_and_never_counts_as_kept() -> None:
    assert limit_flags({"condition": 3.0, "outline_rms_px": NAN}) == ()  # the second has no limit
    assert limit_flags({"condition": NAN}) == ("condition could not be measured",)
    assert limit_flags({"condition": float("inf")}) == ("condition could not be measured",)
    assert limit_flags({"condition": 12.0}) == ("condition is 12, the limit is 10",)


def test_a_tilted_plane_takes_the_release_away_when_a_field_is_entered(released: Calibration) -> None:
    maps = FieldMaps((1, 2), np.ones((2, 4, 4), np.float32), 128.0, 63.5)

    def entered(tilt_deg: float) -> Provenance:
        tilt = PlaneTilt(tilt_deg, 0.0, 0.1, ())
        about = with_field(released, MeasuredField(maps, tilt, np.ones(2))).provenance
        assert about is not None
        return about

    assert (entered(0.1).flags, entered(0.1).released_by) == ((), "me")
    assert entered(0.6).flags == ("plane_tilt_deg is 0.6, the limit is 0.4",)
    assert entered(0.6).released_by is None


def unmoved(camera: str) -> OpenedRig:
    """A station that knows its camera, and fails if anything else is asked of it."""
    return cast("OpenedRig", SimpleNamespace(identity=lambda: Identity(camera, "", None)))


def test_a_field_for_an_expired_record_is_refused_before_anything_is_measured(
    released: Calibration, tmp_path: Path
) -> None:
    with pytest.raises(CalibrationRefused, match=r"expired at 2020-06-01"):
        calibrate_field(
            unmoved(released.camera_serial_number), released, tmp_path, "me", quiet, LightSettings()
        )  # fmt: skip


def test_the_diffuse_light_is_the_references(reference: Calibration) -> None:
    assert diffuse_channel_of(reference) == 9
    lights = tuple(
        light.model_copy(update={"channel": 12}) if light.kind == "diffuse" else light for light in reference.lights
    )
    other = reference.model_copy(update={"lights": lights})
    assert LightSettings().for_lights_of(other).diffuse_channel == 12
    bare = reference.model_copy(update={"lights": lights[:-1]})
    with pytest.raises(CalibrationRefused, match="none of its lights is of kind `diffuse`"):
        diffuse_channel_of(bare)


def test_all_needs_a_viewpoint_for_the_lights_before_anything_moves(reference: Calibration, tmp_path: Path) -> None:
    station: Any = SimpleNamespace()
    with pytest.raises(CalibrationRefused, match="no viewpoint is named 'top'"):
        calibrate_all(station, reference, tmp_path, "me", quiet, views={"left": TOP})


def test_a_drift_check_of_another_camera_is_refused(reference: Calibration) -> None:
    check_same_camera(reference, Identity(reference.camera_serial_number, "", None))
    with pytest.raises(DriftRefused, match="the camera is OTHER"):
        check_same_camera(reference, Identity("OTHER", "", None))


def errors(when: When, mean_deg: float) -> NormalErrors:
    return NormalErrors("knob", "all", when, mean_deg, mean_deg, mean_deg, 1000)


def test_normals_must_be_bad_before_and_good_after() -> None:
    assert normals_wanted(())
    good = (errors("before", 3.0), errors("after", 0.4))
    assert normals_wanted(good)
    assert not normals_wanted((good[0], replace(good[1], mean_deg=1.2)))
    assert not normals_wanted((replace(good[0], mean_deg=0.5), good[1]))
    assert not normals_wanted((good[0], errors("after", NAN)))
    bounced = (errors("before", 6.0), errors("after", 1.83), errors("exact", 1.80))
    assert normals_wanted(bounced)  # exact lights do no better under light that bounces
    assert not normals_wanted((bounced[0], errors("after", 2.2), bounced[2]))


def test_the_light_that_shows_the_board_is_told_by_a_person_the_record_or_the_drawing(
    reference: Calibration, tmp_path: Path
) -> None:
    drawn = reference.lights[-1].model_copy(update={"channel": 12})
    other = reference.model_copy(update={"lights": (*reference.lights[:-1], drawn)})
    save_document(tmp_path / "drawing.yaml", other)
    views = cast(ViewpointsRecord, SimpleNamespace(diffuse_channel=11))
    silent = cast(ViewpointsRecord, SimpleNamespace(diffuse_channel=None))  # of before this was kept
    real, simulated = (cast(Any, SimpleNamespace(is_simulated=flag)) for flag in (False, True))
    assert diffuse_channel_for(real, 3, tmp_path / "drawing.yaml", other) == 3
    assert diffuse_channel_for(real, None, None, other) == 12
    assert diffuse_channel_for(real, None, None, views) == 11
    assert diffuse_channel_for(real, None, tmp_path / "drawing.yaml", silent) == 12
    assert diffuse_channel_for(simulated, None, None) == 9
    with pytest.raises(RigChoiceError, match="which light is the diffuse one"):
        diffuse_channel_for(real, None, None, silent)


def test_the_board_is_lit_by_that_light_and_by_none_that_nobody_named() -> None:
    lit: list[int] = []
    lights = SimpleNamespace(on=lambda channel, _brightness: lit.append(channel), off=lambda: None)
    camera = SimpleNamespace(configure=lambda _settings: None, expose=lambda exposure_us: exposure_us)
    rig = cast(Any, SimpleNamespace(lights=lights, camera=camera))
    assert cast(Any, LiveBoardBench(rig, lambda _: None, 12).photograph(100.0, 4)) == 100.0
    assert lit == [12]
    with pytest.raises(RigChoiceError, match="nobody said which light"):
        LiveBoardBench(rig, lambda _: None, None).photograph(100.0, 4)
