"""Nearest neighbours among good tokens: at the same place of the same view, or anywhere through a coreset.

The second is of PatchCore's kind: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.baselines.features import GoodTokens
from models.progress import Progress


class LocalNeighbours:
    """Distance to the nearest good token within `reach` tokens of the same place, every view its own bank.

    Memory is that of the good tokens, which it keeps as they are.
    """

    is_placed = True

    def __init__(self, reach: int = 1) -> None:
        self.name = "local kNN"
        self._reach = reach
        self._good: GoodTokens | None = None

    def fit(self, good: GoodTokens, progress: Progress) -> None:
        """Keep the tokens."""
        self._good = good
        progress(self.name, 1.0)

    def distances(self, tokens: NDArray[np.float32], view: int) -> NDArray[np.float32]:
        """(M, h, w, C) -> (M, h, w), one target for each modality. RuntimeError before `fit`."""
        if self._good is None:
            raise RuntimeError("local kNN: `fit` comes first")
        bank = self._good.by_view[view]
        return np.stack([self._nearest(t, bank[:, m], self._good.inside[view]) for m, t in enumerate(tokens)])

    def _nearest(
        self, tokens: NDArray[np.float32], bank: NDArray[np.float16], inside: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(h, w) of one modality; bank (K, h, w, C). Tokens outside the region are no neighbours of any."""
        h, w, width = tokens.shape
        at_place = np.ascontiguousarray(bank.transpose(1, 2, 0, 3)).astype(np.float32)  # (h, w, K, C)
        squares = np.where(inside[:, :, None], (at_place**2).sum(axis=3), np.inf)
        best = np.full((h, w), np.inf, np.float32)
        r = self._reach
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                here = np.s_[max(0, -dy) : h - max(0, dy), max(0, -dx) : w - max(0, dx)]
                there = np.s_[max(0, dy) : h + min(0, dy), max(0, dx) : w + min(0, dx)]
                products = np.matmul(at_place[there], tokens[here].reshape(*tokens[here].shape[:2], width, 1))[..., 0]
                best[here] = np.minimum(best[here], (squares[there] - 2.0 * products).min(axis=2))
        return np.sqrt(np.maximum(np.where(inside, best + (tokens**2).sum(axis=2), 0.0), 0.0)).astype(np.float32)


class GlobalNeighbours:
    """Distance to the nearest of `bank` good tokens from all views and places, chosen to cover the others.

    Greedy k-centre selection among `candidates` random tokens, in a random projection to 16 numbers. It needs no
    aligned parts.
    """

    is_placed = False

    def __init__(self, bank: int = 6000, candidates: int = 60_000, seed: int = 0) -> None:
        self.name = "global kNN (PatchCore kind)"
        self._size, self._candidates, self._seed = bank, candidates, seed
        self._banks: list[NDArray[np.float32]] = []

    def fit(self, good: GoodTokens, progress: Progress) -> None:
        """Choose the bank of each modality."""
        self._banks = []
        for m in range(good.modalities):
            drawn = good.drawn(m, self._candidates, self._seed)
            self._banks.append(drawn[coreset(drawn, self._size, self._seed)])
            progress(self.name, (m + 1) / good.modalities)

    def distances(self, tokens: NDArray[np.float32], view: int) -> NDArray[np.float32]:  # noqa: ARG002 (one bank)
        """(M, h, w, C) -> (M, h, w), one target for each modality. RuntimeError before `fit`."""
        if not self._banks:
            raise RuntimeError("global kNN: `fit` comes first")
        return np.stack([_nearest(t, bank) for t, bank in zip(tokens, self._banks, strict=True)])


def _nearest(tokens: NDArray[np.float32], bank: NDArray[np.float32], rows: int = 1024) -> NDArray[np.float32]:
    """(h, w) distances from tokens (h, w, C) to the nearest of (n, C), some rows at a time: a block of memory."""
    flat = tokens.reshape(-1, tokens.shape[-1])
    squares = (bank**2).sum(axis=1)
    best = [(squares - 2.0 * (flat[i : i + rows] @ bank.T)).min(axis=1) for i in range(0, len(flat), rows)]
    found = np.concatenate(best) + (flat**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(found, 0.0)).reshape(tokens.shape[:2]), np.float32)


def coreset(tokens: NDArray[np.float32], size: int, seed: int, projected: int = 16) -> NDArray[np.intp]:
    """(size,) rows of (n, C): each next one is the farthest from those before it (greedy k-centre)."""
    if size >= len(tokens):
        return np.arange(len(tokens))
    rng = np.random.default_rng(seed)
    small = tokens
    if projected < tokens.shape[1]:
        small = tokens @ (rng.normal(size=(tokens.shape[1], projected)) / np.sqrt(projected)).astype(np.float32)
    squares = (small**2).sum(axis=1)
    chosen = [int(rng.integers(len(small)))]
    farthest = np.full(len(small), np.inf, np.float32)
    while len(chosen) < size:
        last = chosen[-1]
        np.minimum(farthest, squares - 2.0 * (small @ small[last]) + squares[last], out=farthest)
        farthest[last] = -np.inf
        chosen.append(int(farthest.argmax()))
    return np.array(chosen)
