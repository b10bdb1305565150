"""What held-out good parts decide: the calibration of scores, and the limit that it suggests for each view."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.config import TrainConfig
from models.network import AnomalyNetwork
from models.scoring import ScoreCalibration

EULER_GAMMA = 0.5772156649015329


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Distances of held-out good views, with view and part of each."""

    distances: NDArray[np.float32]  # (n, T, N)
    view_index: NDArray[np.int64]  # (n,)
    part: tuple[str, ...]

    def subset(self, keep: NDArray[np.bool_]) -> HeldOut:
        """The views where `keep` (n,) is true."""
        parts = tuple(p for p, k in zip(self.part, keep, strict=True) if k)
        return HeldOut(self.distances[keep], self.view_index[keep], parts)


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """Per view: the suggested limit, and the held-out good scores from which it was taken."""

    limits: dict[str, float]
    good_scores: dict[str, tuple[float, float]]  # mean and highest


def set_limits(
    network: AnomalyNetwork, held_out: HeldOut, views: tuple[str, ...], config: TrainConfig
) -> tuple[ScoreCalibration, ViewLimits]:
    """Take limits from scores of parts that their calibration has not seen, then calibrate on all held-out parts.

    The network keeps that final calibration. ValueError where a view has fewer than two good parts in a fold.
    """
    scores = cross_scores(network, held_out, len(views), config)
    calibration = calibrate_scores(network, held_out, len(views), config)
    per_view = {name: scores[held_out.view_index == v] for v, name in enumerate(views)}
    limits = {name: round(suggested_limit(s, config), 3) for name, s in per_view.items()}
    good = {name: (round(float(s.mean()), 3), round(float(s.max()), 3)) for name, s in per_view.items()}
    return calibration, ViewLimits(limits, good)


def calibrate_scores(network: AnomalyNetwork, held_out: HeldOut, n_views: int, config: TrainConfig) -> ScoreCalibration:
    """Local centre and spread per token, then median and 99th percentile of the smoothed maps per view and target.

    The network holds the result when this returns. ValueError where a view has fewer than two good parts.
    """
    center, spread = _local(network, held_out, config)
    n_targets = held_out.distances.shape[1]
    median, p99 = np.zeros((n_views, n_targets), np.float32), np.ones((n_views, n_targets), np.float32)
    draft = ScoreCalibration(center, spread, median, p99, len(set(held_out.part)))
    network.scoring.calibrate(draft)
    for view in range(n_views):
        maps = _smoothed(network, held_out, view)
        median[view] = np.median(maps, axis=(0, 2))
        p99[view] = np.maximum(np.percentile(maps, 99, axis=(0, 2)), median[view] + 1e-6)
    final = ScoreCalibration(center, spread, median, p99, len(set(held_out.part)))
    network.scoring.calibrate(final)
    return final


def _smoothed(network: AnomalyNetwork, held_out: HeldOut, view: int) -> NDArray[np.float32]:
    """(n, T, tokens) of one view's held-out parts, where they lie on its region."""
    chosen = np.flatnonzero(held_out.view_index == view)
    inside = network.region.inside[view] > 0
    with torch.no_grad():
        found = [
            network.scoring.smooth(torch.from_numpy(held_out.distances[i : i + 1]), torch.tensor([view]))[..., inside]
            for i in chosen
        ]
    return np.asarray(torch.cat(found).numpy())


def _local(
    network: AnomalyNetwork, held_out: HeldOut, config: TrainConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and spread of distances at each token, both (V, T, N), smoothed over neighbours; 0 and 1 if not wanted.

    A floor of a share of the view's median spread keeps tokens that hardly vary from dominating the map.
    """
    n_views = len(network.region.index)
    shape = (n_views, *held_out.distances.shape[1:])
    center, spread = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    if not config.score.local:
        return center, spread
    for view in range(n_views):
        d = held_out.distances[held_out.view_index == view]
        if len(d) < 2:
            raise ValueError(
                f"view {view} has {len(d)} held-out good parts, but the spread at a token needs two or more: "
                "make the data set with more `calibrate` parts"
            )
        center[view] = _around(network, d.mean(axis=0), view, 0.7)
        around = np.sqrt(np.maximum(_around(network, d.var(axis=0, ddof=1), view, 1.0), 0.0))
        median = np.median(around, axis=1, keepdims=True)
        floor = np.maximum(config.score.local_floor * median, config.score.spread_minimum * np.ones_like(median))
        spread[view] = np.sqrt(around**2 + floor**2)
    return center, spread


def _around(network: AnomalyNetwork, values: NDArray[np.floating], view: int, sigma: float) -> NDArray[np.float32]:
    """(T, N) -> (T, N): the mean around each token on the grid, of those that lie on the region."""
    index = torch.tensor([view])
    tokens = torch.from_numpy(np.ascontiguousarray(values, np.float32))[None]
    on_grid = network.region.put(tokens, index)[0].numpy()
    inside = network.region.inside[view].numpy()
    weight = cv2.GaussianBlur(inside, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    blurred = np.stack([
        cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT) / np.maximum(weight, 1e-6)
        for plane in on_grid
    ])
    return np.asarray(blurred.reshape(len(values), -1)[:, network.region.index[view].numpy()], np.float32)


def scores_of(network: AnomalyNetwork, held_out: HeldOut) -> NDArray[np.float64]:
    """(n,) view scores under the calibration that the network holds now."""
    found = []
    with torch.no_grad():
        for i in range(len(held_out.part)):
            view = torch.from_numpy(held_out.view_index[i : i + 1])
            smoothed = network.scoring.smooth(torch.from_numpy(held_out.distances[i : i + 1]), view)
            score, _ = network.scoring.fuse(smoothed, network.region.inside[view], view)
            found.append(float(score[0]))
    return np.array(found)


def cross_scores(
    network: AnomalyNetwork, held_out: HeldOut, n_views: int, config: TrainConfig, folds: int = 5
) -> NDArray[np.float64]:
    """(n,) scores of held-out good views, each under a calibration that has not seen its part.

    The network is left with the last fold's calibration.
    """
    names = sorted(set(held_out.part))
    fold_of = {name: i % folds for i, name in enumerate(names)}
    fold = np.array([fold_of[p] for p in held_out.part])
    scores = np.zeros(len(held_out.part))
    for k in range(min(folds, len(names))):
        calibrate_scores(network, held_out.subset(fold != k), n_views, config)
        scores[fold == k] = scores_of(network, held_out.subset(fold == k))
    return scores


def suggested_limit(scores: NDArray[np.float64], config: TrainConfig) -> float:
    """A limit above which a good view is expected with probability `limit_false_alarm`.

    The score is the mean of the most extreme pixels, so held-out good scores are fitted by a Gumbel law (method of
    moments) and its quantile is taken; never less than the highest score seen, with a margin. A share of the parts is
    spared from that: of 80 held-out parts one may lie above. A single odd part had put a side view's limit at three
    times the score of any other part, and a scratch of 10 mm passed there.
    """
    beta = float(np.std(scores, ddof=1)) * np.sqrt(6.0) / np.pi
    location = float(np.mean(scores)) - EULER_GAMMA * beta
    quantile = location - beta * np.log(-np.log1p(-config.limit_false_alarm))
    spared = int(len(scores) * config.limit_spared_share)
    highest = float(np.sort(scores)[-1 - spared])
    return float(max(quantile, config.limit_minimum_margin * highest))
