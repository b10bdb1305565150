"""The second branch: how far a token lies from what good parts show at its place, measured in their own variation.

Every response of the encoder is expressed in good parts' standard deviations at that place of that view, and the
distance is Mahalanobis' with the correlation that all places have in common. Kin to PaDiM (Defard et al. 2021), which
has a whole covariance for each place: sixty parts give the spread of each response, not all their products.
CPRN sees what does not fit the rest of the part; this branch sees magnitudes, which a cosine does not.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FLOOR = 0.02  # of the correlation's largest eigenvalue
LEAST_SPREAD = 0.3  # of a response's median spread over all places: a place that hardly varies shall not dominate
DOUBTED_SPREAD = 3.0  # the same, added where normals come and go (unseen.py): of 44 parts the next may be the first
LEAST_UNIT = 1e-3  # of the modality's largest: a response that is constant, as a grey picture's colour, says nothing
AROUND = 0.5  # of a place's variance is taken from the places around it: sixty parts give a spread to a tenth


class PlaceGauss(nn.Module):
    """Distances of whole feature vectors, (B, M, N, F) -> (B, M, N), for M modalities at N places of V views."""

    mean: Tensor  # (V, M, N, F) in units of `unit`
    sharpness: Tensor  # (V, M, N, F) float16: one over the spread, in the same units
    unit: Tensor  # (M, F): each response's median spread
    metric: Tensor  # (M, F, F)

    def __init__(self, n_views: int, modalities: int, count: int, responses: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_views, modalities, count, responses))
        self.register_buffer("sharpness", torch.ones(n_views, modalities, count, responses, dtype=torch.float16))
        self.register_buffer("unit", torch.ones(modalities, responses))
        self.register_buffer("metric", torch.eye(responses).repeat(modalities, 1, 1))

    def forward(self, features: Tensor, view_index: Tensor) -> Tensor:
        """(B, M, N, F), (B,) -> (B, M, N): root mean square of the components, 1 for an ordinary good token."""
        found = torch.matmul(self._standard(features, view_index), self.metric[None])
        return torch.sqrt((found * found).mean(dim=-1) + 1e-9)

    def _standard(self, features: Tensor, view_index: Tensor) -> Tensor:
        off = features / self.unit[None, :, None, :] - self.mean[view_index]
        return off * self.sharpness[view_index].float()

    def fit(
        self, features: Tensor, view_index: Tensor, neighbours: NDArray[np.int64], doubt: Tensor | None = None
    ) -> None:
        """Learn from good parts' features, (n, M, N, F), and their views (n,); two parts a view at least.

        `neighbours` (V, N, k) are the places around each place, itself included. `doubt` (V, M, N), 0..1, is where
        responses are less to be trusted than their spread says.
        """
        views = range(len(self.mean))
        means, spreads = [], []
        for v in views:
            mean, variance = moments(features[view_index == v])
            means.append(mean)
            spreads.append(_spread(variance, neighbours[v]))
        usual = torch.stack(spreads).permute(1, 3, 0, 2).reshape(*self.unit.shape, -1).median(dim=2).values
        self.unit.copy_(torch.maximum(usual, LEAST_UNIT * usual.amax(dim=1, keepdim=True)).clamp(min=1e-9))
        for v in views:
            self._learn(v, means[v], spreads[v], None if doubt is None else doubt[v])
        self.metric.copy_(self._metric(features, view_index))

    def fit_view(
        self, view: int, mean: Tensor, variance: Tensor, neighbours: NDArray[np.int64], doubt: Tensor | None = None
    ) -> None:
        """Learn one view from moments (M, N, F) of other parts; units and correlation stay. `neighbours` (N, k)."""
        self._learn(view, mean, _spread(variance, neighbours), doubt)

    def _learn(self, view: int, mean: Tensor, spread: Tensor, doubt: Tensor | None) -> None:
        unit = self.unit[:, None, :]
        self.mean[view] = mean / unit
        least = LEAST_SPREAD if doubt is None else LEAST_SPREAD + DOUBTED_SPREAD * doubt[..., None]
        self.sharpness[view] = (1.0 / torch.sqrt((spread / unit) ** 2 + least**2)).half()

    def _metric(self, features: Tensor, view_index: Tensor) -> Tensor:
        """Whitens what all places have in common: (M, F, F)."""
        products = torch.zeros(self.metric.shape, dtype=torch.float64)
        count = 0
        for i, part in enumerate(features):
            z = self._standard(part[None].float(), view_index[i : i + 1])[0].double()
            products += z.transpose(1, 2) @ z
            count += z.shape[1]
        w, vectors = torch.linalg.eigh(products / max(1, count))
        found: Tensor = (vectors / torch.sqrt(w.clamp(min=0) + FLOOR * w[:, -1:])[:, None, :]).float()
        return found


def _spread(variance: Tensor, neighbours: NDArray[np.int64]) -> Tensor:
    """(M, N, F) -> the same: the standard deviation at each place, that of the places around it mixed in."""
    around = variance[:, torch.from_numpy(neighbours)].mean(dim=2)
    return torch.sqrt((1 - AROUND) * variance + AROUND * around)


class Sums:
    """Sums over parts of one view, from which the moments without any of them follow."""

    def __init__(self, parts: Tensor) -> None:
        """`parts` (n, M, N, F)."""
        self._first = parts[0].float()  # taken off before squares are summed: float32 would cancel
        self._count = 0
        self._total, self._square = torch.zeros(parts.shape[1:]), torch.zeros(parts.shape[1:])
        self._add(parts, 1)

    def without(self, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (M, N, F) over all but these (k, M, N, F), one of the others at least; all for k = 0."""
        self._add(parts, -1)
        n = self._count
        mean = self._total / n
        variance = (self._square / n - mean * mean) * (n / max(1, n - 1))
        self._add(parts, 1)
        return mean + self._first, variance.clamp(min=0)

    def _add(self, parts: Tensor, sign: int) -> None:
        for part in parts:
            off = part.float() - self._first
            self._total += sign * off
            self._square += sign * (off * off)
        self._count += sign * len(parts)


def moments(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over parts, (n, M, N, F) -> (M, N, F) each, without a copy of them all in float32."""
    return Sums(parts).without(parts[:0])
