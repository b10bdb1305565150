"""int8 is written only if no verdict changes; what is written is a release that the station loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_of_format_2 import as_format_2

from models.config import TrainConfig
from models.dataset import load_dataset, read_normals, read_rgb
from models.quantise import QuantiseError, quantise
from station.judge.detector import AnomalyDetector


@pytest.fixture(scope="module")
def model(small_model: Path, small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = load_dataset(small_dataset)
    good = {item.view: item for item in reversed(data.of("calibrate"))}
    views = [(read_rgb(good[v].rgb, TrainConfig()), read_normals(good[v].normal)) for v in data.views]
    return as_format_2(small_model, tmp_path_factory.mktemp("fp32") / "tile.onnx", views)


def test_an_int8_file_judges_as_before_and_proves_itself(model: Path, small_dataset: Path, tmp_path: Path) -> None:
    found = quantise(model, small_dataset, tmp_path / "int8.onnx")
    assert found.views == 14
    assert 0 < found.mean_difference <= found.worst_difference
    first, second = (AnomalyDetector.load(path) for path in (model, tmp_path / "int8.onnx"))
    assert second.metadata.training["int8_of"] == first.sha256
    assert second.metadata.golden.scores != first.metadata.golden.scores


def test_a_changed_verdict_is_refused_and_nothing_is_written(
    model: Path, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter([0.5, 2.0] * 14)

    class Turning:
        def run(self, *_: object) -> list[list[float]]:
            return [[1e6 * next(turns) - 1e6]]

    monkeypatch.setattr("models.quantise._session", lambda _content: Turning())
    with pytest.raises(QuantiseError, match=r"judge 14 of 14 views otherwise"):
        quantise(model, small_dataset, tmp_path / "int8.onnx")
    assert not list(tmp_path.iterdir())


def test_an_older_file_is_refused(small_dataset: Path, tmp_path: Path) -> None:
    old = Path(__file__).parents[1] / "written_before" / "models" / "tile.onnx"
    with pytest.raises(QuantiseError, match="older format"):
        quantise(old, small_dataset, tmp_path / "int8.onnx")
