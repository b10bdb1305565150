"""Camera and viewpoints in the record: with their intervals, judged by limits, nominal where they were not measured."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from calibration.camera.adjust import Solution
from calibration.camera.report import CameraReport, ImageFinding
from calibration.camera_model import CameraModel
from calibration.hand_eye.result import HandEye, Repeatability
from calibration.record import Calibration, Picture
from calibration.viewpoints.taught import Returns, viewpoint_of
from station.calibrate.bench.board_bench import BOARD
from station.calibrate.bench.target_bench import Identity
from station.calibrate.camera.measured_camera import MeasuredCamera
from station.calibrate.records.limits import LIMITS
from station.calibrate.records.record_file import write_record
from station.calibrate.viewpoints.drift_check import DriftReference, DriftRefused, judge_drift, viewpoints_record
from station.calibrate.viewpoints.measured_geometry import MeasuredGeometry, with_geometry
from station.calibrate.viewpoints.measured_viewpoints import MeasuredViewpoints
from station.calibrate.viewpoints.taught_views import STATION_VIEWS
from station.documents.document import load_document
from station.recipe.demo import SIMULATED_RIG_DRAWING

ARM = Repeatability(0.05, 0.01)
WHEN = datetime(2026, 11, 24, tzinfo=UTC)
CAMERA = CameraModel(5472, 3648, 24500.0, 24502.0, 2700.0, 1800.0, (0.01, 0.0, 0.0, 0.0, 0.0))


def geometry(mm: float = 0.01) -> MeasuredGeometry:
    """As if measured: focal length to 1 px, mount to `mm` and 0.001 degrees, one sigma."""
    sigmas = [1.0, 1.0, 2.0, 2.0, 1e-3, *[np.radians(0.001)] * 3, *[mm] * 3]
    solution = Solution(
        np.array([24500.0, 24502.0, 2700.0, 1800.0]), np.zeros(5), np.zeros(3), np.zeros((0, 6)), (0.0, 0.0, 20.0),
        0.2, np.zeros((0, 0)), "k1",
    )  # fmt: skip
    found = HandEye(
        CAMERA, solution.intrinsic, solution.distortion, np.eye(4), {}, np.zeros((45, 5)), np.zeros(3), 1.0, 1e-5,
        Repeatability(0.05, 0.01), 0.21, 0.1, np.diag(np.square(sigmas)), 60.0, solution,
    )  # fmt: skip
    picture = Picture(name="board 1, picture 001", sha256="0" * 64)
    images = (ImageFinding("a", True, "used"), ImageFinding("b", False, "misdetected"))
    report = CameraReport(BOARD, (5472, 3648), images, camera=CAMERA, model="k1", left_out_rms_px=0.25)
    camera = MeasuredCamera(report, CAMERA, solution, (), (), (picture,), 4, 8000.0, ("picture b: misdetected",))
    returns = Returns(4, 0.05, 0.01, 6.0, 9.0)
    views = tuple(viewpoint_of(found, name, pose.as_tuple(), returns) for name, pose in STATION_VIEWS.items())
    return MeasuredGeometry(camera, MeasuredViewpoints(views, CAMERA, found, {}, (), ()))


@pytest.fixture(scope="module")
def reference() -> Calibration:
    return load_document(SIMULATED_RIG_DRAWING, Calibration)


def test_camera_and_viewpoints_are_entered_and_read_back(reference: Calibration, tmp_path: Path) -> None:
    record = with_geometry(reference, geometry()).model_copy(update={"calibration_id": "made"})
    back = load_document(write_record(tmp_path, record), Calibration)
    assert (back.fx_px, back.cy_px, back.distortion[0]) == (24500.0, 1800.0, 0.01)
    assert back.camera is not None
    assert back.camera.fx_spread_px == pytest.approx(1.0)
    assert (back.camera.pictures_used, back.camera.pictures_taken) == (1, 2)
    assert 1.96 < back.camera.factor95 < 3.0
    assert back.camera.refused == ("picture b: misdetected",)
    assert [view.name for view in back.viewpoints] == list(STATION_VIEWS)
    front = back.viewpoint("front")
    assert front is not None
    np.testing.assert_allclose(front.pose()[:3, 3], STATION_VIEWS["front"].as_tuple()[:3])
    assert front.returns is not None
    assert front.returns.px == 6.0


def test_its_figures_are_those_that_the_limits_judge() -> None:
    found = geometry().residuals()
    assert {name for name in LIMITS if name in found} == {
        "focal_interval95_percent", "viewpoint_interval95_mm", "viewpoint_interval95_deg",
    }  # fmt: skip
    assert all(found[name] <= LIMITS[name] for name in LIMITS if name in found)
    loose = geometry(0.06).residuals()
    assert loose["viewpoint_interval95_mm"] > LIMITS["viewpoint_interval95_mm"]
    assert geometry().flags == ()  # one picture left out keeps nobody from releasing


def test_a_visit_adds_the_arms_own_error_to_where_the_camera_stands() -> None:
    assert geometry().camera_pose("top", 250.0).angle_spread_deg == pytest.approx(np.hypot(0.001, 0.01), rel=1e-3)


def test_the_viewpoints_file_for_the_drift_check_can_be_written() -> None:
    kept = viewpoints_record(geometry().viewpoints, Identity("A", "B", None), is_simulated=True)
    assert [view.name for view in kept.viewpoints] == list(STATION_VIEWS)


def test_a_record_without_fiducials_is_judged_by_three_views_or_more_and_says_what_is_not_seen(
    reference: Calibration,
) -> None:
    record = with_geometry(reference, geometry())
    known = {view.name: view.pose() for view in record.viewpoints}
    aims = DriftReference({v.name: v for v in record.viewpoints}, None, geometry().viewpoints.hand_eye.solution, ARM)
    seen: dict[str, list[np.ndarray]] = {name: [pose, pose] for name, pose in known.items()}
    report = judge_drift(aims, known, seen)
    assert report.accepted
    assert "a shift common to all viewpoints cannot be seen this way" in report.as_text()
    assert asdict(report)["warnings"] == report.warnings != ()
    with pytest.raises(DriftRefused, match="at least 3"):
        judge_drift(aims, known, {name: poses if name == "top" else [] for name, poses in seen.items()})
