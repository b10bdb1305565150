"""The depth of a view from a model file, and its export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from stepped_views import SIDE, stepped_view

from models.generative.config import Form
from models.generative.depth_model import DepthModelError, TrainedDepth
from models.generative.export import export_depth
from models.generative.sample import depth_of, estimate

Models = dict[Form, tuple[Path, TrainedDepth]]


@pytest.mark.parametrize(("form", "method"), [("residual", "residual"), ("literal", "generate")])
def test_sampling_is_reproducible_and_moves_with_the_seed(depth_models: Models, form: Form, method: str) -> None:
    path, _ = depth_models[form]
    view = stepped_view(50)
    depth, std = depth_of(view, path, method, steps=2, samples=2, seed=0)
    again, _ = depth_of(view, path, method, steps=2, samples=2, seed=0)
    other, _ = depth_of(view, path, method, steps=2, samples=2, seed=1)
    assert depth.shape == std.shape == view.shape
    assert depth.dtype == std.dtype == np.float32
    assert np.array_equal(depth, again)
    assert not np.array_equal(depth, other)
    assert (std > 0).all()
    assert float(depth[view.mask].mean()) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("height", "width"), [(SIDE + 20, SIDE + 7), (SIDE - 9, SIDE + 3)])
def test_a_view_of_any_size_is_covered(depth_models: Models, height: int, width: int) -> None:
    _, trained = depth_models["residual"]
    view = stepped_view(51, 64).cut(0, 0, height, width)
    depth, std = estimate(trained, view, steps=1, samples=2, seed=0)
    assert depth.shape == std.shape == (height, width)
    assert np.isfinite(depth).all()
    assert np.isfinite(std).all()


def test_a_view_without_any_observed_pixel_gives_numbers(depth_models: Models) -> None:
    _, trained = depth_models["residual"]
    view = stepped_view(52)
    view.mask[:] = False
    view.normals[:] = 0
    depth, std = estimate(trained, view, steps=1, samples=2, seed=0)
    assert np.isfinite(depth).all()
    assert np.isfinite(std).all()


@pytest.mark.parametrize(
    ("method", "steps", "samples", "text"),
    [
        ("guess", 2, 2, "method 'guess' is unknown"),
        ("generate", 2, 2, "of the residual form: use --method residual"),
        ("residual", 0, 2, "sampling steps: found 0"),
        ("residual", 2, 1, "samples: found 1"),
    ],
)
def test_what_cannot_be_sampled_is_named(
    depth_models: Models, method: str, steps: int, samples: int, text: str
) -> None:
    path, _ = depth_models["residual"]
    with pytest.raises(DepthModelError, match=text):
        depth_of(stepped_view(0), path, method, steps, samples, 0)


@pytest.mark.parametrize("content", [None, b"", b"no model at all"])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DepthModelError, match=r"model\.pt"):
        depth_of(stepped_view(0), path, "residual", 2, 2, 0)


def test_onnxruntime_agrees_with_torch_on_all_three_graphs(depth_models: Models, tmp_path: Path) -> None:
    _, trained = depth_models["residual"]
    parity = export_depth(trained, tmp_path)
    assert set(parity) == {"conditioner", "denoiser", "decoder"}
    assert max(parity.values()) < 1e-4
    description = json.loads((tmp_path / "depth.json").read_text(encoding="utf-8"))
    assert len(description["alpha_bar"]) == trained.model.config.levels
    session = onnxruntime.InferenceSession(str(tmp_path / "decoder.onnx"), providers=["CPUExecutionProvider"])
    shapes = {i.name: i.shape for i in session.get_inputs()}
    assert shapes["x_0"] == ["batch", trained.model.config.latent_channels, SIDE // 4, SIDE // 4]
