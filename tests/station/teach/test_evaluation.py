"""`station evaluate --data`: what it refuses, what it writes, and that it needs no rig."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from station.errors import BadInput
from station.teach.evaluation import BASELINES, evaluate_data


def test_a_model_is_judged_and_written_with_pictures(small_dataset: Path, small_model: Path, tmp_path: Path) -> None:
    found = evaluate_data(small_dataset, [small_model], baselines=["local"], out=tmp_path, figures=True)
    assert [r.method for r in found.reports] == ["tile", "local kNN, filterbank-2"]
    assert "I-AUROC" in found.as_text()
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert document[0]["whole"]["i_auroc"]["value"] == 1.0
    assert found.as_dict()["methods"] == document
    grid = cv2.imread(str(tmp_path / "heat_maps.png"))
    assert grid is not None
    assert np.ptp(grid) > 200


def test_a_defect_that_the_view_from_above_does_not_see_is_shown(
    small_dataset: Path, small_model: Path, tmp_path: Path
) -> None:
    index = json.loads((small_dataset / "index.json").read_text())
    top, side = index["views"]
    for item in index["items"]:
        item["mask"] = None if item["view"] == top else item["mask"]
        for what in ("rgb", "normal", "mask"):
            item[what] = item[what] and str(small_dataset / item[what])
    assert {top, side} == {"top", "left"} or top == "top"
    (tmp_path / "index.json").write_text(json.dumps(index))
    found = evaluate_data(tmp_path, [small_model], out=tmp_path / "out", figures=True)
    assert [f.name for f in found.files] == ["evaluation.json", "side_views-stain-12.png", "heat_maps.png"]


def test_one_line_for_each_method_under_the_protocol_of_table_4(small_dataset: Path, small_model: Path) -> None:
    text = evaluate_data(small_dataset, [small_model, small_model], protocol="ablation").as_text()
    assert "Table 4" in text
    assert sum(line.startswith("tile ") for line in text.splitlines()) == 2


def test_what_cannot_be_judged_is_refused_with_the_cure(small_dataset: Path, small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give --model FILE, --recipe FILE or --baseline NAME"):
        evaluate_data(small_dataset)
    with pytest.raises(BadInput, match="--figures needs a folder"):
        evaluate_data(small_dataset, [small_model], figures=True)
    with pytest.raises(BadInput, match="is neither a data set, nor a collection"):
        evaluate_data(tmp_path, [small_model])
    with pytest.raises(BadInput, match="--baseline flow: is unknown; there are local"):
        evaluate_data(small_dataset, baselines=["flow"])


def test_the_names_of_baselines_are_those_of_the_registry() -> None:
    registry = pytest.importorskip("models.baselines.registry", reason="baselines need the extra `train`")
    assert tuple(registry.RULES) == BASELINES
