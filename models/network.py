"""The detector as one module: raw inputs to calibrated map and score. This is what the ONNX file holds."""

from __future__ import annotations

from torch import Tensor, nn

from models.config import MODALITIES, TrainConfig
from models.encoder import FilterBank, Whitening
from models.reconstruction import Cprn
from models.scoring import Scoring


class AnomalyNetwork(nn.Module):
    """Filter bank, whitening, CPRN and scoring, with the inputs and outputs that a station expects of a model file."""

    def __init__(self, config: TrainConfig, input_size: tuple[int, int], n_views: int) -> None:
        """`input_size` is (H, W) in pixels; ValueError unless both are multiples of the token stride."""
        super().__init__()
        stride = config.encoder.stride_px
        if input_size[0] % stride or input_size[1] % stride:
            raise ValueError(
                f"input size {input_size[0]} x {input_size[1]} px is not a multiple of the token stride, {stride} px: "
                "choose another encoder.stride_px"
            )
        self.grid = (input_size[0] // stride, input_size[1] // stride)
        self.bank = FilterBank(config.encoder)
        components = min(config.encoder.components, self.bank.responses)
        self.whitening = Whitening(self.bank.responses, components)
        self.cprn = Cprn(config.network, components, self.grid, n_views)
        self.scoring = Scoring(config.score, input_size, self.grid, n_views, len(self.cprn.targets))

    def tokens(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) linear 0..1 and unit normals (B, 3, H, W) -> whitened tokens (B, 2, h, w, C), colour first."""
        white: Tensor = self.whitening(self.bank(diffuse_rgb, normals))
        return white

    def forward(self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs of `tokens` and the view's index (B,) int64 -> pred_score (B,), anomaly_map (B, H, W)."""
        score, fused = self.scoring(self.cprn(self.tokens(diffuse_rgb, normals), view_index), view_index)
        return score, fused

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the reconstructed targets, in the order of the T axis."""
        return tuple(MODALITIES[t] for t in self.cprn.targets)
