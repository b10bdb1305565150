"""The drift check of a shift: every viewpoint visited, the fiducial photographed, and compared with the record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from calibration.camera_adjust import AdjustmentError, BoardView, Solution
from calibration.camera_model import F64
from calibration.drift import DriftReport, Fiducial, check_drift
from calibration.viewpoint_record import ViewpointsRecord, camera_record, viewpoint_record
from calibration.viewpoints import camera_in_board
from drivers.protocols import Pose
from station.bad_input import BadInput
from station.calibrate.bench import Identity, Progress
from station.calibrate.board_bench import BoardBench
from station.calibrate.measure_camera import BINNING, FLAT, BoardTaker
from station.calibrate.viewpoints import WORKING_DISTANCE_MM, ViewpointsResult
from station.recipe_calibration import utc

CHECK_VISITS = 2


class DriftRefused(BadInput, ValueError):
    """The check cannot be made with this record; the text says why."""


def viewpoints_record(found: ViewpointsResult, identity: Identity, *, is_simulated: bool) -> ViewpointsRecord:
    """What is kept of a calibration of viewpoints."""
    return ViewpointsRecord(
        created=utc(datetime.now(UTC)),
        camera_serial_number=identity.camera,
        is_simulated=is_simulated,
        camera=camera_record(found.camera),
        arm_repeatability_mm=found.hand_eye.repeatability.mm,
        arm_repeatability_deg=found.hand_eye.repeatability.deg,
        board_bow_mm=_three(found.hand_eye.shape_mm),
        board_frame_mm=found.hand_eye.solution.frame,
        viewpoints=tuple(viewpoint_record(v, found.fiducials.get(v.name)) for v in found.viewpoints),
        pictures=found.pictures,
        flags=found.flags,
    )


def _three(values: F64) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def measure_drift(
    bench: BoardBench, record: ViewpointsRecord, progress: Progress, visits: int = CHECK_VISITS,
    binning: int = BINNING,
) -> DriftReport:  # fmt: skip
    """Raises DriftRefused for a record without fiducials, OutOfTravel before anything moves."""
    known = {v.name: (v, v.fiducial()) for v in record.viewpoints}
    missing = [name for name, (_, fiducial) in known.items() if fiducial is None]
    if missing:
        raise DriftRefused(f"no fiducial was seen from {', '.join(missing)}; calibrate the viewpoints anew")
    poses = {name: Pose(*entry.arm) for name, (entry, _) in known.items()}
    for pose in poses.values():
        bench.check_reachable(pose)
    taker = BoardTaker(bench, binning, progress)
    taker.places.append(FLAT)  # it lies there since calibration: nobody may touch it
    views: dict[str, list[BoardView]] = {name: [] for name in poses}
    for _ in range(visits):
        for name, pose in poses.items():
            shot = taker.take(pose)
            if shot is not None:
                views[name].append(shot.view)
    camera = record.solution()
    seen = {name: _poses(own, camera) for name, own in views.items()}
    fiducials: dict[str, Fiducial] = {n: fiducial for n, (_, fiducial) in known.items() if fiducial is not None}
    return check_drift(fiducials, seen, record.arm(), record.camera.fx_px, WORKING_DISTANCE_MM)


def _poses(views: Sequence[BoardView], camera: Solution) -> list[F64]:
    found = []
    for view in views:
        try:
            found.append(camera_in_board(view, camera))
        except AdjustmentError as error:
            raise DriftRefused(f"drift check: {error}") from error
    return found
