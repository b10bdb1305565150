"""What all tests share: no screen is needed, and inspections can be made up without a rig."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.register_assert_rewrite("conformance")

# The files that take longest begin, so that no worker is left alone with one at the end. The two lists of kernels (the
# solver's, the renderer's) are compiled by the first test that needs one: the order keeps two workers from compiling
# the same, and lets whoever comes later load it.
LONGEST_FIRST = (
    "tests/station/photometric_stereo/test_packed.py",  # the solver's kernels
    "tests/test_end_to_end.py",  # the renderer's, in the rig's process
    "tests/faults/test_faults_of_motion.py",  # waits nearly all the time: others compute beside it
    "tests/station/photometric_stereo/test_streaming.py",
    "tests/station/engine/test_device_watch.py",
    "tests/station/photometric_stereo/test_solve.py",
    "tests/faults/test_faults_of_lights.py",
    "tests/test_whole_way.py",
    "tests/station/photometric_stereo/test_solve_folder.py",
    "tests/drivers/serial_line/grbl/test_grbl.py",
    "tests/station/photometric_stereo/test_normal_gloss.py",
    "tests/station/calibrate/field/test_calibrate_field.py",
    "tests/station/calibrate/lights/test_calibrate_lights.py",
    "tests/test_rig_kinds.py",
    "tests/station/calibrate/test_inspect_with_record.py",
    "tests/station/product/test_from_fixture_to_collection.py",
    "tests/station/release/test_kills.py",
    "tests/faults/test_faults_in_pictures.py",
    "tests/station/judge/test_view_solver.py",
    "tests/test_hardware_bring_up.py",
    "tests/models/test_train.py",
    "tests/station/calibrate/camera/test_board_calibration.py",
)

SMALL_SIZE, SMALL_VIEWS = (48, 72), ("top", "left")


def pytest_configure(config: pytest.Config) -> None:
    gone = [file for file in LONGEST_FIRST if not (Path(__file__).parents[1] / file).is_file()]
    if gone:
        raise pytest.UsageError(f"tests/conftest.py, LONGEST_FIRST: no such file: {', '.join(gone)}; correct the list")
    if hasattr(config.option, "loadscopereorder"):  # of pytest-xdist: would put the files with the most tests first
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {file: place for place, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))


def _write_16_bit(path: Path, planes: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".png", planes[::-1].transpose(1, 2, 0).astype(np.uint16))[1].tobytes()
    path.write_bytes(encoded)
    return hashlib.sha256(encoded).hexdigest()


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up product "tile" in the layout of a data set: 72 x 48 px, two views, 6 + 5 good and 2 bad parts."""
    folder = tmp_path_factory.mktemp("dataset") / "tile"
    rng = np.random.default_rng(5)
    base = cv2.GaussianBlur(rng.random((*SMALL_SIZE, 3)).astype(np.float32), (0, 0), 3.0).transpose(2, 0, 1)
    plan = [("train", "good", n) for n in range(6)] + [("calibrate", "good", n) for n in range(6, 11)]
    plan += [("test", "good", 11), ("test", "stain", 12)]
    items = []
    for split, kind, n in plan:
        for v, view in enumerate(SMALL_VIEWS):
            rgb = base[:, :, :: 1 - 2 * v] + rng.normal(0, 0.01, base.shape)
            slope = rng.normal(0, 0.08, (2, *SMALL_SIZE)) + 2.5 * (base[:2] - 0.4)
            normals = np.stack([slope[0], slope[1], np.sqrt(1 - (slope**2).sum(0))])
            mask = np.zeros(SMALL_SIZE, np.uint8)
            if kind != "good":
                mask[20:28, 30:40] = 255
                rgb[:, 20:28, 30:40] *= 0.5
            name = f"{kind}-{n}_{view}.png"
            entry = {"part": f"{kind}-{n}", "view": view, "split": split, "kind": kind, "mask": None}
            for what, planes in (("rgb", rgb.clip(0, 1) * 65535), ("normal", normals * 32767 + 32768)):
                entry[what] = f"{split}/{kind}/{what}/{name}"
                entry[f"{what}_sha256"] = _write_16_bit(folder / entry[what], np.round(planes))
            if mask.any():
                entry["mask"] = f"{split}/{kind}/mask/{name}"
                (folder / entry["mask"]).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / entry["mask"]), mask)
            items.append(entry)
    stereo = {"method": "masked", "lights": ["L45", "L135", "L225", "L315"]}
    index = {"product": "tile", "views": SMALL_VIEWS, "input_size": SMALL_SIZE, "photometric_stereo": stereo}
    (folder / "index.json").write_text(json.dumps({**index, "items": items}))
    return folder


@pytest.fixture(scope="session")
def small_model(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real model file of the product "tile", trained for a few steps."""
    pytest.importorskip("torch", reason="training needs the extra `train`")
    from models.config import EncoderConfig, NetworkConfig, ScoreConfig, TrainConfig
    from models.train import train_product

    file = tmp_path_factory.mktemp("model") / "tile.onnx"
    config = TrainConfig(
        encoder=EncoderConfig(sigmas_px=(1.0, 2.0), components=12, floor=0.02),
        network=NetworkConfig(width=32, heads=2, prototypes=4, stages=2),
        score=ScoreConfig(spread_minimum=0.1),
        steps=120,
        threads=1,
        tokens_per_view=64,
    )
    train_product(small_dataset, file, config)
    return file
