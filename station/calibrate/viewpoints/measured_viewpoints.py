"""Where the camera truly is at each taught viewpoint, how certain that is, and how well it comes back there.

Every viewpoint is visited several times over the flat board. Those pictures and the camera's own are adjusted together:
camera, mount, boards and the arm's errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from calibration.camera.adjust import AdjustmentError
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.adjust import calibrate_hand_eye
from calibration.hand_eye.check import hand_eye_faults
from calibration.hand_eye.result import HandEye
from calibration.hand_eye.start import HandEyeError
from calibration.record import Picture
from calibration.viewpoints.taught import (
    FEWEST_RETURNS,
    Returns,
    Viewpoint,
    camera_in_board,
    study_returns,
    viewpoint_of,
)
from drivers.geometry.pose import Pose
from station.calibrate.bench.board_bench import BoardBench
from station.calibrate.bench.target_bench import Progress
from station.calibrate.camera.board_photographer import BoardPhotographer, Shot
from station.calibrate.camera.looks import FLAT
from station.calibrate.camera.measured_camera import MeasuredCamera
from station.calibrate.errors import CalibrationRefused
from station.calibrate.viewpoints.taught_views import STATION_VIEWS, WORKING_DISTANCE_MM

RETURNS = 4  # visits to each viewpoint


@dataclass(frozen=True)
class MeasuredViewpoints:
    """The viewpoints, and the camera that was adjusted together with them: only these two belong together."""

    viewpoints: tuple[Viewpoint, ...]
    camera: CameraModel
    hand_eye: HandEye
    fiducials: Mapping[str, F64]  # by viewpoint: (4, 4) camera to board as it lies now, for `check_drift`
    pictures: tuple[Picture, ...]
    flags: tuple[str, ...]

    @property
    def camera_interval95_px(self) -> F64:
        """(4,) half widths of the 95 % intervals of fx, fy, cx, cy, as the record states them."""
        sigmas = np.sqrt(np.diag(self.hand_eye.intrinsic_covariance))
        return np.asarray(self.viewpoints[0].factor95 * sigmas, np.float64)

    def viewpoint(self, name: str) -> Viewpoint:
        """The viewpoint of that name. Raises KeyError, naming those that there are."""
        for viewpoint in self.viewpoints:
            if viewpoint.name == name:
                return viewpoint
        raise KeyError(f"no viewpoint {name!r}; there are {', '.join(v.name for v in self.viewpoints)}")

    def as_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        found = self.hand_eye
        return {
            "viewpoints": [_viewpoint_dict(v) for v in self.viewpoints],
            "mount": found.mount.tolist(),
            "arm_repeatability_mm": found.repeatability.mm,
            "arm_repeatability_deg": found.repeatability.deg,
            "pitch_error_percent": 100 * (found.pitch - 1),
            "rms_px": found.rms_px,
            "flags": list(self.flags),
        }

    def as_text(self) -> str:
        """The arm, then one line a viewpoint, then the flags."""
        arm = self.hand_eye.repeatability
        lines = [f"arm: {arm.mm:.3f} mm, {arm.deg:.4f} degrees, one sigma per axis; rms {self.hand_eye.rms_px:.3f} px"]
        lines += [_viewpoint_text(v) for v in self.viewpoints]
        return "\n".join([*lines, *(f"! {flag}" for flag in self.flags)])


def _viewpoint_dict(viewpoint: Viewpoint) -> dict[str, Any]:
    returns = viewpoint.returns
    return {
        "name": viewpoint.name,
        "arm": list(viewpoint.axes),
        "camera_to_station": viewpoint.pose.tolist(),
        "covariance": viewpoint.covariance.tolist(),
        "position_mm": viewpoint.position_mm.tolist(),
        "position_interval95_mm": viewpoint.position_interval95_mm.tolist(),
        "angle_interval95_deg": viewpoint.angle_interval95_deg.tolist(),
        "returns": None if returns is None else asdict(returns),
    }


def _viewpoint_text(viewpoint: Viewpoint) -> str:
    x, y, z = viewpoint.position_mm
    returns = viewpoint.returns
    scatter = "" if returns is None else (
        f"; {returns.count} returns scatter by {returns.mm:.3f} mm, {returns.deg:.4f} degrees, {returns.px:.1f} px"
    )  # fmt: skip
    return (
        f"{viewpoint.name:<8} x {x:.3f} y {y:.3f} z {z:.3f} mm +- {viewpoint.position_interval95_mm.max():.3f} mm, "
        f"{viewpoint.angle_interval95_deg.max():.4f} degrees (95 %){scatter}"
    )


def measure_viewpoints(
    bench: BoardBench, camera: MeasuredCamera, progress: Progress, views: Mapping[str, Pose] = STATION_VIEWS,
    returns: int = RETURNS,
) -> MeasuredViewpoints:  # fmt: skip
    """Visits every viewpoint `returns` times over the flat board, then adjusts everything together.

    The board stays there and is the fiducial of the drift check as long as nobody moves it. Raises OutOfTravel before
    anything moves, CalibrationRefused where the pictures do not determine the viewpoints.
    """
    for pose in views.values():
        bench.check_reachable(pose)
    photographer = BoardPhotographer(bench, camera.binning, progress, first_placement=len(camera.places))
    photographer.exposure_us = camera.exposure_us
    photographer.place(FLAT)
    seen: dict[str, list[Shot]] = {name: [] for name in views}
    for _ in range(returns):
        for name, pose in views.items():
            shot = photographer.take(pose)
            if shot is not None:
                seen[name].append(shot)
    return _result(bench, camera, photographer, seen, views, progress)


def _result(
    bench: BoardBench, camera: MeasuredCamera, photographer: BoardPhotographer, seen: Mapping[str, Sequence[Shot]],
    views: Mapping[str, Pose], progress: Progress,
) -> MeasuredViewpoints:  # fmt: skip
    """The viewpoints from the common adjustment; one that was seen too rarely is flagged and kept."""
    progress("viewpoints: adjusting camera, mount, boards and arm together")
    found, faults = _adjusted(bench, camera, [*camera.shots, *(shot for own in seen.values() for shot in own)])
    flags = [*faults, *(f"picture {m.file}: {m.reason}" for m in photographer.missed)]
    fiducials, viewpoints = {}, []
    for name, pose in views.items():
        poses = [camera_in_board(shot.view, found.solution) for shot in seen[name]]
        study = _study(poses, found)
        if study is None:
            flags.append(
                f"viewpoint {name}: the board was seen in {len(poses)} pictures, at least {FEWEST_RETURNS} are needed"
            )
        viewpoint = viewpoint_of(found, name, pose.as_tuple(), study)
        viewpoints.append(viewpoint)
        board = found.boards.get(len(camera.places))
        if board is not None:
            fiducials[name] = np.asarray(np.linalg.inv(board) @ viewpoint.pose, np.float64)
    pictures = tuple(photographer.pictures)
    return MeasuredViewpoints(tuple(viewpoints), found.camera, found, fiducials, pictures, tuple(flags))


def _adjusted(bench: BoardBench, camera: MeasuredCamera, shots: Sequence[Shot]) -> tuple[HandEye, list[str]]:
    """The common adjustment of all shots, and its faults in words. Raises CalibrationRefused."""
    visits, size_px = [shot.visit() for shot in shots], camera.report.size_px
    try:
        found = calibrate_hand_eye(visits, camera.solution, size_px, bench.expected)
        return found, hand_eye_faults(visits, camera.solution, size_px, bench.expected, found)
    except (HandEyeError, AdjustmentError) as error:
        raise CalibrationRefused(f"viewpoints: {error}") from error


def _study(poses: Sequence[F64], found: HandEye) -> Returns | None:
    """How the visits scatter; None for too few of them."""
    if len(poses) < FEWEST_RETURNS:
        return None
    return study_returns(poses, found.camera.fx_px, WORKING_DISTANCE_MM)
