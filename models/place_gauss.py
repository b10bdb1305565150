"""The second branch: how far a token lies from what good parts show at its place, measured in their own variation.

Features of the encoder are compared with the mean of good parts at the same place of the same view, in the metric of
the variation that is left once places are taken off (the pooled covariance within places, as in linear discriminant
analysis), and divided by how much more or less good parts vary at that place. Kin to PaDiM (Defard et al. 2021), with
one covariance for all places: sixty parts give no covariance for each of thousands of places.
CPRN sees what does not fit the rest of the part; this branch sees magnitudes, which a cosine does not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLOOR = 1e-3  # of the largest eigenvalue within places
LEAST_SCALE = 0.5  # of a view's median scale: places that hardly vary shall not dominate


class PlaceGauss(nn.Module):
    """Distances of whole feature vectors, (B, M, N, F) -> (B, M, N), for M modalities at N places of V views."""

    mean: Tensor  # (V, M, N, F) float16, in units of the pooled spread of each feature
    scale: Tensor  # (V, M, N)
    unit: Tensor  # (M, F): the pooled spread of each feature
    metric: Tensor  # (M, F, F)

    def __init__(self, n_views: int, modalities: int, count: int, responses: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_views, modalities, count, responses, dtype=torch.float16))
        self.register_buffer("scale", torch.ones(n_views, modalities, count))
        self.register_buffer("unit", torch.ones(modalities, responses))
        self.register_buffer("metric", torch.eye(responses).repeat(modalities, 1, 1))

    def forward(self, features: Tensor, view_index: Tensor) -> Tensor:
        """(B, M, N, F), (B,) -> (B, M, N): root mean square of the components, 1 for an ordinary good token."""
        off = features / self.unit[None, :, None, :] - self.mean[view_index].float()
        found = torch.matmul(off, self.metric[None])
        return torch.sqrt((found * found).mean(dim=-1) + 1e-9) / self.scale[view_index]

    def fit(self, features: Tensor, view_index: Tensor) -> None:
        """Learn from good parts' features, (n, M, N, F) float16 or 32, and their views (n,); two parts a view at least."""
        views, modalities = self.mean.shape[:2]
        means = torch.stack([_mean(features[view_index == v]) for v in range(views)])
        for m in range(modalities):
            covariance = torch.zeros(self.unit.shape[1], self.unit.shape[1], dtype=torch.float64)
            count = 0
            for part, v in zip(features[:, m], view_index.tolist(), strict=True):
                off = part.double() - means[v, m]
                covariance += off.T @ off
                count += off.shape[0]
            covariance /= max(1, count)
            self.unit[m] = torch.sqrt(torch.diagonal(covariance) + 1e-12).float()
            unit = self.unit[m].double()
            w, vectors = torch.linalg.eigh(covariance / torch.outer(unit, unit))
            self.metric[m] = (vectors / torch.sqrt(w.clamp(min=0) + FLOOR * w[-1])).float()
            self.mean[:, m] = (means[:, m] / unit).half()
        self.scale.fill_(1.0)
        found = [self(part[None].float(), view_index[i : i + 1])[0] for i, part in enumerate(features)]
        distances = torch.stack(found)
        for v in range(views):
            rms = torch.sqrt((distances[view_index == v] ** 2).mean(dim=0))  # (M, N)
            self.scale[v] = torch.maximum(rms, LEAST_SCALE * rms.median(dim=1, keepdim=True).values)


def _mean(parts: Tensor) -> Tensor:
    total = torch.zeros(parts.shape[1:], dtype=torch.float64)
    for part in parts:
        total += part.double()
    return total / len(parts)
