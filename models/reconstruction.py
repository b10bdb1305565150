"""CPRN assembled around its equations: placed tokens in, one reconstruction distance per token and target out.

Added to the paper: the normals are reconstructed too (`targets`), the stages form a chain behind a bottleneck
(`query`), linear heads lead back to the encoder's numbers, and the stages' mean may be taken in groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import MODALITIES, NetworkConfig
from models.cprn import Cpga, FixedPrototypes, OneModalityPrototypes, Ucp, cosine_distance, feed_forward
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
        return [head(sum(p[1:], p[0]) / len(p)) for head, p in zip(self.heads, parts, strict=True)]


@dataclass(slots=True)
class Reconstruction:
    """What one pass gives: distances per token and what the losses need."""

    distances: Tensor  # (B, T, N), 1 - sim, mean over groups, in 0..2
    P_ucmp: Tensor  # (B, M, D)
    F_fused: Tensor  # (B, N, D), sum of the L2-normalised tokens of both modalities


class Cprn(nn.Module):
    """Tokens of the modalities in, reconstruction distances per target out.

    A *stream* is what is rebuilt by one decoder: colour, normals, or both side by side (Table 4's concatenation).
    """

    def __init__(self, config: NetworkConfig, components: int, grid: tuple[int, int], n_views: int) -> None:
        super().__init__()
        self.grid, self.inputs = grid, config.inputs
        streams = 2 if config.inputs == "both" else 1
        components = 2 * components if config.inputs == "concatenation" else components
        D = config.width if config.embedding else components
        self.places: BareTokens | PlacedTokens = (
            PlacedTokens(config, components, grid, n_views, streams) if config.embedding else BareTokens()
        )
        self.ucp = _prototypes(config, D)
        self.targets = (0, 1) if config.targets == "both" and streams == 2 else (0,)
        self.decoders = nn.ModuleList(Decoder(config, D, components) for _ in self.targets)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the targets, in the order of the T axis."""
        if self.inputs == "both":
            return tuple(MODALITIES[t] for t in self.targets)
        return (self.inputs,)

    def streams(self, tokens: Tensor) -> list[Tensor]:
        """(B, 2, n, C), colour first -> what is rebuilt, each (B, n, C) or (B, n, 2 C)."""
        if self.inputs == "both":
            return [tokens[:, 0], tokens[:, 1]]
        if self.inputs == "concatenation":
            return [torch.cat([tokens[:, 0], tokens[:, 1]], dim=-1)]
        return [tokens[:, MODALITIES.index(self.inputs)]]

    def forward(self, tokens: Tensor, where: Tensor, view_index: Tensor) -> Tensor:
        """(B, 2, N, C) at flat grid positions `where` (B, N), (B,) -> distances (B, T, N), as in the exported graph."""
        truth = self.streams(tokens)
        return self.reconstruct(self.places(truth, where, view_index), truth).distances

    def reconstruct(self, placed: list[Tensor], truth: list[Tensor]) -> Reconstruction:
        """Each stream as `places` gave it, (B, N, D), and the (B, N, C) that it should give back."""
        P_ucmp = self.ucp(*placed)
        per_target = []
        for target, decoder in zip(self.targets, self.decoders, strict=True):
            rebuilt = decoder(placed[target], P_ucmp)
            distance = [cosine_distance(truth[target].detach(), r) for r in rebuilt]
            per_target.append(torch.stack(distance).mean(dim=0))
        F_fused = torch.stack([functional.normalize(stream, dim=-1) for stream in placed]).sum(dim=0)
        return Reconstruction(torch.stack(per_target, dim=1), P_ucmp, F_fused)


def _prototypes(config: NetworkConfig, D: int) -> nn.Module:
    if config.prototype_source == "fixed":
        return FixedPrototypes(config, D)
    return Ucp(config, D) if config.inputs == "both" else OneModalityPrototypes(config, D)
