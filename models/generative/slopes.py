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

SUMS_PX = (1, 5, 15)  # over which f is summed and compared: a step's height, wherever in so many pixels it lies
HEIGHT_WEIGHT = 0.1
MOST_PX = 60.0  # a change of one pixel counts no higher: the tallest steps would decide alone
GAIN = 10.0  # pixels for each unit of the network's output
FULL_WIDTH = 16  # at full size
EVEN = 1e-3  # keeps a norm finite where all channels are 0


class Evened(nn.Module):
    """Channels over their root mean square at each place. No norm over places: a patch and a whole view differ there.

    Without it, steps a hundred pixels high drive activations to where no gradient is left.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        y: Tensor = x * torch.rsqrt((x * x).mean(dim=1, keepdim=True) + EVEN) * self.scale
        return y


class Refined(nn.Module):
    """x + two 3 x 3 convolutions of its evened channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.even = Evened(width)
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        y: Tensor = x + self.second(functional.silu(self.first(self.even(x))))
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
        self.even = Evened(widths[0])
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
        fine = torch.cat([functional.pixel_shuffle(self.even(x), 2), maps], dim=1)
        f: Tensor = GAIN * self.out(functional.silu(self.full(fine)))
        return f

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


def missed_slopes(batch: Batch, height_px: float) -> Tensor:
    """(B, 2, H, W) the true f: what integration misses from pixel to pixel, plus what it added to the measured slopes.

    The second part is among the maps (`slope_maps`). It takes off what integration smeared into smooth places, from
    steps outside of a patch too, so that f is 0 wherever the normals are right.
    """
    height = batch.height[:, 0] * height_px
    right = functional.pad(height.diff(dim=2), (0, 1))
    down = functional.pad(height.diff(dim=1), (0, 0, 0, 1))
    added = torch.sinh(batch.geometry[:, -2:])
    return torch.stack([right, down], dim=1) + added


def L_slopes(found: Tensor, batch: Batch, height_px: float) -> Tensor:
    """Squares of the error of f, summed over some distances, and of its integral's, in shares of what f really is.

    `found` is (B, 2, H, W) in pixels. Patches whose truth is not whole count nothing outside of it.
    """
    valid = batch.valid
    true = missed_slopes(batch, height_px).clamp(-MOST_PX, MOST_PX)
    both = torch.cat([
        valid * functional.pad(valid[..., 1:], (0, 1)), valid * functional.pad(valid[..., 1:, :], (0, 0, 0, 1))
    ], dim=1)  # fmt: skip
    off, true = (found - true) * both, true * both
    total = HEIGHT_WEIGHT * _share(integral(off), integral(true))
    for k in SUMS_PX:
        total = total + _share(_summed(off, k), _summed(true, k))
    return total


def _summed(slopes: Tensor, k: int) -> Tensor:
    """Each component summed over k pixels of its own direction."""
    right = functional.avg_pool2d(slopes[:, :1], (1, k), 1, (0, k // 2)) * k
    down = functional.avg_pool2d(slopes[:, 1:], (k, 1), 1, (k // 2, 0)) * k
    return torch.cat([right, down], dim=1)


def _share(off: Tensor, true: Tensor) -> Tensor:
    """Over the whole batch: a patch without steps would otherwise count as much as one that is full of them."""
    share: Tensor = (off**2).mean() / ((true**2).mean() + 1.0)
    return share
