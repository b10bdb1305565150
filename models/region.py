"""The part's region in the network: which tokens are looked at, in which view, and what stands around them.

The fixture and the part's shadow on it never decide: pixels outside the region are replaced by a constant before any
filter sees them, and only tokens that lie on the region are encoded further, rebuilt and scored.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

LEAST_INSIDE = 0.15  # of a token's pixels must be the part's: a strip of one pixel is looked at
FEWEST_TOKENS = 4  # as many as a score is the mean of
MARGIN_TOKENS = 4  # of constant around the box that all regions fill: the widest filter sees no picture's border


class RegionTokens(nn.Module):
    """Chooses each view's tokens by a table: N tokens in every view, shorter lists padded by repetition.

    Regions (V, H, W) are known when the network is made; all of the picture where none are given.
    """

    index: Tensor  # (V, N) int64: flat position on the token grid of the box
    slot: Tensor  # (V, h w) int64: where a grid position stands among the N, or N where it is not looked at
    inside: Tensor  # (V, h, w) float32: 1 where a token is looked at
    fill: Tensor  # (6,) what stands outside the region: colour, then normal

    def __init__(
        self, regions: NDArray[np.bool_] | None, input_size: tuple[int, int], n_views: int, stride: int
    ) -> None:
        super().__init__()
        if regions is None:
            regions = np.ones((n_views, *input_size), bool)
        if regions.shape != (n_views, *input_size):
            raise ValueError(f"regions are {regions.shape}, expected {(n_views, *input_size)}")
        self.input_size, self.stride = input_size, stride
        share = regions.reshape(n_views, input_size[0] // stride, stride, input_size[1] // stride, stride).mean((2, 4))
        chosen = share >= LEAST_INSIDE
        counts = chosen.sum(axis=(1, 2))
        if not (counts >= FEWEST_TOKENS).all():
            small = int(np.flatnonzero(counts < FEWEST_TOKENS)[0])
            raise ValueError(
                f"the region of view {small} holds {counts[small]} tokens of {stride} px, at least {FEWEST_TOKENS} are "
                "needed: draw it larger"
            )
        self.box = _box(chosen.any(axis=0))
        top, bottom, left, right = self.box
        self.grid = (bottom - top, right - left)
        inside = chosen[:, top:bottom, left:right].reshape(n_views, -1)
        self.count = int(inside.sum(axis=1).max())
        index = np.stack([np.resize(np.flatnonzero(view), self.count) for view in inside])
        slot = np.full(inside.shape, self.count, np.int64)
        for view, places in enumerate(index):
            slot[view, places[::-1]] = np.arange(self.count)[::-1]  # the first of repeated ones stays
        self.register_buffer("index", torch.from_numpy(index))
        self.register_buffer("slot", torch.from_numpy(slot))
        self.register_buffer("inside", torch.from_numpy(inside.reshape(n_views, *self.grid).astype(np.float32)))
        self.register_buffer("fill", torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0]))

    def forward(self, diffuse_rgb: Tensor, normals: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) twice, (B, H, W) of 0, BEYOND and 1 -> both cut to the box, constant outside the region."""
        top, bottom, left, right = (edge * self.stride for edge in self.box)
        part = torch.ceil(self.cut(region))[:, None]  # what lay beyond the picture is repeated, not replaced
        around = 1.0 - part
        rgb = diffuse_rgb[:, :, top:bottom, left:right] * part + self.fill[None, :3, None, None] * around
        directions = normals[:, :, top:bottom, left:right] * part + self.fill[None, 3:, None, None] * around
        return rgb, directions

    def cut(self, region: Tensor) -> Tensor:
        """(B, H, W) -> (B, h, w), its pixels in the box."""
        top, bottom, left, right = (edge * self.stride for edge in self.box)
        return region[:, top:bottom, left:right]

    def take(self, tokens: Tensor, view_index: Tensor) -> Tensor:
        """(B, M, h, w, C) on the box's grid -> (B, M, N, C), each view's tokens."""
        b, m, _, _, c = tokens.shape
        where = self.index[view_index][:, None, :, None].expand(-1, m, -1, c)
        return torch.gather(tokens.reshape(b, m, self.grid[0] * self.grid[1], c), 2, where)

    def put(self, values: Tensor, view_index: Tensor) -> Tensor:
        """(B, T, N) -> (B, T, h, w) on the box's grid, 0 where no token is looked at."""
        with_zero = functional.pad(values, (0, 1))
        where = self.slot[view_index][:, None, :].expand(-1, values.shape[1], -1)
        return torch.gather(with_zero, 2, where).reshape(-1, values.shape[1], *self.grid)

    def tokens_of(self, region: Tensor, view_index: Tensor) -> Tensor:
        """(B, H, W) of 0 and 1 -> (B, h, w): a view's tokens that also lie on this region, which may be smaller."""
        top, bottom, left, right = (edge * self.stride for edge in self.box)
        share = functional.avg_pool2d(region[:, None, top:bottom, left:right], self.stride)[:, 0]
        return self.inside[view_index] * (share >= LEAST_INSIDE).to(share.dtype)

    def neighbours(self) -> NDArray[np.int64]:
        """(V, N, 9) where each token and those around it stand among the N; itself where there is no neighbour."""
        h, w = self.grid
        slot = np.full((len(self.index), h + 2, w + 2), self.count, np.int64)
        slot[:, 1:-1, 1:-1] = self.slot.numpy().reshape(-1, h, w)
        index = self.index.numpy()
        rows, columns = index // w + 1, index % w + 1
        views = np.arange(len(index))[:, None]
        around = [slot[views, rows + dy, columns + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        own = slot[views, rows, columns]
        return np.stack([np.where(there < self.count, there, own) for there in around], axis=-1)

    def whole(self, grid_map: Tensor, region: Tensor) -> Tensor:
        """(B, h, w) on the box's grid -> (B, H, W): enlarged, and 0 outside the region."""
        top, bottom, left, right = (edge * self.stride for edge in self.box)
        size = (bottom - top, right - left)
        large = functional.interpolate(grid_map[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        around = (left, self.input_size[1] - right, top, self.input_size[0] - bottom)
        return functional.pad(large, around) * torch.round(region)


def _box(chosen: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """top, bottom, left, right in tokens of what is chosen in any view, with a margin; even sizes, for halved grids."""
    edges = []
    for axis, size in ((1, chosen.shape[0]), (0, chosen.shape[1])):
        found = np.flatnonzero(chosen.any(axis=axis))
        first, last = max(0, int(found[0]) - MARGIN_TOKENS), min(size, int(found[-1]) + 1 + MARGIN_TOKENS)
        edges += [first, last]
    return edges[0], edges[1], edges[2], edges[3]
