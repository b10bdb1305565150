"""`station calibrate camera` and `import` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from station.calibrate.camera.picture_folder import BoardFolderError
from station.commands.app import app
from station.commands.calibrate_camera import CalibrationFileRefused

PUBLISHED = Path(__file__).parents[3] / "calibration" / "camera" / "appendix_c"
FOCAL_PX, WIDTH_PX, HEIGHT_PX, SQUARE_PX = 1500.0, 640, 480, 40


def _chessboard() -> np.ndarray:
    y, x = np.indices((7, 10))
    squares = np.kron(((x + y) % 2 * 255).astype(np.uint8), np.ones((SQUARE_PX, SQUARE_PX), np.uint8))
    return cv2.GaussianBlur(np.pad(squares, SQUARE_PX, constant_values=255), (0, 0), 1.0)


def _photographed(printed: np.ndarray, tilt: float, azimuth: float) -> np.ndarray:
    """A board of 25 mm squares, 1.2 m away, its middle in the picture's."""
    a, t = np.radians([azimuth, tilt])
    turn = cv2.Rodrigues(np.array([-np.sin(a), np.cos(a), 0.0]) * t)[0]
    middle = np.array([printed.shape[1], printed.shape[0]]) / 2 - 0.5
    scale = 25.0 / SQUARE_PX
    k = np.array([[FOCAL_PX, 0, 319.5], [0, FOCAL_PX, 239.5], [0, 0, 1]])
    to_mm = np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1]])
    plane = np.column_stack([turn[:, 0], turn[:, 1], [0.0, 0.0, 1200.0]])
    return cv2.warpPerspective(printed, k @ plane @ to_mm, (WIDTH_PX, HEIGHT_PX), flags=cv2.INTER_AREA, borderValue=110)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made, printed = tmp_path_factory.mktemp("board"), _chessboard()
    for i in range(8):
        cv2.imwrite(str(made / f"view{i}.png"), _photographed(printed, 15 + 4 * i, 45 * i))
    bent = _photographed(printed, 30, 100)
    bent[:, 320:] = np.roll(bent[:, 320:], 4, axis=0)
    cv2.imwrite(str(made / "spoilt.png"), bent)
    cv2.imwrite(str(made / "small.png"), bent[::2, ::2])
    (made / "torn.png").write_bytes((made / "view0.png").read_bytes()[:500])
    (made / "notes.txt").write_text("not a picture")
    return made


def _typed(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["calibrate", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_a_folder_of_chessboards_gives_camera_spreads_and_reasons(folder: Path, tmp_path: Path) -> None:
    code, text = _typed(
        "camera", str(folder), "--pattern", "chessboard", "--cols", "9", "--rows", "6", "--square-mm", "25", "--json",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    found = json.loads(text)
    assert code == 0
    assert found["fx"] == pytest.approx(FOCAL_PX, rel=0.01)
    assert found["cx"] == pytest.approx(319.5, abs=15)
    assert set(found["spread"]) == {"fx", "fy", "cx", "cy"}
    assert found["rms_px"] < 0.2
    images = {image["file"]: image for image in found["images"]}
    assert len(images) == 11
    assert {name for name, image in images.items() if image["used"]} == {f"view{i}.png" for i in range(8)}
    assert all({"file", "rms_px", "used", "reason"} <= set(image) for image in images.values())
    assert "320 x 240" in images["small.png"]["reason"]
    assert "cut short" in images["torn.png"]["reason"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"camera.json", "camera.yaml", "residuals.png", "distortion.png", "views.png"}


def test_the_written_camera_is_read_again_and_converted(folder: Path, tmp_path: Path) -> None:
    _typed("camera", str(folder), "--out", str(tmp_path / "out"))
    ros = tmp_path / "ros.yaml"
    assert _typed("import", str(tmp_path / "out" / "camera.yaml"), "--out", str(ros), "--to", "ros")[0] in (0, 1)
    code, text = _typed("import", str(ros), "--json")
    assert json.loads(text)["format"] == "ros"
    assert json.loads(text)["fx_px"] == pytest.approx(FOCAL_PX, rel=0.01)
    assert code in (0, 1)


def test_too_few_pictures_end_with_one_and_say_so(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for i in range(3):
        (few / f"view{i}.png").write_bytes((folder / f"view{i}.png").read_bytes())
    code, text = _typed("camera", str(few), "--json")
    assert code == 1
    assert "at least 5" in json.loads(text)["refusal"]


@pytest.mark.parametrize("words", [("--size", "big"), ("--cols", "1"), ("--square-mm", "-3")])
def test_nonsense_is_refused(words: tuple[str, str], folder: Path) -> None:
    with pytest.raises(CalibrationFileRefused):
        _typed("camera", str(folder), *words)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardFolderError, match="0 pictures"):
        _typed("camera", str(tmp_path))


def test_a_published_camera_is_imported_with_what_it_is_good_for(tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    code, text = _typed("import", str(PUBLISHED / "camera1.yaml"), "--json", "--out", str(again), "--to", "appendix-c")
    assert code == 1
    assert "homography" in json.loads(text)["good_for"]
    assert again.read_bytes() == (PUBLISHED / "camera1.yaml").read_bytes()


def test_a_garbled_file_is_refused_by_field(tmp_path: Path) -> None:
    garbled = tmp_path / "garbled.yaml"
    garbled.write_text((PUBLISHED / "camera2.yaml").read_text().replace("    - 5.7629", "- 5.7629"))
    with pytest.raises(CalibrationFileRefused, match="H_matrix"):
        _typed("import", str(garbled))
