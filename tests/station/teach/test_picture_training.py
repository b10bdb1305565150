"""A folder of pictures in the layout of MVTec AD is trained on and evaluated with no other input than its path."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from station.errors import BadInput
from station.teach.layouts.mvtec import FEWEST_TRAIN

pytest.importorskip("torch")

from station.teach.evaluation import evaluate_data
from station.teach.picture_training import prepared_pictures, train_on_pictures


def _plate(seed: int, hole: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    flat = np.full((72, 96), 60, np.float32)
    cv2.rectangle(flat, (24, 18), (72, 54), 190, -1)
    if hole:
        cv2.circle(flat, (60, 40), 6, 20, -1)
    return np.clip(flat + rng.normal(0, 3, flat.shape), 0, 255).astype(np.uint8)


def _put(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "plate"
    for n in range(FEWEST_TRAIN):
        _put(root / "train" / "good" / f"{n:03}.png", _plate(n))
    for n in range(4):
        _put(root / "test" / "good" / f"{n:03}.png", _plate(50 + n))
        _put(root / "test" / "hole" / f"{n:03}.png", _plate(70 + n, hole=True))
        mask = np.zeros((72, 96), np.uint8)
        _put(root / "ground_truth" / "hole" / f"{n:03}_mask.png", cv2.circle(mask, (60, 40), 6, 255, -1))
    return root


def _silent(_what: str, _share: float) -> None:
    """No progress."""


def test_a_folder_is_all_that_training_and_evaluation_need(folder: Path) -> None:
    trained = train_on_pictures(folder, 20, "sound", None, _silent)
    assert trained.alignment.startswith("The parts are aligned")
    assert trained.report.n_train_parts == 20
    judged = evaluate_data(folder, [Path(trained.report.file)])
    assert judged.reports[0].whole.s_auroc.value == 1.0
    assert judged.reports[0].whole.p_auroc.value > 0.9


def test_a_set_is_prepared_again_only_where_its_files_changed(folder: Path) -> None:
    first = prepared_pictures(folder)
    stamp = (first / "index.json").stat().st_mtime_ns
    assert prepared_pictures(folder) == first
    assert (first / "index.json").stat().st_mtime_ns == stamp
    _put(folder / "train" / "good" / "000.png", _plate(99))
    prepared_pictures(folder)
    assert (first / "index.json").stat().st_mtime_ns > stamp


def test_an_unknown_encoder_is_named_before_anything_is_trained(folder: Path) -> None:
    with pytest.raises(BadInput, match="there is no encoder 'resnet'"):
        train_on_pictures(folder, 5, "sound", "resnet", _silent)
