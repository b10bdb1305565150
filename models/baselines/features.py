"""Frozen features of an encoder, whitened by good parts: the tokens on which every baseline stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.config import TrainConfig
from models.dataset import Dataset, Item, read_normals, read_rgb, regions_of
from models.encoder import FilterBank
from models.progress import Progress, silent
from models.region import LEAST_INSIDE

OUTSIDE_COLOUR, OUTSIDE_NORMAL = 0.0, (0.0, 0.0, 1.0)  # outside the region, before any filter: as the network has it
MOST_WHITENING_VIEWS = 100


Height = Callable[[Item], NDArray[np.float32]]  # (H, W) of one view, 0 at the part's mean


class Encoder(Protocol):
    """An encoder plug-in, or the filter bank: frozen features of one or two modalities."""

    id: str

    def __call__(self, diffuse_rgb: Tensor, normals: Tensor) -> Tensor:
        """(B, 3, H, W) twice -> (B, modalities, C, h, w)."""


@dataclass(frozen=True, slots=True)
class GoodTokens:
    """Whitened tokens of good views: per view (K, M, h, w, C) float16, and which tokens touch the part, (V, h, w)."""

    by_view: tuple[NDArray[np.float16], ...]
    inside: NDArray[np.bool_]

    @property
    def width(self) -> int:
        """C, numbers per token and modality."""
        return int(self.by_view[0].shape[-1])

    @property
    def modalities(self) -> int:
        """M, from one to three."""
        return int(self.by_view[0].shape[1])

    def drawn(self, modality: int, most: int, seed: int) -> NDArray[np.float32]:
        """(n, C) at most `most` tokens on the part, from all views and parts alike, at random."""
        rng = np.random.default_rng([seed, modality])
        share = -(-most // sum(len(t) for t in self.by_view))  # tokens of each picture, rounded up
        found = []
        for view, tokens in enumerate(self.by_view):
            for picture in tokens[:, modality]:
                on_part = picture[self.inside[view]]
                found.append(on_part[rng.permutation(len(on_part))[:share]])
        every = np.concatenate(found).astype(np.float32)
        return every[rng.permutation(len(every))[:most]]


class Features:
    """Encoder and whitening: one item's pictures to tokens (M, h, w, C) float32."""

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        encoder: Encoder | None = None,
        keep: bool = False,
        height: Height | None = None,
    ) -> None:
        """`encoder` None is the filter bank of `config.encoder`; `height` gives a third modality, after the normals.

        `keep` keeps the tokens of every item that was asked for, float16, so that several rules on the same features
        encode once: a megabyte a view at 684 x 456 pixels and 30 components.
        """
        self._kept: dict[str, NDArray[np.float16]] | None = {} if keep else None
        self._dataset, self._config = dataset, config
        self._height = height
        self._encoder: Encoder = FilterBank(config.encoder) if encoder is None else encoder
        self.id = self._encoder.id
        self._regions = dict(zip(dataset.views, regions_of(dataset), strict=True))
        self._mean = self._matrix = np.zeros(0, np.float32)
        self.inside = np.zeros((0, 0, 0), bool)

    def fit(self, items: tuple[Item, ...], progress: Progress = silent) -> None:
        """PCA whitening per modality, from tokens on the part: after unit variance per filter, as the network's."""
        chosen = items[:: max(1, -(-len(items) // MOST_WHITENING_VIEWS))]
        grid = self._encoded(chosen[0]).shape[2:]
        self.inside = np.stack([_tokens_on(self._regions[v], (grid[0], grid[1])) for v in self._dataset.views])
        responses = self._encoded(chosen[0]).shape[:2]
        count, total, products = 0, np.zeros(responses), np.zeros((*responses, responses[1]))
        for n, item in enumerate(chosen):
            inside = self.inside[self._dataset.views.index(item.view)]
            f = self._encoded(item)[:, :, inside].astype(np.float64)  # (M, F, tokens)
            total += f.sum(axis=2)
            products += f @ f.transpose(0, 2, 1)
            count += f.shape[2]
            progress(f"{self.id}: whitening", (n + 1) / len(chosen))
        mean = total / count
        self._mean = mean.astype(np.float32)
        matrices = [self._whitening(products[m] / count - np.outer(mean[m], mean[m])) for m in range(len(mean))]
        self._matrix = np.stack(matrices).astype(np.float32)

    def _whitening(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        """(F, C): unit variance per filter, then the largest components scaled to one, with a floor."""
        config = self._config.encoder
        spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        scale = 1.0 / np.maximum(spread, 1e-6 + 1e-3 * float(spread.max()))
        eigenvalues, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
        order = np.argsort(eigenvalues)[::-1][: config.components]
        w = np.maximum(eigenvalues[order], 0.0)
        return np.asarray(scale[:, None] * vectors[:, order] / np.sqrt(w + config.floor * max(float(w[0]), 1e-12)))

    def tokens(self, item: Item) -> NDArray[np.float32]:
        """(M, h, w, C) whitened, 0 for tokens outside the region. RuntimeError before `fit`."""
        if not self._matrix.size:
            raise RuntimeError("features: `fit` comes first, because the whitening is taken from good parts")
        if self._kept is None:
            return self._whitened(item)
        key = str(item.rgb)
        if key not in self._kept:
            self._kept[key] = self._whitened(item).astype(np.float16)
        return self._kept[key].astype(np.float32)

    def _whitened(self, item: Item) -> NDArray[np.float32]:
        moved = self._encoded(item).transpose(0, 2, 3, 1) - self._mean[:, None, None, :]
        white = np.matmul(moved, self._matrix[:, None])
        white[:, ~self.inside[self._dataset.views.index(item.view)]] = 0.0
        return np.asarray(white, np.float32)

    def good(self, items: tuple[Item, ...], progress: Progress = silent) -> GoodTokens:
        """The tokens of these views, float16: 2 bytes times 2 modalities, places and components a picture."""
        by_view = []
        for v, view in enumerate(self._dataset.views):
            of_view = [i for i in items if i.view == view]
            by_view.append(np.stack([self.tokens(i).astype(np.float16) for i in of_view]))
            progress(f"{self.id}: tokens", (v + 1) / len(self._dataset.views))
        return GoodTokens(tuple(by_view), self.inside)

    def _encoded(self, item: Item) -> NDArray[np.float32]:
        """(M, F, h, w) of one item, with a constant outside the region."""
        rgb = read_rgb(item.rgb, self._config)
        normals = np.zeros_like(rgb) if item.normal is None else read_normals(item.normal)
        outside = ~self._regions[item.view]
        rgb[:, outside] = OUTSIDE_COLOUR
        normals[:, outside] = np.array(OUTSIDE_NORMAL, np.float32)[:, None]
        with torch.no_grad():
            found = self._encoder(torch.from_numpy(rgb)[None], torch.from_numpy(normals)[None])
            if self._height is not None:
                planes = np.zeros_like(rgb)  # a height is one channel, and takes the normals' place in the encoder
                planes[0] = np.where(outside, np.float32(0), self._height(item))
                third = self._encoder(torch.from_numpy(rgb)[None], torch.from_numpy(planes)[None])
                found = torch.cat([found, third[:, 1:2]], dim=1)
        return np.asarray(found[0].numpy())


def _tokens_on(region: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) true for tokens of which enough lies on the region (H, W), as the network chooses them."""
    share = cv2.resize(region.astype(np.float32), (grid[1], grid[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= LEAST_INSIDE)
