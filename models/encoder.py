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

ENCODER_ID = "filterbank-2"  # 1 filtered every scale at full resolution
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
    """One fixed (kh, kw) kernel over every channel, borders reflected, or zero around with `border="constant"`."""

    kernel: Tensor

    def __init__(self, kernel: NDArray[np.float64], channels: int, border: str = "reflect") -> None:
        super().__init__()
        kh, kw = kernel.shape
        self.channels, self.border = channels, border
        self.pad = (kw // 2, kw // 2, kh // 2, kh // 2)
        weight = torch.tensor(kernel, dtype=torch.float32).reshape(1, 1, kh, kw).repeat(channels, 1, 1, 1)
        self.register_buffer("kernel", weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape; a kernel's radius must be smaller than either side."""
        return functional.conv2d(functional.pad(x, self.pad, mode=self.border), self.kernel, groups=self.channels)


class FilterBank(nn.Module):
    """Six channels, three scales, five responses each: 45 numbers per token and modality, without a weight to learn.

    Channels are Y, R - Y, B - Y of the linear picture and the three components of the normal. The first scale is
    filtered at the picture's own resolution, the wider ones at half of it, where they cost a quarter.
    """

    id, license, sha256 = ENCODER_ID, "none needed: no weights", None
    modalities = 2

    def __init__(self, config: EncoderConfig) -> None:
        """ValueError for an odd stride: half of it must be whole."""
        super().__init__()
        if config.stride_px % 2:
            raise ValueError(f"encoder.stride_px {config.stride_px} is odd: wider filters need half of it")
        self.stride_px = config.stride_px
        self.responses = len(config.sigmas_px) * RESPONSES * 3
        smooth, derive = np.array([1.0, 2.0, 1.0]), np.array([-1.0, 0.0, 1.0])
        self.sobel_x = DepthwiseFilter(np.outer(smooth, derive), 6)
        self.sobel_y = DepthwiseFilter(np.outer(derive, smooth), 6)
        self.laplacian = DepthwiseFilter(np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]), 6)
        first, *wider = config.sigmas_px
        kernels = [gaussian_kernel(first), *(gaussian_kernel(_besides(sigma, first)) for sigma in wider)]
        self.blur_x = nn.ModuleList(DepthwiseFilter(k[None, :], 6) for k in kernels)
        self.blur_y = nn.ModuleList(DepthwiseFilter(k[:, None], 6) for k in kernels)

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B, 2, responses, H / stride, W / stride), colour first."""
        luma = diffuse_rgb.mean(dim=1, keepdim=True)
        chroma_red = diffuse_rgb[:, 0:1] - luma
        chroma_blue = diffuse_rgb[:, 2:3] - luma
        c = torch.cat([luma, chroma_red, chroma_blue, normals], dim=1)
        first = self.blur_y[0](self.blur_x[0](c))
        found = self._responses(c, first, self.stride_px)
        half = functional.avg_pool2d(first, 2)
        for blur_x, blur_y in zip(self.blur_x[1:], self.blur_y[1:], strict=True):
            found += self._responses(half, blur_y(blur_x(half)), self.stride_px // 2)
        return torch.stack([torch.cat([p[:, 0:3] for p in found], 1), torch.cat([p[:, 3:6] for p in found], 1)], 1)

    def _responses(self, c: Tensor, g: Tensor, stride: int) -> list[Tensor]:
        """G, |grad G|, Lap G, |Lap G| and |c - G|, each averaged over a token."""
        lap = self.laplacian(g)
        x, y = self.sobel_x(g), self.sobel_y(g)
        slope = torch.sqrt(x * x + y * y + 1e-12)  # a product: onnxruntime's Pow costs three times as much
        return [functional.avg_pool2d(f, stride) for f in (g, slope, lap, lap.abs(), (c - g).abs())]


def _besides(sigma_px: float, first_px: float) -> float:
    """The Gaussian, in pixels of half the resolution, that widens one of `first_px` to `sigma_px`."""
    return math.sqrt(sigma_px**2 - first_px**2) / 2


class Whitening(nn.Module):
    """z = (f - mean) M per modality: an affine map fixed by the good training parts."""

    mean: Tensor
    matrix: Tensor

    def __init__(self, responses: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2, responses))
        self.register_buffer("matrix", torch.zeros(2, responses, components))

    def forward(self, features: Tensor) -> Tensor:
        """(B, 2, N, responses) -> (B, 2, N, components)."""
        return torch.matmul(features - self.mean[None, :, None, :], self.matrix[None])


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
        """Fold in (B, 2, N, F) in float64."""
        f = features.detach().transpose(0, 1).reshape(2, -1, features.shape[3]).numpy().astype(np.float64)
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
