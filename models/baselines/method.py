"""A baseline as a method of evaluation: features, a rule that gives distances, and the held-out calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.baselines.calibration import HeldOutView, ViewCalibration, calibrate
from models.baselines.features import Features, GoodTokens
from models.config import TrainConfig
from models.dataset import Dataset, DatasetError, Item, regions_of
from models.progress import Progress, silent

FEWEST_HELD_OUT = 5  # one per fold


class Rule(Protocol):
    """How far tokens lie from those of good parts."""

    name: str
    is_placed: bool  # compares with the same place; its distances are then calibrated at each place too

    def fit(self, good: GoodTokens, progress: Progress) -> None:
        """Learn from good tokens."""

    def distances(self, tokens: NDArray[np.float32], view: int) -> NDArray[np.float32]:
        """(M, h, w, C) of one view -> (T, h, w), higher is worse."""


class Baseline:
    """A fitted rule that judges items. Made by `fit_baseline`."""

    def __init__(
        self, dataset: Dataset, features: Features, rule: Rule, calibrations: list[ViewCalibration], limits: list[float]
    ) -> None:
        self.name = f"{rule.name}, {features.id}"
        self.limits: Mapping[str, float] = dict(zip(dataset.views, limits, strict=True))
        self._views, self._features, self._rule, self._calibrations = dataset.views, features, rule, calibrations

    def judge(self, item: Item) -> tuple[float, NDArray[np.float32]]:
        """Score and map (H, W) of one view."""
        view = self._views.index(item.view)
        return self._calibrations[view].judge(self._rule.distances(self._features.tokens(item), view))


def fit_baseline(
    dataset: Dataset,
    rule: Rule,
    features: Features,
    good: GoodTokens,
    config: TrainConfig,
    progress: Progress = silent,
) -> Baseline:
    """Fit a rule to good train tokens, and calibrate it on the held-out good parts.

    `features` and `good` come from `train_tokens`, and serve several rules. Raises DatasetError with fewer than five
    held-out good parts.
    """
    held_out_items = plain_good(dataset, "calibrate")
    parts = {i.part for i in held_out_items}
    if len(parts) < FEWEST_HELD_OUT:
        raise DatasetError(
            f"{dataset.folder}: has {len(parts)} good `calibrate` parts, and a baseline needs {FEWEST_HELD_OUT}; "
            "make the data set with more"
        )
    rule.fit(good, progress)
    held_out = []
    for n, item in enumerate(held_out_items):
        view = dataset.views.index(item.view)
        held_out.append(HeldOutView(item.part, view, rule.distances(features.tokens(item), view)))
        progress(f"{rule.name}: held-out parts", (n + 1) / len(held_out_items))
    score = replace(config.score, local=config.score.local and rule.is_placed)
    calibrations, limits = calibrate(held_out, list(regions_of(dataset)), features.inside, config, score)
    return Baseline(dataset, features, rule, calibrations, limits)


def train_tokens(dataset: Dataset, features: Features, most_parts: int = 80, progress: Progress = silent) -> GoodTokens:
    """Fit the whitening and encode the good train views of at most `most_parts` parts, spread over the list.

    Raises DatasetError without good train parts.
    """
    items = plain_good(dataset, "train")
    if not items:
        raise DatasetError(f"{dataset.folder}: has no good `train` parts; make the data set with some")
    parts = sorted({i.part for i in items})
    kept = {parts[int(n)] for n in np.linspace(0, len(parts) - 1, min(len(parts), most_parts))}
    chosen = tuple(i for i in items if i.part in kept)
    features.fit(chosen, progress)
    return features.good(chosen, progress)


def plain_good(dataset: Dataset, split: str) -> tuple[Item, ...]:
    """The good views of a split without any disturbance."""
    return tuple(i for i in dataset.of(split, "good") if i.variant == "plain")
