"""From token distances to one calibrated map and one score per view. An addition to the paper.

The paper takes the map from the last stage and the score from L_r, both as they come. Here a distance is first
expressed in spreads of good parts at the same token of the same view, the map is smoothed (twice: a pit is smaller than
a token, a stain larger) and scaled by what good parts reach in that view, and the score is the mean of its highest
tokens, so that a small defect is not averaged away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.config import ScoreConfig
from models.encoder import DepthwiseFilter, gaussian_kernel
from models.region import RegionTokens

OUTSIDE = -1e4  # of a token that is not looked at, where the highest ones are chosen


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """What held-out good parts look like to the network: V views, T targets, N tokens in a view."""

    center: NDArray[np.float32]  # (V, T, N) mean distance
    spread: NDArray[np.float32]  # (V, T, N) standard deviation, floored
    median: NDArray[np.float32]  # (V, S T) of the smoothed maps, at S scales
    p99: NDArray[np.float32]  # (V, S T) of the smoothed maps, above the median
    n_parts: int


class Scoring(nn.Module):
    """Token distances to one calibrated map and one score per view (0 = ordinary, 1 = good parts' 99th percentile)."""

    center: Tensor
    spread: Tensor
    median: Tensor
    p99: Tensor

    def __init__(self, config: ScoreConfig, tokens: RegionTokens, n_targets: int) -> None:
        super().__init__()
        self.config, self.tokens = config, tokens
        n_views = len(tokens.index)
        kernels = [gaussian_kernel(sigma / tokens.stride) for sigma in config.scales_px]
        planes = n_targets + 1
        self.blur_x = nn.ModuleList(DepthwiseFilter(k[None, :], planes, border="constant") for k in kernels)
        self.blur_y = nn.ModuleList(DepthwiseFilter(k[:, None], planes, border="constant") for k in kernels)
        self.register_buffer("center", torch.zeros(n_views, n_targets, tokens.count))
        self.register_buffer("spread", torch.ones(n_views, n_targets, tokens.count))
        self.register_buffer("median", torch.zeros(n_views, len(kernels) * n_targets))
        self.register_buffer("p99", torch.ones(n_views, len(kernels) * n_targets))

    def calibrate(self, calibration: ScoreCalibration) -> None:
        """Take over a calibration; until then center and median are 0, spread and p99 are 1."""
        for name in ("center", "spread", "median", "p99"):
            getattr(self, name).copy_(torch.from_numpy(getattr(calibration, name)))

    def smooth(self, distances: Tensor, view_index: Tensor, inside: Tensor | None = None) -> Tensor:
        """(B, T, N) -> (B, S T, h, w): relative to good parts at the same place, blurred within the region at S scales.

        `inside` (B, h, w) are the tokens that count, all of the view's unless given: what lies outside, or was not
        seen, does not blur into the rest.
        """
        inside = (self.tokens.inside[view_index] if inside is None else inside)[:, None]
        relative = (distances - self.center[view_index]) / self.spread[view_index]
        with_weight = torch.cat([self.tokens.put(relative, view_index) * inside, inside], dim=1)
        at_scales = []
        for blur_x, blur_y in zip(self.blur_x, self.blur_y, strict=True):
            blurred = blur_y(blur_x(with_weight))
            at_scales.append(blurred[:, :-1] / (blurred[:, -1:] + (1.0 - inside)))
        return torch.cat(at_scales, dim=1)

    def forward(self, distances: Tensor, view_index: Tensor, region: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, N), (B,), (B, H, W) -> score (B,), map (B, H, W), every target's maps (B, S T, h, w) on tokens.

        Outside the region the maps are 0. Those of the targets are for the self-test: the fused map shows only the
        oddest target, and damage to the others would hide behind it.
        """
        inside = self.tokens.tokens_of(region, view_index)
        smoothed = self.smooth(distances, view_index, inside)
        score, fused = self.fuse(smoothed, inside, view_index)
        return score, self.tokens.whole(fused, region), self.calibrated(smoothed, view_index) * inside[:, None]

    def calibrated(self, smoothed: Tensor, view_index: Tensor) -> Tensor:
        """(B, S T, h, w) from `smooth` -> the same in units of good parts: 0 their median, 1 their 99th percentile."""
        median, p99 = self.median[view_index][:, :, None, None], self.p99[view_index][:, :, None, None]
        return (smoothed - median) / (p99 - median)

    def fuse(self, smoothed: Tensor, inside: Tensor, view_index: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S T, h, w) from `smooth`, (B, h, w) the tokens that count, (B,) -> score (B,), map (B, h, w).

        The score is NaN, which passes no limit, where fewer tokens count than are averaged.
        """
        calibrated = self.calibrated(smoothed, view_index)
        fused = calibrated.amax(dim=1) if self.config.fuse == "max" else calibrated.sum(dim=1)
        fused = fused * inside
        h, w = self.tokens.grid
        if self.config.top_tokens == 0:
            return fused.sum(dim=(1, 2)) / inside.sum(dim=(1, 2)), fused
        flat = (fused + (1.0 - inside) * OUTSIDE).reshape(fused.shape[0], h * w)
        top = min(self.config.top_tokens, h * w)
        score = flat.topk(top, dim=1, sorted=False).values.mean(dim=1)
        is_enough = inside.sum(dim=(1, 2)) >= top
        return torch.where(is_enough, score, torch.full_like(score, float("nan"))), fused
