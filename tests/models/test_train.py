"""From a data set to a model file: pairing, seeds, calibration, limits, and the parity gate."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models.config import EncoderConfig, NetworkConfig, ScoreConfig, TrainConfig, preset
from models.dataset import Dataset, DatasetError, Item, load_dataset, read_normals, read_rgb
from models.export import INPUTS, METADATA_KEY, OUTPUTS, TARGET_MAPS, ParityError
from models.train import train_product

QUICK = TrainConfig(
    encoder=EncoderConfig(sigmas_px=(1.0,), components=8, floor=0.02),
    network=NetworkConfig(width=16, heads=2, prototypes=3, stages=1, fill_unseen=True),
    score=ScoreConfig(spread_minimum=0.1),
    steps=4,
    threads=1,
    tokens_per_view=16,
)


def _copy(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "tile"))


def test_pictures_come_back_in_the_contract_s_units(small_dataset: Path) -> None:
    item = load_dataset(small_dataset).of("train")[0]
    rgb, normals = read_rgb(item.rgb, QUICK), read_normals(item.normal)
    assert rgb.shape == normals.shape == (3, 48, 72)
    assert 0 <= rgb.min() <= rgb.max() <= 1
    np.testing.assert_allclose((normals**2).sum(0), 1, atol=1e-3)
    mono = read_rgb(item.rgb, replace(QUICK, color="mono"))
    assert np.array_equal(mono[0], mono[2])


def test_a_grey_picture_is_as_bright_in_training_as_the_judge_shows_it(tmp_path: Path) -> None:
    grey = np.repeat(np.arange(0, 60000, 1000, np.uint16).reshape(6, 10)[:, :, None], 3, axis=2)
    assert cv2.imwrite(str(tmp_path / "grey.png"), grey)
    found = read_rgb(tmp_path / "grey.png", replace(QUICK, color="mono"))
    np.testing.assert_array_equal(found[0], grey[:, :, 0] / np.float32(65535))


def test_a_missing_picture_is_named(small_dataset: Path, tmp_path: Path) -> None:
    folder = _copy(small_dataset, tmp_path)
    (folder / "train/good/normal/good-3_left.png").unlink()
    with pytest.raises(DatasetError, match=r"good-3 / left: .*good-3_left.png is missing"):
        load_dataset(folder)


def test_an_unpaired_view_is_named(small_dataset: Path, tmp_path: Path) -> None:
    folder = _copy(small_dataset, tmp_path)
    index = json.loads((folder / "index.json").read_text())
    index["items"] = [i for i in index["items"] if (i["part"], i["view"]) != ("good-2", "left")]
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(DatasetError, match="good-2 in train lacks the view 'left'"):
        load_dataset(folder)


def test_a_part_must_not_be_in_two_splits(small_dataset: Path, tmp_path: Path) -> None:
    folder = _copy(small_dataset, tmp_path)
    index = json.loads((folder / "index.json").read_text())
    index["items"] += [{**i, "split": "calibrate"} for i in index["items"] if i["part"] == "good-2"]
    (folder / "index.json").write_text(json.dumps(index))
    with pytest.raises(DatasetError, match="good-2 is in train and in calibrate"):
        load_dataset(folder)


def test_no_dataset_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="station dataset simulate"):
        load_dataset(tmp_path)


def test_the_same_seed_trains_the_same_model(small_dataset: Path, tmp_path: Path) -> None:
    a, b = (train_product(small_dataset, tmp_path / f"{n}.onnx", QUICK) for n in "ab")
    assert a.last_loss == b.last_loss
    assert a.limits == b.limits


class _Killed(BaseException):
    """In place of a kill."""


def test_a_fit_that_was_killed_goes_on_from_its_last_state_and_ends_with_the_same_weights(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.fit.EVERY", 2)
    config = replace(QUICK, network=replace(QUICK.network, dropout=0.2), steps=5)
    whole = train_product(small_dataset, tmp_path / "whole.onnx", config)
    shares: list[float] = []

    def until_the_third(what: str, share: float) -> None:
        if what.startswith("training"):
            shares.append(share)
            if share > 0.5:
                raise _Killed

    file = tmp_path / "killed.onnx"
    with pytest.raises(_Killed):
        train_product(small_dataset, file, config, until_the_third)
    assert not file.exists()
    assert [path.name for path in tmp_path.glob(".*")] == [".killed.onnx.fit"]
    with pytest.raises(_Killed):
        train_product(small_dataset, file, config, until_the_third)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.6]), "it went on after the second step"
    other = train_product(small_dataset, tmp_path / "other" / "killed.onnx", replace(config, seed=3))
    resumed = train_product(small_dataset, file, config)
    assert (resumed.last_loss, resumed.limits) == (whole.last_loss, whole.limits)
    assert other.last_loss != whole.last_loss
    assert not list(tmp_path.glob(".*"))
    (tmp_path / ".killed.onnx.fit").write_bytes(b"half of a state")
    assert train_product(small_dataset, file, config).last_loss == whole.last_loss


def test_the_file_describes_itself(small_model: Path) -> None:
    model = onnx.load(str(small_model))
    metadata = json.loads({p.key: p.value for p in model.metadata_props}[METADATA_KEY])
    assert metadata["product"] == "tile"
    assert metadata["views"] == ["top", "left"]
    assert metadata["input_size"] == [48, 72]
    assert metadata["calibration"]["n_parts"] == 5
    targets = ("rgb", "normals", "rgb_at_place", "normals_at_place")
    assert set(metadata["calibration"]["views"]["left"]) == {*targets, *(f"{t}_fine" for t in targets)}
    assert set(metadata["limits_suggested"]) == {"top", "left"}
    assert [len(metadata["held_out_scores"][view]) for view in ("top", "left")] == [5, 5]
    assert [i.name for i in model.graph.input] == list(INPUTS)
    assert [o.name for o in model.graph.output] == [*OUTPUTS, TARGET_MAPS]


def test_a_model_from_before_a_switch_existed_has_its_default() -> None:
    model = onnx.load(str(Path(__file__).parents[1] / "written_before" / "models" / "tile.onnx"))
    written = json.loads({p.key: p.value for p in model.metadata_props}[METADATA_KEY])["config"]
    assert "embedding" not in written["network"]
    read = TrainConfig.from_dict(written).network
    assert read.embedding == NetworkConfig().embedding
    assert read.width == written["network"]["width"]


def _feed(data: Dataset, item: Item) -> dict[str, np.ndarray]:
    assert item.normal is not None
    return {
        "diffuse_rgb": read_rgb(item.rgb, QUICK)[None],
        "normals": read_normals(item.normal)[None],
        "view_index": np.array([data.views.index(item.view)], np.int64),
        "region": np.ones((1, *data.input_size), np.float32),
    }


def test_the_batch_axis_is_free_and_views_do_not_mix(small_model: Path, small_dataset: Path) -> None:
    session, data = onnxruntime.InferenceSession(str(small_model)), load_dataset(small_dataset)
    singles = [_feed(data, item) for item in data.of("test")[:2]]
    both = {name: np.concatenate([single[name] for single in singles]) for name in INPUTS}
    score, fused = session.run(list(OUTPUTS), both)
    assert fused.shape == (2, 48, 72)
    for v in (0, 1):
        alone = session.run(list(OUTPUTS), singles[v])
        np.testing.assert_allclose(score[v], alone[0][0], rtol=1e-4)


def test_what_lies_outside_the_region_changes_nothing(small_model: Path, small_dataset: Path) -> None:
    session, data = onnxruntime.InferenceSession(str(small_model)), load_dataset(small_dataset)
    feed = _feed(data, next(item for item in data.of("test") if item.kind == "stain"))
    feed["region"][:, :, :36] = 0  # the stain lies at 30 to 40
    before = session.run(list(OUTPUTS), feed)
    feed["diffuse_rgb"][..., :36] = 0.9
    feed["normals"][..., :36] = 0
    after = session.run(list(OUTPUTS), feed)
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])
    assert not after[1][..., :36].any()


def test_a_stain_scores_above_every_good_view(small_model: Path, small_dataset: Path) -> None:
    session, data = onnxruntime.InferenceSession(str(small_model)), load_dataset(small_dataset)
    scores = {}
    for item in data.of("test"):
        scores[item.kind, item.view] = float(session.run(["pred_score"], _feed(data, item))[0][0])
    for view in data.views:
        assert scores["stain", view] > scores["good", view]


def test_a_file_that_differs_from_torch_is_not_written(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.export.MAP_TOLERANCE", -1.0)
    with pytest.raises(ParityError, match="differs from torch"):
        train_product(small_dataset, tmp_path / "never.onnx", QUICK)
    assert not list(tmp_path.iterdir())


def test_the_paper_s_letter_trains_too(small_dataset: Path, tmp_path: Path) -> None:
    config = replace(preset("paper"), encoder=QUICK.encoder, steps=2, threads=1)
    report = train_product(small_dataset, tmp_path / "paper.onnx", config)
    assert np.isfinite(report.last_loss)
    assert torch.get_num_threads() >= 1
