"""The Cross-modal Prototype Reconstruction Network of Real-IAD-MVN, equations 1 to 6 in their order.

Where the paper's letter is unsound the default is the sound reading and a switch gives the letter:
both modalities are reconstructed; stages chain and their query has no residual, so the output depends on
a token only through attention weights; L_p increases the entropy of prototype use, as the text says and
the printed sign does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.config import NetworkConfig

POSITION_WIDTH = 32
ASSIGNMENT_TEMPERATURE = 0.1


def feed_forward(width: int, ratio: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, ratio * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(ratio * width, width)
    )


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, W) -> (B, heads, N, W / heads)."""
    return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).transpose(1, 2)


def _joined(x: Tensor) -> Tensor:
    """(B, heads, N, w) -> (B, N, heads w)."""
    y = x.transpose(1, 2)
    return y.reshape(y.shape[0], y.shape[1], y.shape[2] * y.shape[3])


class PrototypeQuery(nn.Module):
    """Equations 1 and 2: learned queries attend to one modality's tokens, softmax over the tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.q, self.k = nn.Linear(width, width), nn.Linear(width, width)
        self.v, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """(1, M, W), (B, N, W) -> (B, M, W)."""
        t = self.norm(tokens)
        q, k, v = _heads(self.q(queries), self.heads), _heads(self.k(t), self.heads), _heads(self.v(t), self.heads)
        weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
        joined: Tensor = self.out(_joined(weights @ v))
        return joined


class UnifiedPrototypes(nn.Module):
    """UCP: prototypes of this image from both modalities (equations 1 to 3)."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.learned = nn.Parameter(torch.randn(1, config.prototypes, config.width) * 0.5)
        self.from_rgb = PrototypeQuery(config.width, config.heads)
        self.from_normals = PrototypeQuery(config.width, config.heads)
        self.norm = nn.LayerNorm(config.width)
        self.ffn = feed_forward(config.width, config.ffn_ratio, 0.0)

    def forward(self, rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, N, W) twice -> (B, M, W)."""
        gathered = 0.5 * (self.from_rgb(self.learned, rgb) + self.from_normals(self.learned, normals))
        u = self.norm(self.learned + gathered)
        prototypes: Tensor = u + self.ffn(u)
        return prototypes


class PrototypeGuidedStage(nn.Module):
    """CPGA: rebuild tokens from the prototypes (equation 4); the only residual goes around the FFN."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        w = config.width
        self.heads, self.relu = config.heads, config.attention == "relu"
        self.query_residual = config.query_residual
        self.norm_query, self.norm_prototype, self.norm_ffn = nn.LayerNorm(w), nn.LayerNorm(w), nn.LayerNorm(w)
        self.q, self.k, self.v, self.out = nn.Linear(w, w), nn.Linear(w, w), nn.Linear(w, w), nn.Linear(w, w)
        self.head_scale = nn.Parameter(torch.ones(config.heads, 1, 1))
        self.ffn = feed_forward(w, config.ffn_ratio, config.dropout)

    def weights(self, x: Tensor, prototypes: Tensor) -> Tensor:
        """(B, heads, N, M): cosine similarities, cut at zero or through a softmax over the prototypes."""
        q = functional.normalize(_heads(self.q(self.norm_query(x)), self.heads), dim=-1)
        k = functional.normalize(_heads(self.k(self.norm_prototype(prototypes)), self.heads), dim=-1)
        cosine = q @ k.transpose(-1, -2)
        if self.relu:
            return torch.relu(self.head_scale * cosine)
        return torch.softmax(self.head_scale * cosine / ASSIGNMENT_TEMPERATURE, dim=-1)

    def forward(self, x: Tensor, prototypes: Tensor) -> Tensor:
        v = _heads(self.v(self.norm_prototype(prototypes)), self.heads)
        y: Tensor = self.out(_joined(self.weights(x, prototypes) @ v))
        if self.query_residual:
            y = y + x
        rebuilt: Tensor = y + self.ffn(self.norm_ffn(y))
        return rebuilt


