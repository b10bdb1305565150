"""The weight-free encoder: a fixed bank of Gaussian, gradient and Laplacian filters, pooled to tokens and whitened.

It stands where the paper has two frozen pre-trained ViTs. Its filters see a few pixels around a token, so a part must
lie in the same place to a pixel or two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.config import EncoderConfig

ENCODER_ID = "filterbank-1"
RESPONSES = 5  # G, |grad G|, Lap G, |Lap G|, |c - G|


def gaussian_kernel(sigma_px: float) -> NDArray[np.float64]:
    """(n,) a normalised Gaussian, cut at four sigma; one for sigma 0, which changes nothing."""
    if sigma_px == 0:
        return np.ones(1)
    radius = math.ceil(4 * sigma_px)
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    k = np.exp(-0.5 * (x / sigma_px) ** 2)
    return np.asarray(k / k.sum())


class DepthwiseFilter(nn.Module):
    """One fixed (kh, kw) kernel over every channel, borders reflected."""

    kernel: Tensor

    def __init__(self, kernel: NDArray[np.float64], channels: int) -> None:
        super().__init__()
        kh, kw = kernel.shape
        self.channels = channels
        self.pad = (kw // 2, kw // 2, kh // 2, kh // 2)
        weight = torch.tensor(kernel, dtype=torch.float32).reshape(1, 1, kh, kw).repeat(channels, 1, 1, 1)
        self.register_buffer("kernel", weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape; a kernel's radius must be smaller than either side."""
        return functional.conv2d(functional.pad(x, self.pad, mode="reflect"), self.kernel, groups=self.channels)


class FilterBank(nn.Module):
    """Six channels, S scales, five responses each: 15 S numbers per token and modality, without a weight to learn.

    Channels are Y, R - Y, B - Y of the linear picture and the three components of the normal.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.stride_px = config.stride_px
        self.responses = 3 * len(config.sigmas_px) * RESPONSES
        smooth, derive = np.array([1.0, 2.0, 1.0]), np.array([-1.0, 0.0, 1.0])
        self.sobel_x = DepthwiseFilter(np.outer(smooth, derive), 6)
        self.sobel_y = DepthwiseFilter(np.outer(derive, smooth), 6)
        self.laplacian = DepthwiseFilter(np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]), 6)
        kernels = [gaussian_kernel(s) for s in config.sigmas_px]
        self.blur_x = nn.ModuleList(DepthwiseFilter(k[None, :], 6) for k in kernels)
        self.blur_y = nn.ModuleList(DepthwiseFilter(k[:, None], 6) for k in kernels)

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B, 2, responses, H / stride, W / stride), colour first."""
        luma = diffuse_rgb.mean(dim=1, keepdim=True)
        chroma_red = diffuse_rgb[:, 0:1] - luma
        chroma_blue = diffuse_rgb[:, 2:3] - luma
        c = torch.cat([luma, chroma_red, chroma_blue, normals], dim=1)
        found = []
        for blur_x, blur_y in zip(self.blur_x, self.blur_y, strict=True):
            g = blur_y(blur_x(c))
            lap = self.laplacian(g)
            slope = torch.sqrt(self.sobel_x(g) ** 2 + self.sobel_y(g) ** 2 + 1e-12)
            found += [g, slope, lap, lap.abs(), (c - g).abs()]
        pooled = [functional.avg_pool2d(f, self.stride_px) for f in found]
        return torch.stack([torch.cat([p[:, 0:3] for p in pooled], 1), torch.cat([p[:, 3:6] for p in pooled], 1)], 1)


class Whitening(nn.Module):
    """z = (f - mean) M per modality: an affine map fixed by the good training parts."""

    mean: Tensor
    matrix: Tensor

    def __init__(self, responses: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2, responses))
        self.register_buffer("matrix", torch.zeros(2, responses, components))

    def forward(self, features: Tensor) -> Tensor:
        """(B, 2, responses, h, w) -> (B, 2, h, w, components)."""
        moved = features.permute(0, 1, 3, 4, 2) - self.mean[None, :, None, None, :]
        return torch.matmul(moved, self.matrix[:, None])


@dataclass(slots=True)
class TokenMoments:
    """Running sums for mean and covariance of bank responses, both modalities; F responses per token."""

    count: int
    total: NDArray[np.float64]  # (2, F)
    products: NDArray[np.float64]  # (2, F, F)

    @classmethod
    def empty(cls, responses: int) -> TokenMoments:
        """No token counted yet."""
        return cls(0, np.zeros((2, responses)), np.zeros((2, responses, responses)))

    def add(self, features: Tensor) -> None:
        """Fold in (B, 2, F, h, w) in float64."""
        f = features.detach().permute(1, 0, 3, 4, 2).reshape(2, -1, features.shape[2]).numpy().astype(np.float64)
        self.count += f.shape[1]
        self.total += f.sum(axis=1)
        self.products += f.transpose(0, 2, 1) @ f

    def whitening(self, config: EncoderConfig) -> Whitening:
        """PCA whitening: M = V diag(1 / sqrt(w + floor w_1)), after unit variance per filter if asked for.

        w are the `components` largest eigenvalues of the covariance, V their vectors, w_1 the largest.
        """
        responses = self.total.shape[1]
        components = min(config.components, responses)
        white = Whitening(responses, components)
        mean = self.total / self.count
        for m in range(2):
            covariance = self.products[m] / self.count - np.outer(mean[m], mean[m])
            scale = np.ones(responses)
            if config.standardise:
                spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
                scale = 1.0 / np.maximum(spread, 1e-6 + 1e-3 * float(spread.max()))
            eigenvalues, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
            order = np.argsort(eigenvalues)[::-1][:components]
            w, v = np.maximum(eigenvalues[order], 0.0), vectors[:, order]
            matrix = scale[:, None] * v / np.sqrt(w + config.floor * max(float(w[0]), 1e-12))
            white.mean[m] = torch.tensor(mean[m], dtype=torch.float32)
            white.matrix[m] = torch.tensor(matrix, dtype=torch.float32)
        return white
