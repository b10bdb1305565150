"""The detector as one module: raw inputs to calibrated map and score. This is what the ONNX file holds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.config import TrainConfig
from models.encoder import FilterBank, Whitening
from models.encoders.registry import load_encoder
from models.neighbours import NeighbourBranch
from models.place_gauss import PlaceGauss
from models.reconstruction import Cprn
from models.region import RegionTokens
from models.scoring import Scoring
from models.unseen import UnseenNormals


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
        self.modalities = 2 if config.network.has_normals else 1
        self.region = RegionTokens(regions, input_size, n_views, stride)
        size = (self.region.grid[0] * stride, self.region.grid[1] * stride)
        is_filled = config.network.fill_unseen and config.network.has_normals
        self.unseen = UnseenNormals(n_views, size) if is_filled else None
        self.bank = FilterBank(config.encoder)
        components = min(config.encoder.components, self.bank.responses)
        self.whitening = Whitening(self.bank.responses, components)
        self.cprn = Cprn(config.network, components, self.region.grid, n_views)
        self.gauss = (
            PlaceGauss(n_views, self.bank.modalities, self.region.count, self.bank.responses)
            if config.score.place_gauss
            else None
        )
        self.near = self._neighbours(config, stride, n_views)
        self.scoring = Scoring(config.score, self.region, len(self.targets))

    def _neighbours(self, config: TrainConfig, stride: int, n_views: int) -> NeighbourBranch | None:
        """The third branch, on an encoder of its own, where the configuration asks for one."""
        if config.neighbours is None:
            return None
        size = (self.region.grid[0] * stride, self.region.grid[1] * stride)
        encoder = load_encoder(config.neighbours.encoder, size, 2 if config.network.has_normals else 1)
        return NeighbourBranch(encoder, config.neighbours, size, self.region.grid, n_views)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names along the T axis: what CPRN rebuilds, then the second branch's modalities."""
        second = () if self.gauss is None else ("rgb_at_place", "normals_at_place")[: self.modalities]
        third = () if self.near is None else ("rgb_near", "normals_near")[: self.near.encoder.modalities]
        return (*self.cprn.names, *second, *third)

    def doubt(self) -> Tensor | None:
        """(V, M, N): which share of each place has doubtful normals; None where they are taken as they come."""
        if self.unseen is None:
            return None
        of_normals = self.unseen.doubt(self.region.stride).flatten(1).gather(1, self.region.index)
        return torch.stack([torch.zeros_like(of_normals), of_normals], dim=1)

    def features(self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor) -> Tensor:
        """Pictures as `region` cuts them, (B, 3, h, w), and (B,) -> the encoder's (B, 2, N, F), colour first."""
        if self.unseen is not None:
            normals = self.unseen(normals, view_index)
        encoded = self.bank(diffuse_rgb, normals)
        return self.region.take(encoded.permute(0, 1, 3, 4, 2), view_index)

    def distances(self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor) -> Tensor:
        """Pictures as `region` cuts them, (B, 3, h, w), and (B,) -> (B, T, N), in the order of `targets`."""
        features = self.features(diffuse_rgb, normals, view_index)
        measured = self.measured(normals, view_index)
        found = self.of_features(features, measured, view_index, self.gauss)
        if self.near is None:
            return found
        near = self.near.distances(diffuse_rgb, normals, view_index)
        return torch.cat([found, self.region.take(near[..., None], view_index)[..., 0]], dim=1)

    def measured(self, normals: Tensor, view_index: Tensor) -> Tensor | None:
        """Normals as `region` cuts them, (B,) -> (B, N), each token's share with one; None where all count alike."""
        if self.unseen is None:
            return None
        share = self.unseen.measured(normals, self.region.stride)
        return self.region.take(share[:, None, :, :, None], view_index)[:, 0, :, 0]

    def of_features(
        self, features: Tensor, measured: Tensor | None, view_index: Tensor, gauss: PlaceGauss | None
    ) -> Tensor:
        """(B, 2, N, F), (B, N), (B,) -> (B, T, N), the distances of CPRN and of a second branch."""
        found: Tensor = self.cprn(self.whitening(features), self.region.index[view_index], view_index)
        if gauss is not None:
            found = torch.cat([found, gauss(features, view_index)[:, : self.modalities]], dim=1)
        if measured is None:
            return found
        ones = torch.ones_like(measured)
        names = self.targets[: found.shape[1]]
        return found * torch.stack([measured if name.startswith("normals") else ones for name in names], dim=1)

    def forward(
        self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor, region: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) linear 0..1, unit normals, (B,), (B, H, W) -> the outputs of a model file.

        pred_score (B,), anomaly_map (B, H, W), target_maps (B, T, h, w).
        """
        rgb, directions = self.region(diffuse_rgb, normals, region)
        score, fused, of_targets = self.scoring(self.distances(rgb, directions, view_index), view_index, region)
        return score, fused, of_targets
