"""Viewpoints as a file keeps them: with the camera they belong to, and how each saw the fiducial.

The fiducial is the board as it lay when the viewpoints were measured; the drift check looks at it again.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from calibration.camera.adjust import Solution
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.result import Repeatability
from calibration.record import (
    CalibrationFieldError,
    Channel,
    Finite,
    Focal,
    Picture,
    Pixels,
    Positive,
    ReturnsRecord,
    Rows,
    SchemaVersion,
    UtcTime,
    ViewpointRecord,
    rows_of,
)
from calibration.viewpoints.drift import Fiducial
from calibration.viewpoints.taught import Viewpoint


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FiducialView(ViewpointRecord):
    """A viewpoint, and where the fiducial lay as seen from it."""

    camera_to_fiducial: Rows | None = None

    @model_validator(mode="after")
    def _fiducial_is_a_pose(self) -> FiducialView:
        rows = self.camera_to_fiducial
        if rows is not None and (len(rows) != 4 or any(len(row) != 4 for row in rows)):
            raise CalibrationFieldError(("camera_to_fiducial",), "must have four rows of four")
        return self

    def fiducial(self) -> Fiducial | None:
        """What the drift check expects to see from here; None where no fiducial was seen."""
        if self.camera_to_fiducial is None:
            return None
        visits = 1 if self.returns is None else self.returns.count
        return Fiducial(np.array(self.camera_to_fiducial, np.float64), self.pose(), visits)


class PinholeRecord(_Strict):
    """A camera in pixels of the full sensor, distortion in OpenCV's order."""

    width_px: int = Field(gt=0, le=65_535)
    height_px: int = Field(gt=0, le=65_535)
    fx_px: Focal
    fy_px: Focal
    cx_px: Pixels
    cy_px: Pixels
    distortion: tuple[Finite, ...] = ()

    def solution(self) -> Solution:
        """The camera before a flat board, in the form with which `fit_pose` fits poses."""
        distortion = np.zeros(5)
        distortion[: len(self.distortion)] = self.distortion
        intrinsic = np.array([self.fx_px, self.fy_px, self.cx_px, self.cy_px])
        return Solution(
            intrinsic, distortion, np.zeros(3), np.zeros((0, 6)), (0.0, 0.0, 1.0), 0.0, np.zeros((0, 0)),
            "full+tangential",
        )  # fmt: skip


class ViewpointsRecord(_Strict):
    """All taught viewpoints of one rig, from one calibration."""

    schema_version: SchemaVersion = 1
    created: UtcTime
    camera_serial_number: Annotated[str, Field(min_length=1, max_length=64)]
    is_simulated: bool
    camera: PinholeRecord
    arm_repeatability_mm: Positive
    arm_repeatability_deg: Positive
    diffuse_channel: Channel | None = None  # the light under which the board was seen
    board_bow_mm: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)  # of the fiducial, as `Solution.shape_mm`
    board_frame_mm: tuple[Finite, Finite, Positive] = (0.0, 0.0, 1.0)
    viewpoints: tuple[FiducialView, ...] = Field(min_length=1)
    pictures: tuple[Picture, ...] = ()
    flags: tuple[str, ...] = ()

    def solution(self) -> Solution:
        """The camera and the fiducial's shape, in the form with which `fit_pose` fits poses."""
        return replace(self.camera.solution(), shape_mm=np.array(self.board_bow_mm), frame=self.board_frame_mm)

    def arm(self) -> Repeatability:
        """The arm's repeatability as it was measured with the viewpoints."""
        return Repeatability(self.arm_repeatability_mm, self.arm_repeatability_deg)


def camera_record(camera: CameraModel) -> PinholeRecord:
    """A camera as the file keeps it."""
    return PinholeRecord(
        width_px=camera.width_px, height_px=camera.height_px, fx_px=camera.fx_px, fy_px=camera.fy_px,
        cx_px=camera.cx_px, cy_px=camera.cy_px, distortion=camera.distortion,
    )  # fmt: skip


def viewpoint_record(viewpoint: Viewpoint) -> ViewpointRecord:
    """A viewpoint as the calibration record keeps it."""
    x, y, z, tilt, pan = (float(v) for v in viewpoint.axes)
    returns = viewpoint.returns
    return ViewpointRecord(
        name=viewpoint.name, arm=(x, y, z, tilt, pan), camera_to_station=rows_of(viewpoint.pose),
        covariance=rows_of(viewpoint.covariance), factor95=viewpoint.factor95,
        returns=None if returns is None else ReturnsRecord(**asdict(returns)),
    )  # fmt: skip


def fiducial_view(viewpoint: Viewpoint, fiducial: F64 | None) -> FiducialView:
    """A viewpoint as the viewpoints' own file keeps it; `fiducial` (4, 4): camera to fiducial."""
    seen = None if fiducial is None else rows_of(fiducial)
    return FiducialView(**dict(viewpoint_record(viewpoint)), camera_to_fiducial=seen)


def viewpoint_of_record(record: ViewpointRecord) -> Viewpoint:
    """The viewpoint again, with its intervals, but without its visits."""
    return Viewpoint(record.name, record.arm, record.pose(), np.array(record.covariance), record.factor95)
