"""The latent of a height map and the dense decoder of section A.1, with the reconstruction loss A3.

Height maps are (B, 1, H, W) in the model's unit of height; a latent is (B, C, H/4, W/4). H and W are multiples of 8.
"""

from __future__ import annotations

import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional

from models.generative.config import DepthConfig

NORM_GROUPS = 8


def residual_block(inside: int, outside: int, time_width: int | None = None) -> nn.Module:
    """Two 3 x 3 convolutions around a skip, from diffusers; `time_width` numbers say the noise level."""
    block: nn.Module = ResnetBlock2D(
        in_channels=inside, out_channels=outside, temb_channels=time_width, groups=NORM_GROUPS
    )
    return block


class Plain(nn.Module):
    """A residual block that knows no noise level, so that it fits into a `Sequential`."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.block = residual_block(inside, outside)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) -> (B, outside, H, W)."""
        y: Tensor = self.block(x, None)
        return y


class HeightEncoder(nn.Module):
    """A true height map to the latent x_0 that the diffusion starts from; the paper does not print it."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        w = config.decoder_width
        self.layers = nn.Sequential(
            nn.Conv2d(1, w, 4, stride=2, padding=1), Plain(w, w),
            nn.Conv2d(w, 2 * w, 4, stride=2, padding=1), Plain(2 * w, 2 * w),
            nn.Conv2d(2 * w, config.latent_channels, 3, padding=1),
        )  # fmt: skip

    def forward(self, height: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, C, H/4, W/4)."""
        latent: Tensor = self.layers(height)
        return latent


class DenseDecoder(nn.Module):
    """The generator of section A.1: a latent to a height map.

    With `guided_decoder` it sees the measured maps at full size: a latent cell covers 4 x 4 pixels, and an edge lies
    between two pixels. Without, it is the printed one.
    """

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        w = config.decoder_width
        guide = w if config.guided_decoder else 0
        self.coarse = nn.Sequential(nn.Conv2d(config.latent_channels, 2 * w, 3, padding=1), Plain(2 * w, 2 * w))
        self.middle = nn.Sequential(nn.Conv2d(2 * w, w, 3, padding=1), Plain(w, w))
        self.fine = nn.Sequential(nn.Conv2d(w + guide, w, 3, padding=1), Plain(w, w))
        self.out = nn.Conv2d(w, 1, 3, padding=1)
        self.guide = (
            nn.Sequential(
                nn.Conv2d(3 + config.geometry_channels, guide, 3, padding=1), nn.SiLU(),
                nn.Conv2d(guide, guide, 3, padding=1), nn.SiLU(),
            )
            if guide
            else None
        )  # fmt: skip

    def forward(self, latent: Tensor, picture: Tensor, geometry: Tensor) -> Tensor:
        """(B, C, H/4, W/4), (B, 3, H, W), (B, G, H, W) -> (B, 1, H, W)."""
        x = self.middle(functional.interpolate(self.coarse(latent), scale_factor=2.0, mode="nearest"))
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        if self.guide is not None:
            x = torch.cat([x, self.guide(torch.cat([picture, geometry], dim=1))], dim=1)
        height: Tensor = self.out(self.fine(x))
        return height


def L_reconstruct(height: Tensor, true_height: Tensor, valid: Tensor) -> Tensor:
    """Equation A3: the mean squared error, over the pixels whose truth exists; `valid` is (B, 1, H, W), 0 or 1."""
    return ((height - true_height) ** 2 * valid).sum() / valid.sum().clamp(min=1.0)
