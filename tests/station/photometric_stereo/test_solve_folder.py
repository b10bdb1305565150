"""`station solve` on folders of photographs: good ones, a real one, and every way in which one can be wrong."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from station.photometric_stereo.folder import solve_folder
from station.photometric_stereo.photographs import PhotographsError
from station.photometric_stereo.pictures import decode_normals, encode_normals

REAL = Path(__file__).resolve().parents[4] / "shared" / "real" / "cat"
SIZE = 64
pytestmark = pytest.mark.timeout(600)  # the first use compiles the kernels


def directions(count: int) -> np.ndarray:
    azimuth = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(azimuth), np.sin(azimuth), np.ones(count)], axis=1) / np.sqrt(2)


def truth() -> np.ndarray:
    row, column = np.mgrid[:SIZE, :SIZE]
    right, up = (column - 31.5) / 31, (31.5 - row) / 31
    inside = right**2 + up**2 < 0.97
    return np.stack([right, up, np.sqrt(np.maximum(1 - right**2 - up**2, 0))], axis=-1) * inside[..., None]


def make_folder(
    folder: Path, suffix: str = ".png", depth: type = np.uint8, count: int = 6, colours: bool = False
) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(4)
    strengths = rng.uniform(0.5, 1.0, (count, 3)) if colours else np.ones((count, 3))
    for k, direction in enumerate(directions(count)):
        light = 0.8 * np.maximum(truth() @ direction, 0)
        picture = np.round(light[..., None] * strengths[k] * np.iinfo(depth).max).astype(depth)
        if suffix == ".tga":
            Image.fromarray(picture).save(folder / f"{k}{suffix}")
        else:
            options = [cv2.IMWRITE_JPEG_QUALITY, 100] if suffix == ".jpg" else []
            cv2.imwrite(str(folder / f"{k}{suffix}"), picture[..., ::-1], options)
    (folder / "filenames.txt").write_text("".join(f"{k}{suffix}\n" for k in range(count)))
    np.savetxt(folder / "light_directions.txt", directions(count))
    if colours:
        np.savetxt(folder / "light_intensities.txt", strengths)
    cv2.imwrite(str(folder / "mask.png"), (truth()[..., 2] > 0).astype(np.uint8) * 255)
    savemat(folder / "Normal_gt.mat", {"Normal_gt": truth()})
    return folder


@pytest.mark.parametrize(
    ("suffix", "depth", "colours", "limit_deg"),
    [(".png", np.uint8, False, 0.5), (".png", np.uint16, True, 0.05), (".tiff", np.uint16, False, 0.05),
     (".tga", np.uint8, True, 0.5), (".jpg", np.uint8, False, 1.5)],
)  # fmt: skip
def test_a_folder_is_solved_and_compared_with_its_truth(
    tmp_path: Path, suffix: str, depth: type, colours: bool, limit_deg: float
) -> None:
    folder = make_folder(tmp_path / "in", suffix, depth, colours=colours)
    report = solve_folder(folder, tmp_path / "out")
    assert report.truth is not None
    assert report.truth.mean_deg < limit_deg
    assert report.observable_share > 0.95
    assert max(r for r in report.leave_one_out_residuals.values() if r is not None) < 0.03
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == list(report.files)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["truth"]["pixels"] == report.truth.pixels


def test_normals_are_written_as_16_bit_rgb_and_read_back(tmp_path: Path) -> None:
    solve_folder(make_folder(tmp_path / "in"), tmp_path / "out", "ls")
    normals = np.load(tmp_path / "out" / "normals.npy")
    pixels = cv2.imread(str(tmp_path / "out" / "normals.png"), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    rgb = pixels[..., ::-1]
    np.testing.assert_array_equal(rgb, encode_normals(normals))
    assert np.abs(decode_normals(rgb) - normals).max() < 5e-5
    assert tuple(rgb[0, 0]) == (32768, 32768, 32768)
    assert rgb[32, 60, 0] > 58000  # red is x: large at the right of the sphere
    assert rgb[4, 32, 1] > 58000  # green is y: large at its top


def test_lights_are_chosen_by_number_or_name(tmp_path: Path) -> None:
    report = solve_folder(make_folder(tmp_path / "in"), tmp_path / "out", "masked", ["0", "2.png", "4"])
    assert report.lights == ("0.png", "2.png", "4.png")
    assert set(report.leave_one_out_residuals.values()) == {None}


def test_height_is_integrated_on_demand(tmp_path: Path) -> None:
    report = solve_folder(make_folder(tmp_path / "in"), tmp_path / "out", height=True)
    height = np.load(tmp_path / "out" / "height.npy")
    assert {"height.npy", "height.png"} <= set(report.files)
    assert report.length_unit == "px"
    assert height[31, 31] - height[31, 52] == pytest.approx(31 - np.sqrt(31**2 - 20.5**2), abs=0.5)
    assert np.isnan(height[0, 0])
    shown = cv2.imread(str(tmp_path / "out" / "height.png"), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    assert (shown[0, 0], shown.min(), shown.max(), shown.dtype) == (0, 0, 65535, np.uint16)
    in_mm = solve_folder(tmp_path / "in", tmp_path / "mm", height=True, mm_per_px=0.1)
    assert in_mm.length_unit == "mm"
    np.testing.assert_allclose(np.load(tmp_path / "mm" / "height.npy"), 0.1 * height, atol=0.01)
    curvature = np.load(tmp_path / "mm" / "curvature_per_mm.npy")
    assert np.nanmedian(curvature) == pytest.approx(1 / 3.1, rel=0.05)
    with pytest.raises(PhotographsError, match=r"pixel of 0\.0 mm"):
        solve_folder(tmp_path / "in", tmp_path / "mm", mm_per_px=0.0)


def test_slope_and_expected_error_are_written(tmp_path: Path) -> None:
    report = solve_folder(make_folder(tmp_path / "in"), tmp_path / "out")
    slope = np.load(tmp_path / "out" / "slope_deg.npy")
    assert slope[31, 31] < 3
    assert slope[31, 52] == pytest.approx(np.degrees(np.arcsin(20.5 / 31)), abs=1)
    expected = np.load(tmp_path / "out" / "uncertainty_deg.npy")
    assert np.isfinite(expected[31, 31])
    assert np.isnan(expected[0, 0])
    assert report.uncertainty_median_deg == pytest.approx(np.nanmedian(expected), rel=1e-6)


def test_an_earlier_result_is_replaced_and_anything_else_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in")
    solve_folder(folder, tmp_path / "out", "ls")
    assert solve_folder(folder, tmp_path / "out").method == "masked"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["method"] == "masked"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep")
    with pytest.raises(PhotographsError, match="not empty"):
        solve_folder(folder, tmp_path / "mine")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "mine", "out"]


def broken(folder: Path, how: str) -> None:
    lines = {name: (folder / name).read_text().splitlines() for name in ("filenames.txt", "light_directions.txt")}
    if how == "missing frame":
        (folder / "2.png").unlink()
    elif how == "row missing":
        (folder / "light_directions.txt").write_text("\n".join(lines["light_directions.txt"][:5]))
    elif how == "not a number":
        (folder / "light_directions.txt").write_text("\n".join(["0 zero 1", *lines["light_directions.txt"][1:]]))
    elif how == "two lights":
        (folder / "filenames.txt").write_text("0.png\n1.png\n")
        (folder / "light_directions.txt").write_text("\n".join(lines["light_directions.txt"][:2]))
    elif how == "coplanar":
        angles = np.linspace(-1, 1, 6)
        np.savetxt(folder / "light_directions.txt", np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=1))
    elif how == "other size":
        cv2.imwrite(str(folder / "3.png"), np.zeros((10, 12, 3), np.uint8))
    elif how == "cut short":
        (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:-40])
    elif how == "mask size":
        cv2.imwrite(str(folder / "mask.png"), np.full((3, 3), 255, np.uint8))
    elif how == "truth shape":
        savemat(folder / "Normal_gt.mat", {"Normal_gt": np.zeros((3, 3, 3))})
    elif how == "no list":
        (folder / "filenames.txt").unlink()
    elif how == "twice":
        (folder / "filenames.txt").write_text("0.png\n1.png\n0.png\n")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing frame", r"filenames\.txt, line 3: '2\.png' is not in the folder"),
        ("row missing", r"light_directions\.txt: 5 rows for 6 files"),
        ("not a number", r"light_directions\.txt, line 1: .*zero"),
        ("two lights", "at least 3 lights, 2 given"),
        ("coplanar", "coplanar .*condition number"),
        ("other size", r"3\.png \(filenames\.txt, line 4\): 12 x 10 pixels.*but 0\.png is 64 x 64"),
        ("cut short", r"1\.png \(filenames\.txt, line 2\): not a readable picture"),
        ("mask size", r"mask\.png: 3 x 3"),
        ("truth shape", r"Normal_gt has shape"),
        ("no list", r"filenames\.txt: missing"),
        ("twice", r"line 3: '0\.png' is listed twice"),
    ],
)
def test_a_wrong_folder_is_one_clear_error_and_nothing_is_written(tmp_path: Path, how: str, words: str) -> None:
    folder = make_folder(tmp_path / "in")
    broken(folder, how)
    with pytest.raises(PhotographsError, match=words):
        solve_folder(folder, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_no_such_light_or_folder_is_named(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in")
    with pytest.raises(PhotographsError, match="no light '9'"):
        solve_folder(folder, tmp_path / "out", "ls", ["0", "1", "9"])
    with pytest.raises(PhotographsError, match="no such folder"):
        solve_folder(tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real photographs are not on this machine")
def test_the_real_figurine_is_solved_nearly_everywhere_and_better_by_robust(tmp_path: Path) -> None:
    plain, masked, robust = (solve_folder(REAL, tmp_path / m, m) for m in ("ls", "masked", "robust"))
    for report in (plain, masked, robust):
        assert report.observable_share > 0.9
        assert all(r is not None and r < 0.2 for r in report.relighting_residuals.values())
    left_out = [sum(r or 0 for r in report.leave_one_out_residuals.values()) for report in (plain, masked, robust)]
    assert left_out[2] < left_out[1] < left_out[0]
