"""Export to ONNX graphs that onnxruntime must reproduce: conditioner, denoiser and decoder, or the slopes head.

The loop over noise levels stays outside: it is a dozen lines of arithmetic, and a graph with it would fix the number
of strides. `depth.json` beside the graphs holds settings, units, calibration and the schedule.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from models.generative.conditioner import Conditions
from models.generative.config import LATENT_STRIDE, DepthConfig
from models.generative.depth_model import DepthModel, DepthModelError, TrainedDepth
from models.generative.slopes import SlopeModel

OPSET = 17
TOLERANCE = 1e-4  # of the largest value of each output
DESCRIPTION = "depth.json"
CONDITIONS = ("I_fine", "I_coarse", "P_fine", "P_coarse", "finest")
GRAPHS = {
    "conditioner": (("picture", "geometry"), CONDITIONS),
    "denoiser": (("x_t", "t", *CONDITIONS), ("predicted",)),
    "decoder": (("x_0", "picture", "geometry"), ("height",)),
    "slopes": (("picture", "geometry"), ("f",)),
}
FREE_AXES = {"slopes": {0: "batch", 2: "height", 3: "width"}}


class _Conditioner(nn.Module):
    def __init__(self, model: DepthModel) -> None:
        super().__init__()
        self.conditioner = model.conditioner

    def forward(self, picture: Tensor, geometry: Tensor) -> tuple[Tensor, ...]:
        given = self.conditioner(picture, geometry)
        return (*given.I, *given.P, given.finest)


class _Denoiser(nn.Module):
    def __init__(self, model: DepthModel) -> None:
        super().__init__()
        self.unet = model.unet

    def forward(self, x_t: Tensor, t: Tensor, I_fine: Tensor, I_coarse: Tensor, *rest: Tensor) -> Tensor:
        P_fine, P_coarse, finest = rest
        predicted: Tensor = self.unet(x_t, t, Conditions((I_fine, I_coarse), (P_fine, P_coarse), finest))
        return predicted


class _Decoder(nn.Module):
    def __init__(self, model: DepthModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_0: Tensor, picture: Tensor, geometry: Tensor) -> Tensor:
        return self.model.decoded(x_0, picture, geometry)


class _Slopes(nn.Module):
    def __init__(self, model: SlopeModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Tensor, geometry: Tensor) -> Tensor:
        return self.model.missing_slopes(picture, geometry)


def export_depth(trained: TrainedDepth, folder: Path) -> dict[str, float]:
    """Write the graphs of a model and their description into `folder`; the batch's size is free.

    The diffusion has three graphs of one patch size. The slopes head has one, whose sides are free multiples of what
    the description says; the integral of its slopes is `faces.py`, which needs no torch. Returns for each graph the
    largest difference between torch and onnxruntime as a share of the output's largest value. Raises DepthModelError
    where they differ, and then leaves no description behind, so that nothing takes the folder for a model.
    """
    model = trained.model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    if isinstance(model, SlopeModel):
        found = {"slopes": _exported_slopes(model, folder / "slopes.onnx")}
    else:
        wrapped = {"conditioner": _Conditioner(model), "denoiser": _Denoiser(model), "decoder": _Decoder(model)}
        given = _arguments(model)
        found = {name: _exported(graph, given[name], folder / f"{name}.onnx", name) for name, graph in wrapped.items()}
    (folder / DESCRIPTION).write_text(json.dumps(_description(trained), indent=1) + "\n", encoding="utf-8")
    return found


def _exported_slopes(model: SlopeModel, path: Path) -> float:
    """Written at one size and compared at another as well: a view of any size is one input."""
    graph, channels, multiple = _Slopes(model), model.config.geometry_channels, model.config.multiple_px
    random = torch.Generator().manual_seed(0)
    sizes = [(2 * multiple, 2 * multiple), (3 * multiple, 5 * multiple)]
    first, second = (tuple(torch.rand((2, maps, *size), generator=random) for maps in (3, channels)) for size in sizes)
    return max(_exported(graph, first, path, "slopes"), _difference(graph, second, path, "slopes"))


def _arguments(model: DepthModel) -> dict[str, tuple[Tensor, ...]]:
    """Random inputs of two images for each graph, the same every time."""
    config = model.config
    random = torch.Generator().manual_seed(0)
    picture = torch.rand((2, 3, config.patch_px, config.patch_px), generator=random)
    geometry = torch.randn((2, config.geometry_channels, config.patch_px, config.patch_px), generator=random)
    cells = config.patch_px // LATENT_STRIDE
    x = torch.randn((2, config.latent_channels, cells, cells), generator=random)
    with torch.no_grad():
        conditions = _Conditioner(model)(picture, geometry)
    levels = torch.tensor([config.levels - 1, config.levels // 3])
    return {
        "conditioner": (picture, geometry),
        "denoiser": (x, levels, *conditions),
        "decoder": (x, picture, geometry),
    }


def _exported(graph: nn.Module, arguments: tuple[Tensor, ...], path: Path, name: str) -> float:
    """Write one graph and compare."""
    inputs, outputs = GRAPHS[name]
    with warnings.catch_warnings():
        # deprecated, but it takes seconds where its successor takes minutes, and the comparison checks what it wrote
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            arguments,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=dict.fromkeys((*inputs, *outputs), FREE_AXES.get(name, {0: "batch"})),
            opset_version=OPSET,
            dynamo=False,
        )
    return _difference(graph, arguments, path, name)


def _difference(graph: nn.Module, arguments: tuple[Tensor, ...], path: Path, name: str) -> float:
    """The largest difference between torch and onnxruntime. Raises DepthModelError where it is too large."""
    inputs, outputs = GRAPHS[name]
    with torch.no_grad():
        found = graph(*arguments)
    expected = [tensor.numpy() for tensor in (found if isinstance(found, tuple) else (found,))]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    known = {i.name for i in session.get_inputs()}  # a graph drops what it does not use
    fed = {key: value.numpy() for key, value in zip(inputs, arguments, strict=True) if key in known}
    got = session.run(list(outputs), fed)
    largest = max(float(np.abs(g - e).max() / np.abs(e).max()) for g, e in zip(got, expected, strict=True))
    if not largest <= TOLERANCE:
        raise DepthModelError(
            f"{path}: onnxruntime differs from torch by {largest:.2g} (allowed: {TOLERANCE}): compare the versions of "
            "torch and onnxruntime with requirements/dev.txt"
        )
    return largest


def _description(trained: TrainedDepth) -> dict[str, Any]:
    config: DepthConfig = trained.model.config
    found = {
        "config": config.to_dict(),
        "units": asdict(trained.units),
        "spread": trained.spread.to_dict(),
        "facts": trained.facts,
        "sides_are_multiples_of": config.multiple_px,
    }
    if isinstance(trained.model, DepthModel):
        found["alpha_bar"] = [float(a) for a in trained.model.diffusion.alpha_bar]
    return found
