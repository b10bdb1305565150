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

    def forward(self, tokens: list[Tensor], _where: Tensor, _view_index: Tensor) -> list[Tensor]:
        """The given (B, n, C) of each modality, unchanged."""
        return tokens

    def remember(self, mean_tokens: Tensor, index: Tensor) -> None:
        """Nothing is remembered."""


class PlacedTokens(nn.Module):
    """Tokens embedded in `width` numbers, to which a vector for row, column, view and place is added.

    The place's vector comes from `place_memory`, (V, h w, P) float16: the principal components of good parts' mean
    tokens there. It is fixed before training and travels in the model file. Without `config.placed` only the view's
    vector is added: parts that are not aligned have no places.
    """

    row_waves: Tensor
    column_waves: Tensor
    place_memory: Tensor

    def __init__(
        self, config: NetworkConfig, components: int, grid: tuple[int, int], n_views: int, modalities: int = 2
    ) -> None:
        super().__init__()
        self.grid, self.place_components, self.placed_rows = grid, config.place_components, config.placed
        w = config.width
        self.embed = nn.ModuleList(nn.Linear(components, w) for _ in range(modalities))
        self.view = nn.Embedding(n_views, w)
        if config.placed:
            self.row, self.column = nn.Linear(POSITION_WIDTH, w, bias=False), nn.Linear(POSITION_WIDTH, w, bias=False)
            self.register_buffer("row_waves", position_waves(grid[0]), persistent=False)
            self.register_buffer("column_waves", position_waves(grid[1]), persistent=False)
        if config.place_components:
            memory = torch.zeros(n_views, grid[0] * grid[1], config.place_components, dtype=torch.float16)
            self.register_buffer("place_memory", memory)
            self.placed = nn.Linear(config.place_components, w, bias=False)

    def forward(self, tokens: list[Tensor], where: Tensor, view_index: Tensor) -> list[Tensor]:
        """Each modality's (B, n, C) from flat positions `where` (B, n) on the grid -> each (B, n, W)."""
        place = self.view(view_index)[:, None, :]
        if self.placed_rows:
            at_row, at_column = where // self.grid[1], where % self.grid[1]
            place = place + self.row(self.row_waves)[at_row] + self.column(self.column_waves)[at_column]
        if self.place_components:
            place = place + self.placed(self.place_memory[view_index[:, None], where].float())
        return [layer(token) + place for layer, token in zip(self.embed, tokens, strict=True)]

    def remember(self, mean_tokens: Tensor, index: Tensor) -> None:
        """Fill the place memory from the mean tokens of good parts, (V, M, N, C), at the flat positions `index` (V, N).

        Position alone says too little where a feature may be missing: plain wall is normal, but not there.
        """
        if not self.place_components:
            return
        v, m, n, c = mean_tokens.shape
        flat = mean_tokens.permute(0, 2, 1, 3).reshape(v * n, m * c).double()
        flat = flat - flat.mean(dim=0)
        _, axes = torch.linalg.eigh(flat.T @ flat)
        found = flat @ axes[:, -min(self.place_components, m * c) :]
        found = (found / found.std().clamp(min=1e-9)).reshape(v, n, -1).half()
        self.place_memory.zero_()
        for view in range(v):
            self.place_memory[view, index[view], : found.shape[2]] = found[view]


def position_waves(count: int) -> Tensor:
    """(count, POSITION_WIDTH) sines and cosines of the index, wavelengths from two tokens to twice the side."""
    half = POSITION_WIDTH // 2
    wavelength = 2.0 * torch.exp(torch.linspace(0.0, 1.0, half) * torch.log(torch.tensor(float(count))))
    angle = 2 * torch.pi * torch.arange(count, dtype=torch.float32)[:, None] / wavelength[None, :]
    return torch.cat([angle.sin(), angle.cos()], dim=1)
