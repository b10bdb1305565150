"""Viewpoints as they are kept in a file: with the camera that they belong to, and how they saw the fiducial."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from calibration.camera_adjust import Solution
from calibration.camera_model import F64, CameraModel
from calibration.drift import Fiducial
from calibration.hand_eye import Repeatability
from calibration.record import Finite, Identifier, Picture, Positive, Share, UtcTime
from calibration.viewpoints import Returns, Viewpoint

Row4 = tuple[Finite, Finite, Finite, Finite]
Matrix4 = tuple[Row4, Row4, Row4, Row4]
Row6 = tuple[Finite, Finite, Finite, Finite, Finite, Finite]
Matrix6 = tuple[Row6, Row6, Row6, Row6, Row6, Row6]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReturnsRecord(_Strict):
    """How visits scattered, one sigma."""

    count: int = Field(ge=2)
    mm: Share
    deg: Share
    px: Share
    worst_px: Share


class ViewpointRecord(_Strict):
    """Matrices row by row; frames and units as in `calibration.viewpoints.Viewpoint`."""

    name: Identifier
    arm: tuple[Finite, Finite, Finite, Finite, Finite]  # x, y, z in mm, tilt and pan in degrees
    camera_to_station: Matrix4
    covariance: Matrix6
    factor95: Positive
    returns: ReturnsRecord | None = None
    camera_to_fiducial: Matrix4 | None = None

    def viewpoint(self) -> Viewpoint:
        returns = None if self.returns is None else Returns(**self.returns.model_dump())
        return Viewpoint(
            self.name, self.arm, np.array(self.camera_to_station), np.array(self.covariance), self.factor95, returns
        )

    def fiducial(self) -> Fiducial | None:
        """None where no fiducial was seen from here."""
        if self.camera_to_fiducial is None:
            return None
        visits = 1 if self.returns is None else self.returns.count
        return Fiducial(np.array(self.camera_to_fiducial), np.array(self.camera_to_station), visits)


class CameraRecord(_Strict):
    """Pixels of the full sensor."""

    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    fx_px: Positive
    fy_px: Positive
    cx_px: Finite
    cy_px: Finite
    distortion: tuple[Finite, ...] = ()

    def model(self) -> CameraModel:
        return CameraModel(
            self.width_px, self.height_px, self.fx_px, self.fy_px, self.cx_px, self.cy_px, self.distortion
        )  # fmt: skip


class ViewpointsRecord(_Strict):
    """All taught viewpoints of one rig, from one calibration."""

    schema_version: Literal[1] = 1
    created: UtcTime
    camera_serial_number: Annotated[str, Field(min_length=1, max_length=64)]
    is_simulated: bool
    camera: CameraRecord
    arm_repeatability_mm: Positive
    arm_repeatability_deg: Positive
    board_bow_mm: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)  # of the fiducial, as in `camera_adjust.Solution`
    board_frame_mm: tuple[Finite, Finite, Positive] = (0.0, 0.0, 1.0)
    viewpoints: tuple[ViewpointRecord, ...] = Field(min_length=1)
    pictures: tuple[Picture, ...] = ()
    flags: tuple[str, ...] = ()

    def solution(self) -> Solution:
        """The camera and the fiducial's shape, in the form that poses are fitted with."""
        camera, distortion = self.camera, np.zeros(5)
        distortion[: len(camera.distortion)] = camera.distortion
        intrinsic = np.array([camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px])
        return Solution(
            intrinsic, distortion, np.array(self.board_bow_mm), np.zeros((0, 6)), self.board_frame_mm, 0.0,
            np.zeros((0, 0)), "full+tangential",
        )  # fmt: skip

    def arm(self) -> Repeatability:
        return Repeatability(self.arm_repeatability_mm, self.arm_repeatability_deg)


def camera_record(camera: CameraModel) -> CameraRecord:
    return CameraRecord(
        width_px=camera.width_px, height_px=camera.height_px, fx_px=camera.fx_px, fy_px=camera.fy_px,
        cx_px=camera.cx_px, cy_px=camera.cy_px, distortion=camera.distortion,
    )  # fmt: skip


def viewpoint_record(viewpoint: Viewpoint, fiducial: F64 | None) -> ViewpointRecord:
    """fiducial: (4, 4) camera to fiducial."""
    returns = viewpoint.returns
    return ViewpointRecord.model_validate({
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