class Decoder(nn.Module):
    """One target's bottleneck, stages and heads back to the encoder's width, a head per group."""

    def __init__(self, config: NetworkConfig, components: int) -> None:
        super().__init__()
        self.chain = config.query == "chain"
        self.groups = config.groups
        self.last_only = config.map_from == "last"
        self.bottleneck = nn.Sequential(
            nn.LayerNorm(config.width), feed_forward(config.width, config.ffn_ratio, config.dropout)
        )
        self.stages = nn.ModuleList(PrototypeGuidedStage(config) for _ in range(config.stages))
        self.heads = nn.ModuleList(nn.Linear(config.width, components) for _ in range(config.groups))

    def forward(self, x: Tensor, prototypes: Tensor) -> list[Tensor]:
        """(B, N, W) -> one (B, N, components) per group of stages."""
        start = self.bottleneck(x) if self.chain else x
        outputs, current = [], start
        for stage in self.stages:
            current = stage(current if self.chain else start, prototypes)
            outputs.append(current)
        if self.last_only and not self.training:
            return [self.heads[-1](outputs[-1])]
        share = len(outputs) // self.groups
        parts = [outputs[g * share : (g + 1) * share if g < self.groups - 1 else None] for g in range(self.groups)]
        return [head(torch.stack(p).mean(dim=0)) for head, p in zip(self.heads, parts, strict=True)]


