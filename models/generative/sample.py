"""The depth of one measured view from a trained model: `depth_of`, which the station's command calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.depth_views import F32, DepthView, centred
from models.generative.depth_model import DepthModelError, TrainedDepth, load_depth_model
from models.generative.patches import Batch, padded
from models.generative.windows import Windows

METHODS = {
    "generate": "literal",
    "residual": "residual",
}  # as commands name them -> the form that a model was trained in
BATCH = 16  # windows at once


def depth_of(
    view: DepthView, model: Path, method: str, steps: int, samples: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Height and its calibrated standard deviation, (H, W) mm each; mean height 0 over the observed pixels.

    `steps` strides of DDIM for each of `samples` draws; the calibration holds for the numbers it was made with, which
    the model file states. The same seed gives the same result. Between far places of a large view the standard
    deviation does not hold: it was measured inside of patches. Raises DepthModelError for a file, method or number
    that cannot be used.
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
    if samples < 2:
        raise DepthModelError(f"samples: found {samples}, and a spread needs 2 or more")
    return estimate(trained, view, steps, samples, seed)


def estimate(trained: TrainedDepth, view: DepthView, steps: int, samples: int, seed: int) -> tuple[F32, F32]:
    """As `depth_of`, with a model in memory. Samples are summed up one after the other: memory is bounded by one."""
    side = trained.model.config.patch_px
    height, width = view.shape
    large = padded(view, side)
    windows = Windows.over(large.shape, side)
    generator = torch.Generator().manual_seed(seed)
    mean, square = np.zeros(large.shape), np.zeros(large.shape)
    for n in range(samples):
        drawn = centred(_one_sample(trained, large, windows, steps, generator), large.mask)
        change = drawn - mean
        mean += change / (n + 1)
        square += change * (drawn - mean)  # Welford's sum, exact for near-equal samples
    cut = np.s_[:height, :width]
    std = np.sqrt(square[cut] / max(1, samples - 1)).astype(np.float32)
    predicted = trained.spread.height(mean[cut].astype(np.float32), std) * np.float32(view.pixel_mm)
    depth = predicted + view.integrated if trained.model.config.form == "residual" else predicted
    return centred(depth, view.mask), trained.spread.deviation(std, view.mask) * np.float32(view.pixel_mm)


def _one_sample(
    trained: TrainedDepth, view: DepthView, windows: Windows, steps: int, generator: torch.Generator
) -> F32:
    """(H, W) pixels of height, or of what integration misses."""
    model, side = trained.model, windows.side
    heights: list[F32] = []
    for start in range(0, len(windows.corners), BATCH):
        cuts = [view.cut(top, left, side, side) for top, left in windows.corners[start : start + BATCH]]
        batch = Batch.of(cuts, trained.units, model.config)
        with torch.no_grad():
            drawn = model.draw(batch.picture, batch.geometry, steps, generator)
        heights += list(drawn[:, 0].numpy() * np.float32(trained.units.height_px))
    return windows.joined(heights)
