"""From token distances to one calibrated map and one score per view. An addition to the paper.

The paper takes the map from the last stage and the score from L_r, both as they come. Here a distance is first
expressed in spreads of good parts at the same token of the same view, the map is smoothed and scaled by what good
parts reach in that view, and the score is the mean of its highest pixels, so that a small defect is not averaged away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.config import ScoreConfig
from models.encoder import DepthwiseFilter, gaussian_kernel


@dataclass(frozen=True, slots=True)
class ScoreCalibration:
    """What held-out good parts look like to the network: V views, T targets, a grid of (h, w) tokens."""

    center: NDArray[np.float32]  # (V, T, h, w) mean distance
    spread: NDArray[np.float32]  # (V, T, h, w) standard deviation, floored
    median: NDArray[np.float32]  # (V, T) of the smoothed maps
    p99: NDArray[np.float32]  # (V, T) of the smoothed maps, above the median
    n_parts: int


class Scoring(nn.Module):
    """Token distances to one calibrated map and one score per view (0 = ordinary, 1 = good parts' 99th percentile)."""

    center: Tensor
    spread: Tensor
    median: Tensor
    p99: Tensor

    def __init__(
        self, config: ScoreConfig, input_size: tuple[int, int], grid: tuple[int, int], n_views: int, n_targets: int
    ) -> None:
        super().__init__()
        self.config, self.input_size = config, input_size
        self.top = max(1, round(config.top_fraction * input_size[0] * input_size[1]))
        kernel = gaussian_kernel(config.sigma_px)
        self.blur_x = DepthwiseFilter(kernel[None, :], n_targets)
        self.blur_y = DepthwiseFilter(kernel[:, None], n_targets)
        self.register_buffer("center", torch.zeros(n_views, n_targets, *grid))
        self.register_buffer("spread", torch.ones(n_views, n_targets, *grid))
        self.register_buffer("median", torch.zeros(n_views, n_targets))
        self.register_buffer("p99", torch.ones(n_views, n_targets))

    def calibrate(self, calibration: ScoreCalibration) -> None:
        """Take over a calibration; until then center and median are 0, spread and p99 are 1."""
        for name in ("center", "spread", "median", "p99"):
            getattr(self, name).copy_(torch.from_numpy(getattr(calibration, name)))

    def smooth(self, distances: Tensor, view_index: Tensor) -> Tensor:
        """(B, T, h, w) -> (B, T, H, W): relative to good parts at the same place, upsampled, blurred."""
        relative = (distances - self.center[view_index]) / self.spread[view_index]
        large = functional.interpolate(relative, size=self.input_size, mode="bilinear", align_corners=False)
        blurred: Tensor = self.blur_y(self.blur_x(large))
        return blurred

    def forward(self, distances: Tensor, view_index: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, h, w), (B,) -> score (B,), map (B, H, W)."""
        return self.fuse(self.smooth(distances, view_index), view_index)

    def fuse(self, smoothed: Tensor, view_index: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, H, W) from `smooth`, (B,) -> score (B,), map (B, H, W)."""
        median, p99 = self.median[view_index][:, :, None, None], self.p99[view_index][:, :, None, None]
        calibrated = (smoothed - median) / (p99 - median)
        fused = calibrated.amax(dim=1) if self.config.fuse == "max" else calibrated.sum(dim=1)
        pixels = fused.reshape(fused.shape[0], self.input_size[0] * self.input_size[1])
        return pixels.topk(self.top, dim=1, sorted=False).values.mean(dim=1), fused
