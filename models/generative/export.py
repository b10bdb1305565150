"""Export to three ONNX graphs that onnxruntime must reproduce: conditioner, denoiser, decoder.

The loop over noise levels stays outside: it is a dozen lines of arithmetic, and a graph with it would fix the number
of strides. `depth.json` beside the graphs holds settings, units, calibration and the schedule.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from models.generative.conditioner import Conditions
from models.generative.config import COARSEST_STRIDE, LATENT_STRIDE, DepthConfig
from models.generative.depth_model import DepthModel, DepthModelError, TrainedDepth

OPSET = 17
TOLERANCE = 1e-4  # of the largest value of each output
DESCRIPTION = "depth.json"
CONDITIONS = ("I_fine", "I_coarse", "P_fine", "P_coarse", "finest")
GRAPHS = {
    "conditioner": (("picture", "geometry"), CONDITIONS),
    "denoiser": (("x_t", "t", *CONDITIONS), ("predicted",)),
    "decoder": (("x_0", "picture", "geometry"), ("height",)),
}


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


@dataclass(frozen=True, slots=True)
class DepthParity:
    """Largest difference between torch and onnxruntime for each graph, as a share of the output's largest value."""

    conditioner: float
    denoiser: float
    decoder: float


def export_depth(trained: TrainedDepth, folder: Path) -> DepthParity:
    """Write the graphs and their description into `folder`, batch axis free, one patch size.

    Raises DepthModelError where onnxruntime differs from torch, and then leaves no description behind, so that nothing
    takes the folder for a model.
    """
    model = trained.model.eval()
    if not isinstance(model, DepthModel):
        raise DepthModelError("the slopes head is not exported: its integral is a transform of the view's own size")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    wrapped = {"conditioner": _Conditioner(model), "denoiser": _Denoiser(model), "decoder": _Decoder(model)}
    given = _arguments(model)
    found = {name: _exported(graph, given[name], folder / f"{name}.onnx", name) for name, graph in wrapped.items()}
    (folder / DESCRIPTION).write_text(json.dumps(_description(trained, model), indent=1) + "\n", encoding="utf-8")
    return DepthParity(**found)


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
    """Write one graph and compare; the largest difference."""
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
            dynamic_axes={key: {0: "batch"} for key in (*inputs, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
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


def _description(trained: TrainedDepth, model: DepthModel) -> dict[str, Any]:
    config: DepthConfig = model.config
    return {
        "config": config.to_dict(),
        "units": asdict(trained.units),
        "spread": trained.spread.to_dict(),
        "facts": trained.facts,
        "alpha_bar": [float(a) for a in model.diffusion.alpha_bar],
        "sides_are_multiples_of": COARSEST_STRIDE,
    }
