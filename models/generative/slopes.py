"""The slopes head: one regression of what the normals miss, in place of diffusion. An addition to the paper.

What integration misses is spread over the whole view, but its cause is local: between two neighbouring pixels the
true height changes by more than their normals say, at a step or where no normal was observed. So a network gives that
change f = (f_right, f_down) in pixels, and the missing height is the least-squares integral of f:

    r = argmin sum (r(x+1) - r(x) - f_right)^2 + (r(y+1) - r(y) - f_down)^2,   solved exactly by cosine transforms.

The integral is linear, and the integrated height is that of the measured slopes by the same rule, so their sum is the
integral of measured slopes plus f. No window ends anywhere: a view of any size is seen at once.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.generative.config import DepthConfig
from models.generative.patches import Batch

HALF_AT_PX = 5.0  # an error so large counts as a square at its foot and as its size beyond: steps differ a hundredfold
DISTANCES_PX = {1: 1.0, 4: 2.0, 16: 2.0}  # over which differences of heights are compared, and what they count: they
# tell a step's height close to where it lies, and the height itself tells it everywhere
HEIGHT_WEIGHT = 0.5
GAIN, STRETCH = 20.0, 0.1  # f = 20 (o + 0.1 o |o|): one pixel's step may be a hundred pixels high
FULL_WIDTH = 16  # at full size


class Refined(nn.Module):
    """x + two 3 x 3 convolutions, the second from zero; without a norm over places, in which patch and view differ."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        y: Tensor = x + self.second(functional.silu(self.first(functional.silu(x))))
        return y


class SlopeModel(nn.Module):
    """A U-Net from the measured maps to f, at 1/2 to 1/16 of the size, and the integral of f."""

    def __init__(self, config: DepthConfig) -> None:
        super().__init__()
        self.config = config
        maps, widths = 3 + config.geometry_channels, config.slope_widths
        self.entry = nn.Conv2d(4 * maps, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.inward = nn.ModuleList(Refined(width) for width in widths)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in pairwise(widths))
        self.outward = nn.ModuleList(Refined(width) for width in widths[:-1])
        self.full = nn.Conv2d(widths[0] // 4 + maps, FULL_WIDTH, 3, padding=1)
        self.out = nn.Conv2d(FULL_WIDTH, 2, 3, padding=1)
        nn.init.zeros_(self.out.weight)  # f = 0 at the start: the integrated height
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def missing_slopes(self, picture: Tensor, geometry: Tensor) -> Tensor:
        """(B, 3, H, W), (B, G, H, W) -> (B, 2, H, W) f_right and f_down, in pixels a pixel."""
        maps = torch.cat([picture, geometry], dim=1)
        x = self.entry(functional.pixel_unshuffle(maps, 2))
        kept = []
        for n, refine in enumerate(self.inward):
            x = refine(self.down[n - 1](x) if n else x)
            kept.append(x)
        for n in reversed(range(len(self.outward))):
            x = self.outward[n](kept[n] + functional.interpolate(self.up[n](x), scale_factor=2.0, mode="nearest"))
        fine = torch.cat([functional.pixel_shuffle(x, 2), maps], dim=1)
        o: Tensor = self.out(functional.silu(self.full(fine)))
        return GAIN * (o + STRETCH * o * o.abs())

    def forward(self, picture: Tensor, geometry: Tensor) -> Tensor:
        """(B, 3, H, W), (B, G, H, W) -> (B, 1, H, W) what integration misses, in pixels, mean 0."""
        return integral(self.missing_slopes(picture, geometry))


def integral(slopes: Tensor) -> Tensor:
    """(B, 2, H, W) changes to the next pixel, right and down -> (B, 1, H, W) heights that fit them best, mean 0."""
    right, down = slopes[:, 0, :, :-1], slopes[:, 1, :-1]
    toward = functional.pad(right, (1, 0)) - functional.pad(right, (0, 1))
    toward = toward + functional.pad(down, (0, 0, 1, 0)) - functional.pad(down, (0, 0, 0, 1))
    rows, columns = (cosines(size, slopes.dtype) for size in toward.shape[1:])
    spectrum = rows @ toward @ columns.T / _eigenvalues(*toward.shape[1:], slopes.dtype)
    return (rows.T @ spectrum @ columns)[:, None]


@cache
def cosines(size: int, dtype: torch.dtype) -> Tensor:
    """(size, size) the orthonormal cosine transform of type II: the eigenvectors of differences with free borders."""
    k, n = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)[None, :]
    matrix = torch.cos(math.pi / size * k * (n + 0.5)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.to(dtype)


@cache
def _eigenvalues(height: int, width: int, dtype: torch.dtype) -> Tensor:
    """(height, width); infinite at the mean's place, so that the mean is 0."""
    y, x = (2 - 2 * torch.cos(math.pi / size * torch.arange(size, dtype=torch.float64)) for size in (height, width))
    values = y[:, None] + x[None, :]
    values[0, 0] = math.inf
    return values.to(dtype)


def L_slopes(found: Tensor, batch: Batch, height_px: float) -> Tensor:
    """Charbonnier's loss of the heights and of their differences over some distances, in pixels, where truth exists."""
    valid = batch.valid
    off = (found - batch.height * height_px) * valid
    mean = off.sum(dim=(2, 3), keepdim=True) / valid.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
    total = HEIGHT_WEIGHT * _mean(_charbonnier(off - mean), valid)
    for k, weight in DISTANCES_PX.items():
        right = _mean(_charbonnier(off[..., k:] - off[..., :-k]), valid[..., k:] * valid[..., :-k])
        down = _mean(_charbonnier(off[..., k:, :] - off[..., :-k, :]), valid[..., k:, :] * valid[..., :-k, :])
        total = total + weight * (right + down)
    return total


def _charbonnier(off: Tensor) -> Tensor:
    return torch.sqrt(off**2 + HALF_AT_PX**2) - HALF_AT_PX


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1.0)
