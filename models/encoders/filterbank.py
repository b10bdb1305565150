"""The weight-free filter bank as an encoder."""

from __future__ import annotations

from torch import Tensor

from models.config import EncoderConfig
from models.encoder import ENCODER_ID, FilterBank
from models.encoders.protocol import Encoder


class FilterBankEncoder(Encoder):
    """`models.encoder.FilterBank` behind the protocol; `modalities` 1 drops what it finds in the normals."""

    def __init__(self, config: EncoderConfig | None = None, modalities: int = 2) -> None:
        super().__init__()
        config = config or EncoderConfig()
        self.id, self.license, self.sha256 = ENCODER_ID, "none needed: no weights", None
        self.stride_px, self.modalities = config.stride_px, modalities
        self.bank = FilterBank(config)
        self.freeze()

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B, modalities, responses, H / stride, W / stride)."""
        found: Tensor = self.bank(diffuse_rgb, normals)
        return found[:, : self.modalities]
