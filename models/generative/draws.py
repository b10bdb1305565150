"""Samples of what a model predicts for a view: draws of the diffusion, or turns of the view for the slopes head.

The slopes head gives one answer to one question. Its samples are the answers to the same view turned and mirrored, each
turned back: a network that is sure says the same, and where it is not, their mean is better than each.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from models.depth_views import F32, DepthView
from models.generative.depth_model import DepthModel, DepthNetwork
from models.generative.faces import missed_px
from models.generative.patches import TURNS, Batch, Units, padded, slope_maps, turn, unturned
from models.generative.slopes import SlopeModel
from models.generative.windows import Windows

BATCH = 16  # windows at once


def samples_px(
    model: DepthNetwork, units: Units, view: DepthView, steps: int, samples: int, seed: int
) -> Iterator[F32]:
    """One (H, W) after another: the height, or what integration misses of it, in pixels; any constant may be added.

    `steps` are strides of the diffusion. The slopes head has eight turns at most, and the seed says which of them come
    first.
    """
    if isinstance(model, SlopeModel):
        for which in np.random.default_rng(seed).permutation(TURNS)[:samples].tolist():
            yield _turned(model, units, view, which)
        return
    side = model.config.patch_px
    large = padded(view, side)
    windows = Windows.over(large.shape, side)
    generator = torch.Generator().manual_seed(seed)
    height, width = view.shape
    for _ in range(samples):
        yield _joined(model, units, large, windows, steps, generator)[:height, :width]


def _turned(model: SlopeModel, units: Units, view: DepthView, which: int) -> F32:
    other = turn(view, which)
    batch = Batch.of([padded(other, 0, model.config.multiple_px)], units, model.config)
    with torch.no_grad():
        found = model.missing_slopes(batch.picture, batch.geometry)
    height, width = other.shape
    right, down = (np.sinh(slope.astype(np.float64)) for slope in slope_maps(other)[:2])
    return unturned(missed_px(other, (right, down), found[0, :, :height, :width].double().numpy()), which)


def _joined(
    model: DepthModel, units: Units, view: DepthView, windows: Windows, steps: int, generator: torch.Generator
) -> F32:
    side = windows.side
    heights: list[F32] = []
    for start in range(0, len(windows.corners), BATCH):
        cuts = [view.cut(top, left, side, side) for top, left in windows.corners[start : start + BATCH]]
        batch = Batch.of(cuts, units, model.config)
        with torch.no_grad():
            drawn = model.draw(batch.picture, batch.geometry, steps, generator)
        heights += list(drawn[:, 0].numpy() * np.float32(units.height_px))
    return windows.joined(heights)
