"""Where the camera truly stands at each taught viewpoint, how surely, and how well it comes back there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibration.camera.adjust import AdjustmentError
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.adjust import calibrate_hand_eye
from calibration.hand_eye.result import HandEye
from calibration.hand_eye.check import hand_eye_faults
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
from drivers.protocols import Pose
from drivers.simulated.config import Imperfections
from drivers.simulated.control import RigControl
from station.calibrate.bench.target_bench import Progress
from station.calibrate.bench.board_bench import BoardBench, SceneBoardBench
from station.calibrate.camera.measured_camera import FLAT, BoardTaker, MeasuredCamera, Shot, measure_camera
from station.calibrate.lights.measured_lights import CalibrationRefused

RETURNS = 4
WORKING_DISTANCE_MM = 250.0
# the demo's five: 250 mm from the target point (0, 0, 8) mm
STATION_VIEWS: Mapping[str, Pose] = {
    "top": Pose(0.0, 0.0, 258.0, 0.0, -90.0),
    "front": Pose(0.0, -176.777, 184.777, 45.0, -90.0),
    "right": Pose(176.777, 0.0, 184.777, 45.0, 0.0),
    "back": Pose(0.0, 176.777, 184.777, 45.0, 90.0),
    "left": Pose(-176.777, 0.0, 184.777, 45.0, 180.0),
}


@dataclass(frozen=True)
class MeasuredViewpoints:
    """`camera` is the one adjusted together with the viewpoints: use these two together."""

    viewpoints: tuple[Viewpoint, ...]
    camera: CameraModel
    hand_eye: HandEye
    fiducials: Mapping[str, F64]  # by viewpoint: (4, 4) camera to board as it lies now, for `check_drift`
    pictures: tuple[Picture, ...]
    flags: tuple[str, ...]

    @property
    def camera_interval95_px(self) -> F64:
        """(4,) half widths of fx, fy, cx, cy, as the record states them."""
        sigmas = np.sqrt(np.diag(self.hand_eye.intrinsic_covariance))
        return np.asarray(self.viewpoints[0].factor95 * sigmas, np.float64)

    def viewpoint(self, name: str) -> Viewpoint:
        """Raises KeyError, naming those that there are."""
        for viewpoint in self.viewpoints:
            if viewpoint.name == name:
                return viewpoint
        raise KeyError(f"no viewpoint {name!r}; there are {', '.join(v.name for v in self.viewpoints)}")

    def as_dict(self) -> dict[str, Any]:
        found = self.hand_eye
        return {
            "viewpoints": [viewpoint_dict(v) for v in self.viewpoints],
            "mount": found.mount.tolist(),
            "arm_repeatability_mm": found.repeatability.mm,
            "arm_repeatability_deg": found.repeatability.deg,
            "pitch_error_percent": 100 * (found.pitch - 1),
            "rms_px": found.rms_px,
            "flags": list(self.flags),
        }

    def as_text(self) -> str:
        arm = self.hand_eye.repeatability
        lines = [f"arm: {arm.mm:.3f} mm, {arm.deg:.4f} degrees, one sigma per axis; rms {self.hand_eye.rms_px:.3f} px"]
        lines += [viewpoint_text(v) for v in self.viewpoints]
        return "\n".join([*lines, *(f"! {flag}" for flag in self.flags)])


def viewpoint_dict(viewpoint: Viewpoint) -> dict[str, Any]:
    returns = viewpoint.returns
    return {
        "name": viewpoint.name,
        "arm": list(viewpoint.axes),
        "camera_to_station": viewpoint.pose.tolist(),
        "covariance": viewpoint.covariance.tolist(),
        "position_mm": viewpoint.position_mm.tolist(),
        "position_interval95_mm": viewpoint.position_interval95_mm.tolist(),
        "angle_interval95_deg": viewpoint.angle_interval95_deg.tolist(),
        "returns": None if returns is None else {
            "count": returns.count, "mm": returns.mm, "deg": returns.deg, "px": returns.px,
            "worst_px": returns.worst_px,
        },
    }  # fmt: skip


def viewpoint_text(viewpoint: Viewpoint) -> str:
    x, y, z = viewpoint.position_mm
    returns = viewpoint.returns
    scatter = "" if returns is None else (
        f"; {returns.count} returns scatter by {returns.mm:.3f} mm, {returns.deg:.4f} degrees, {returns.px:.1f} px"
    )  # fmt: skip
    return (
        f"{viewpoint.name:<8} x {x:.3f} y {y:.3f} z {z:.3f} mm +- {viewpoint.position_interval95_mm.max():.3f} mm, "
        f"{viewpoint.angle_interval95_deg.max():.4f} degrees (95 %){scatter}"
    )


def truth_text(found: MeasuredViewpoints, control: RigControl) -> str:
    """On a simulated rig: how far each viewpoint and the camera are off the truth."""
    lines = []
    for viewpoint in found.viewpoints:
        answer = control.call("truth", arm=list(viewpoint.axes))
        off, turn = viewpoint.errors(np.array(answer["viewpoint"], np.float64))
        inside = int((np.abs(off) <= viewpoint.position_interval95_mm).sum())
        inside += int((np.abs(turn) <= viewpoint.angle_interval95_deg).sum())
        lines.append(
            f"{viewpoint.name:<8} off the truth by {np.linalg.norm(off):.4f} mm, {np.linalg.norm(turn):.4f} degrees; "
            f"{inside} of 6 in their 95 % intervals"
        )
    focal = float(control.call("truth")["camera"]["fx_px"])
    return "\n".join([*lines, f"focal length off the truth by {100 * (found.camera.fx_px / focal - 1):+.4f} %"])


def measure_viewpoints(
    bench: BoardBench, camera: MeasuredCamera, progress: Progress, views: Mapping[str, Pose] = STATION_VIEWS,
    returns: int = RETURNS,
) -> MeasuredViewpoints:  # fmt: skip
    """Visit every viewpoint `returns` times over a flat board, then adjust everything together.

    The board lies there afterwards, and is the fiducial as long as nobody moves it. Raises CalibrationRefused.
    """
    for pose in views.values():
        bench.check_reachable(pose)
    taker = BoardTaker(bench, camera.binning, progress, first_placement=len(camera.places))
    taker.exposure_us = camera.exposure_us
    taker.place(FLAT)
    seen: dict[str, list[Shot]] = {name: [] for name in views}
    for _ in range(returns):
        for name, pose in views.items():
            shot = taker.take(pose)
            if shot is not None:
                seen[name].append(shot)
    return _result(bench, camera, taker, seen, views, progress)


def _result(
    bench: BoardBench, camera: MeasuredCamera, taker: BoardTaker, seen: Mapping[str, Sequence[Shot]],
    views: Mapping[str, Pose], progress: Progress,
) -> MeasuredViewpoints:  # fmt: skip
    progress("viewpoints: adjusting camera, mount, boards and arm together")
    shots = [*camera.shots, *(shot for own in seen.values() for shot in own)]
    try:
        visits = [shot.visit() for shot in shots]
        found = calibrate_hand_eye(visits, camera.solution, camera.report.size_px, bench.expected)
        faults = hand_eye_faults(visits, camera.solution, camera.report.size_px, bench.expected, found)
    except (HandEyeError, AdjustmentError) as error:
        raise CalibrationRefused(f"viewpoints: {error}") from error
    flags = [*faults, *(f"picture {m.file}: {m.reason}" for m in taker.missed)]
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
    return MeasuredViewpoints(
        tuple(viewpoints), found.camera, found, fiducials, tuple(taker.pictures), tuple(flags)
    )  # fmt: skip


def _study(poses: Sequence[F64], found: HandEye) -> Returns | None:
    if len(poses) < FEWEST_RETURNS:
        return None
    return study_returns(poses, found.camera.fx_px, WORKING_DISTANCE_MM)


# -- a study without wires ----------------------------------------------------------------------

STUDIED = Imperfections(
    pose_repeatability_mm=0.05, pose_repeatability_deg=0.01, focal_length_percent=0.5, principal_point_px=30.0,
    camera_mount_mm=0.5, camera_mount_deg=0.3,
)  # fmt: skip


def simulated_viewpoint_calibration(
    seed: int, binning: int = 8, wrong: Imperfections = STUDIED
) -> dict[str, tuple[float, float, float]]:
    """Estimate, half width of the 95 % interval and truth of every quantity of one simulated calibration.

    Camera as a record states it (`fx`, `fy`, `cx`, `cy`, px), then each viewpoint: `top x_mm` ... `z_mm` along the
    station's axes and `top right_deg`, `down_deg`, `ahead_deg`, turns about the camera's axes (truth 0).
    """
    bench = SceneBoardBench(seed, wrong)
    camera = measure_camera(bench, lambda _: None, binning)
    found = measure_viewpoints(bench, camera, lambda _: None)
    true = bench.camera
    truth = {"fx": true.focal_px, "fy": true.focal_px, "cx": true.center_px[0], "cy": true.center_px[1]}
    stated = zip(truth, found.hand_eye.intrinsic, found.camera_interval95_px, strict=True)
    out = {name: (float(value), float(half), truth[name]) for name, value, half in stated}
    for viewpoint in found.viewpoints:
        exact = bench.true_viewpoint(Pose(*viewpoint.axes))
        _, turn = viewpoint.errors(exact)
        for axis, name in enumerate(("x_mm", "y_mm", "z_mm")):
            out[f"{viewpoint.name} {name}"] = (
                float(viewpoint.position_mm[axis]), float(viewpoint.position_interval95_mm[axis]),
                float(exact[axis, 3]),
            )  # fmt: skip
        for axis, name in enumerate(("right_deg", "down_deg", "ahead_deg")):
            out[f"{viewpoint.name} {name}"] = (
                float(turn[axis]), float(viewpoint.angle_interval95_deg[axis]), 0.0
            )  # fmt: skip
    return out
