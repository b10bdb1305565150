"""Camera and viewpoints in a calibration: measured before the board, entered into the record, judged by limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calibration.record import Calibration, CameraRecord, Picture, ReturnsRecord, ViewpointRecord
from calibration.viewpoints.taught import Viewpoint
from drivers.protocols import Pose
from station.calibrate.bench.target_bench import Progress
from station.calibrate.bench.camera_pose import CameraPose
from station.calibrate.bench.board_bench import BoardBench
from station.calibrate.camera.measured_camera import BINNING, MeasuredCamera, measure_camera
from station.calibrate.viewpoints.measured_viewpoints import STATION_VIEWS, MeasuredViewpoints, measure_viewpoints

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class MeasuredGeometry:
    """The camera is the one of `viewpoints`, adjusted together with them."""

    camera: MeasuredCamera
    viewpoints: MeasuredViewpoints

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return (*self.camera.pictures, *self.viewpoints.pictures)

    @property
    def flags(self) -> tuple[str, ...]:
        """What keeps the record from being released; a picture left out with its reason does not."""
        return (*self.camera.report.warnings, *self.viewpoints.flags)

    def spreads(self) -> dict[str, float]:
        """fx, fy, cx, cy: one sigma, px."""
        sigmas = np.sqrt(np.diag(self.viewpoints.hand_eye.intrinsic_covariance))
        return {name: float(sigma) for name, sigma in zip(("fx", "fy", "cx", "cy"), sigmas, strict=True)}

    def factor95(self) -> float:
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
        """Where the camera stands at that viewpoint, with what one visit adds to its uncertainty."""
        view = self.viewpoints.viewpoint(name)
        own = float(np.degrees(np.sqrt(np.diag(view.covariance)[:2].mean())))
        return CameraPose(view.pose, working_distance_mm, float(np.hypot(own, self.viewpoints.hand_eye.repeatability.deg)))


def measure_geometry(
    bench: BoardBench, progress: Progress, binning: int = BINNING, views: Mapping[str, Pose] = STATION_VIEWS
) -> MeasuredGeometry:
    """Raises CalibrationRefused, OutOfTravel before anything moves."""
    camera = measure_camera(bench, progress, binning)
    return MeasuredGeometry(camera, measure_viewpoints(bench, camera, progress, views))


def with_geometry(reference: Calibration, found: MeasuredGeometry) -> Calibration:
    """The reference with the camera and viewpoints that were measured."""
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
            "viewpoints": tuple(_viewpoint(view) for view in found.viewpoints.viewpoints),
        }
    )


def _viewpoint(view: Viewpoint) -> ViewpointRecord:
    returns = view.returns
    x, y, z, tilt, pan = (float(v) for v in view.axes)
    return ViewpointRecord(
        name=view.name, arm=(x, y, z, tilt, pan), camera_to_station=_rows(view.pose), covariance=_rows(view.covariance),
        factor95=view.factor95,
        returns=None if returns is None else ReturnsRecord(
            count=returns.count, mm=returns.mm, deg=returns.deg, px=returns.px, worst_px=returns.worst_px
        ),
    )  # fmt: skip


def viewpoint_of_record(record: ViewpointRecord) -> Viewpoint:
    """With the functions that map its pixels to the station."""
    return Viewpoint(record.name, record.arm, record.pose(), np.array(record.covariance), record.factor95)


def _rows(matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Rows:
    return tuple(tuple(float(v) for v in row) for row in matrix)
