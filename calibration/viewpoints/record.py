"""Viewpoints as they are kept in a file: with the camera that they belong to, and how they saw the fiducial."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from calibration.camera.adjust import Solution
from calibration.camera_model import F64, CameraModel
from calibration.hand_eye.result import Repeatability
from calibration.record import (
    CalibrationFieldError,
    Finite,
    Picture,
    Positive,
    Rows,
    UtcTime,
    ViewpointRecord,
)
from calibration.viewpoints.drift import Fiducial
from calibration.viewpoints.taught import Viewpoint


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FiducialView(ViewpointRecord):
    """A viewpoint and how it saw the fiducial that lay there."""

    camera_to_fiducial: Rows | None = None

    @model_validator(mode="after")
    def _fiducial_is_a_pose(self) -> FiducialView:
        rows = self.camera_to_fiducial
        if rows is not None and (len(rows) != 4 or any(len(row) != 4 for row in rows)):
            raise CalibrationFieldError(("camera_to_fiducial",), "must have four rows of four")
        return self

    def fiducial(self) -> Fiducial | None:
        """None where no fiducial was seen from here."""
        if self.camera_to_fiducial is None:
            return None
        visits = 1 if self.returns is None else self.returns.count
        return Fiducial(np.array(self.camera_to_fiducial, np.float64), self.pose(), visits)


class PinholeRecord(_Strict):
    """Pixels of the full sensor."""

    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    fx_px: Positive
    fy_px: Positive
    cx_px: Finite
    cy_px: Finite
    distortion: tuple[Finite, ...] = ()

    def solution(self) -> Solution:
        """The camera before a flat board, in the form that poses are fitted with."""
        distortion = np.zeros(5)
        distortion[: len(self.distortion)] = self.distortion
        intrinsic = np.array([self.fx_px, self.fy_px, self.cx_px, self.cy_px])
        return Solution(
            intrinsic, distortion, np.zeros(3), np.zeros((0, 6)), (0.0, 0.0, 1.0), 0.0, np.zeros((0, 0)),
            "full+tangential",
        )  # fmt: skip


class ViewpointsRecord(_Strict):
    """All taught viewpoints of one rig, from one calibration."""

    schema_version: Literal[1] = 1
    created: UtcTime
    camera_serial_number: Annotated[str, Field(min_length=1, max_length=64)]
    is_simulated: bool
    camera: PinholeRecord
    arm_repeatability_mm: Positive
    arm_repeatability_deg: Positive
    diffuse_channel: Annotated[int, Field(ge=1)] | None = None  # the light under which the board was seen
    board_bow_mm: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)  # of the fiducial, as in `camera_adjust.Solution`
    board_frame_mm: tuple[Finite, Finite, Positive] = (0.0, 0.0, 1.0)
    viewpoints: tuple[FiducialView, ...] = Field(min_length=1)
    pictures: tuple[Picture, ...] = ()
    flags: tuple[str, ...] = ()

    def solution(self) -> Solution:
        """The camera and the fiducial's shape, in the form that poses are fitted with."""
        return replace(self.camera.solution(), shape_mm=np.array(self.board_bow_mm), frame=self.board_frame_mm)

    def arm(self) -> Repeatability:
        return Repeatability(self.arm_repeatability_mm, self.arm_repeatability_deg)


def camera_record(camera: CameraModel) -> PinholeRecord:
    return PinholeRecord(
        width_px=camera.width_px, height_px=camera.height_px, fx_px=camera.fx_px, fy_px=camera.fy_px,
        cx_px=camera.cx_px, cy_px=camera.cy_px, distortion=camera.distortion,
    )  # fmt: skip


def viewpoint_record(viewpoint: Viewpoint, fiducial: F64 | None) -> FiducialView:
    """fiducial: (4, 4) camera to fiducial."""
    returns = viewpoint.returns
    return FiducialView.model_validate({
        "name": viewpoint.name,
        "arm": tuple(float(v) for v in viewpoint.axes),
        "camera_to_station": _rows(viewpoint.pose),
        "covariance": _rows(viewpoint.covariance),
        "factor95": viewpoint.factor95,
        "returns": None if returns is None else {
            "count": returns.count, "mm": returns.mm, "deg": returns.deg, "px": returns.px,
            "worst_px": returns.worst_px,
        },
        "camera_to_fiducial": None if fiducial is None else _rows(fiducial),
    })  # fmt: skip


def _rows(matrix: F64) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(v) for v in row) for row in matrix)
