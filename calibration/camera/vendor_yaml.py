"""The vendor's calibration YAML of the paper's Appendix C: read without repairs, and written back byte for byte."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from calibration.camera.vendor_calibration import VendorCalibration, check_vendor, number, shortened, whole_number
from calibration.camera_model import F64, CalibrationFileError

HEAD = (
    "calibration_file_ver", "calibration_ver", "calibration_time", "calibration_type", "frame_num", "image_width",
    "image_height", "board_width", "board_height", "board_dx", "board_dy", "points_num",
)  # fmt: skip
SHAPES = {"H_matrix": (3, 3), "distortion_matrix": (12, 1), "intrinsic_matrix": (3, 3), "extrinsic_matrix": (3, 4)}
OPAQUE = ("distortion_model", "distortion_level")  # meaning not published: kept and written back
SPACED = ("distortion_matrix", "intrinsic_matrix", "extrinsic_matrix")  # these write "rows :", H writes "rows:"
_FIELD = re.compile(r"^([A-Za-z_]\w*)\s*:")
_MAXIMUM_BYTES = 1 << 20


def read_vendor_yaml(path: Path) -> VendorCalibration:
    """The file's content, checked. Raises CalibrationFileError, naming file and field."""
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
    """The content of a file's text, checked; `name` stands for the file in messages.

    Raises CalibrationFileError, naming the field. Nothing is repaired: a list of another length than rows x cols is
    refused, never cut.
    """
    fields = _load(text, name)
    missing = [key for key in (*HEAD, *OPAQUE, *SHAPES) if key not in fields]
    if missing:
        raise CalibrationFileError(f"{name}: {missing[0]}: missing; the file is not whole")
    head = tuple((key, _scalar(fields, key, name)) for key in HEAD)
    opaque = tuple((key, _scalar(fields, key, name)) for key in OPAQUE)
    known = {*HEAD, *OPAQUE, *SHAPES}
    extra = tuple((key, _scalar(fields, key, name)) for key in fields if key not in known)
    values = {key: _matrix(fields[key], key, name) for key in SHAPES}
    found = VendorCalibration(
        head, opaque, extra, values["H_matrix"], values["distortion_matrix"].ravel(), values["intrinsic_matrix"],
        values["extrinsic_matrix"],
    )  # fmt: skip
    check_vendor(found, name)
    return found


class _TextLoader(yaml.BaseLoader):
    """Keeps every scalar as text, so that it can be written back unchanged, and refuses a key that comes twice."""


def _unique(loader: yaml.BaseLoader, node: yaml.MappingNode) -> dict[str, Any]:
    """A mapping in which a key that comes twice is an error, unlike in YAML's default."""
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node))
        if key in out:
            raise yaml.constructor.ConstructorError(None, None, f"{key} comes twice", key_node.start_mark)
        out[key] = loader.construct_object(value_node, deep=True)
    return out


_TextLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)


def _load(text: str, name: str) -> dict[str, Any]:
    """The fields as text. A garbled place is given by line and field."""
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
    """The text of a field with one value."""
    value = fields[key]
    if not isinstance(value, str) or not value:
        raise CalibrationFileError(f"{name}: {key}: expected one value, found {shortened(value)}")
    return value


def _matrix(block: Any, key: str, name: str) -> F64:
    """A block of rows, cols and data in the shape that its field must have."""
    if not isinstance(block, dict) or set(block) != {"rows", "cols", "data"}:
        raise CalibrationFileError(f"{name}: {key}: expected rows, cols and data, found {shortened(block)}")
    rows, cols = (whole_number(block[side], f"{name}: {key}.{side}", 1) for side in ("rows", "cols"))
    if (rows, cols) != SHAPES[key]:
        raise CalibrationFileError(f"{name}: {key}: {rows} x {cols}, expected {SHAPES[key][0]} x {SHAPES[key][1]}")
    data = block["data"]
    if not isinstance(data, list):
        raise CalibrationFileError(f"{name}: {key}.data: expected a list of {rows * cols}, found {shortened(data)}")
    if len(data) != rows * cols:
        raise CalibrationFileError(
            f"{name}: {key}.data: {len(data)} values for {rows} x {cols}; the text is garbled, "
            "compare with the original file (nothing is cut off silently)"
        )
    values = [number(value, f"{name}: {key}.data[{i}]") for i, value in enumerate(data)]
    return np.array(values, np.float64).reshape(rows, cols)


def format_exponent(value: float) -> str:
    """17 significant digits and a three-digit exponent, as these files have them: 2.0000000000000000e+000."""
    mantissa, exponent = f"{value:.16e}".split("e")
    return f"{mantissa}e{exponent[0]}{int(exponent[1:]):03d}"


def write_vendor_yaml(calibration: VendorCalibration) -> str:
    """The file's text; a file that was read comes back byte for byte, with Unix line ends."""
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
