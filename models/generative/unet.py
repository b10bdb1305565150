"""The denoising U-Net epsilon_theta(x_t, t, I, P) of section A.1, with blocks from diffusers and our conditioner.

`UNet2DConditionModel` of diffusers takes one sequence of tokens for all its levels. The paper's conditioner answers to
the U-Net's own features at each level, so the levels are joined here.
"""

from __future__ import annotations

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn
from torch.nn import functional

from models.generative.autoencoder import NORM_GROUPS, residual_block
from models.generative.conditioner import BiModalCrossAttention, Conditions
from models.generative.config import DepthConfig

WAVES, TIME_WIDTH = 32, 128


class DenoisingUnet(nn.Module):
    """Two levels, at 1/4 and 1/8 of the picture; the conditioner answers twice at the coarse and once at the fine."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        a, b = config.widths
        self.joined = config.joined_input
        self.waves = Timesteps(WAVES, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time = TimestepEmbedding(WAVES, TIME_WIDTH)
        self.entry = nn.Conv2d(config.latent_channels + (2 * a if self.joined else 0), a, 3, padding=1)
        self.fine = residual_block(a, a, TIME_WIDTH)
        self.ask_fine = BiModalCrossAttention(a, config)
        self.down = nn.Conv2d(a, a, 3, stride=2, padding=1)
        self.coarse = residual_block(a, b, TIME_WIDTH)
        self.ask_coarse = BiModalCrossAttention(b, config)
        self.middle = residual_block(b, b, TIME_WIDTH)
        self.ask_middle = BiModalCrossAttention(b, config)
        self.up = nn.Conv2d(b, a, 3, padding=1)
        self.last = residual_block(2 * a, a, TIME_WIDTH)
        self.out = nn.Sequential(
            nn.GroupNorm(NORM_GROUPS, a), nn.SiLU(), nn.Conv2d(a, config.latent_channels, 3, padding=1)
        )

    def forward(self, x_t: Tensor, t: Tensor, given: Conditions) -> Tensor:
        """(B, C, h, w), (B,) levels -> (B, C, h, w), the noise or velocity that is in x_t."""
        time = self.time(self.waves(t))
        x = self.entry(torch.cat([x_t, given.finest], dim=1) if self.joined else x_t)
        x = self.fine(x, time)
        fine = x + self.ask_fine(x, given.I[0], given.P[0])
        x = self.coarse(self.down(fine), time)
        x = x + self.ask_coarse(x, given.I[1], given.P[1])
        x = self.middle(x, time)
        x = x + self.ask_middle(x, given.I[1], given.P[1])
        x = self.up(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        predicted: Tensor = self.out(self.last(torch.cat([fine, x], dim=1), time))
        return predicted
