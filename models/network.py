"""The detector as one module: raw inputs to calibrated map and score. This is what the ONNX file holds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.config import TrainConfig
from models.encoder import FilterBank, Whitening
from models.place_gauss import PlaceGauss
from models.reconstruction import Cprn
from models.region import RegionTokens
from models.scoring import Scoring


class AnomalyNetwork(nn.Module):
    """Region, encoder, whitening, CPRN, second branch and scoring, with the inputs and outputs of a model file."""

    def __init__(
        self, config: TrainConfig, input_size: tuple[int, int], n_views: int, regions: NDArray[np.bool_] | None = None
    ) -> None:
        """`input_size` is (H, W) in pixels, `regions` (V, H, W); ValueError unless both are multiples of the stride."""
        super().__init__()
        stride = config.encoder.stride_px
        if input_size[0] % stride or input_size[1] % stride:
            raise ValueError(
                f"input size {input_size[0]} x {input_size[1]} px is not a multiple of the token stride, {stride} px: "
                "choose another encoder.stride_px"
            )
        self.region = RegionTokens(regions, input_size, n_views, stride)
        self.bank = FilterBank(config.encoder)
        components = min(config.encoder.components, self.bank.responses)
        self.whitening = Whitening(self.bank.responses, components)
        self.cprn = Cprn(config.network, components, self.region.grid, n_views)
        self.gauss = (
            PlaceGauss(n_views, self.bank.modalities, self.region.count, self.bank.responses)
            if config.score.place_gauss
            else None
        )
        self.scoring = Scoring(config.score, self.region, len(self.targets))

    @property
    def targets(self) -> tuple[str, ...]:
        """Names along the T axis: what CPRN rebuilds, then the second branch's modalities."""
        second = () if self.gauss is None else ("rgb_at_place", "normals_at_place")
        return (*self.cprn.names, *second)

    def features(self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor, region: Tensor) -> Tensor:
        """(B, 3, H, W) linear 0..1, unit normals, (B,), (B, H, W) -> the encoder's (B, 2, N, F), colour first."""
        encoded = self.bank(*self.region(diffuse_rgb, normals, region))
        return self.region.take(encoded.permute(0, 1, 3, 4, 2), view_index)

    def distances(self, features: Tensor, view_index: Tensor) -> Tensor:
        """(B, 2, N, F), (B,) -> (B, T, N)."""
        found = self.cprn(self.whitening(features), self.region.index[view_index], view_index)
        if self.gauss is not None:
            found = torch.cat([found, self.gauss(features, view_index)], dim=1)
        return found

    def forward(
        self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor, region: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs of `features` -> pred_score (B,), anomaly_map (B, H, W), target_maps (B, T, h, w)."""
        features = self.features(diffuse_rgb, normals, view_index, region)
        score, fused, of_targets = self.scoring(self.distances(features, view_index), view_index, region)
        return score, fused, of_targets
