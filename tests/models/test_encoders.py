"""Encoders give frozen features of a stated shape, say what they are, and export; what is missing has a sentence."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from models.encoders.display import IMAGENET_MEAN, IMAGENET_STD, DisplayPictures
from models.encoders.efficientnet_lite import PACKAGE, EfficientNetLite0
from models.encoders.filterbank import FilterBankEncoder
from models.encoders.onnx_features import OnnxEncoder, inline_foreign
from models.encoders.protocol import Encoder, EncoderError
from models.encoders.registry import load_encoder

SIZE = (60, 84)
pretrained = pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="the extra `pretrained`")
with_transformers = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers")


def _inputs(seed: int = 0, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(1, 3, *size, generator=generator)
    return torch.rand(1, 3, *size, generator=generator), nn.functional.normalize(normals, dim=1)


def _exported(encoder: Encoder, path: Path) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder, _inputs(), str(path), input_names=["rgb", "normals"], output_names=["features"],
            dynamic_axes={n: {0: "batch"} for n in ("rgb", "normals", "features")}, opset_version=17, dynamo=False,
        )  # fmt: skip
    return onnx.load(str(path))


def _check_parity(encoder: Encoder, model: onnx.ModelProto) -> None:
    rgb, normals = _inputs(seed=3)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"rgb": rgb.numpy(), "normals": normals.numpy()})
    with torch.no_grad():
        expected = encoder(rgb, normals).numpy()
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-4 * float(np.abs(expected).max()))


def _is_frozen(encoder: Encoder) -> bool:
    encoder.train()
    return not any(p.requires_grad for p in encoder.parameters()) and not any(m.training for m in encoder.modules())


def test_display_values_are_srgb_under_imagenets_normalisation() -> None:
    found = DisplayPictures().color(torch.full((1, 3, 1, 1), 0.5))
    srgb = 1.055 * 0.5 ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(found.ravel(), (srgb - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD), rtol=1e-5)


def test_the_filter_bank_is_an_encoder(tmp_path: Path) -> None:
    encoder = FilterBankEncoder()
    rgb, normals = _inputs()
    assert encoder(rgb, normals).shape == (1, 2, 45, 10, 14)
    assert torch.equal(FilterBankEncoder(modalities=1)(rgb, normals)[:, 0], encoder(rgb, normals)[:, 0])
    assert encoder.metadata()["sha256"] is None
    assert _is_frozen(encoder)
    _check_parity(encoder, _exported(encoder, tmp_path / "bank.onnx"))


@pretrained
def test_efficientnet_lite0_gives_two_stages_on_one_grid(tmp_path: Path) -> None:
    encoder = load_encoder("efficientnet-lite0", SIZE)
    rgb, normals = _inputs()
    assert encoder(rgb, normals).shape == (1, 2, 40 + 112, 8, 11)
    assert (encoder.license, encoder.stride_px, len(encoder.sha256 or "")) == ("Apache-2.0", 8, 64)
    assert _is_frozen(encoder)
    assert not any(name in encoder.state_dict() for name in ("_fc.weight", "_conv_head.weight"))
    _check_parity(encoder, _exported(encoder, tmp_path / "lite.onnx"))


@pretrained
def test_strides_are_those_that_the_network_has() -> None:
    assert EfficientNetLite0(strides=(4, 8), modalities=1)(*_inputs()).shape == (1, 1, 64, 15, 21)
    with pytest.raises(ValueError, match=r"give some of \(4, 8, 16\)"):
        EfficientNetLite0(strides=(16, 8))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(EncoderError, match="does not hold EfficientNet-Lite0's weights"):
        EfficientNetLite0(tmp_path / "other.pth")
    with pytest.raises(EncoderError, match="cannot be read"):
        EfficientNetLite0(tmp_path / "none.pth")


def test_the_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(EncoderError, match=r"pip install -e '\.\[pretrained\]'"):
        load_encoder("efficientnet-lite0", SIZE)


def test_an_unknown_encoder_gets_the_list() -> None:
    with pytest.raises(EncoderError, match="give one of filterbank, efficientnet-lite0, dinov2:FOLDER, onnx:FILE"):
        load_encoder("resnet", SIZE)


class _Tiny(nn.Module):
    """A feature extractor of somebody else's, with weights, a branch that rejoins, and stride 4."""

    def __init__(self, as_tokens: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second, self.as_tokens = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1), as_tokens

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        y = self.second(y) + nn.functional.avg_pool2d(y, 2)
        if not self.as_tokens:
            return y
        flat = y.flatten(2).transpose(1, 2)
        return torch.cat([flat.mean(dim=1, keepdim=True), flat], dim=1)


