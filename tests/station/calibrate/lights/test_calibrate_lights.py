"""A whole calibration on the Scene: what it finds against the truth, what it names, what it keeps and refuses."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.record import Calibration
from calibration.report.page import html_report
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from drivers.simulated.scene import LightHead
from station.calibrate.bench.target_bench import Identity, Recorder, Roi, Target, find_exposure_us
from station.calibrate.errors import CalibrationRefused, RecordError
from station.calibrate.lights.measured_lights import MeasuredLights, measure_lights
from station.calibrate.lights.settings import LightSettings
from station.calibrate.records.make_record import Release, make_record
from station.calibrate.records.plots import light_plots
from station.calibrate.records.record_file import record_hash, write_record
from station.calibrate.runs.verify import verify, verify_on_plane
from station.calibrate.sensor.exposure_series import measure_sensor
from station.calibrate.studies.compare import as_built, compare
from station.calibrate.studies.scene_bench import SceneBench
from station.documents.document import load_document
from station.recipe.demo import SIMULATED_RIG_DRAWING

SETTINGS = LightSettings(binning=8)
COARSE = LightSettings(binning=12)  # enough to name what is wrong
TOP = Pose(0.04, -0.03, 258.05, 0.01, -90.01)
HEAD = LightHead.toleranced(11, direction_deg=3.0, intensity_percent=20.0)
IDENTITY = Identity("FACET-SIM-0001", "LIGHTS-1", 31.5)
WHEN = datetime(2026, 11, 24, 12, tzinfo=UTC)


def quiet(_text: str) -> None:
    """Progress that nobody reads."""


def truth_of(head: LightHead) -> dict[str, Any]:
    return {
        "lights": [asdict(light) for light in head.lights if not light.is_dome],
        "sensor": {"gain_dn_per_e": 4095 / 14000, "read_noise_e": 4.0},
        "camera": {"fx_px": 24429.0},
    }


@pytest.fixture(scope="module")
def reference() -> Calibration:
    return load_document(SIMULATED_RIG_DRAWING, Calibration)


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder(SceneBench(HEAD, TOP, seed=3))


@pytest.fixture(scope="module")
def lights(recorder: Recorder, reference: Calibration) -> MeasuredLights:
    return measure_lights(recorder, reference, SETTINGS, quiet)


@pytest.fixture(scope="module")
def record(lights: MeasuredLights, recorder: Recorder, reference: Calibration) -> Calibration:
    sensor = measure_sensor(recorder, reference, SETTINGS, quiet)
    return make_record(reference, lights, sensor, IDENTITY, recorder.pictures, Release("test", WHEN), "found")


def test_lights_and_sensor_agree_with_the_truth_and_their_intervals_hold_it(record: Calibration) -> None:
    rows = {row.quantity: row for row in compare(record, truth_of(HEAD))}
    assert set(rows) == {"light direction", "light distance", "light intensity", "system gain K", "read noise"}
    assert [row.as_text() for row in rows.values() if not row.ok] == []
    assert rows["light direction"].inside >= 7
    assert rows["light intensity"].inside >= 7


def test_independent_estimates_agree_and_nothing_is_flagged(lights: MeasuredLights) -> None:
    assert lights.flags == ((),) * 8
    assert lights.disagreement_deg.max() < 0.5  # the plate lights the matte sphere from below: 0.35 of it
    np.testing.assert_allclose(lights.matte_intensities, lights.plane.intensities, rtol=0.01)


def test_the_record_says_what_was_measured_and_what_was_not(record: Calibration, recorder: Recorder) -> None:
    about = record.provenance
    assert about is not None
    assert about.released_by == "test"
    assert about.nominal == ("camera", "viewpoints")
    assert len(about.pictures) == len(recorder.pictures) > 80
    assert about.is_expired("2027-11-24T12:00:00Z")
    assert not about.is_expired("2026-12-24T12:00:00Z")
    assert all(light.direction_spread_deg for light in record.lights if light.kind == "directional")


def test_a_record_is_written_once_and_reads_back(record: Calibration, tmp_path: Path) -> None:
    path = write_record(tmp_path, record)
    assert record_hash(load_document(path, Calibration)) == record_hash(record)
    with pytest.raises(RecordError, match="never overwritten"):
        write_record(tmp_path, record)
    assert record_hash(record.model_copy(update={"note": "changed"})) != record_hash(record)


def test_the_report_is_one_page_that_needs_nothing_else(record: Calibration, reference: Calibration) -> None:
    page = html_report(record, record_hash(record), plots={"lights": light_plots(record, reference)})
    assert "Released by test" in page
    assert "<svg" in page
    assert "L135" in page
    assert record_hash(record) in page
    assert "http" not in page
    assert "src=" not in page
    assert "light directions, one sigma of the worst" in page


def test_verify_accepts_the_rig_it_was_made_on_and_refuses_one_that_was_touched(record: Calibration) -> None:
    assert verify(SceneBench(HEAD, TOP, 5), record, IDENTITY, COARSE, quiet).accepted
    moved = replace(HEAD.lights[3], position_mm=(HEAD.lights[3].position_mm[0] + 14.0, *HEAD.lights[3].position_mm[1:]))
    weak = replace(HEAD.lights[6], power=HEAD.lights[6].power * 0.9)
    touched = LightHead((*HEAD.lights[:3], moved, *HEAD.lights[4:6], weak, *HEAD.lights[7:]))
    cold = replace(IDENTITY, camera="OTHER", temperature_c=20.0)
    report = verify(SceneBench(touched, TOP, 5), record, cold, COARSE, quiet)
    assert not report.accepted
    assert report.warnings == ("the camera is at 20 degrees C, but was calibrated at 32: let it warm up, verify again",)
    assert [check.name for check in report.lights if not check.ok] == ["L135", "L270"]
    assert any("the camera is OTHER" in reason for reason in report.reasons)


def test_verify_on_the_plane_names_a_lamp_that_lost_light_and_a_tilted_plane(record: Calibration) -> None:
    weak = replace(HEAD.lights[6], power=HEAD.lights[6].power * 0.95)
    good = verify_on_plane(SceneBench(HEAD, TOP, 5), record, None, IDENTITY, COARSE, quiet)
    assert (good.accepted, good.target) == (True, "plane")
    tired = LightHead((*HEAD.lights[:6], weak, *HEAD.lights[7:]))
    report = verify_on_plane(SceneBench(tired, TOP, 5), record, None, IDENTITY, COARSE, quiet)
    assert [check.name for check in report.lights if not check.ok] == ["L270"]
    askew = replace(TOP, tilt_deg=TOP.tilt_deg + 1.5)
    report = verify_on_plane(SceneBench(HEAD, askew, 5), record, None, IDENTITY, COARSE, quiet)
    assert any("tilted by 1." in reason for reason in report.reasons)


class Miswired:
    """A bench whose channels 2 and 5 are exchanged."""

    def __init__(self, bench: SceneBench) -> None:
        self._bench = bench

    def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None:
        self._bench.place(target, x_mm, y_mm)

    def photograph(self, channel: int | None, exposure_us: float, binning: int, roi: Roi | None = None) -> Frame:
        other = {2: 5, 5: 2}.get(channel, channel) if channel is not None else None
        return self._bench.photograph(other, exposure_us, binning, roi)


def test_exchanged_channels_and_a_light_far_off_are_named_and_not_released(reference: Calibration) -> None:
    nominal = LightHead.nominal().lights
    x, y, z = nominal[6].position_mm
    turned = replace(nominal[6], position_mm=(x + 44.0, y, z))  # 10 degrees
    bench = Miswired(SceneBench(LightHead((*nominal[:6], turned, *nominal[7:])), TOP, 1))
    found = measure_lights(bench, reference, COARSE, quiet)
    assert [k for k, flags in enumerate(found.flags) if flags] == [1, 4, 6]
    assert "swapped channels" in found.flags[1][0]
    assert "L180" in found.flags[1][0]
    assert "swapped channels" in found.flags[4][0]
    assert "differ by 9." in found.flags[6][0] or "differ by 10." in found.flags[6][0]
    record = make_record(reference, found, None, IDENTITY, [], Release("test", WHEN), "faulty")
    assert record.provenance is not None
    assert record.provenance.released_by is None
    assert "Not released" in html_report(record, record_hash(record))


def test_a_dark_light_and_the_wrong_target_are_refused_with_what_to_do(reference: Calibration) -> None:
    with pytest.raises(ValueError, match="is the light on, and the right target"):
        find_exposure_us(SceneBench(LightHead.nominal(), TOP, 1), 1, 8, 100.0, 0.5, 5.0)

    class Empty(SceneBench):
        def place(self, target: Target, x_mm: float = 0.0, y_mm: float = 0.0) -> None:
            super().place("empty" if target != "empty" else target, x_mm, y_mm)

    with pytest.raises(CalibrationRefused, match="lights: "):
        measure_lights(Empty(LightHead.nominal(), TOP, 1), reference, COARSE, quiet)


def test_the_true_lights_leave_no_difference_to_the_truth(record: Calibration) -> None:
    rows = compare(as_built(record, truth_of(HEAD)), truth_of(HEAD))
    assert max(row.worst_error for row in rows[:3]) < 1e-4
