"""Calibration of distances on held-out good parts, and the limits it suggests."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.config import TrainConfig
from models.network import AnomalyNetwork, Calibration

EULER_GAMMA = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Distances of held-out good views: (n, T, h, w), with view and part of each."""

    distances: NDArray[np.float32]
    view_index: NDArray[np.int64]
    part: tuple[str, ...]

    def subset(self, keep: NDArray[np.bool_]) -> HeldOut:
        parts = tuple(p for p, k in zip(self.part, keep, strict=True) if k)
        return HeldOut(self.distances[keep], self.view_index[keep], parts)


def calibration_of(network: AnomalyNetwork, held_out: HeldOut, n_views: int, config: TrainConfig) -> Calibration:
    """Local centre and spread per token, then median and 99th percentile of the smoothed maps per view and target."""
    center, spread = _local(held_out, n_views, config)
    n_targets = held_out.distances.shape[1]
    median, p99 = np.zeros((n_views, n_targets), np.float32), np.ones((n_views, n_targets), np.float32)
    draft = Calibration(center, spread, median, p99, len(set(held_out.part)))
    network.scoring.calibrate(draft)
    for view in range(n_views):
        maps = _smoothed(network, held_out, view)
        median[view] = np.median(maps, axis=(0, 2, 3))
        p99[view] = np.maximum(np.percentile(maps, 99, axis=(0, 2, 3)), median[view] + 1e-6)
    final = Calibration(center, spread, median, p99, len(set(held_out.part)))
    network.scoring.calibrate(final)
    return final


def _smoothed(network: AnomalyNetwork, held_out: HeldOut, view: int) -> NDArray[np.float32]:
    chosen = np.flatnonzero(held_out.view_index == view)
    with torch.no_grad():
        found = [
            network.scoring.smooth(torch.from_numpy(held_out.distances[i : i + 1]), torch.tensor([view])).numpy()
            for i in chosen
        ]
    return np.concatenate(found)


def _local(held_out: HeldOut, n_views: int, config: TrainConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    shape = (n_views, *held_out.distances.shape[1:])
    center, spread = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    if not config.score.local:
        return center, spread
    for view in range(n_views):
        d = held_out.distances[held_out.view_index == view]
        if len(d) < 2:
            raise ValueError(f"calibration needs two good parts or more per view; view {view} has {len(d)}")
        center[view] = d.mean(axis=0)
        variance = d.var(axis=0, ddof=1)
        for t in range(shape[1]):
            around = np.sqrt(cv2.GaussianBlur(variance[t], (0, 0), 1.0))
            floor = max(config.score.local_floor * float(np.median(around)), config.score.spread_minimum)
            spread[view, t] = np.sqrt(around**2 + floor**2)
            center[view, t] = cv2.GaussianBlur(center[view, t], (0, 0), 0.7)
    return center, spread


def scores_of(network: AnomalyNetwork, held_out: HeldOut) -> NDArray[np.float64]:
    """(n,) view scores under the calibration that the network holds now."""
    found = []
    with torch.no_grad():
        for i in range(len(held_out.part)):
            view = torch.from_numpy(held_out.view_index[i : i + 1])
            score, _ = network.scoring(torch.from_numpy(held_out.distances[i : i + 1]), view)
            found.append(float(score[0]))
    return np.array(found)


def cross_scores(
    network: AnomalyNetwork, held_out: HeldOut, n_views: int, config: TrainConfig, folds: int = 5
) -> NDArray[np.float64]:
    """Scores of held-out good views, each under a calibration that has not seen its part; leaves the last fold's."""
    names = sorted(set(held_out.part))
    fold_of = {name: i % folds for i, name in enumerate(names)}
    fold = np.array([fold_of[p] for p in held_out.part])
    scores = np.zeros(len(held_out.part))
    for k in range(min(folds, len(names))):
        calibration_of(network, held_out.subset(fold != k), n_views, config)
        scores[fold == k] = scores_of(network, held_out.subset(fold == k))
    return scores


def suggested_limit(scores: NDArray[np.float64], config: TrainConfig) -> float:
    """A limit above which a good view is expected with probability `limit_false_alarm`.

    The score is the mean of the most extreme pixels, so held-out good scores are fitted by a Gumbel law
    (method of moments) and its quantile is taken; never less than the highest score seen, with a margin.
    """
    beta = float(np.std(scores, ddof=1)) * np.sqrt(6.0) / np.pi
    location = float(np.mean(scores)) - EULER_GAMMA * beta
    quantile = location - beta * np.log(-np.log1p(-config.limit_false_alarm))
    return float(max(quantile, config.limit_minimum_margin * float(np.max(scores))))
