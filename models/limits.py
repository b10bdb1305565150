"""What held-out good parts decide: the calibration of scores, and the limits at a stated risk (part_limits.py)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.config import TrainConfig
from models.dataset import PLAIN
from models.network import AnomalyNetwork
from models.part_limits import PartLimits, Risk, limits_by_risk
from models.scoring import ScoreCalibration


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Distances of held-out good views, with view, part and variant of each."""

    distances: NDArray[np.float32]  # (n, T, N)
    view_index: NDArray[np.int64]  # (n,)
    part: tuple[str, ...]
    variant: tuple[str, ...] = ()  # none: all are plain

    def subset(self, keep: NDArray[np.bool_]) -> HeldOut:
        """The views where `keep` (n,) is true."""
        parts = tuple(p for p, k in zip(self.part, keep, strict=True) if k)
        variants = tuple(v for v, k in zip(self.variants, keep, strict=True) if k)
        return HeldOut(self.distances[keep], self.view_index[keep], parts, variants)

    def joined(self, other: HeldOut) -> HeldOut:
        """These views, then those of other parts."""
        return HeldOut(
            np.concatenate([self.distances, other.distances]),
            np.concatenate([self.view_index, other.view_index]),
            self.part + other.part,
            self.variants + other.variants,
        )

    @property
    def variants(self) -> tuple[str, ...]:
        """The variant of each view."""
        return self.variant or (PLAIN,) * len(self.part)


@dataclass(frozen=True, slots=True)
class GoodScores:
    """Scores of held-out good parts, each under a calibration that has not seen its part."""

    parts: tuple[str, ...]
    by_variant: dict[str, dict[str, tuple[float, ...]]]  # variant -> view -> scores in the order of `parts`

    def worst(self) -> dict[str, tuple[float, ...]]:
        """Per view: of each part the highest over its variants, which count as one part."""
        tables = list(self.by_variant.values())
        return {view: tuple(np.max([table[view] for table in tables], axis=0).tolist()) for view in tables[0]}

    def summary(self) -> dict[str, tuple[float, float]]:
        """Per view: mean and highest."""
        return {v: (round(float(np.mean(s)), 3), round(float(np.max(s)), 3)) for v, s in self.worst().items()}


def set_limits(
    network: AnomalyNetwork, held_out: HeldOut, views: tuple[str, ...], config: TrainConfig,
    learned: HeldOut | None = None,
) -> tuple[ScoreCalibration, PartLimits, GoodScores, GoodScores | None]:  # fmt: skip
    """Take limits from scores of parts that their calibration has not seen, then calibrate on all of these parts.

    `learned` are parts that the network was fitted to (cross_fit.py); their scores are the last of what is returned.
    The network keeps that final calibration. ValueError where a view has fewer than two good parts in a fold, a part
    lacks a view, or there are too few parts for limits.
    """
    known = held_out if learned is None else held_out.joined(learned)
    scores = cross_scores(network, known, len(views), config)
    calibration = calibrate_scores(network, known, len(views), config)
    n = len(held_out.part)
    good = good_scores(scores[:n], held_out, views)
    of_learned = None if learned is None else good_scores(scores[n:], learned, views)
    risk = Risk(config.overkill, config.confidence)
    found = limits_by_risk(good.worst(), risk, {} if of_learned is None else of_learned.worst())
    return calibration, found, good, of_learned


def good_scores(scores: NDArray[np.float64], held_out: HeldOut, views: tuple[str, ...]) -> GoodScores:
    """`scores` (n,) of the held-out views, by variant, view and part.

    A variant under which a part was not solved counts as its plain one. ValueError for a part without a plain view.
    """
    parts = tuple(sorted(set(held_out.part)))
    keys = zip(held_out.variants, held_out.view_index, held_out.part, strict=True)
    found = {(variant, views[v], part): round(float(s), 6) for (variant, v, part), s in zip(keys, scores, strict=True)}
    missing = [(view, part) for view in views for part in parts if (PLAIN, view, part) not in found]
    if missing:
        raise ValueError(f"held-out part {missing[0][1]} has no plain view {missing[0][0]!r}: make the data set anew")
    return GoodScores(
        parts,
        {
            variant: {
                view: tuple(found.get((variant, view, part), found[PLAIN, view, part]) for part in parts)
                for view in views
            }
            for variant in sorted(set(held_out.variants), key=lambda name: (name != PLAIN, name))
        },
    )


def calibrate_scores(network: AnomalyNetwork, held_out: HeldOut, n_views: int, config: TrainConfig) -> ScoreCalibration:
    """Local centre and spread per token, then median and 99th percentile of the smoothed maps per view and target.

    The network holds the result when this returns. ValueError where a view has fewer than two good parts.
    """
    center, spread = _local(network, held_out, config)
    n_targets = held_out.distances.shape[1] * len(config.score.scales_px)
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
    """(n, S T, tokens) of one view's held-out parts, where they lie on its region."""
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
    blurred = np.stack(
        [
            cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT) / np.maximum(weight, 1e-6)
            for plane in on_grid
        ]
    )
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
