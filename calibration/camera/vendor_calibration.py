"""The calibration that the vendor's YAML of the paper's Appendix C holds, and whether it hangs together.

One such file holds a camera, the pose of one board and the homography of that board's plane. `check_vendor` holds the
three against each other, because files have been seen with values in the wrong place.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from calibration.camera_model import F64, CalibrationFileError, CameraModel, model_warnings

HOMOGRAPHY_TOLERANCE, ROTATION_TOLERANCE = 1e-9, 1e-9
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?")


@dataclass(frozen=True)
class VendorCalibration:
    """All that one file says; `head`, `opaque` and `extra` keep their texts as written, so that it can be written
    again.
    """

    head: tuple[tuple[str, str], ...]  # board, image size and time, in the file's order
    opaque: tuple[tuple[str, str], ...]  # fields whose meaning was never published
    extra: tuple[tuple[str, str], ...]  # fields of other versions, kept as written
    homography: F64  # (3, 3), board mm to undistorted pixels
    distortion: F64  # (12,), OpenCV's order k1 k2 p1 p2 k3 k4..k6 s1..s4
    intrinsic: F64  # (3, 3)
    extrinsic: F64  # (3, 4), board to camera, mm

    def text(self, name: str) -> str:
        """A field as written. Raises KeyError."""
        return dict((*self.head, *self.opaque, *self.extra))[name]

    @property
    def frame_count(self) -> int:
        """The number of views from which the camera was calibrated."""
        return int(self.text("frame_num"))

    @property
    def taken(self) -> datetime:
        """The file's time; hours, minutes and seconds are not zero padded there."""
        return parse_time(self.text("calibration_time"))

    @property
    def camera(self) -> CameraModel:
        """The camera with at least five distortion coefficients; zeros after the last one that counts are left out."""
        k = self.intrinsic
        last = int(np.flatnonzero(self.distortion)[-1]) + 1 if self.distortion.any() else 0
        size = int(self.text("image_width")), int(self.text("image_height"))
        coefficients = tuple(float(v) for v in self.distortion[: max(last, 5)])
        return CameraModel(*size, float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]), coefficients)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons not to measure with these figures."""
        found = list(model_warnings(self.camera))
        if self.frame_count < 5:
            found.insert(0, f"frame_num is {self.frame_count}: fewer than 5 views cannot fix focal length and centre")
        if int(self.text("points_num")) == 0:
            found.append("points_num is 0: the reprojection error cannot be worked out again")
        return tuple(found)

    @property
    def good_for(self) -> str:
        """The use that the figures allow, in words."""
        if self.frame_count < 5 or model_warnings(self.camera):
            return "homography of its own board plane only; not for metrology, and no common frame with other views"
        return "metrology in its own board's frame"


def homography_of(intrinsic: F64, extrinsic: F64) -> F64:
    """H = K [r1 r2 t] / t_z, board mm to undistorted pixels."""
    return np.asarray(intrinsic @ extrinsic[:, [0, 1, 3]] / extrinsic[2, 3], np.float64)


def check_vendor(found: VendorCalibration, name: str) -> None:
    """Raises CalibrationFileError, naming `name` and the field, where a value is impossible or contradicts another."""
    _check_head(found, name)
    _check_matrices(found, name)


def _check_head(found: VendorCalibration, name: str) -> None:
    """The numbers and the time of the head must be possible ones."""
    for key, least in (("frame_num", 1), ("image_width", 1), ("image_height", 1), ("points_num", 0)):
        whole_number(found.text(key), f"{name}: {key}", least)
    for key in ("board_width", "board_height"):
        whole_number(found.text(key), f"{name}: {key}", 0)
    for key in ("board_dx", "board_dy"):
        if not number(found.text(key), f"{name}: {key}") > 0:
            raise CalibrationFileError(f"{name}: {key}: expected a pitch above 0 mm, found {found.text(key)}")
    try:
        parse_time(found.text("calibration_time"))
    except ValueError as error:
        raise CalibrationFileError(f"{name}: calibration_time: {error}") from error


def _check_matrices(found: VendorCalibration, name: str) -> None:
    """K has its form, R is a rotation, the board lies ahead, and H agrees with K, R and t."""
    k, e = found.intrinsic, found.extrinsic
    expected = np.array([[k[0, 0], 0, k[0, 2]], [0, k[1, 1], k[1, 2]], [0, 0, 1]])
    if not (np.array_equal(k, expected) and k[0, 0] > 0 and k[1, 1] > 0):
        raise CalibrationFileError(f"{name}: intrinsic_matrix: not of the form fx 0 cx, 0 fy cy, 0 0 1 with fx, fy > 0")
    rotation = e[:, :3]
    off = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if not off <= ROTATION_TOLERANCE or not np.linalg.det(rotation) > 0:
        raise CalibrationFileError(
            f"{name}: extrinsic_matrix: its left 3 x 3 is no rotation (R^T R differs from 1 by {off:.1e}); "
            "a value is wrong or stands in the wrong place"
        )
    if not e[2, 3] > 0:
        raise CalibrationFileError(f"{name}: extrinsic_matrix: the board lies behind the camera (t_z = {e[2, 3]:g} mm)")
    error = homography_error(found)
    if not error <= HOMOGRAPHY_TOLERANCE:
        raise CalibrationFileError(
            f"{name}: H_matrix: differs from K [r1 r2 t] / t_z by {error:.1e} of its values; H_matrix, "
            "intrinsic_matrix and extrinsic_matrix are not of one calibration"
        )


def homography_error(found: VendorCalibration) -> float:
    """Largest difference of H from K [r1 r2 t] / t_z, each column relative to its own largest value."""
    right = homography_of(found.intrinsic, found.extrinsic)
    scale = np.abs(right).max(axis=0)
    return float((np.abs(found.homography - right) / scale).max())


def parse_time(text: str) -> datetime:
    """A time without zero padding, such as 2025-1-24 15:6:57. Raises ValueError."""
    match = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{1,2}):(\d{1,2})", text)
    if match is None:
        raise ValueError(f"expected a time like 2025-1-24 15:6:57, found {text!r}")
    return datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]


def number(value: Any, where: str) -> float:
    """A finite number from a scalar's text. Raises CalibrationFileError, beginning with `where`."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or not math.isfinite(float(value)):
        raise CalibrationFileError(f"{where}: expected a number, found {shortened(value)}")
    return float(value)


def whole_number(value: Any, where: str, least: int) -> int:
    """A whole number of at most nine digits. Raises CalibrationFileError, beginning with `where`."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,9}", value) or int(value) < least:
        raise CalibrationFileError(f"{where}: expected a whole number of {least} or more, found {shortened(value)}")
    return int(value)


def shortened(value: Any) -> str:
    """What was found, in at most 60 characters of a message."""
    text = "nothing" if value is None or value == "" else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
