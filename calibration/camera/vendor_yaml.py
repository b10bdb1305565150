"""The calibration YAML of machine-vision vendors that the paper's Appendix C prints: read, judged, written back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from calibration.camera_model import F64, CalibrationFileError, CameraModel, model_warnings

HEAD = (
    "calibration_file_ver", "calibration_ver", "calibration_time", "calibration_type", "frame_num", "image_width",
    "image_height", "board_width", "board_height", "board_dx", "board_dy", "points_num",
)  # fmt: skip
MATRICES = {"H_matrix": 9, "distortion_matrix": 12, "intrinsic_matrix": 9, "extrinsic_matrix": 12}
SHAPES = {"H_matrix": (3, 3), "distortion_matrix": (12, 1), "intrinsic_matrix": (3, 3), "extrinsic_matrix": (3, 4)}
OPAQUE = ("distortion_model", "distortion_level")  # meaning not published: kept and written back
SPACED = ("distortion_matrix", "intrinsic_matrix", "extrinsic_matrix")  # these write "rows :", H writes "rows:"
HOMOGRAPHY_TOLERANCE, ROTATION_TOLERANCE = 1e-9, 1e-9
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,4})?")
_FIELD = re.compile(r"^([A-Za-z_]\w*)\s*:")
_MAXIMUM_BYTES = 1 << 20


@dataclass(frozen=True)
class VendorCalibration:
    """One such file. `head` keeps texts as written; H maps board mm to undistorted pixels."""

    head: tuple[tuple[str, str], ...]  # in HEAD's order
    opaque: tuple[tuple[str, str], ...]
    extra: tuple[tuple[str, str], ...]  # fields of other versions, kept as written
    homography: F64  # (3, 3)
    distortion: F64  # (12,), OpenCV's order k1 k2 p1 p2 k3 k4..k6 s1..s4
    intrinsic: F64  # (3, 3)
    extrinsic: F64  # (3, 4), board to camera, mm

    def text(self, name: str) -> str:
        return dict((*self.head, *self.opaque, *self.extra))[name]

    @property
    def frame_count(self) -> int:
        return int(self.text("frame_num"))

    @property
    def taken(self) -> datetime:
        """The file's time; hours, minutes and seconds are not zero padded there."""
        return _time(self.text("calibration_time"))

    @property
    def camera(self) -> CameraModel:
        k = self.intrinsic
        last = int(np.flatnonzero(self.distortion)[-1]) + 1 if self.distortion.any() else 0
        size = int(self.text("image_width")), int(self.text("image_height"))
        coefficients = tuple(float(v) for v in self.distortion[: max(last, 5)])
        return CameraModel(*size, float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]), coefficients)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why these figures are not to be trusted for measuring."""
        found = list(model_warnings(self.camera))
        if self.frame_count < 5:
            found.insert(0, f"frame_num is {self.frame_count}: fewer than 5 views cannot fix focal length and centre")
        if int(self.text("points_num")) == 0:
            found.append("points_num is 0: the reprojection error cannot be worked out again")
        return tuple(found)

    @property
    def good_for(self) -> str:
        """What may be done with it."""
        if self.frame_count < 5 or model_warnings(self.camera):
            return "homography of its own board plane only; not for metrology, and no common frame with other views"
        return "metrology in its own board's frame"


def homography_of(intrinsic: F64, extrinsic: F64) -> F64:
    """H = K [r1 r2 t] / t_z, board mm to undistorted pixels."""
    return np.asarray(intrinsic @ extrinsic[:, [0, 1, 3]] / extrinsic[2, 3], np.float64)


def read_vendor_yaml(path: Path) -> VendorCalibration:
    """Raises CalibrationFileError, naming file and field."""
    try:
        if path.stat().st_size > _MAXIMUM_BYTES:
            raise CalibrationFileError(f"{path}: larger than 1 MiB, not a calibration file")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CalibrationFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CalibrationFileError(f"{path}: not a text file (byte {error.start})") from error
    return parse_vendor_yaml(text, str(path))


def parse_vendor_yaml(text: str, name: str) -> VendorCalibration:
    """`name` stands for the file in messages. Raises CalibrationFileError, naming the field.

    Nothing is repaired here: a list of another length than rows x cols is refused, never cut.
    """
    fields = _load(text, name)
    missing = [key for key in (*HEAD, *OPAQUE, *MATRICES) if key not in fields]
    if missing:
        raise CalibrationFileError(f"{name}: {missing[0]}: missing; the file is not whole")
    head = tuple((key, _scalar(fields, key, name)) for key in HEAD)
    opaque = tuple((key, _scalar(fields, key, name)) for key in OPAQUE)
    known = {*HEAD, *OPAQUE, *MATRICES}
    extra = tuple((key, _scalar(fields, key, name)) for key in fields if key not in known)
    values = {key: _matrix(fields[key], key, name) for key in MATRICES}
    found = VendorCalibration(
        head, opaque, extra, values["H_matrix"], values["distortion_matrix"].ravel(), values["intrinsic_matrix"],
        values["extrinsic_matrix"],
    )  # fmt: skip
    _check_head(found, name)
    _check_matrices(found, name)
    return found


class _TextLoader(yaml.BaseLoader):
    """Every scalar stays the text that it is, and no key may come twice."""


def _unique(loader: yaml.BaseLoader, node: yaml.MappingNode) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node))
        if key in out:
            raise yaml.constructor.ConstructorError(None, None, f"{key} comes twice", key_node.start_mark)
        out[key] = loader.construct_object(value_node, deep=True)
    return out


_TextLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)


def _load(text: str, name: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=_TextLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark is not None else 0
        field = _field_at(text, line)
        raise CalibrationFileError(
            f"{name}, line {line + 1}: {field}: {error.problem or error}; the text is garbled here, "
            "compare with the original file"
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise CalibrationFileError(f"{name}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise CalibrationFileError(f"{name}: no fields found; expected calibration_file_ver: ... and matrices")
    return document


def _field_at(text: str, line: int) -> str:
    """The last top-level field that starts before or on the line."""
    names = [match.group(1) for row in text.splitlines()[: line + 1] if (match := _FIELD.match(row))]
    return names[-1] if names else "start of the file"


def _scalar(fields: dict[str, Any], key: str, name: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not value:
        raise CalibrationFileError(f"{name}: {key}: expected one value, found {_short(value)}")
    return value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value) or not math.isfinite(float(value)):
        raise CalibrationFileError(f"{where}: expected a number, found {_short(value)}")
    return float(value)


def _whole(value: Any, where: str, least: int) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,9}", value) or int(value) < least:
        raise CalibrationFileError(f"{where}: expected a whole number of {least} or more, found {_short(value)}")
    return int(value)


def _matrix(block: Any, key: str, name: str) -> F64:
    if not isinstance(block, dict) or set(block) != {"rows", "cols", "data"}:
        raise CalibrationFileError(f"{name}: {key}: expected rows, cols and data, found {_short(block)}")
    rows, cols = (_whole(block[side], f"{name}: {key}.{side}", 1) for side in ("rows", "cols"))
    if (rows, cols) != SHAPES[key]:
        raise CalibrationFileError(
            f"{name}: {key}: {rows} x {cols}, expected {SHAPES[key][0]} x {SHAPES[key][1]}"
        )  # fmt: skip
    data = block["data"]
    if not isinstance(data, list):
        raise CalibrationFileError(f"{name}: {key}.data: expected a list of {rows * cols}, found {_short(data)}")
    if len(data) != rows * cols:
        raise CalibrationFileError(
            f"{name}: {key}.data: {len(data)} values for {rows} x {cols}; the text is garbled, "
            "compare with the original file (nothing is cut off silently)"
        )
    values = [_number(value, f"{name}: {key}.data[{i}]") for i, value in enumerate(data)]
    return np.array(values, np.float64).reshape(rows, cols)


def _check_head(found: VendorCalibration, name: str) -> None:
    for key, least in (("frame_num", 1), ("image_width", 1), ("image_height", 1), ("points_num", 0)):
        _whole(found.text(key), f"{name}: {key}", least)
    for key in ("board_width", "board_height"):
        _whole(found.text(key), f"{name}: {key}", 0)
    for key in ("board_dx", "board_dy"):
        if not _number(found.text(key), f"{name}: {key}") > 0:
            raise CalibrationFileError(f"{name}: {key}: expected a pitch above 0 mm, found {found.text(key)}")
    try:
        _time(found.text("calibration_time"))
    except ValueError as error:
        raise CalibrationFileError(f"{name}: calibration_time: {error}") from error


def _check_matrices(found: VendorCalibration, name: str) -> None:
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


def _time(text: str) -> datetime:
    match = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{1,2}):(\d{1,2}):(\d{1,2})", text)
    if match is None:
        raise ValueError(f"expected a time like 2025-1-24 15:6:57, found {text!r}")
    return datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]


def _short(value: Any) -> str:
    text = "nothing" if value is None or value == "" else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def format_exponent(value: float) -> str:
    """17 significant digits and a three-digit exponent, as these files have them: 2.0000000000000000e+000."""
    mantissa, exponent = f"{value:.16e}".split("e")
    return f"{mantissa}e{exponent[0]}{int(exponent[1:]):03d}"


def write_vendor_yaml(calibration: VendorCalibration) -> str:
    """The file's text; what was read comes back byte for byte, with Unix line ends."""
    blocks = {
        "H_matrix": calibration.homography, "distortion_matrix": calibration.distortion.reshape(12, 1),
        "intrinsic_matrix": calibration.intrinsic, "extrinsic_matrix": calibration.extrinsic,
    }  # fmt: skip
    lines = [f"{key}: {value}" for key, value in calibration.head]
    lines += _block("H_matrix", blocks["H_matrix"])
    lines += [f"{key}: {value}" for key, value in calibration.opaque]
    for key in SPACED:
        lines += _block(key, blocks[key])
    lines += [f"{key}: {value}" for key, value in calibration.extra]
    return "\n".join(lines) + "\n"


