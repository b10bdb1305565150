"""The depth of one measured view from a trained model: `depth_of`, which the station's command calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.depth_views import F32, DepthView, centred
from models.generative.depth_model import DepthModelError, TrainedDepth, load_depth_model
from models.generative.draws import samples_px
from models.generative.patches import TURNS
from models.generative.slopes import SlopeModel

METHODS = {
    "generate": "literal",
    "residual": "residual",
}  # as commands name them -> the form that a model was trained in


def depth_of(
    view: DepthView, model: Path, method: str, steps: int, samples: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Height and its calibrated standard deviation, (H, W) mm each; mean height 0 over the observed pixels.

    `steps` strides of DDIM for each of `samples` draws, or for the slopes head so many turns of the view; the
    calibration holds for the numbers it was made with, which the model file states. The same seed gives the same
    result. Between far places of a large view the standard deviation does not hold: it was measured inside of patches.
    Raises DepthModelError for a file, method or number that cannot be used.
    """
    if method not in METHODS:
        raise DepthModelError(f"method {method!r} is unknown: choose {' or '.join(METHODS)}")
    trained = load_depth_model(model)
    config = trained.model.config
    if config.form != METHODS[method]:
        other = next(name for name, form in METHODS.items() if form == config.form)
        raise DepthModelError(f"{model}: a model of the {config.form} form: use --method {other}, or name another file")
    if not 1 <= steps <= config.levels:
        raise DepthModelError(f"sampling steps: found {steps}, and {model} takes 1 to {config.levels}")
    most = TURNS if isinstance(trained.model, SlopeModel) else samples
    if not 2 <= samples <= most:
        takes = "a spread needs 2 or more" if samples < 2 else f"a view has {most} at most, its turns"
        raise DepthModelError(f"samples: found {samples}, and {takes}")
    return estimate(trained, view, steps, samples, seed)


def estimate(trained: TrainedDepth, view: DepthView, steps: int, samples: int, seed: int) -> tuple[F32, F32]:
    """As `depth_of`, with a model in memory. Samples are summed up one after the other: memory is bounded by one."""
    mean, square = np.zeros(view.shape), np.zeros(view.shape)
    for n, sample in enumerate(samples_px(trained.model, trained.units, view, steps, samples, seed)):
        drawn = centred(sample, view.mask)
        change = drawn - mean
        mean += change / (n + 1)
        square += change * (drawn - mean)  # Welford's sum, exact for near-equal samples
    std = np.sqrt(square / max(1, samples - 1)).astype(np.float32)
    middle, spread, pixel_mm = mean.astype(np.float32), trained.spread, np.float32(view.pixel_mm)
    predicted = spread.height(middle, std) * pixel_mm
    depth = predicted + view.integrated if trained.model.config.form == "residual" else predicted
    deviation = spread.deviation(middle, std, view.mask, view.reliability) * pixel_mm
    return centred(depth, view.mask), deviation


def uncertainty_of(model: Path) -> str:
    """A sentence on what the standard deviation of a model is worth. Raises DepthModelError."""
    return load_depth_model(model).spread.sentence()
