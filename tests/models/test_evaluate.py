"""Evaluation on the test split says what it measured and how."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.dataset import Dataset, DatasetError, Item, load_dataset
from models.evaluate import evaluate_model, report
from models.evaluation_text import comparison_text, report_text
from models.judgements import judge_dataset


class Told:
    """A method that is told its answers: `score` of each view, a flat map with `peak` where the mask is."""

    def __init__(self, dataset: Dataset, scores: dict[str, float], limits: dict[str, float]) -> None:
        self.name, self.limits, self._scores, self._size = "told", limits, scores, dataset.input_size

    def judge(self, item: Item) -> tuple[float, np.ndarray]:
        fused = np.zeros(self._size, np.float32)
        if item.mask is not None:
            fused[20:28, 30:40] = 1.0
        return self._scores.get(f"{item.kind} {item.view}", 0.0), fused


def _views(dataset: Dataset) -> tuple[str, str]:
    return dataset.views[0], dataset.views[1]


def test_the_report_counts_views_parts_and_regions(small_dataset: Path, small_model: Path) -> None:
    found = evaluate_model(small_dataset, small_model)
    assert found.whole.views == 4
    assert found.whole.good_parts == 1
    assert found.whole.regions == 2
    assert found.by_kind["stain"].defective_parts == 1
    assert found.whole.i_auroc.value == 1.0
    assert 0.5 < found.whole.p_auroc.value <= 1.0
    assert json.loads(found.to_json())["aupro_limit"] == 0.3
    assert set(found.by_view) == set(load_dataset(small_dataset).views)
    assert "P-AUPRO" in report_text(found)
    assert found.method in comparison_text([found, found])


def test_a_part_is_judged_by_its_worst_view_against_that_views_limit(small_dataset: Path) -> None:
    dataset = load_dataset(small_dataset)
    a, b = _views(dataset)
    told = Told(dataset, {f"good {a}": 0.9, f"stain {a}": 0.5, f"good {b}": 2.0, f"stain {b}": 8.0}, {a: 1.0, b: 4.0})
    found = report(judge_dataset(told, dataset), resamples=20)
    assert found.ratios == {"good-11": 0.9, "stain-12": 2.0}
    assert found.whole.s_auroc.value == 1.0
    assert found.by_view[a].s_auroc.value == 0.0
    assert found.whole.good_failed.count == 0
    assert found.whole.defective_failed.count == 1
    assert found.by_change["colour"].defective_parts == 1
    assert "geometry" not in found.by_change


def test_images_by_themselves_know_no_limit(small_dataset: Path) -> None:
    dataset = load_dataset(small_dataset)
    a, b = _views(dataset)
    scores = {f"good {a}": 0.5, f"stain {a}": 1.5, f"good {b}": 2.0, f"stain {b}": 8.0}
    judged = judge_dataset(Told(dataset, scores, {a: 1.0, b: 4.0}), dataset)
    assert report(judged, "part", 20).whole.i_auroc.value == 1.0
    assert report(judged, "independent", 20).whole.i_auroc.value == 0.75  # 2.0 of the second view lies above 1.5


def test_the_view_from_above_alone_is_refused_where_there_is_none(small_dataset: Path) -> None:
    dataset = load_dataset(small_dataset)
    judged = judge_dataset(Told(dataset, {}, dict.fromkeys(dataset.views, 1.0)), dataset)
    if "top" in dataset.views:
        found = report(judged, "top", 20)
        assert list(found.by_view) == ["top"]
        assert found.whole.views == 2
    else:
        with pytest.raises(DatasetError, match="has no view 'top'"):
            report(judged, "top", 20)


def test_a_score_that_is_no_number_names_its_view(small_dataset: Path) -> None:
    dataset = load_dataset(small_dataset)
    a, b = _views(dataset)
    told = Told(dataset, {f"stain {b}": math.nan}, {a: 1.0, b: 1.0})
    with pytest.raises(ValueError, match=f"told, stain-12 / {b}: score: 1 of 1 are NaN"):
        judge_dataset(told, dataset)


def test_a_set_without_test_parts_is_refused(small_dataset: Path, small_model: Path, tmp_path: Path) -> None:
    index = json.loads((small_dataset / "index.json").read_text())
    index["items"] = [i for i in index["items"] if i["split"] != "test"]
    alone = tmp_path / "alone"
    alone.mkdir()
    for split in ("train", "calibrate"):
        (alone / split).symlink_to(small_dataset / split)
    (alone / "index.json").write_text(json.dumps(index))
    with pytest.raises(DatasetError, match="no test parts of 'tile'"):
        evaluate_model(alone, small_model)


def test_a_file_that_is_no_model_is_refused(small_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(DatasetError, match="cannot be run"):
        evaluate_model(small_dataset, tmp_path / "broken.onnx")


def test_evaluation_needs_no_torch() -> None:
    code = "import sys, models.evaluate, models.evaluation_text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
