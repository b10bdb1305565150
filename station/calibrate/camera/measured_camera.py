"""The camera from pictures of a board taken from all sides, each with the pose that the arm reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calibration.camera.adjust import Solution
from calibration.camera.fit import calibrate_views
from calibration.camera.report import CameraReport
from calibration.camera_model import CameraModel
from calibration.record import Picture
from station.calibrate.bench.board_bench import BoardBench, BoardPlace
from station.calibrate.bench.target_bench import Progress
from station.calibrate.camera.board_photographer import BoardPhotographer, Shot
from station.calibrate.camera.looks import LOOKS, Look, pose_of_look
from station.calibrate.errors import CalibrationRefused

BINNING = 4


@dataclass(frozen=True)
class MeasuredCamera:
    """The camera in pixels of the full sensor; `report` has its spreads, refused pictures and warnings."""

    report: CameraReport
    camera: CameraModel
    solution: Solution
    shots: tuple[Shot, ...]  # those whose pictures were used
    places: tuple[BoardPlace, ...]
    pictures: tuple[Picture, ...]
    binning: int
    exposure_us: float
    flags: tuple[str, ...]


def measure_camera(
    bench: BoardBench, progress: Progress, binning: int = BINNING,
    looks: Sequence[tuple[BoardPlace, Sequence[Look]]] = LOOKS,
) -> MeasuredCamera:  # fmt: skip
    """Photographs the board from all `looks` and fits the camera.

    Raises OutOfTravel before anything moves, CalibrationRefused where the pictures do not determine the camera.
    """
    for place, own in looks:
        for look in own:
            bench.check_reachable(pose_of_look(place, look))
    photographer = BoardPhotographer(bench, binning, progress)
    for place, own in looks:
        photographer.place(place)
        for look in own:
            photographer.take(pose_of_look(place, look))
    return _fitted(bench, photographer, progress)


def _fitted(bench: BoardBench, taken: BoardPhotographer, progress: Progress) -> MeasuredCamera:
    """The camera from what was photographed; pictures without a board are listed with their reason."""
    if not taken.shots:
        raise CalibrationRefused(f"camera: no board in any of {len(taken.pictures)} pictures: {taken.missed[0].reason}")
    progress(f"camera: fitting {len(taken.shots)} pictures")
    report = calibrate_views(
        [shot.view for shot in taken.shots], bench.board, taken.size_px, grain_px=float(taken.binning)
    )
    report = replace(report, images=(*report.images, *taken.missed))
    if report.camera is None or report.solution is None:
        raise CalibrationRefused(f"camera: {report.refusal}")
    used = {image.file for image in report.images if image.used}
    shots = tuple(shot for shot in taken.shots if shot.view.name in used)
    refused = [f"picture {i.file}: {i.reason}" for i in report.images if not i.used]
    return MeasuredCamera(
        report, report.camera, report.solution, shots, tuple(taken.places), tuple(taken.pictures), taken.binning,
        taken.exposure_us, (*refused, *report.warnings),
    )  # fmt: skip
