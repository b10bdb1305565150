"""Camera and viewpoints as one measurement: taken before the board, entered into a record, judged by its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibration.record import Calibration, CameraRecord, Picture
from calibration.viewpoints.record import viewpoint_record
from drivers.geometry.pose import Pose
from station.calibrate.bench.board_bench import BoardBench
from station.calibrate.bench.camera_pose import CameraPose
from station.calibrate.bench.target_bench import Progress
from station.calibrate.camera.measured_camera import BINNING, MeasuredCamera, measure_camera
from station.calibrate.viewpoints.measured_viewpoints import MeasuredViewpoints, measure_viewpoints
from station.calibrate.viewpoints.taught_views import STATION_VIEWS


@dataclass(frozen=True)
class MeasuredGeometry:
    """`viewpoints.camera` is the camera to use: it was adjusted together with the viewpoints, from `camera` on."""

    camera: MeasuredCamera
    viewpoints: MeasuredViewpoints

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The evidence of both, in the order in which it was photographed."""
        return (*self.camera.pictures, *self.viewpoints.pictures)

    @property
    def flags(self) -> tuple[str, ...]:
        """All that keeps a record from being released; a picture that was left out with its reason does not."""
        return (*self.camera.report.warnings, *self.viewpoints.flags)

    def spreads(self) -> dict[str, float]:
        """fx, fy, cx, cy: one sigma, px."""
        sigmas = np.sqrt(np.diag(self.viewpoints.hand_eye.intrinsic_covariance))
        return {name: float(sigma) for name, sigma in zip(("fx", "fy", "cx", "cy"), sigmas, strict=True)}

    def factor95(self) -> float:
        """Half width of a 95 % interval over one sigma; the same for the camera and all viewpoints."""
        return self.viewpoints.viewpoints[0].factor95

    def residuals(self) -> dict[str, float]:
        """The figures that a record's limits judge, by the same names."""
        views = self.viewpoints.viewpoints
        found = {
            "camera_rms_px": self.viewpoints.hand_eye.rms_px,
            "focal_interval95_percent": 100 * self.factor95() * self.spreads()["fx"] / self.viewpoints.camera.fx_px,
            "viewpoint_interval95_mm": max(float(v.position_interval95_mm.max()) for v in views),
            "viewpoint_interval95_deg": max(float(v.angle_interval95_deg.max()) for v in views),
            "arm_repeatability_mm": self.viewpoints.hand_eye.repeatability.mm,
            "arm_repeatability_deg": self.viewpoints.hand_eye.repeatability.deg,
        }
        if self.camera.report.left_out_rms_px is not None:
            found["camera_left_out_rms_px"] = self.camera.report.left_out_rms_px
        return found

    def camera_pose(self, name: str, working_distance_mm: float) -> CameraPose:
        """The camera's pose at that viewpoint; its uncertainty includes what one visit adds. Raises KeyError."""
        view = self.viewpoints.viewpoint(name)
        own = float(np.degrees(np.sqrt(np.diag(view.covariance)[:2].mean())))
        spread = float(np.hypot(own, self.viewpoints.hand_eye.repeatability.deg))
        return CameraPose(view.pose, working_distance_mm, spread)


def measure_geometry(
    bench: BoardBench, progress: Progress, binning: int = BINNING, views: Mapping[str, Pose] = STATION_VIEWS
) -> MeasuredGeometry:
    """The camera first, then the viewpoints together with it.

    Raises OutOfTravel before the arm moves for the camera or for the viewpoints, CalibrationRefused.
    """
    camera = measure_camera(bench, progress, binning)
    return MeasuredGeometry(camera, measure_viewpoints(bench, camera, progress, views))


def with_geometry(reference: Calibration, found: MeasuredGeometry) -> Calibration:
    """The reference with its camera and viewpoints replaced by those that were measured."""
    camera, report, spreads = found.viewpoints.camera, found.camera.report, found.spreads()
    record = CameraRecord(
        fx_spread_px=spreads["fx"], fy_spread_px=spreads["fy"], cx_spread_px=spreads["cx"],
        cy_spread_px=spreads["cy"], factor95=found.factor95(), model=str(report.model),
        rms_px=found.viewpoints.hand_eye.rms_px, left_out_rms_px=report.left_out_rms_px,
        pictures_used=sum(image.used for image in report.images), pictures_taken=len(report.images),
        refused=tuple(f"picture {image.file}: {image.reason}" for image in report.images if not image.used),
    )  # fmt: skip
    return reference.model_copy(
        update={
            "image_width": camera.width_px,
            "image_height": camera.height_px,
            "fx_px": camera.fx_px,
            "fy_px": camera.fy_px,
            "cx_px": camera.cx_px,
            "cy_px": camera.cy_px,
            "distortion": tuple(float(k) for k in camera.distortion),
            "camera": record,
            "viewpoints": tuple(viewpoint_record(view) for view in found.viewpoints.viewpoints),
        }
    )
