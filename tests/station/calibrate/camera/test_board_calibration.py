"""Camera and viewpoints measured before a board: against the truth, over the wires, and with a board that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from calibration.hand_eye.poses import arm_pose
from calibration.record import Calibration
from calibration.viewpoints.record import ViewpointsRecord
from drivers.errors import CommandRefused
from drivers.geometry.pose import Pose
from drivers.simulated.config import Imperfections, SimulatedRigConfig
from drivers.simulated.control import RigControl
from drivers.simulated.process import RigProcess
from station.calibrate.bench.board_bench import BoardPlace, LiveBoardBench
from station.calibrate.bench.target_bench import Identity
from station.calibrate.camera.looks import FLAT, LOOKS, Look, pose_of_look
from station.calibrate.camera.measured_camera import MeasuredCamera, measure_camera
from station.calibrate.errors import CalibrationRefused
from station.calibrate.runs.opened_rig import board_placer
from station.calibrate.studies.scene_bench import SceneBoardBench
from station.calibrate.studies.viewpoint_coverage import STUDIED
from station.calibrate.viewpoints.drift_check import drift_reference, measure_drift, viewpoints_record
from station.calibrate.viewpoints.measured_viewpoints import MeasuredViewpoints, measure_viewpoints
from station.calibrate.viewpoints.taught_views import STATION_VIEWS
from station.documents.document import load_document
from station.errors import BadInput
from station.recipe.demo import SIMULATED_RIG_DRAWING
from station.rig.devices import open_rig
from station.rig.simulated import running_rig

FEW: tuple[tuple[BoardPlace, tuple[Look, ...]], ...] = tuple((place, looks[:5]) for place, looks in LOOKS)


def quiet(_text: str) -> None:
    """Progress that nobody reads."""


def measured(bench: SceneBoardBench, *names: str) -> tuple[MeasuredCamera, MeasuredViewpoints]:
    camera = measure_camera(bench, quiet, 8, FEW)
    views = {name: STATION_VIEWS[name] for name in names or STATION_VIEWS}
    return camera, measure_viewpoints(bench, camera, quiet, views, 2)


@pytest.fixture(scope="module")
def good() -> tuple[SceneBoardBench, MeasuredCamera, MeasuredViewpoints]:
    bench = SceneBoardBench(21, STUDIED)
    return (bench, *measured(bench))


def test_camera_and_viewpoints_are_found_within_what_is_asked(
    good: tuple[SceneBoardBench, MeasuredCamera, MeasuredViewpoints],
) -> None:
    bench, camera, found = good
    assert camera.camera.fx_px == pytest.approx(bench.camera.focal_px, rel=2e-3)
    assert found.camera.fx_px == pytest.approx(bench.camera.focal_px, rel=3e-4)
    for viewpoint in found.viewpoints:
        off, turn = viewpoint.errors(bench.true_viewpoint(Pose(*viewpoint.axes)))
        assert np.linalg.norm(off) < 0.1
        assert np.linalg.norm(turn) < 0.05
        assert viewpoint.returns is not None
        assert viewpoint.returns.count == 2
    assert not any("pitch" in flag or "bowed" in flag for flag in found.flags + camera.flags)
    assert len(camera.pictures) == 15
    assert set(found.fiducials) == set(STATION_VIEWS)


def test_a_drawing_taken_for_the_truth_would_be_far_off(
    good: tuple[SceneBoardBench, MeasuredCamera, MeasuredViewpoints],
) -> None:
    bench, _, found = good
    for viewpoint in found.viewpoints:
        exact = bench.true_viewpoint(Pose(*viewpoint.axes))
        assert np.linalg.norm(arm_pose(viewpoint.axes)[:3, 3] - exact[:3, 3]) > 0.2


def test_a_board_of_another_pitch_and_bowed_is_named() -> None:
    wrong = STUDIED.model_copy(update={"board_pitch_percent": 0.6, "board_bow_um": 20.0})
    camera, found = measured(SceneBoardBench(22, wrong), "right", "back")
    (pitch,) = (flag for flag in found.flags if flag.startswith("wrong board pitch"))
    said = re.search(r"board is (\+[0-9.]+) %", pitch)
    assert said is not None
    assert float(said[1]) == pytest.approx(0.6, abs=0.25)
    assert any("the board is bowed" in flag for flag in camera.flags), camera.flags


def test_no_board_is_refused_with_what_was_seen() -> None:
    bench = SceneBoardBench(23, Imperfections())
    away = ((BoardPlace(-40.0, -40.0, 8.0), ((0.0, -90.0, 250.0, 80.0, 80.0),)),)
    with pytest.raises(CalibrationRefused, match=r"no exposure|no board in any"):
        measure_camera(bench, quiet, 8, away)


def test_too_few_views_are_refused() -> None:
    bench = SceneBoardBench(24, Imperfections())
    with pytest.raises(CalibrationRefused, match="at least 5"):
        measure_camera(bench, quiet, 8, ((FLAT, LOOKS[2][1][:3]),))


def test_looks_aim_beside_the_boards_middle() -> None:
    pose = pose_of_look(FLAT, (45.0, 0.0, 250.0, 6.0, 0.0))
    assert pose.x_mm == pytest.approx(6.0 + 250 * np.sin(np.pi / 4), abs=1e-3)


def test_a_record_that_says_nothing_of_viewpoints_is_refused() -> None:
    with pytest.raises(BadInput, match="no measured viewpoints"):
        drift_reference(load_document(SIMULATED_RIG_DRAWING, Calibration))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[tuple[RigProcess, Path]]:
    config = SimulatedRigConfig(seed=21, clock_speed=50.0, imperfections=STUDIED)
    with running_rig(tmp_path / "rig", config, 60.0) as found:
        yield found


def test_over_the_wires_a_bumped_viewpoint_is_named(
    rig: tuple[RigProcess, Path], good: tuple[SceneBoardBench, MeasuredCamera, MeasuredViewpoints]
) -> None:
    """The rig of the same seed has the camera and mount of the bench, so that its record holds for it too."""
    record = viewpoints_record(good[2], Identity("FACET-SIM-0001", "", None), is_simulated=True)
    record = ViewpointsRecord.model_validate_json(record.model_dump_json())
    control = RigControl(rig[1].parent)
    top, left = STATION_VIEWS["top"], STATION_VIEWS["left"]
    with open_rig(rig[1]) as station_rig:
        bench = LiveBoardBench(station_rig, board_placer(control, quiet), 9)
        bench.place_board(FLAT)
        few = record.model_copy(
            update={"viewpoints": tuple(v for v in record.viewpoints if v.name in ("top", "left", "right"))}
        )
        quiet_shift = measure_drift(bench, drift_reference(few), quiet, 1, 8)
        assert quiet_shift.accepted, quiet_shift.as_text()
        control.inject("bump", *(str(v) for v in left.as_tuple()), "0.0", "0.6", "0.0", "0.0", "0.0")
        report = measure_drift(bench, drift_reference(few), quiet, 1, 8)
        assert [reason.split(":")[0] for reason in report.reasons] == ["bumped viewpoint left"]
        exact = np.array(control.call("truth", arm=list(top.as_tuple()))["viewpoint"])
        assert np.allclose(exact, good[0].true_viewpoint(top))
    refused = control_error(control)
    assert "how a charuco lies" in refused


def control_error(control: RigControl) -> str:
    """What the rig says to a part that is told to lie like a board."""
    with pytest.raises(CommandRefused) as caught:
        control.call("load", product="connector", seed=1, board={"z_mm": 8.0})
    return str(caught.value)
