"""From the station's units to what networks trained on photographs expect: display values, ImageNet's normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DisplayPictures(nn.Module):
    """Linear colour to sRGB, normals to (n + 1) / 2, both normalised by ImageNet's mean and deviation."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1), persistent=False)

    def color(self, diffuse_rgb: Tensor) -> Tensor:
        """(B, 3, H, W) linear 0..1 -> the same shape; IEC 61966-2-1 in between, values outside 0..1 clipped."""
        x = diffuse_rgb.clamp(0.0, 1.0)
        srgb = torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
        return (srgb - self.mean) / self.std

    def shape(self, normals: Tensor) -> Tensor:
        """(B, 3, H, W) unit normals -> the same shape; an unobservable normal (0 0 0) becomes middle grey."""
        return ((normals + 1.0) / 2.0 - self.mean) / self.std

    def modality(self, m: int, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """Colour for 0, normals for 1."""
        return self.color(diffuse_rgb) if m == 0 else self.shape(normals)
