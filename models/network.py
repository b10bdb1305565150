"""The whole detector as one module: raw inputs to calibrated map and score. This is what the ONNX file holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.config import MODALITIES, ScoreConfig, TrainConfig
from models.cprn import Cprn
from models.encoder import DepthwiseFilter, FilterBank, Whitening, gaussian_kernel


@dataclass(frozen=True, slots=True)
class Calibration:
    """What held-out good parts look like to the network; T targets, (h, w) tokens."""

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

    def calibrate(self, calibration: Calibration) -> None:
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


class AnomalyNetwork(nn.Module):
    """Filter bank, whitening, CPRN and scoring; the inputs of the border contract, its two outputs."""

    def __init__(
        self, config: TrainConfig, input_size: tuple[int, int], n_views: int, whitening: Whitening | None = None
    ) -> None:
        super().__init__()
        stride = config.encoder.stride_px
        if input_size[0] % stride or input_size[1] % stride:
            raise ValueError(f"input size {input_size} is not a multiple of the token stride {stride}")
        self.grid = (input_size[0] // stride, input_size[1] // stride)
        self.bank = FilterBank(config.encoder)
        components = min(config.encoder.components, self.bank.responses)
        self.whitening = whitening or Whitening(self.bank.responses, components)
        self.cprn = Cprn(config.network, components, self.grid, n_views)
        self.scoring = Scoring(config.score, input_size, self.grid, n_views, len(self.cprn.targets))

    def tokens(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 2, h, w, C) whitened."""
        white: Tensor = self.whitening(self.bank(diffuse_rgb, normals))
        return white

    def forward(self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor) -> tuple[Tensor, Tensor]:
        """-> pred_score (B,), anomaly_map (B, H, W)."""
        score, fused = self.scoring(self.cprn(self.tokens(diffuse_rgb, normals), view_index), view_index)
        return score, fused

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(MODALITIES[t] for t in self.cprn.targets)
