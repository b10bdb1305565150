"""The drift check, once per shift: the fiducial is photographed from every viewpoint and compared with the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from calibration.camera.adjust import AdjustmentError, BoardView, Solution
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.result import Repeatability
from calibration.record import Calibration, ViewpointRecord, vector_of
from calibration.viewpoints.drift import (
    COMMON_UNSEEN,
    FEWEST_FOR_CONSENSUS,
    DriftReport,
    Fiducial,
    TooFewViews,
    check_drift,
    fiducials_by_consensus,
)
from calibration.viewpoints.record import ViewpointsRecord, camera_record, fiducial_view
from calibration.viewpoints.taught import camera_in_board
from drivers.geometry.pose import Pose
from station.calibrate.bench.board_bench import BoardBench
from station.calibrate.bench.target_bench import Identity, Progress
from station.calibrate.camera.board_photographer import BoardPhotographer
from station.calibrate.camera.looks import FLAT
from station.calibrate.camera.measured_camera import BINNING
from station.calibrate.viewpoints.measured_viewpoints import MeasuredViewpoints
from station.calibrate.viewpoints.taught_views import WORKING_DISTANCE_MM
from station.errors import BadInput
from station.recipe.binding import utc

CHECK_VISITS = 2


class DriftRefused(BadInput, ValueError):
    """The check cannot be made with this record or in this place; the text says why and what to do."""


def viewpoints_record(
    found: MeasuredViewpoints, identity: Identity, *, is_simulated: bool, diffuse_channel: int | None = None
) -> ViewpointsRecord:
    """The file in which a calibration of viewpoints is kept, dated now."""
    return ViewpointsRecord(
        created=utc(datetime.now(UTC)),
        camera_serial_number=identity.camera,
        is_simulated=is_simulated,
        camera=camera_record(found.camera),
        arm_repeatability_mm=found.hand_eye.repeatability.mm,
        arm_repeatability_deg=found.hand_eye.repeatability.deg,
        diffuse_channel=diffuse_channel,
        board_bow_mm=vector_of(found.hand_eye.shape_mm),
        board_frame_mm=found.hand_eye.solution.frame,
        viewpoints=tuple(fiducial_view(v, found.fiducials.get(v.name)) for v in found.viewpoints),
        pictures=found.pictures,
        flags=found.flags,
    )


@dataclass(frozen=True)
class DriftReference:
    """What the check compares with. Without fiducials the board may lie anywhere near the middle."""

    viewpoints: Mapping[str, ViewpointRecord]
    fiducials: Mapping[str, Fiducial] | None
    camera: Solution
    arm: Repeatability

    @property
    def focal_px(self) -> float:
        """fx, in pixels of the full sensor."""
        return float(self.camera.intrinsic[0])


def drift_reference(record: ViewpointsRecord | Calibration) -> DriftReference:
    """The reference from a file of viewpoints (with fiducials) or a calibration record (without).

    Raises DriftRefused for a record whose viewpoints were never measured.
    """
    views = {view.name: view for view in record.viewpoints or ()}
    if not views:
        raise DriftRefused("the record has no measured viewpoints; run `station calibrate viewpoints` or `all`")
    if isinstance(record, ViewpointsRecord):
        known = {view.name: view.fiducial() for view in record.viewpoints}
        missing = [name for name, fiducial in known.items() if fiducial is None]
        if missing:
            raise DriftRefused(f"no fiducial was seen from {', '.join(missing)}; calibrate the viewpoints anew")
        fiducials = {name: fiducial for name, fiducial in known.items() if fiducial is not None}
        return DriftReference(dict(views), fiducials, record.solution(), record.arm())
    found = {} if record.provenance is None else record.provenance.residuals
    if "arm_repeatability_mm" not in found or "arm_repeatability_deg" not in found:
        raise DriftRefused(f"{record.calibration_id} does not say how well the arm repeats; calibrate anew")
    arm = Repeatability(found["arm_repeatability_mm"], found["arm_repeatability_deg"])
    pinhole = camera_record(CameraModel(
        record.image_width, record.image_height, record.fx_px, record.fy_px, record.cx_px, record.cy_px,
        record.distortion,
    ))  # fmt: skip
    return DriftReference(dict(views), None, pinhole.solution(), arm)


def measure_drift(
    bench: BoardBench, reference: DriftReference, progress: Progress, visits: int = CHECK_VISITS,
    binning: int = BINNING,
) -> DriftReport:  # fmt: skip
    """Visits every viewpoint `visits` times and judges what is seen of the board.

    Raises OutOfTravel before anything moves, DriftRefused where too few viewpoints see the board.
    """
    poses = {name: Pose(*view.arm) for name, view in reference.viewpoints.items()}
    if reference.fiducials is None and len(poses) < FEWEST_FOR_CONSENSUS:
        raise DriftRefused(
            f"the record has {len(poses)} viewpoints, at least {FEWEST_FOR_CONSENSUS} are needed where the board's "
            "place is not known: a viewpoint would be judged by itself"
        )
    for pose in poses.values():
        bench.check_reachable(pose)
    photographer = BoardPhotographer(bench, binning, progress)
    if reference.fiducials is None:
        photographer.place(FLAT)
    else:
        photographer.places.append(FLAT)  # it has lain there since calibration, and nobody may touch it
    views: dict[str, list[BoardView]] = {name: [] for name in poses}
    for _ in range(visits):
        for name, pose in poses.items():
            shot = photographer.take(pose)
            if shot is not None:
                views[name].append(shot.view)
    seen = {name: _poses(own, reference.camera) for name, own in views.items()}
    known = {name: view.pose() for name, view in reference.viewpoints.items()}
    return judge_drift(reference, known, seen)


def judge_drift(
    reference: DriftReference, known: Mapping[str, F64], seen: Mapping[str, Sequence[F64]]
) -> DriftReport:  # fmt: skip
    """Judges poses (4, 4) by viewpoint: `known` camera to station, `seen` camera to board at each visit.

    Raises DriftRefused where too few viewpoints saw the board.
    """
    if reference.fiducials is not None:
        return check_drift(reference.fiducials, seen, reference.arm, reference.focal_px, WORKING_DISTANCE_MM)
    try:
        fiducials = fiducials_by_consensus(known, seen)
    except TooFewViews as error:
        raise DriftRefused(f"drift check: {error}") from error
    report = check_drift(fiducials, seen, reference.arm, reference.focal_px, WORKING_DISTANCE_MM)
    return replace(report, warnings=(COMMON_UNSEEN,))


def check_same_camera(record: ViewpointsRecord | Calibration, identity: Identity) -> None:
    """Raises DriftRefused where the rig's camera is not the one of the record."""
    if identity.camera != record.camera_serial_number:
        raise DriftRefused(
            f"the camera is {identity.camera}, the record is of {record.camera_serial_number}: check against a record "
            "of this camera, or calibrate anew"
        )


def _poses(views: Sequence[BoardView], camera: Solution) -> list[F64]:
    """(4, 4) camera to board of each picture. Raises DriftRefused where one has no pose."""
    found = []
    for view in views:
        try:
            found.append(camera_in_board(view, camera))
        except AdjustmentError as error:
            raise DriftRefused(f"drift check: {error}") from error
    return found
