"""Samples of held-out patches beside their truth, from which `fit_spread.py` learns what their spread is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.depth_views import DepthView, centred
from models.generative.depth_model import DepthNetwork
from models.generative.draws import samples_px
from models.generative.fit_spread import Drawn, fit_spread
from models.generative.patches import Batch, PatchSource, Units, target_px
from models.generative.slopes import SlopeModel
from models.generative.spread import Spread

BATCH = 16


def calibrate(model: DepthNetwork, units: Units, source: PatchSource, seed: Sequence[int]) -> Spread:
    """Draw samples for held-out patches and fit the spread to them."""
    config = model.config
    model.eval()
    held_out = source.each(seed, config.calibrate_patches)
    generator = torch.Generator().manual_seed(seed[0])
    drawn: list[Drawn] = []
    for start in range(0, len(held_out), BATCH):
        some = held_out[start : start + BATCH]
        drawn += draw_patches(model, units, some, config.sampling_steps, config.samples, generator)
    return fit_spread(
        drawn, shrink=config.form == "residual", sampling_steps=config.sampling_steps, samples=config.samples
    )


def draw_patches(
    model: DepthNetwork, units: Units, patches: Sequence[tuple[str, DepthView]], steps: int, samples: int,
    generator: torch.Generator,
) -> list[Drawn]:  # fmt: skip
    """Mean and spread of `samples` draws for each patch, with the name of its part."""
    if isinstance(model, SlopeModel):
        found = [np.stack([*samples_px(model, units, view, steps, samples, seed=0)]) for _, view in patches]
        return [_drawn(part, view, of_view, model) for (part, view), of_view in zip(patches, found, strict=True)]
    batch = Batch.of([view for _, view in patches], units, model.config)
    with torch.no_grad():
        heights = [model.draw(batch.picture, batch.geometry, steps, generator)[:, 0].numpy() for _ in range(samples)]
    stack = np.stack(heights) * np.float32(units.height_px)
    return [_drawn(part, view, stack[:, n], model) for n, (part, view) in enumerate(patches)]


def _drawn(part: str, view: DepthView, samples: NDArray[np.float32], model: DepthNetwork) -> Drawn:
    level = np.stack([centred(sample, view.valid) for sample in samples])
    std = level.std(axis=0, ddof=min(1, len(samples) - 1))
    return Drawn(
        part=part,
        mean=level.mean(axis=0),
        std=std,
        true=target_px(view, model.config),
        valid=view.valid,
        observed=view.mask,
        reliability=view.reliability,
        steps=view.steps,
    )
