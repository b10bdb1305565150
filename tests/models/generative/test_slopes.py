"""The slopes head: its integral is exact, it starts at integration, and it covers views of any size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from stepped_views import SIDE, stepped_view, tiny, write_folder

from models.depth_views import DepthDataError, centred
from models.generative import train
from models.generative.config import DepthConfig
from models.generative.depth_model import DepthModelError, TrainedDepth, load_depth_model
from models.generative.export import export_depth
from models.generative.patches import Batch, measure_units, turn, unturned
from models.generative.sample import depth_of, estimate
from models.generative.slopes import L_slopes, SlopeModel, integral
from models.generative.train import train_depth

VIEWS = [stepped_view(n) for n in range(4)]


def small(**changes: object) -> DepthConfig:
    return tiny(**{"head": "slopes", "slope_widths": (8, 16), "samples": 2, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedDepth]:
    folder = tmp_path_factory.mktemp("slopes")
    data = write_folder(folder / "data", 8, 4)
    config = small(learning_rate=3e-3, batch=8)
    return folder / "m.pt", train_depth(data, folder / "m.pt", "residual", 0, 60, False, print, config)


def test_the_integral_of_a_heights_own_differences_is_the_height() -> None:
    height = torch.randn((2, 21, 34), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slopes = torch.zeros((2, 2, 21, 34), dtype=torch.float64)
    slopes[:, 0, :, :-1], slopes[:, 1, :-1] = height.diff(dim=2), height.diff(dim=1)
    found = integral(slopes)[:, 0]
    assert torch.allclose(found, height - height.mean(dim=(1, 2), keepdim=True), atol=1e-9)


def test_before_training_the_integrated_height_stands() -> None:
    batch = Batch.of(VIEWS, measure_units(VIEWS, small()), small())
    assert not SlopeModel(small())(batch.picture, batch.geometry).detach().any()


def test_gradients_reach_every_part_after_the_first_step() -> None:
    torch.manual_seed(0)
    config, units = small(), measure_units(VIEWS, small())
    model, batch = SlopeModel(config), Batch.of(VIEWS, units, config)
    for name, weights in model.named_parameters():
        if name.startswith("out") or ".second." in name:  # these begin at 0, and hide what lies before them
            torch.nn.init.normal_(weights, std=0.1)
    L_slopes(model.missing_slopes(batch.picture, batch.geometry), batch, units.height_px).backward()  # type: ignore[no-untyped-call]
    assert [n for n, p in model.named_parameters() if p.grad is None or not float(p.grad.abs().max()) > 0] == []


def test_a_step_that_integration_misses_is_learned(trained: tuple[Path, TrainedDepth]) -> None:
    missed, left = [], []
    for view in (stepped_view(n) for n in range(6)):
        height, std = estimate(trained[1], view, steps=1, samples=4, seed=0)
        assert np.isfinite(std).all()
        missed.append(np.std(view.integrated - view.depth))
        left.append(np.std(centred(height, view.valid) - view.depth))
    assert np.mean(left) < 0.8 * np.mean(missed)


@pytest.mark.parametrize(("height", "width"), [(SIDE + 21, SIDE + 6), (SIDE - 9, SIDE + 3)])
def test_a_view_of_any_size_is_seen_at_once(trained: tuple[Path, TrainedDepth], height: int, width: int) -> None:
    view = stepped_view(51, 64).cut(0, 0, height, width)
    depth, std = depth_of(view, trained[0], "residual", steps=1, samples=8, seed=0)
    assert depth.shape == std.shape == (height, width)
    assert np.isfinite(depth).all()
    with pytest.raises(DepthModelError, match="8 at most"):
        depth_of(view, trained[0], "residual", steps=1, samples=9, seed=0)


@pytest.mark.parametrize("which", range(8))
def test_a_turned_map_is_turned_back(which: int) -> None:
    view = stepped_view(3).cut(0, 0, 20, 28)
    assert np.array_equal(unturned(turn(view, which).integrated, which), view.integrated)


def _cut_after(step: int) -> Callable[[str], None]:
    def report(text: str) -> None:
        if text.startswith(f"step {step} of"):
            raise KeyboardInterrupt

    return report


def test_a_run_that_was_cut_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_folder(tmp_path / "data", 4, 2)
    whole, pieces = tmp_path / "whole.pt", tmp_path / "pieces.pt"
    train_depth(data, whole, "residual", 3, 4, False, print, small())
    monkeypatch.setattr(train, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr(train, "SAVE_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train_depth(data, pieces, "residual", 3, 4, True, _cut_after(3), small())
    train_depth(data, pieces, "residual", 3, 4, True, print, small())
    found, sought = (load_depth_model(path).model.state_dict() for path in (pieces, whole))
    assert [name for name in sought if not torch.equal(found[name], sought[name])] == []


def test_onnxruntime_agrees_with_torch_on_views_of_any_size(trained: tuple[Path, TrainedDepth], tmp_path: Path) -> None:
    assert export_depth(trained[1], tmp_path)["slopes"] < 1e-4
    description = json.loads((tmp_path / "depth.json").read_text(encoding="utf-8"))
    assert description["sides_are_multiples_of"] == 4
    session = onnxruntime.InferenceSession(str(tmp_path / "slopes.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]


def test_what_the_head_cannot_do_is_named(tmp_path: Path) -> None:
    with pytest.raises(DepthDataError, match="use the form residual"):
        train_depth(tmp_path, tmp_path / "m.pt", "literal", 0, 4, False, print, small())
