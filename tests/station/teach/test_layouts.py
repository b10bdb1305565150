"""Pictures in the layout of MVTec AD become a data set, or one sentence says why not."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from station.errors import BadInput
from station.teach.layouts.decoded import read_linear
from station.teach.layouts.mvtec import dataset_from_layout, is_layout
from station.teach.layouts.pictures import common_grid
from station.teach.layouts.source import FEWEST_TRAIN

MASK = np.zeros((80, 100), np.uint8)
MASK[20:30, 40:60] = 255


def _put(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def _picture(seed: int, shape: tuple[int, ...] = (80, 100, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small set: pictures of 100 x 80, two defective ones with masks."""
    root = tmp_path / "washer"
    for n in range(FEWEST_TRAIN):
        _put(root / "train" / "good" / f"{n:03}.png", _picture(n))
    for n in range(3):
        _put(root / "test" / "good" / f"{n:03}.png", _picture(100 + n))
    for n in range(2):
        _put(root / "test" / "scratch" / f"{n:03}.png", _picture(200 + n))
        _put(root / "ground_truth" / "scratch" / f"{n:03}_mask.png", MASK)
    return root


def _index(out: Path) -> dict:
    return json.loads((out / "index.json").read_text("utf-8"))


def test_a_folder_becomes_a_set_of_pictures_alone(folder: Path, tmp_path: Path) -> None:
    assert is_layout(folder)
    index = _index(dataset_from_layout(folder, tmp_path / "out"))
    assert (index["product"], index["views"], index["input_size"]) == ("washer", ["view"], [78, 102])
    assert index["has_masks"] is True
    splits = [item["split"] for item in index["items"]]
    assert {s: splits.count(s) for s in splits} == {"train": 20, "calibrate": 5, "test": 5}
    assert all(item["normal"] is None for item in index["items"])
    marked = [item for item in index["items"] if item["mask"]]
    assert [item["kind"] for item in marked] == ["scratch", "scratch"]
    rgb = cv2.imread(str(tmp_path / "out" / marked[0]["rgb"]), cv2.IMREAD_UNCHANGED)
    mask = cv2.imread(str(tmp_path / "out" / marked[0]["mask"]), cv2.IMREAD_UNCHANGED)
    assert (rgb.dtype, rgb.shape, mask.shape) == (np.uint16, (78, 102, 3), (78, 102))
    assert 0.8 * 200 < (mask > 0).sum() < 1.2 * 200 * 78 * 102 / 8000 + 40
    assert not is_layout(tmp_path / "out")


def test_the_same_folder_gives_the_same_set(folder: Path, tmp_path: Path) -> None:
    first, second = (dataset_from_layout(folder, tmp_path / name) for name in ("a", "b"))
    assert (first / "index.json").read_bytes() == (second / "index.json").read_bytes()


def test_pictures_of_unequal_sizes_come_to_one_grid(folder: Path, tmp_path: Path) -> None:
    _put(folder / "train" / "good" / "000.png", _picture(0, (90, 130, 3)))
    _put(folder / "train" / "good" / "001.png", _picture(1, (60, 70, 3)))
    out = dataset_from_layout(folder, tmp_path / "out")
    shapes = {cv2.imread(str(out / i["rgb"]), cv2.IMREAD_UNCHANGED).shape for i in _index(out)["items"]}
    assert shapes == {(78, 102, 3)}


def test_a_grid_has_whole_tokens_and_no_side_over_456() -> None:
    assert common_grid([(1024, 1024)]) == (456, 456)
    assert common_grid([(900, 1800), (1000, 2000), (10, 10)]) == (228, 456)
    assert common_grid([(300, 250)]) == (300, 252)


def test_a_grey_picture_has_three_equal_linear_channels(tmp_path: Path) -> None:
    _put(tmp_path / "grey.png", np.full((60, 60), 188, np.uint8))
    linear = read_linear(tmp_path / "grey.png", (60, 60))
    assert linear.shape == (60, 60, 3)
    np.testing.assert_allclose(linear, ((188 / 255 + 0.055) / 1.055) ** 2.4, atol=1e-4)


def test_a_set_without_ground_truth_has_no_masks(folder: Path, tmp_path: Path) -> None:
    for file in (folder / "ground_truth" / "scratch").iterdir():
        file.unlink()
    (folder / "ground_truth" / "scratch").rmdir()
    (folder / "ground_truth").rmdir()
    index = _index(dataset_from_layout(folder, tmp_path / "out"))
    assert index["has_masks"] is False
    assert not any(item["mask"] for item in index["items"])


def _lose_a_mask(folder: Path) -> None:
    (folder / "ground_truth" / "scratch" / "001_mask.png").unlink()


def _double_a_file(folder: Path) -> None:
    picture = (folder / "train" / "good" / "003.png").read_bytes()
    (folder / "test" / "good" / "009.png").write_bytes(picture)


def _double_a_name(folder: Path) -> None:
    _put(folder / "test" / "good" / "001.bmp", _picture(7))


def _empty_a_kind(folder: Path) -> None:
    (folder / "test" / "dent").mkdir()


def _shrink_a_mask(folder: Path) -> None:
    _put(folder / "ground_truth" / "scratch" / "000_mask.png", MASK[:40])


def _clear_a_mask(folder: Path) -> None:
    _put(folder / "ground_truth" / "scratch" / "000_mask.png", MASK * 0)


def _break_a_picture(folder: Path) -> None:
    (folder / "train" / "good" / "002.png").write_bytes(b"not a picture")


def _leave_few(folder: Path) -> None:
    (folder / "train" / "good" / "002.png").unlink()


def _train_on_a_defect(folder: Path) -> None:
    _put(folder / "train" / "bent" / "000.png", _picture(1))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_lose_a_mask, r"scratch/001\.png has no mask: .*001_mask\.png is missing"),
        (
            _double_a_file,
            r"good/003\.png is the same picture as .*good/009\.png|009\.png is the same picture as .*003\.png",
        ),
        (_double_a_name, r"001\.bmp and 001\.png have the same name"),
        (_empty_a_kind, r"dent holds no picture"),
        (_shrink_a_mask, r"000_mask\.png is 100 x 40 px, but its picture is not"),
        (_clear_a_mask, r"000_mask\.png marks no pixel"),
        (_break_a_picture, r"002\.png is not a picture of 8 or 16 bits"),
        (_leave_few, r"holds 24 good parts to learn from; training needs 25"),
        (_train_on_a_defect, r"train/bent: training uses good parts alone"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_sentence(folder: Path, tmp_path: Path, harm, said: str) -> None:
    harm(folder)
    with pytest.raises(BadInput, match=said):
        dataset_from_layout(folder, tmp_path / "out")
    assert not (tmp_path / "out" / "index.json").exists()


def test_a_folder_without_good_pictures_is_refused(tmp_path: Path) -> None:
    assert not is_layout(tmp_path)
    with pytest.raises(BadInput, match="good pictures to learn from must lie there"):
        dataset_from_layout(tmp_path, tmp_path / "out")
