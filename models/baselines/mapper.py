"""Maps from colour to normals and back, of CFM's kind: Costanzino et al., "Multimodal Industrial Anomaly Detection by
Crossmodal Feature Mapping", CVPR 2024.

A defect breaks what colour says about the normals and the reverse, so both mappings miss there, and the product of
their errors is high.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.baselines.features import GoodTokens
from models.progress import Progress


class CrossModalMapper:
    """Two small networks on single tokens, for all views and places: it needs no aligned parts."""

    is_placed = False

    def __init__(
        self, hidden: int = 128, steps: int = 1500, batch: int = 2048, tokens: int = 200_000, seed: int = 0
    ) -> None:
        """Trained by Adam on at most `tokens` good tokens of each modality."""
        self.name = "cross-modal mapper (CFM kind)"
        self._hidden, self._steps, self._batch, self._tokens, self._seed = hidden, steps, batch, tokens, seed
        self._maps: nn.ModuleList | None = None

    def fit(self, good: GoodTokens, progress: Progress) -> None:
        """Train both maps; ValueError for features of one modality alone."""
        if good.modalities != 2:
            raise ValueError(
                f"cross-modal mapper: the features have {good.modalities} modality, and it maps colour to normals; "
                "give features of both, or choose another baseline"
            )
        pairs = [torch.from_numpy(t) for t in _paired(good, self._tokens, self._seed)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            maps = nn.ModuleList(_mapper(good.width, self._hidden) for _ in range(2))
            optimiser = torch.optim.Adam(maps.parameters(), lr=1e-3)
            for step in range(self._steps):
                chosen = torch.randint(len(pairs[0]), (self._batch,))
                x = [p[chosen] for p in pairs]
                loss = (_apart(maps[0](x[0]), x[1]) + _apart(maps[1](x[1]), x[0])).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                if step % 50 == 49:
                    progress(f"{self.name}, loss {float(loss.detach()):.3f}", (step + 1) / self._steps)
        self._maps = maps.eval()

    def distances(self, tokens: NDArray[np.float32], view: int) -> NDArray[np.float32]:  # noqa: ARG002 (one for all)
        """(2, h, w, C) -> (1, h, w): the product of both errors. RuntimeError before `fit`."""
        if self._maps is None:
            raise RuntimeError("cross-modal mapper: `fit` comes first")
        colour, normals = torch.from_numpy(tokens[0]), torch.from_numpy(tokens[1])
        with torch.no_grad():
            product = _apart(self._maps[0](colour), normals) * _apart(self._maps[1](normals), colour)
        return np.asarray(product[None].numpy())


def _mapper(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, width)
    )


def _apart(found: Tensor, truth: Tensor) -> Tensor:
    """1 - cosine along the last axis."""
    return 1.0 - functional.cosine_similarity(found, truth, dim=-1)


def _paired(good: GoodTokens, most: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colour and normals, (n, C) each, of the same random places on the part."""
    rng = np.random.default_rng(seed)
    share = -(-most // sum(len(t) for t in good.by_view))
    found: tuple[list[NDArray[np.float16]], list[NDArray[np.float16]]] = ([], [])
    for view, tokens in enumerate(good.by_view):
        places = np.argwhere(good.inside[view])
        for picture in tokens:
            rows, columns = places[rng.permutation(len(places))[:share]].T
            for m in range(2):
                found[m].append(picture[m, rows, columns])
    return np.concatenate(found[0]).astype(np.float32), np.concatenate(found[1]).astype(np.float32)