@dataclass(slots=True)
class Reconstruction:
    """What one pass gives: distances per token and what the losses need."""

    distances: Tensor  # (B, T, N), 1 - cos, mean over groups, in 0..2
    prototypes: Tensor  # (B, M, W)
    fused: Tensor  # (B, N, W), sum of the L2-normalised modality means


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - cos over the last axis; 1 where either is zero."""
    length = torch.sqrt((a * a).sum(-1) * (b * b).sum(-1) + 1e-12)
    return 1.0 - (a * b).sum(-1) / length


class Cprn(nn.Module):
    """Tokens of both modalities in, reconstruction distances per target out."""

    row_waves: Tensor
    column_waves: Tensor
    place_memory: Tensor

    def __init__(self, config: NetworkConfig, components: int, grid: tuple[int, int], n_views: int) -> None:
        super().__init__()
        self.config, self.grid = config, grid
        w = config.width
        self.embed = nn.ModuleList(nn.Linear(components, w) for _ in range(2))
        self.row, self.column = nn.Linear(POSITION_WIDTH, w, bias=False), nn.Linear(POSITION_WIDTH, w, bias=False)
        self.view = nn.Embedding(n_views, w)
        self.register_buffer("row_waves", position_waves(grid[0]), persistent=False)
        self.register_buffer("column_waves", position_waves(grid[1]), persistent=False)
        if config.place_components:
            # float16: it is the largest part of the model file
            memory = torch.zeros(n_views, *grid, config.place_components, dtype=torch.float16)
            self.register_buffer("place_memory", memory)
            self.placed = nn.Linear(config.place_components, w, bias=False)
        self.prototypes = UnifiedPrototypes(config)
        self.targets = (0, 1) if config.targets == "both" else (0,)
        self.decoders = nn.ModuleList(Decoder(config, components) for _ in self.targets)

    def forward(self, tokens: Tensor, view_index: Tensor) -> Tensor:
        """(B, 2, h, w, C), (B,) -> distances (B, T, h, w): every token, as in the exported graph."""
        embedded = self.place(tokens, view_index)
        b, c = tokens.shape[0], tokens.shape[-1]
        flat = [e.reshape(b, self.grid[0] * self.grid[1], e.shape[-1]) for e in embedded]
        truth = [tokens[:, m].reshape(b, self.grid[0] * self.grid[1], c) for m in range(2)]
        found = self.reconstruct(flat, truth).distances
        return found.reshape(b, len(self.targets), self.grid[0], self.grid[1])

    def place(self, tokens: Tensor, view_index: Tensor) -> list[Tensor]:
        """Embed each modality and add row, column, view and the place's memory: two (B, h, w, W)."""
        where_row = self.row(self.row_waves)[None, :, None, :]
        where_column = self.column(self.column_waves)[None, None, :, :]
        which = self.view(view_index)[:, None, None, :]
        if self.config.place_components:
            which = which + self.placed(self.place_memory[view_index].float())
        return [layer(tokens[:, m]) + which + where_row + where_column for m, layer in enumerate(self.embed)]

    def place_at(self, tokens: list[Tensor], where: Tensor, view_index: Tensor) -> list[Tensor]:
        """The same for (B, n, C) tokens chosen at flat positions `where` (B, n): two (B, n, W)."""
        at_row, at_column = where // self.grid[1], where % self.grid[1]
        place = self.row(self.row_waves)[at_row] + self.column(self.column_waves)[at_column]
        place = place + self.view(view_index)[:, None, :]
        if self.config.place_components:
            place = place + self.placed(self.place_memory[view_index[:, None], at_row, at_column].float())
        return [layer(tokens[m]) + place for m, layer in enumerate(self.embed)]

    def remember_places(self, mean_tokens: Tensor) -> None:
        """Fill the place memory from (V, 2, h, w, C), the good parts' mean tokens: their principal components.

        Position alone says too little where a feature may be missing: plain wall is normal, but not there.
        """
        if not self.config.place_components:
            return
        v, m, h, w, c = mean_tokens.shape
        flat = mean_tokens.permute(0, 2, 3, 1, 4).reshape(v * h * w, m * c).double()
        flat = flat - flat.mean(dim=0)
        _, axes = torch.linalg.eigh(flat.T @ flat)
        found = flat @ axes[:, -min(self.config.place_components, m * c) :]
        found = found / found.std().clamp(min=1e-9)
        self.place_memory.zero_()
        self.place_memory[..., : found.shape[1]] = found.reshape(v, h, w, -1).half()

    def reconstruct(self, embedded: list[Tensor], truth: list[Tensor]) -> Reconstruction:
        """Two (B, N, W) and the two (B, N, C) that they should give back."""
        prototypes = self.prototypes(embedded[0], embedded[1])
        per_target = []
        for target, decoder in zip(self.targets, self.decoders, strict=True):
            rebuilt = decoder(embedded[target], prototypes)
            distance = [cosine_distance(truth[target].detach(), r) for r in rebuilt]
            per_target.append(torch.stack(distance).mean(dim=0))
        fused = functional.normalize(embedded[0], dim=-1) + functional.normalize(embedded[1], dim=-1)
        return Reconstruction(torch.stack(per_target, dim=1), prototypes, fused)


def position_waves(count: int) -> Tensor:
    """(count, POSITION_WIDTH) sines and cosines of the index, wavelengths from two tokens to twice the side."""
    half = POSITION_WIDTH // 2
    wavelength = 2.0 * torch.exp(torch.linspace(0.0, 1.0, half) * torch.log(torch.tensor(float(count))))
    angle = 2 * torch.pi * torch.arange(count, dtype=torch.float32)[:, None] / wavelength[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def reconstruction_loss(found: Reconstruction) -> Tensor:
    """L_r (equation 5): mean cosine distance over tokens, groups and targets."""
    return found.distances.mean()


def prototype_loss(found: Reconstruction, sign: str) -> Tensor:
    """L_p (equation 6) of the mean assignment q; `corrected` is +sum q log q, whose descent raises the entropy."""
    fused = functional.normalize(found.fused, dim=-1)
    cosine = fused @ functional.normalize(found.prototypes, dim=-1).transpose(-1, -2)
    q = torch.softmax(cosine / ASSIGNMENT_TEMPERATURE, dim=-1).mean(dim=(0, 1))
    negative_entropy = (q * torch.log(q + 1e-8)).sum()
    return negative_entropy if sign == "corrected" else -negative_entropy
