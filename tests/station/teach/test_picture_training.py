"""A folder from elsewhere, in any known layout, is trained on and evaluated with no other input than its path."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_sets import MAKERS, mvtec, plate, put
from small_network import use_small_network

from models.dataset import DatasetError, constant_normals, load_dataset, sound
from station.errors import BadInput
from station.teach.layouts.known import LAYOUTS

pytest.importorskip("torch")

from station.teach.evaluation import evaluate_data
from station.teach.layouts.bring import prepared_set
from station.teach.picture_training import train_on_pictures


def _silent(_what: str, _share: float) -> None:
    """No progress."""


@pytest.mark.parametrize("name", MAKERS)
def test_a_path_is_all_that_training_and_evaluation_need(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every layout; the one with several views and normals learns from both, with the network as it is shipped."""
    if name != "real-iad-mvn":
        use_small_network(monkeypatch)
    folder = MAKERS[name](tmp_path)
    trained = train_on_pictures(folder, 2, "sound", None, _silent)
    assert trained.alignment.startswith("The parts are aligned")
    assert trained.report.n_train_parts == 20
    assert ("pictures alone" in trained.as_text()) == (not LAYOUTS[name].has_normals)
    (judged,) = evaluate_data(folder, [Path(trained.report.file)]).reports
    assert judged.whole.s_auroc.value == 1.0
    assert judged.whole.p_auroc.value > 0.9
    assert len(judged.by_view) == (2 if LAYOUTS[name].has_views else 1)


def test_a_set_is_prepared_again_only_where_its_files_changed(tmp_path: Path) -> None:
    folder = mvtec(tmp_path)
    first = prepared_set(folder)
    stamp = (first / "index.json").stat().st_mtime_ns
    assert prepared_set(folder) == first
    assert (first / "index.json").stat().st_mtime_ns == stamp
    put(folder / "train" / "good" / "000.png", plate(99))
    prepared_set(folder)
    assert (first / "index.json").stat().st_mtime_ns > stamp


def test_a_set_with_constant_normals_is_trained_without_them_and_says_so(tmp_path: Path) -> None:
    """Tried with 1,344 real pictures: whitening amplified rounding, and the export differed by .8."""
    folder = tmp_path / "flat"
    index = {"product": "flat", "views": ["view"], "input_size": [60, 60], "photometric_stereo": {}, "items": []}
    for n in range(3):
        put(folder / f"{n}.png", np.full((60, 60, 3), 9000 * n, np.uint16))
        put(folder / f"n{n}.png", np.full((60, 60, 3), (65535, 32768, 32768), np.uint16))
        item = {"part": str(n), "view": "view", "split": "train", "kind": "good", "rgb": f"{n}.png", "mask": None}
        index["items"].append({**item, "normal": f"n{n}.png"})
    (folder / "index.json").write_text(json.dumps(index))
    dataset = load_dataset(folder)
    assert "are constant and say nothing" in (constant_normals(dataset) or "")
    assert not sound(dataset).has_normals
    put(folder / "n1.png", np.random.default_rng(1).integers(30000, 65535, (60, 60, 3), dtype=np.uint16))
    with pytest.raises(DatasetError, match=r"n0\.png: the normals of 0 / view are the same everywhere"):
        constant_normals(dataset)
    assert sound(replace(dataset, items=dataset.items[1:2])).has_normals


def test_an_unknown_encoder_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    folder = mvtec(tmp_path)
    with pytest.raises(BadInput, match="there is no encoder 'resnet'"):
        train_on_pictures(folder, 5, "sound", "resnet", _silent)
