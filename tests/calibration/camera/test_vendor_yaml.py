"""The paper's calibration files: the published four load, garbled and mixed ones are refused by field."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from calibration.camera.info_files import file_kind, read_camera, read_opencv, read_ros, write_opencv, write_ros
from calibration.camera.vendor_calibration import homography_error, homography_of
from calibration.camera.vendor_yaml import (
    parse_vendor_yaml,
    read_vendor_yaml,
    write_vendor_yaml,
)
from calibration.camera_model import CalibrationFileError, CameraModel

FOLDER = Path(__file__).parent / "appendix_c"
FOUR = [FOLDER / f"camera{n}.yaml" for n in (1, 2, 3, 4)]
CAMERA = CameraModel(5472, 3648, 24429.5, 24428.25, 2735.5, 1823.25, (-0.05, 1.5, 0.0, 0.0, -20.0))


def _text(number: int) -> str:
    return FOUR[number - 1].read_text()


@pytest.mark.parametrize("path", FOUR, ids=lambda p: p.stem)
def test_the_published_cameras_load_and_come_back_byte_for_byte(path: Path) -> None:
    found = read_vendor_yaml(path)
    assert write_vendor_yaml(found) == path.read_text()
    assert homography_error(found) < 2e-15
    assert "homography" in found.good_for
    assert "frame_num is 1" in found.warnings[0]


def test_off_image_centres_and_aspect_are_warned_of_where_they_are() -> None:
    warned = [" / ".join(read_vendor_yaml(path).warnings) for path in FOUR]
    assert ["outside the image" in text for text in warned] == [True, True, False, False]
    assert ["fx/fy" in text for text in warned] == [True, True, False, False]


def test_times_without_zero_padding_are_read() -> None:
    assert read_vendor_yaml(FOUR[0]).taken == datetime(2025, 1, 24, 15, 6, 57)
    assert read_vendor_yaml(FOUR[3]).taken == datetime(2025, 1, 24, 15, 56, 5)


def test_h_maps_the_board_to_undistorted_pixels() -> None:
    found = read_vendor_yaml(FOUR[2])
    board = np.array([3.0, -4.0, 1.0])
    seen = found.extrinsic[:, :3] @ [3.0, -4.0, 0.0] + found.extrinsic[:, 3]
    by_k = (found.intrinsic @ seen) / seen[2]
    by_h = (found.homography @ board) / (found.homography @ board)[2]
    assert by_h == pytest.approx(by_k, rel=1e-12)


ZERO = "    - 0.0000000000000000e+000\n"
GARBLED = {
    "surplus zeros": (1, lambda t: t.replace("intrinsic_matrix:", ZERO * 2 + "intrinsic_matrix:"), "distortion_matrix"),
    "lost indentation": (2, lambda t: t.replace("    - 5.7629797788", "- 5.7629797788"), "H_matrix"),
    "no data": (4, lambda t: t[: t.index("    - 1.8131")] + t[t.index("intrinsic_matrix") :], "distortion_matrix.data"),
    "no intrinsics": (4, lambda t: t[: t.index("intrinsic")] + t[t.index("extrinsic") :], "intrinsic_matrix: missing"),
    "a block twice": (3, lambda t: t + t[t.index("intrinsic") : t.index("extrinsic")], "intrinsic_matrix comes twice"),
    "a word": (1, lambda t: t.replace("7.5142908289968972e+001", "7.51429O8"), r"H_matrix.data\[0\]"),
    "infinity": (1, lambda t: t.replace("7.5142908289968972e+001", ".inf"), r"H_matrix.data\[0\]"),
    "one digit": (1, lambda t: t.replace("7.5142908289968972", "7.5142908389968972"), "H_matrix: differs"),
    "a lost sign": (3, lambda t: t.replace("- -7.0549570237988890e-001", "- 7.0549570237988890e-001"), "extrinsic"),
    "a size": (1, lambda t: t.replace("image_width: 4096", "image_width: 40-96"), "image_width"),
    "a time": (1, lambda t: t.replace("15:6:57", "15-6"), "calibration_time"),
    "a pitch": (1, lambda t: t.replace("board_dx: 2.0", "board_dx: -2.0"), "board_dx"),
    "a sheared K": (
        1,
        lambda t: t.replace("1.9426147574516781e+004\n    - 0.0", "1.9426e+004\n    - 9.0"),
        "intrinsic",
    ),
    "nothing": (1, lambda _: "", "no fields"),
}


@pytest.mark.parametrize("fault", GARBLED)
def test_a_garbled_file_is_refused_naming_the_field(fault: str) -> None:
    number, spoil, field = GARBLED[fault]
    spoilt = spoil(_text(number))
    assert spoilt != _text(number)
    with pytest.raises(CalibrationFileError, match=field) as refusal:
        parse_vendor_yaml(spoilt, "spoilt.yaml")
    assert "spoilt.yaml" in str(refusal.value)


def test_parts_of_two_cameras_are_refused() -> None:
    third, fourth = _text(3), _text(4)
    mixed = third[: third.index("intrinsic")] + fourth[fourth.index("intrinsic") : fourth.index("extrinsic")]
    mixed += third[third.index("extrinsic") :]
    with pytest.raises(CalibrationFileError, match="not of one calibration"):
        parse_vendor_yaml(mixed, "mixed.yaml")


def test_a_field_of_another_version_is_kept() -> None:
    found = parse_vendor_yaml(_text(1) + "lens_name: none\n", "new.yaml")
    assert write_vendor_yaml(found).endswith("lens_name: none\n")


def test_our_own_camera_goes_out_and_comes_back() -> None:
    published = read_vendor_yaml(FOUR[0])
    texts = {
        **dict(published.head), "frame_num": "20", "image_width": "5472", "image_height": "3648", "points_num": "0",
        "calibration_time": "2026-3-4 5:6:7",
    }  # fmt: skip
    distortion = np.zeros(12)
    distortion[:5] = CAMERA.distortion
    made = replace(
        published, head=tuple(texts.items()), distortion=distortion, intrinsic=CAMERA.matrix,
        homography=homography_of(CAMERA.matrix, published.extrinsic),
    )  # fmt: skip
    back = parse_vendor_yaml(write_vendor_yaml(made), "own.yaml")
    assert back.camera == CAMERA
    assert back.warnings == ("points_num is 0: the reprojection error cannot be worked out again",)
    assert "metrology" in back.good_for


@pytest.mark.parametrize("kind", ["opencv", "ros"])
@pytest.mark.parametrize("camera", [CAMERA, read_vendor_yaml(FOUR[0]).camera], ids=["own", "published"])
def test_other_formats_go_out_and_come_back(kind: str, camera: CameraModel, tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    (write_opencv if kind == "opencv" else write_ros)(camera, path)
    assert file_kind(path) == kind
    back = (read_opencv if kind == "opencv" else read_ros)(path)
    assert back == camera == read_camera(path)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("image_width: 5472", "image_width: wide", "image_width"), ("plumb_bob", "fisheye", "distortion_model"),
     ("cols: 5", "cols: 4", "distortion_coefficients"), ("24429.5", "-1.0", "camera_matrix")],
)  # fmt: skip
def test_a_spoilt_ros_file_is_refused_by_field(old: str, new: str, field: str, tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    write_ros(CAMERA, path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CalibrationFileError, match=field):
        read_camera(path)


@pytest.mark.parametrize("text", ["", "%YAML:1.0\n---\n", "%YAML:1.0\n---\ncamera_matrix: [1\n", "a: 1\n"])
def test_a_file_without_a_camera_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(CalibrationFileError, match=r"camera\.yaml"):
        read_camera(path)
