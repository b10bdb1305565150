"""Camera models in other programs' files: OpenCV's FileStorage YAML and ROS's camera_info YAML."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import yaml

from calibration.camera.vendor_yaml import read_vendor_yaml
from calibration.camera_model import DISTORTION_LENGTHS, F64, CalibrationFileError, CameraModel

FileKind = Literal["appendix-c", "opencv", "ros"]
_ROS_LENGTHS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14)}


def file_kind(path: Path) -> FileKind:
    """The kind of a calibration file, by its content and not its name. Raises CalibrationFileError for none of them."""
    try:
        text = path.read_bytes()[: 1 << 20].decode("utf-8-sig")
    except OSError as error:
        raise CalibrationFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CalibrationFileError(f"{path}: not a text file (byte {error.start})") from error
    if text.startswith("%YAML:1.0") or "!!opencv-matrix" in text:
        return "opencv"
    if "calibration_file_ver" in text or "intrinsic_matrix" in text:
        return "appendix-c"
    if "distortion_coefficients" in text:
        return "ros"
    raise CalibrationFileError(
        f"{path}: no calibration known here; expected the vendor's YAML (calibration_file_ver), "
        "OpenCV's FileStorage (%YAML:1.0) or ROS camera_info (distortion_coefficients)"
    )


def read_camera(path: Path) -> CameraModel:
    """The camera in any of the three kinds of file. Raises CalibrationFileError."""
    kind = file_kind(path)
    if kind == "appendix-c":
        return read_vendor_yaml(path).camera
    return read_opencv(path) if kind == "opencv" else read_ros(path)


def write_opencv(camera: CameraModel, path: Path) -> None:
    """Writes a FileStorage with the field names of OpenCV's calibration sample."""
    storage = cv2.FileStorage(".yaml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("image_width", camera.width_px)
    storage.write("image_height", camera.height_px)
    storage.write("camera_matrix", camera.matrix)
    storage.write("distortion_coefficients", camera.coefficients.reshape(-1, 1))
    path.write_text(storage.releaseAndGetString(), encoding="utf-8")


def read_opencv(path: Path) -> CameraModel:
    """The camera of a FileStorage as OpenCV's calibration sample writes it. Raises CalibrationFileError."""
    text = path.read_text(encoding="utf-8-sig")
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        size = [storage.getNode(key) for key in ("image_width", "image_height")]
        matrix = storage.getNode("camera_matrix").mat()
        node = storage.getNode("distortion_coefficients")
        coefficients = node.mat() if not node.empty() else np.zeros((5, 1))
    except (cv2.error, SystemError) as error:
        raise CalibrationFileError(f"{path}: OpenCV cannot read it: {str(error).splitlines()[0]}") from error
    for key, part in zip(("image_width", "image_height"), size, strict=True):
        if not (part.isInt() and part.real() > 0):
            found = f"{part.real():g}" if part.isInt() or part.isReal() else "no number"
            raise CalibrationFileError(f"{path}: {key}: expected a whole number above 0, found {found}")
    if matrix is None or coefficients is None:
        raise CalibrationFileError(
            f"{path}: {'camera_matrix' if matrix is None else 'distortion_coefficients'}: missing"
        )
    width, height = (int(part.real()) for part in size)
    return _camera(path, width, height, np.asarray(matrix, np.float64), np.asarray(coefficients, np.float64).ravel())


def write_ros(camera: CameraModel, path: Path, name: str = "camera") -> None:
    """Writes a monocular camera_info: rectification is the identity, projection is K."""
    coefficients = camera.coefficients if camera.distortion else np.zeros(5)
    document = {
        "image_width": camera.width_px, "image_height": camera.height_px, "camera_name": name,
        "camera_matrix": _ros_block(camera.matrix),
        "distortion_model": "plumb_bob" if len(coefficients) <= 5 else "rational_polynomial",
        "distortion_coefficients": _ros_block(coefficients.reshape(1, -1)),
        "rectification_matrix": _ros_block(np.eye(3)),
        "projection_matrix": _ros_block(np.column_stack([camera.matrix, np.zeros(3)])),
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def read_ros(path: Path) -> CameraModel:
    """The camera of a ROS camera_info with plumb_bob or rational_polynomial. Raises CalibrationFileError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise CalibrationFileError(f"{path}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise CalibrationFileError(
            f"{path}: no fields found; expected image_width, image_height, camera_matrix and so on"
        )
    width, height = (_ros_size(document.get(key), f"{path}: {key}") for key in ("image_width", "image_height"))
    model = document.get("distortion_model", "plumb_bob")
    if model not in _ROS_LENGTHS:
        raise CalibrationFileError(f"{path}: distortion_model: {model!r}, expected one of {', '.join(_ROS_LENGTHS)}")
    matrix = _ros_matrix(document, "camera_matrix", path)
    coefficients = _ros_matrix(document, "distortion_coefficients", path).ravel()
    if len(coefficients) not in _ROS_LENGTHS[model]:
        raise CalibrationFileError(
            f"{path}: distortion_coefficients: {len(coefficients)} values, {model} has {_ROS_LENGTHS[model]}"
        )
    return _camera(path, width, height, matrix, coefficients)


def _ros_block(values: F64) -> dict[str, Any]:
    return {"rows": values.shape[0], "cols": values.shape[1], "data": [float(v) for v in values.ravel()]}


def _ros_size(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CalibrationFileError(f"{where}: expected a whole number above 0, found {value!r}")
    return value


def _ros_matrix(document: dict[str, Any], key: str, path: Path) -> F64:
    """A block of rows, cols and data as a matrix. Raises CalibrationFileError."""
    block = document.get(key)
    if not isinstance(block, dict) or not isinstance(block.get("data"), list):
        raise CalibrationFileError(f"{path}: {key}: expected rows, cols and data, found {type(block).__name__}")
    rows, cols, data = block.get("rows"), block.get("cols"), block["data"]
    if not isinstance(rows, int) or not isinstance(cols, int) or len(data) != rows * cols or not data:
        raise CalibrationFileError(f"{path}: {key}: {len(data)} values for {rows} x {cols}")
    try:
        return np.array([float(value) for value in data], np.float64).reshape(rows, cols)
    except (TypeError, ValueError) as error:
        raise CalibrationFileError(f"{path}: {key}.data: {error}") from error


def _camera(path: Path, width: int, height: int, matrix: F64, coefficients: F64) -> CameraModel:
    """The model of a checked file: three by three without skew, and a length of distortion that OpenCV knows."""
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise CalibrationFileError(f"{path}: camera_matrix: expected 3 x 3 finite figures with fx, fy above 0")
    if matrix[0, 1] != 0 or matrix[1, 0] != 0 or not np.array_equal(matrix[2], [0, 0, 1]):
        raise CalibrationFileError(f"{path}: camera_matrix: skew is not supported; expected fx 0 cx, 0 fy cy, 0 0 1")
    if len(coefficients) not in DISTORTION_LENGTHS or not all(math.isfinite(v) for v in coefficients):
        raise CalibrationFileError(
            f"{path}: distortion_coefficients: {len(coefficients)} values, expected one of {DISTORTION_LENGTHS}, finite"
        )
    values = (float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]))
    return CameraModel(width, height, *values, tuple(float(v) for v in coefficients))
