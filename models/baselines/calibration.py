"""From a baseline's distances to a calibrated map and score, as models/scoring.py and models/limits.py do for CPRN.

Every method gets the same: spreads of held-out good parts at each place, smoothing, scaling by what good parts reach,
the mean of the highest pixels. What differs between rows of a table is then the method alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.config import ScoreConfig, TrainConfig
from models.part_limits import Risk, limits_by_risk

FOLDS = 5


@dataclass(frozen=True, slots=True)
class HeldOutView:
    """Distances (T, h, w) of one held-out good view."""

    part: str
    view: int
    distances: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ViewCalibration:
    """What held-out good parts look like to a method in one view; T targets on a grid of (h, w) tokens."""

    config: ScoreConfig
    region: NDArray[np.bool_]  # (H, W)
    inside: NDArray[np.bool_]  # (h, w)
    center: NDArray[np.float32]  # (T, h, w)
    spread: NDArray[np.float32]  # (T, h, w)
    median: NDArray[np.float32]  # (S T,) at S scales of smoothing
    p99: NDArray[np.float32]  # (S T,)

    def relative(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, h, w) in spreads of good parts at the same place, 0 outside the region."""
        return np.where(self.inside, (distances - self.center) / self.spread, np.float32(0))

    def smoothed(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """(S T, h, w) relative distances, blurred within the region at S scales; 0 outside."""
        relative = self.relative(distances)
        return np.concatenate([self._at_scale(relative, scale_px) for scale_px in self.config.scales_px])

    def _at_scale(self, relative: NDArray[np.float32], scale_px: float) -> NDArray[np.float32]:
        sigma = scale_px * self.inside.shape[0] / self.region.shape[0]
        if sigma == 0:
            return relative
        weight = np.where(self.inside, _blurred(self.inside.astype(np.float32), sigma), np.float32(1))
        return np.stack([np.where(self.inside, _blurred(p, sigma) / weight, np.float32(0)) for p in relative])

    def judge(self, distances: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
        """(T, h, w) -> score, map (H, W), which is 0 outside the region."""
        scale = (self.p99 - self.median)[:, None, None]
        fused = ((self.smoothed(distances) - self.median[:, None, None]) / scale).max(axis=0) * self.inside
        on_part = fused[self.inside]
        top = min(self.config.top_tokens or len(on_part), len(on_part))
        score = float(np.partition(on_part, len(on_part) - top)[len(on_part) - top :].mean())
        height, width = self.region.shape
        return score, cv2.resize(fused, (width, height), interpolation=cv2.INTER_LINEAR) * self.region


def _blurred(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """(h, w) with nothing around it."""
    found = cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(found, np.float32)


def calibrate_view(
    distances: NDArray[np.float32], region: NDArray[np.bool_], inside: NDArray[np.bool_], config: ScoreConfig
) -> ViewCalibration:
    """The calibration of one view from held-out (n, T, h, w); ValueError with fewer than two good parts."""
    if len(distances) < 2:
        raise ValueError(
            f"held-out good parts: {len(distances)} of a view, but a spread needs two; make the data set with more "
            "`calibrate` parts"
        )
    targets = distances.shape[1]
    center, spread = np.zeros(distances.shape[1:], np.float32), np.ones(distances.shape[1:], np.float32)
    if config.local:
        variance = distances.var(axis=0, ddof=1)
        for t in range(targets):
            around = np.sqrt(cv2.GaussianBlur(variance[t], (0, 0), 1.0))
            floor = max(config.local_floor * float(np.median(around[inside])), config.spread_minimum)
            spread[t] = np.sqrt(around**2 + floor**2)
            center[t] = cv2.GaussianBlur(distances[:, t].mean(axis=0), (0, 0), 0.7)
    draft = ViewCalibration(config, region, inside, center, spread, *_unscaled(targets * len(config.scales_px)))
    on_part = np.stack([draft.smoothed(d)[:, inside] for d in distances])
    median = np.median(on_part, axis=(0, 2)).astype(np.float32)
    p99 = np.maximum(np.percentile(on_part, 99, axis=(0, 2)), median + 1e-6).astype(np.float32)
    return ViewCalibration(config, region, inside, center, spread, median, p99)


def _unscaled(targets: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Median and 99th percentile that change nothing."""
    return np.zeros(targets, np.float32), np.ones(targets, np.float32)


def calibrate(
    held_out: Sequence[HeldOutView],
    regions: Sequence[NDArray[np.bool_]],
    inside: NDArray[np.bool_],
    config: TrainConfig,
    score: ScoreConfig,
) -> tuple[list[ViewCalibration], list[float]]:
    """Calibration and limit of each view; the limit from scores under calibrations that have not seen the part.

    Of a part under several variants the highest score counts, as for the model.
    """
    parts = sorted({h.part for h in held_out})
    fold_of = {part: n % FOLDS for n, part in enumerate(parts)}
    found, worst = [], {}
    for view, region in enumerate(regions):
        mine = [h for h in held_out if h.view == view]
        distances = np.stack([h.distances for h in mine]) if mine else np.zeros((0, 1, 1, 1), np.float32)
        fold = np.array([fold_of[h.part] for h in mine])
        scores = np.zeros(len(mine))
        for k in sorted(set(fold.tolist())):
            unseen = calibrate_view(distances[fold != k], region, inside[view], score)
            scores[fold == k] = [unseen.judge(d)[0] for d in distances[fold == k]]
        found.append(calibrate_view(distances, region, inside[view], score))
        names = np.array([h.part for h in mine])
        worst[str(view)] = [float(scores[names == part].max()) for part in parts]
    limits = limits_by_risk(worst, Risk(config.overkill, config.confidence)).limits
    return found, list(limits.values())
