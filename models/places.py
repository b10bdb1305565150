"""What a token carries about its place: row, column, view, and what good parts show there. An addition to the paper.

The paper's ViT encoders carry position embeddings of their own; the filter bank has none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.config import NetworkConfig

POSITION_WIDTH = 32


class BareTokens(nn.Module):
    """The paper's letter: tokens enter the network as the encoder gave them."""

    def forward(self, tokens: Tensor, _view_index: Tensor) -> list[Tensor]:
        """(B, 2, h, w, C), (B,) -> colour and normals, each (B, h, w, C)."""
        return [tokens[:, 0], tokens[:, 1]]

    def at(self, tokens: list[Tensor], _where: Tensor, _view_index: Tensor) -> list[Tensor]:
        """The given (B, n, C) of colour and normals, unchanged."""
        return tokens

    def remember(self, mean_tokens: Tensor) -> None:
        """Nothing is remembered."""


class PlacedTokens(nn.Module):
    """Tokens embedded in `width` numbers, to which a vector for row, column, view and place is added.

    The place's vector comes from `place_memory`, (V, h, w, P) float16: the principal components of good parts' mean
    tokens there. It is fixed before training and travels in the model file, of which it is the largest part.
    """

    row_waves: Tensor
    column_waves: Tensor
    place_memory: Tensor

    def __init__(self, config: NetworkConfig, components: int, grid: tuple[int, int], n_views: int) -> None:
        super().__init__()
        self.grid, self.place_components = grid, config.place_components
        w = config.width
        self.embed = nn.ModuleList(nn.Linear(components, w) for _ in range(2))
        self.row, self.column = nn.Linear(POSITION_WIDTH, w, bias=False), nn.Linear(POSITION_WIDTH, w, bias=False)
        self.view = nn.Embedding(n_views, w)
        self.register_buffer("row_waves", position_waves(grid[0]), persistent=False)
        self.register_buffer("column_waves", position_waves(grid[1]), persistent=False)
        if config.place_components:
            memory = torch.zeros(n_views, *grid, config.place_components, dtype=torch.float16)
            self.register_buffer("place_memory", memory)
            self.placed = nn.Linear(config.place_components, w, bias=False)

    def forward(self, tokens: Tensor, view_index: Tensor) -> list[Tensor]:
        """The whole grid: (B, 2, h, w, C), (B,) -> colour and normals, each (B, h, w, W)."""
        where_row = self.row(self.row_waves)[None, :, None, :]
        where_column = self.column(self.column_waves)[None, None, :, :]
        which = self.view(view_index)[:, None, None, :]
        if self.place_components:
            which = which + self.placed(self.place_memory[view_index].float())
        return [layer(tokens[:, m]) + which + where_row + where_column for m, layer in enumerate(self.embed)]

    def at(self, tokens: list[Tensor], where: Tensor, view_index: Tensor) -> list[Tensor]:
        """Chosen tokens: colour and normals (B, n, C) from flat positions `where` (B, n) -> each (B, n, W)."""
        at_row, at_column = where // self.grid[1], where % self.grid[1]
        place = self.row(self.row_waves)[at_row] + self.column(self.column_waves)[at_column]
        place = place + self.view(view_index)[:, None, :]
        if self.place_components:
            place = place + self.placed(self.place_memory[view_index[:, None], at_row, at_column].float())
        return [layer(tokens[m]) + place for m, layer in enumerate(self.embed)]

    def remember(self, mean_tokens: Tensor) -> None:
        """Fill the place memory from the mean tokens of good parts, (V, 2, h, w, C).

        Position alone says too little where a feature may be missing: plain wall is normal, but not there.
        """
        if not self.place_components:
            return
        v, m, h, w, c = mean_tokens.shape
        flat = mean_tokens.permute(0, 2, 3, 1, 4).reshape(v * h * w, m * c).double()
        flat = flat - flat.mean(dim=0)
        _, axes = torch.linalg.eigh(flat.T @ flat)
        found = flat @ axes[:, -min(self.place_components, m * c) :]
        found = found / found.std().clamp(min=1e-9)
        self.place_memory.zero_()
        self.place_memory[..., : found.shape[1]] = found.reshape(v, h, w, -1).half()


def position_waves(count: int) -> Tensor:
    """(count, POSITION_WIDTH) sines and cosines of the index, wavelengths from two tokens to twice the side."""
    half = POSITION_WIDTH // 2
    wavelength = 2.0 * torch.exp(torch.linspace(0.0, 1.0, half) * torch.log(torch.tensor(float(count))))
    angle = 2 * torch.pi * torch.arange(count, dtype=torch.float32)[:, None] / wavelength[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)
