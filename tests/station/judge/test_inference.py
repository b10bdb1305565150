"""The runtime that the rig file names runs the model, or the model is refused; nothing else is taken instead."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from station.documents.errors import DocumentError
from station.judge.detector import AnomalyDetector, DetectorInputError, ModelRefused
from station.judge.inference import CPU, CUDA
from station.rig.file import load_rig
from station.rig.inference import InferenceChoice

WRITTEN = Path(__file__).parents[2] / "written_before"
OLD_MODEL = WRITTEN / "models" / "tile.onnx"


def _load(provider: str) -> AnomalyDetector:
    return AnomalyDetector.load(OLD_MODEL, inference=InferenceChoice.model_validate({"provider": provider}))


def _view(detector: AnomalyDetector) -> tuple[np.ndarray, np.ndarray, str]:
    h, w = detector.metadata.input_size
    rng = np.random.default_rng(2)
    normals = np.zeros((3, h, w), np.float32)
    normals[2] = 1
    return rng.random((3, h, w), np.float32), normals, detector.metadata.views[0]


def test_openvino_gives_the_same_map_and_score() -> None:
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    first, second = (_load(provider) for provider in ("cpu", "openvino"))
    a, b = (detector.detect(*_view(detector)) for detector in (first, second))
    # the gate is 1e-5 on the stored view; on this noise, which no part shows, scores were 2.3e-5 apart
    assert b.pred_score == pytest.approx(a.pred_score, rel=1e-4)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-4 * float(np.abs(a.scores).max()))


def test_openvino_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelRefused, match=r"asks for OpenVINO.*install facet-station\[openvino\], or choose"):
        _load("openvino")


def test_cuda_that_onnxruntime_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CPU])
    with pytest.raises(ModelRefused, match=r"asks for CUDA.*install onnxruntime-gpu.*provider: cpu"):
        _load("cuda")


def test_cuda_that_onnxruntime_leaves_out_in_silence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [CUDA, CPU])
    fallen_back = SimpleNamespace(get_providers=lambda: [CPU])
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: fallen_back)
    with pytest.raises(ModelRefused, match="could not start it"):
        _load("cuda")


def test_a_runtime_that_rounds_otherwise_fails_the_self_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another runtime than the CPU's even an old file's scores must come within 1e-5."""
    whole = _load("cpu")

    class Rounding:
        def run(self, outputs: tuple[str, ...], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            assert whole._runner is not None  # noqa: SLF001
            score, fused = whole._runner.run(outputs, feed)  # noqa: SLF001
            return [score * np.float32(1.0001), fused]

    monkeypatch.setattr("station.judge.inference._OpenVinoRunner", lambda *_: Rounding())
    with pytest.raises(ModelRefused, match=r"self-test failed: view .* \(on openvino\)"):
        _load("openvino")


def test_a_model_of_format_1_judges_the_whole_view_or_refuses() -> None:
    detector = _load("cpu")
    image, normals, view = _view(detector)
    region = np.ones(detector.metadata.input_size, np.float32)
    whole = detector.detect(image, normals, view, region=region).pred_score
    assert whole == detector.detect(image, normals, view).pred_score
    region[0, 0] = 0
    with pytest.raises(DetectorInputError, match="format 1 judges the whole view"):
        detector.detect(image, normals, view, region=region)
    with pytest.raises(DetectorInputError, match="does not fit the model's grid"):
        detector.detect(image, normals, view, region=region[1:])


def test_the_rig_file_chooses_and_is_checked(tmp_path: Path) -> None:
    text = (WRITTEN / "rig.yaml").read_text("utf-8")
    assert load_rig(WRITTEN / "rig.yaml").inference == InferenceChoice(provider="cpu", threads=1)
    file = tmp_path / "rig.yaml"
    file.write_text(text + "\ninference: {provider: openvino, threads: 2}\n", "utf-8")
    assert load_rig(file).inference == InferenceChoice(provider="openvino", threads=2)
    for wrong in ("{provider: gpu}", "{threads: 0}", "{cores: 2}"):
        file.write_text(text + f"\ninference: {wrong}\n", "utf-8")
        with pytest.raises(DocumentError, match="inference"):
            load_rig(file)
