"""A branch of nearest neighbours: how far a token lies from all that good parts show. Kin to PatchCore.

Tokens of a frozen encoder are compared with a bank of good parts' tokens, one for each view and modality, chosen by
greedy k-centres (Roth et al., Towards Total Recall in Industrial Anomaly Detection, 2022). Of aligned parts, a token's
place counts as two more of its numbers, so that neighbours are sought near the same place; of others it does not count.
The whole is one graph of matrix products, which exports to ONNX.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import NeighbourConfig
from models.encoders.protocol import Encoder

Inputs = tuple[Tensor, Tensor, Tensor]  # colour and normals (1, 3, H, W), view (1,)
LEAST_SPREAD = 1e-3  # of the largest spread among features: a constant feature shall not be blown up
LEAST_SQUARE = 1e-3  # under the root, which would enlarge differences of the last bit near 0
SKETCH = 48  # numbers of the random projection in which centres are chosen


class NeighbourBranch(nn.Module):
    """Distances to the nearest of good parts' tokens, on the grid of the detector's tokens."""

    mean: Tensor  # (M, C)
    spread: Tensor  # (M, C)
    place: Tensor  # (n, 2): row and column of the encoder's tokens, weighted
    bank: Tensor  # (V, M, K, D) float16; D is C, and two more for a place
    length: Tensor  # (V, M, K): squared lengths of the bank's tokens, as float16 has them

    def __init__(
        self,
        encoder: Encoder,
        config: NeighbourConfig,
        input_size: tuple[int, int],
        grid: tuple[int, int],
        n_views: int,
    ) -> None:
        """`input_size` (H, W) in pixels is what the encoder is given, `grid` (h, w) what `distances` returns."""
        super().__init__()
        self.encoder, self.config, self.grid = encoder, config, grid
        blank = torch.zeros(1, 3, *input_size)
        with torch.no_grad():
            _, m, c, rows, columns = encoder(blank, blank).shape
        self.own_grid = (rows, columns)
        at = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij"), dim=-1)
        self.register_buffer("place", at.reshape(-1, 2).float() * config.place_weight)
        self.register_buffer("mean", torch.zeros(m, c))
        self.register_buffer("spread", torch.ones(m, c))
        numbers = c + (2 if config.place_weight else 0)
        self.register_buffer("bank", torch.zeros(n_views, m, config.bank, numbers, dtype=torch.float16))
        self.register_buffer("length", torch.zeros(n_views, m, config.bank))

    def encode(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> the encoder's tokens (B, M, n, C) as it gives them."""
        found: Tensor = self.encoder(diffuse_rgb, normals)
        return found.flatten(3).transpose(2, 3)

    def standard(self, tokens: Tensor) -> Tensor:
        """(B, M, n, C) -> (B, M, n, D): in spreads of good parts' features, places beside them."""
        scaled = (tokens - self.mean[None, :, None]) / self.spread[None, :, None]
        if not self.config.place_weight:
            return scaled
        return torch.cat([scaled, self.place.expand(scaled.shape[0], scaled.shape[1], -1, -1)], dim=-1)

    def distances(self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor) -> Tensor:
        """(B, 3, H, W) twice, (B,) -> (B, M, h, w), about 1 for one spread in every feature."""
        x = self.standard(self.encode(diffuse_rgb, normals))
        found = self.nearest(x, view_index).reshape(-1, x.shape[1], *self.own_grid)
        if self.grid == self.own_grid:
            return found
        return functional.interpolate(found, size=self.grid, mode="bilinear", align_corners=False)

    def forward(self, diffuse_rgb: Tensor, normals: Tensor, view_index: Tensor) -> Tensor:
        """The same as `distances`."""
        return self.distances(diffuse_rgb, normals, view_index)

    def nearest(self, x: Tensor, view_index: Tensor) -> Tensor:
        """(B, M, n, D), (B,) -> (B, M, n): the distance to the nearest of the view's bank."""
        bank = self.bank[view_index].float()
        products = torch.matmul(x, bank.transpose(-1, -2))
        which = (self.length[view_index][:, :, None, :] - 2 * products).argmin(dim=-1)
        # squares taken apart cancel where a token is near its neighbour, so the difference itself is measured again
        beside = torch.gather(bank, 2, which[..., None].expand(-1, -1, -1, x.shape[-1]))
        return torch.sqrt(((x - beside) ** 2).mean(dim=-1) + LEAST_SQUARE)

    def fit(self, parts: Iterable[Inputs]) -> None:
        """Fill the bank from good parts. ValueError where a view has fewer tokens than the bank holds.

        Features are scaled once, over all views; tokens are drawn at random before centres are chosen among them.
        """
        generator = torch.Generator().manual_seed(self.config.seed)
        pools = _drawn(self, parts, generator)
        everything = torch.cat([pool[0] for pool in pools])
        self.mean.copy_(everything.mean(dim=0))
        spread = everything.std(dim=0)
        floor = (LEAST_SPREAD * spread.amax(dim=1, keepdim=True)).clamp(min=1e-6)
        self.spread.copy_(torch.maximum(spread, floor))
        for view, (tokens, where) in enumerate(pools):
            for m in range(tokens.shape[1]):
                x = (tokens[:, m] - self.mean[m]) / self.spread[m]
                if self.config.place_weight:
                    x = torch.cat([x, self.place[where]], dim=-1)
                chosen = k_centres(x, self.config.bank, generator)
                self.bank[view, m] = x[chosen].half()
        self.length.copy_((self.bank.float() ** 2).sum(dim=-1))


def _drawn(branch: NeighbourBranch, parts: Iterable[Inputs], generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """Per view: tokens (n, M, C) of good parts, and their places (n,), as many of each part."""
    views = branch.bank.shape[0]
    kept: list[list[Tensor]] = [[] for _ in range(views)]
    with torch.no_grad():
        for diffuse_rgb, normals, view_index in parts:
            kept[int(view_index[0])].append(branch.encode(diffuse_rgb, normals)[0].half())
    found = []
    for view, of_view in enumerate(kept):
        if not of_view:
            raise ValueError(f"view {view} has no good part to learn from")
        share = -(-branch.config.pool // len(of_view))
        tokens, places = [], []
        for part in of_view:
            where = torch.randperm(part.shape[1], generator=generator)[:share]
            tokens.append(part[:, where].float().transpose(0, 1))
            places.append(where)
        found.append((torch.cat(tokens), torch.cat(places)))
        count = len(found[-1][1])
        if count < branch.config.bank:
            raise ValueError(
                f"view {view} has {count} tokens of good parts, fewer than the bank of {branch.config.bank}: "
                "give more parts, or set a smaller bank"
            )
    return found


def k_centres(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(n, D) -> (count,) indices: each next one is the token farthest from all chosen, in a random projection."""
    sketch = x
    if x.shape[1] > SKETCH:
        sketch = x @ (torch.randn(x.shape[1], SKETCH, generator=generator) / SKETCH**0.5)
    length = (sketch * sketch).sum(dim=1)
    chosen = torch.zeros(count, dtype=torch.int64)
    chosen[0] = torch.randint(len(x), (1,), generator=generator)
    nearest = torch.full((len(x),), float("inf"))
    for n in range(1, count):
        last = sketch[chosen[n - 1]]
        nearest = torch.minimum(nearest, length - 2 * (sketch @ last) + length[chosen[n - 1]])
        chosen[n] = nearest.argmax()
    return chosen
