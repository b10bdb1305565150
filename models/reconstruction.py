"""CPRN assembled around its equations: placed tokens in, one reconstruction distance per token and target out.

Added to the paper: the normals are reconstructed too (`targets`), the stages form a chain behind a bottleneck
(`query`), linear heads lead back to the encoder's numbers, and the stages' mean may be taken in groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import NetworkConfig
from models.cprn import Cpga, Ucp, cosine_distance, feed_forward
from models.places import BareTokens, PlacedTokens


class Decoder(nn.Module):
    """One target's stages, in a chain or side by side, and the means of their outputs per group."""

    def __init__(self, config: NetworkConfig, D: int, components: int) -> None:
        super().__init__()
        self.chain = config.query == "chain"
        self.groups = config.groups
        self.last_only = config.map_from == "last"
        self.bottleneck = (
            nn.Sequential(nn.LayerNorm(D), feed_forward(D, config.ffn_ratio, config.dropout))
            if self.chain
            else nn.Identity()
        )
        self.stages = nn.ModuleList(Cpga(config, D) for _ in range(config.stages))
        self.heads = nn.ModuleList(
            nn.Linear(D, components) if config.embedding else nn.Identity() for _ in range(config.groups)
        )

    def forward(self, E: Tensor, P_ucmp: Tensor) -> list[Tensor]:
        """(B, N, D), (B, M, D) -> one rebuilt (B, N, C) per group of stages.

        In training these are the means F~_mean of equation 5; in use with `map_from="last"` it is the last stage alone.
        The encoder has one level, so stages side by side all get the same E.
        """
        start = self.bottleneck(E)
        outputs, current = [], start
        for stage in self.stages:
            current = stage(current if self.chain else start, P_ucmp)
            outputs.append(current)
        if self.last_only and not self.training:
            return [self.heads[-1](outputs[-1])]
        share = len(outputs) // self.groups
        parts = [outputs[g * share : (g + 1) * share if g < self.groups - 1 else None] for g in range(self.groups)]
        return [head(torch.stack(p).mean(dim=0)) for head, p in zip(self.heads, parts, strict=True)]


@dataclass(slots=True)
class Reconstruction:
    """What one pass gives: distances per token and what the losses need."""

    distances: Tensor  # (B, T, N), 1 - sim, mean over groups, in 0..2
    P_ucmp: Tensor  # (B, M, D)
    F_fused: Tensor  # (B, N, D), sum of the L2-normalised tokens of both modalities


class Cprn(nn.Module):
    """Tokens of both modalities in, reconstruction distances per target out."""

    def __init__(self, config: NetworkConfig, components: int, grid: tuple[int, int], n_views: int) -> None:
        super().__init__()
        self.grid = grid
        D = config.width if config.embedding else components
        self.places = PlacedTokens(config, components, grid, n_views) if config.embedding else BareTokens()
        self.ucp = Ucp(config, D)
        self.targets = (0, 1) if config.targets == "both" else (0,)
        self.decoders = nn.ModuleList(Decoder(config, D, components) for _ in self.targets)

    def forward(self, tokens: Tensor, view_index: Tensor) -> Tensor:
        """(B, 2, h, w, C), (B,) -> distances (B, T, h, w): every token, as in the exported graph."""
        placed = self.places(tokens, view_index)
        b, c = tokens.shape[0], tokens.shape[-1]
        flat = [e.reshape(b, self.grid[0] * self.grid[1], e.shape[-1]) for e in placed]
        truth = [tokens[:, m].reshape(b, self.grid[0] * self.grid[1], c) for m in range(2)]
        found = self.reconstruct(flat, truth).distances
        return found.reshape(b, len(self.targets), self.grid[0], self.grid[1])

    def reconstruct(self, placed: list[Tensor], truth: list[Tensor]) -> Reconstruction:
        """Colour and normals as `places` gave them, (B, N, D) each, and the (B, N, C) that they should give back."""
        P_ucmp = self.ucp(placed[0], placed[1])
        per_target = []
        for target, decoder in zip(self.targets, self.decoders, strict=True):
            rebuilt = decoder(placed[target], P_ucmp)
            distance = [cosine_distance(truth[target].detach(), r) for r in rebuilt]
            per_target.append(torch.stack(distance).mean(dim=0))
        F_fused = functional.normalize(placed[0], dim=-1) + functional.normalize(placed[1], dim=-1)
        return Reconstruction(torch.stack(per_target, dim=1), P_ucmp, F_fused)
