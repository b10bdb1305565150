"""Simulated data sets: complete, described, the same for the same seed; the two ways of filling the model's grid."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.geometry.pose import Pose
from drivers.simulated.scene import Scene, make_part
from station.errors import BadInput
from station.judge.model_grid import block_mean, block_normals
from station.teach import training
from station.teach.dataset import simulate_dataset
from station.teach.photographer import BINNING, CAPTURE_BINNING


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_dataset("connector", tmp_path_factory.mktemp("data"), good=1, calibrate=0, defective=1, test_good=0)


def test_a_data_set_lists_every_view_of_every_part_with_its_hashes(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    assert index["is_simulated"] is True
    assert len(index["items"]) == 2 * len(index["views"])
    for item in index["items"]:
        for what in ("rgb", "normal"):
            content = (folder / item[what]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == item[f"{what}_sha256"]
            picture = cv2.imread(str(folder / item[what]), cv2.IMREAD_UNCHANGED)
            assert picture.shape == (*index["input_size"], 3)
            assert picture.dtype == np.uint16


def test_only_defective_parts_have_a_mask_and_it_is_not_empty(folder: Path) -> None:
    items = json.loads((folder / "index.json").read_text())["items"]
    assert all(item["mask"] is None for item in items if item["kind"] == "good")
    masks = [item["mask"] for item in items if item["mask"]]
    assert masks
    assert all(cv2.imread(str(folder / mask), cv2.IMREAD_GRAYSCALE).any() for mask in masks)


def test_an_existing_data_set_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(BadInput, match="already holds a data set"):
        simulate_dataset("connector", folder.parent, good=1)


def test_training_refuses_a_data_set_of_other_colours(folder: Path) -> None:
    pytest.importorskip("torch")
    mono = folder.parent / "mono"
    mono.mkdir()
    (mono / "connector").symlink_to(folder, target_is_directory=True)
    with pytest.raises(BadInput, match="holds rgb pictures, not mono"):
        training.train("connector", folder.parent, None, 1, "mono")


def test_mono_data_are_nearer_to_full_resolution_than_pictures_that_the_sensor_binned() -> None:
    """What the mono model is for: averaged captures of 20 megapixels."""
    scene, pose = Scene(make_part("connector", 501), seed=1), Pose(-176.777, 0.0, 184.777, 45.0, 180.0)

    def on_the_grid(binning: int) -> np.ndarray:
        roi = tuple(side // binning for side in (2400, 1600, 800, 800))
        plane = scene.photograph(
            pose, {4: 1.0}, exposure_us=8000.0, gain_db=0.0, pixel_format="Mono12", binning=binning,
            roi=(roi[0], roi[1], roi[2], roi[3]), frame_seed=binning,
        )  # fmt: skip
        return block_mean(np.broadcast_to(plane.astype(np.float32), (3, *plane.shape)), BINNING // binning)

    full = on_the_grid(1)
    trained_on, binned = (np.abs(on_the_grid(b) - full).mean() for b in (CAPTURE_BINNING["mono"], BINNING))
    assert trained_on < binned / 2


def test_a_block_of_normals_has_their_mean_direction_or_none_where_most_are_unobservable() -> None:
    normals = np.zeros((3, 2, 4), np.float32)
    normals[:, :, :2] = np.array([0.6, 0.0, 0.8], np.float32)[:, None, None]
    normals[2, 0, 2] = 1.0
    blocks = block_normals(normals, 2)
    np.testing.assert_allclose(blocks[:, 0, 0], (0.6, 0.0, 0.8), atol=1e-6)
    np.testing.assert_array_equal(blocks[:, 0, 1], 0.0)