def _tiny_file(path: Path, as_tokens: bool = False, opset: int = 17, size: tuple[int, int] = SIZE) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Tiny(as_tokens), (torch.zeros(1, 3, *size),), str(path), input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, opset_version=opset, dynamo=False,
        )  # fmt: skip
    return path


@pytest.mark.parametrize("as_tokens", [False, True])
@pytest.mark.parametrize(("opset", "size"), [(17, SIZE), (16, (40, 56))])
def test_a_foreign_onnx_file_becomes_part_of_the_exported_graph(
    tmp_path: Path, as_tokens: bool, opset: int, size: tuple[int, int]
) -> None:
    encoder = load_encoder(f"onnx:{_tiny_file(tmp_path / 'tiny.onnx', as_tokens, opset, size)}", SIZE)
    assert isinstance(encoder, OnnxEncoder)
    assert encoder(*_inputs()).shape == (1, 2, 8, size[0] // 4, size[1] // 4)
    model = inline_foreign(_exported(encoder, tmp_path / "all.onnx"), encoder.model)
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    onnx.checker.check_model(model)
    _check_parity(encoder, model)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no")
    with pytest.raises(EncoderError, match="is not an ONNX file that can be run here"):
        OnnxEncoder(tmp_path / "bad.onnx", SIZE)


def test_a_network_with_control_flow_is_refused(tmp_path: Path) -> None:
    path = _tiny_file(tmp_path / "tiny.onnx")
    model = onnx.load(str(path))
    body = onnx.helper.make_graph([], "b", [], [])
    body.node.append(onnx.helper.make_node("Identity", ["y"], ["z0"]))
    body.output.append(onnx.helper.make_tensor_value_info("z0", onnx.TensorProto.FLOAT, None))
    yes = onnx.helper.make_node(
        "Constant", [], ["yes"], value=onnx.helper.make_tensor("t", onnx.TensorProto.BOOL, [], [1])
    )
    model.graph.node.extend([yes, onnx.helper.make_node("If", ["yes"], ["z"], then_branch=body, else_branch=body)])
    model.graph.output[0].name = "z"
    onnx.save(model, str(path))
    with pytest.raises(EncoderError, match="without control flow"):
        OnnxEncoder(path, SIZE)


@with_transformers
@pytest.mark.parametrize("registers", [False, True])
def test_dinov2_from_a_local_folder(tmp_path: Path, registers: bool) -> None:
    import transformers

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
    name = "Dinov2WithRegisters" if registers else "Dinov2"
    config = getattr(transformers, f"{name}Config")(**small)
    getattr(transformers, f"{name}Model")(config).save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n", "utf-8")
    encoder = load_encoder(f"dinov2:{tmp_path}", SIZE)
    assert encoder(*_inputs()).shape == (1, 2, 32, 4, 6)
    assert encoder.license == "apache-2.0"
    assert _is_frozen(encoder)
    _check_parity(encoder, _exported(encoder, tmp_path / "dino.onnx"))


def test_a_folder_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"config\.json cannot be read"):
        load_encoder(f"dinov2:{tmp_path}", SIZE)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), "utf-8")
    with pytest.raises(EncoderError, match="model_type is 'bert'"):
        load_encoder(f"dinov2:{tmp_path}", SIZE)
