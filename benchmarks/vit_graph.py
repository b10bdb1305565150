"""A graph as large as two DINOv2-S encoders and a light decoder, with random weights: its speed is what counts."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, BLOCKS, PATCH_PX, MLP = 384, 6, 12, 14, 4
PROTOTYPES, DECODER_BLOCKS = 16, 2  # of each target


class Attention(nn.Module):
    """Multi-head attention of (B, N, C) to itself or to (B, M, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key_value, self.out = (
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(WIDTH, 2 * WIDTH),
            nn.Linear(WIDTH, WIDTH),
        )

    def forward(self, x: Tensor, to: Tensor) -> Tensor:
        """(B, N, C), (B, M, C) -> (B, N, C)."""
        b, n, _ = x.shape
        q = self.query(x).reshape(b, n, HEADS, -1).transpose(1, 2)
        k, v = self.key_value(to).reshape(b, to.shape[1], 2, HEADS, -1).permute(2, 0, 3, 1, 4)
        weight = functional.softmax(q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5, dim=-1)
        found: Tensor = self.out((weight @ v).transpose(1, 2).reshape(b, n, WIDTH))
        return found


class Block(nn.Module):
    """Norm, attention, norm, MLP, each with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norms = Attention(), nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.mlp = nn.Sequential(nn.Linear(WIDTH, MLP * WIDTH), nn.GELU(), nn.Linear(MLP * WIDTH, WIDTH))

    def forward(self, x: Tensor, to: Tensor | None = None) -> Tensor:
        """(B, N, C), and what it attends to: itself, or (B, M, C)."""
        normed = self.norms[0](x)
        x = x + self.attention(normed, normed if to is None else to)
        found: Tensor = x + self.mlp(self.norms[1](x))
        return found


class Encoder(nn.Module):
    """(B, 3, S, S) -> (B, N, C) after twelve blocks."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH_PX, PATCH_PX)
        self.place = nn.Parameter(0.02 * torch.randn(1, tokens, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))

    def forward(self, picture: Tensor) -> Tensor:
        x: Tensor = self.patches(picture).flatten(2).transpose(1, 2) + self.place
        for block in self.blocks:
            x = block(x)
        return x


class TwoEncoders(nn.Module):
    """Colour and normals -> score and map, with the names of a model file's inputs and outputs."""

    def __init__(self, size_px: int) -> None:
        super().__init__()
        self.side = size_px // PATCH_PX
        self.size_px = size_px
        self.encoders = nn.ModuleList(Encoder(self.side**2) for _ in range(2))
        self.prototypes = nn.Parameter(torch.randn(1, PROTOTYPES, WIDTH))
        self.decoders = nn.ModuleList(nn.ModuleList(Block() for _ in range(DECODER_BLOCKS)) for _ in range(2))

    def forward(self, diffuse_rgb: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) twice -> (B,), (B, S, S)."""
        tokens = [encoder(x) for encoder, x in zip(self.encoders, (diffuse_rgb, normals), strict=True)]
        maps = []
        for decoder, truth in zip(self.decoders, tokens, strict=True):
            rebuilt = truth
            assert isinstance(decoder, nn.ModuleList)
            for block in decoder:
                rebuilt = block(rebuilt, self.prototypes.expand(rebuilt.shape[0], -1, -1))
            maps.append(1 - functional.cosine_similarity(truth, rebuilt, dim=-1))
        fused = torch.stack(maps, 1).amax(1).reshape(-1, 1, self.side, self.side)
        large = functional.interpolate(fused, size=(self.size_px, self.size_px), mode="bilinear")[:, 0]
        return large.amax(dim=(1, 2)), large


def write_vit(path: Path, size_px: int) -> Path:
    """Write the graph for square pictures of `size_px`, a multiple of 14."""
    torch.manual_seed(0)
    picture = torch.rand(1, 3, size_px, size_px)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is deprecated and much faster
        torch.onnx.export(
            TwoEncoders(size_px).eval(), (picture, picture), str(path), input_names=["diffuse_rgb", "normals"],
            output_names=["pred_score", "anomaly_map"], opset_version=17, dynamo=False,
        )  # fmt: skip
    return path
