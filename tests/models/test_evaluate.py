"""Evaluation on the test split says what it measured and how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.dataset import DatasetError
from models.evaluate import evaluate_model


def test_the_report_counts_views_parts_and_regions(small_dataset: Path, small_model: Path) -> None:
    report = evaluate_model(small_dataset, small_model)
    assert report.views == 4
    assert report.good_parts == 1
    assert report.regions == 2
    assert report.kinds["stain"].parts == 1
    assert report.i_auroc == 1.0
    assert 0.5 < report.p_auroc <= 1.0
    assert json.loads(report.to_json())["aupro_limit"] == 0.3


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
