"""The doors to the depth model, which lives in `models/` with torch: opened only when a method or training needs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from models.depth_views import DepthDataError, DepthView
from station.errors import BadInput

F32 = NDArray[np.float32]
Form = Literal["residual", "literal"]
Method = Literal["integrate", "generate", "residual"]
Head = Literal["diffusion", "slopes"]
SAMPLE, TRAIN, CONFIG = "models.generative.sample", "models.generative.train", "models.generative.config"
EXPORT, DEPTH_MODEL = "models.generative.export", "models.generative.depth_model"


def depth_of(view: DepthView, model: Path, method: Method, steps: int, samples: int, seed: int) -> tuple[F32, F32]:
    """Height and its standard deviation, both (H, W) mm, from a trained model.

    Raises BadInput where the extra is not installed, or file and method do not fit each other.
    """
    _require(model)
    called = _function(SAMPLE, "depth_of")
    depth_mm, std_mm = _answered(lambda: called(view, model, method, steps, samples, seed))
    return _checked(depth_mm, view), _checked(std_mm, view)


def uncertainty_of(model: Path) -> str:
    """A sentence on what the standard deviation of a model is worth. Raises BadInput as `depth_of` does."""
    _require(model)
    called = _function(SAMPLE, "uncertainty_of")
    return str(_answered(lambda: called(model)))


def calibrate_depth(model: Path, data: Path, out: Path, report: Callable[[str], None]) -> None:
    """Calibrate the uncertainty of a finished model on held-out views. Raises BadInput as `depth_of` does."""
    _require(model)
    called = _function(TRAIN, "calibrate_again")
    _answered(lambda: called(model, data, out, report))


def export_depth(model: Path, folder: Path) -> dict[str, float]:
    """Write the ONNX graphs of a model; for each the largest share by which onnxruntime differs from torch.

    Raises BadInput as `depth_of` does.
    """
    _require(model)
    called, load = _function(EXPORT, "export_depth"), _function(DEPTH_MODEL, "load_depth_model")
    found: dict[str, float] = _answered(lambda: called(load(model), folder))
    return found


def train_depth(
    data: Path, out: Path, form: Form, head: Head, seed: int, steps: int, resume: bool, report: Callable[[str], None]
) -> None:
    """Train the depth model on a folder of views. Raises BadInput as `depth_of` does, and for a bad folder."""
    called, config_of = _function(TRAIN, "train_depth"), _function(CONFIG, "config_of_head")
    _answered(lambda: called(data, out, form, seed, steps, resume, report, config_of(head)))


def _require(model: Path) -> None:
    if not model.is_file():
        raise BadInput(f"{model}: no such file; `station depth train DATA --out MODEL` writes a model")


def _answered(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (DepthDataError, ValueError) as error:
        raise BadInput(str(error)) from error


def _function(module: str, name: str) -> Callable[..., Any]:
    try:
        return cast(Callable[..., Any], getattr(importlib.import_module(module), name))
    except ModuleNotFoundError as error:
        raise BadInput(
            f"the depth model needs the module {error.name}, which is not here: "
            'pip install "facet-station[generative]", or use --method integrate'
        ) from error


def _checked(found: object, view: DepthView) -> F32:
    height = np.asarray(found, np.float32)
    if height.shape != view.shape or not np.isfinite(height).all():
        raise BadInput(f"the model answered {height.shape} for a view of {view.shape}, or values that are not finite")
    return height
