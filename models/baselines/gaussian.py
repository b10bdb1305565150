"""A Gaussian at each place of each view, of PaDiM's kind: Defard et al., "PaDiM", ICPR 2020."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.baselines.features import GoodTokens
from models.progress import Progress

RIDGE = 0.01  # added to every covariance, as in the publication


class PlaceGaussian:
    """Mahalanobis distance to the good tokens of the same place.

    Memory: C x C float32 for each place, view and modality, 310 MB for 5 views of 114 x 76 tokens of 30 numbers.
    """

    is_placed = True

    def __init__(self, ridge: float = RIDGE) -> None:
        self.name = "Gaussian a place (PaDiM kind)"
        self._ridge = ridge
        self._means: list[NDArray[np.float32]] = []  # per view (M, h, w, C)
        self._roots: list[NDArray[np.float32]] = []  # per view (M, h, w, C, C): the covariance is the inverse of R R^T

    def fit(self, good: GoodTokens, progress: Progress) -> None:
        """Mean and covariance of each place; ValueError with fewer than two good pictures of a view."""
        self._means, self._roots = [], []
        eye = self._ridge * np.eye(good.width)
        for view, tokens in enumerate(good.by_view):
            if len(tokens) < 2:
                raise ValueError(f"train parts: {len(tokens)} of a view, but a covariance needs two; add some")
            mean = tokens.mean(axis=0, dtype=np.float32)
            roots = np.empty((*mean.shape, good.width), np.float32)
            for m, row in np.ndindex(mean.shape[:2]):  # a row of tokens at a time: float64 copies stay small
                x = (tokens[:, m, row].astype(np.float64) - mean[m, row]).transpose(1, 2, 0)  # (w, C, K)
                covariance = x @ x.transpose(0, 2, 1) / (len(tokens) - 1) + eye
                roots[m, row] = np.linalg.cholesky(np.linalg.inv(covariance))
            self._means.append(mean)
            self._roots.append(roots)
            progress(self.name, (view + 1) / len(good.by_view))

    def distances(self, tokens: NDArray[np.float32], view: int) -> NDArray[np.float32]:
        """(M, h, w, C) -> (M, h, w), one target for each modality. RuntimeError before `fit`."""
        if not self._means:
            raise RuntimeError("Gaussian: `fit` comes first")
        moved = (tokens - self._means[view])[..., None, :]
        return np.asarray(np.sqrt((np.matmul(moved, self._roots[view])[..., 0, :] ** 2).sum(axis=-1)), np.float32)