def _block(key: str, values: F64) -> list[str]:
    gap = " " if key in SPACED else ""
    rows, cols = values.shape
    data = [f"    - {format_exponent(float(value))}" for value in values.ravel()]
    return [f"{key}:", f"  rows{gap}: {rows}", f"  cols{gap}: {cols}", "  data:", *data]


def vendor_calibration(
    camera: CameraModel, extrinsic: F64, pitch_mm: float, taken: datetime, frame_count: int
) -> VendorCalibration:
    """Our own figures in this format; `extrinsic` (3, 4) is board to camera in mm. H is derived.

    Raises ValueError for more than 12 distortion coefficients.
    """
    if len(camera.distortion) > 12:
        raise ValueError(f"the format holds 12 distortion coefficients, found {len(camera.distortion)}")
    stamp = f"{taken.year}-{taken.month}-{taken.day} {taken.hour}:{taken.minute}:{taken.second}"
    pitch = format_exponent(pitch_mm)
    texts = ("3.1", "3.1.359264", stamp, "MVP_CALIB_TYPE_NORMAL", str(frame_count), str(camera.width_px),
             str(camera.height_px), "0", "0", pitch, pitch, "0")  # fmt: skip
    distortion = np.zeros(12)
    distortion[: len(camera.distortion)] = camera.distortion
    return VendorCalibration(
        tuple(zip(HEAD, texts, strict=True)), (("distortion_model", "3"), ("distortion_level", "2")), (),
        homography_of(camera.matrix, extrinsic), distortion, camera.matrix, np.asarray(extrinsic, np.float64),
    )  # fmt: skip
