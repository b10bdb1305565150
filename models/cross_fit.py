"""Good parts that were learned from, measured as if the second branch had not: they serve calibration and limits too.

Twenty held-out parts say little of a place at which one good part in thirty is odd, and a limit from twenty scores lies
twice as high as one from forty. The second branch is fitted in a blink, so it is fitted anew without a fifth of the
train parts at a time, which measures that fifth. CPRN's weights have seen these parts; its distances to them are a few
per cent lower than to others (docs/evaluation.md). So the promise that needs no law counts held-out parts alone.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from models.config import TrainConfig
from models.dataset import PLAIN, Item
from models.fit import Encoded
from models.limits import HeldOut
from models.network import AnomalyNetwork
from models.place_gauss import PlaceGauss
from models.progress import Progress
from models.together import ALONE, Together

FOLDS = 5
FEWEST_PARTS = 10  # to learn from: of fewer, those without a fifth would know the places too badly


def learned_distances(
    network: AnomalyNetwork, items: tuple[Item, ...], encoded: Encoded, config: TrainConfig, progress: Progress,
    group: Together = ALONE,
) -> HeldOut | None:  # fmt: skip
    """Distances of the `items` that `network` was fitted to; None where they are not wanted or would say nothing.

    They say nothing with fewer than FEWEST_PARTS, for parts that are not aligned, and for a branch of neighbours, whose
    bank holds their own tokens.
    """
    parts = _whole_parts(items, len(network.region.index))
    if not (config.score.learned_parts and config.score.local) or network.near is not None or len(parts) < FEWEST_PARTS:
        return None
    fold_of = {part: n % FOLDS for n, part in enumerate(parts)}
    fold = np.array([fold_of.get(item.part, -1) for item in items])
    found: dict[int, Tensor] = {}
    with torch.no_grad():
        for k in range(FOLDS):
            gauss = _fitted_without(network, encoded, torch.from_numpy(fold != k))
            rows = np.flatnonzero(fold == k).tolist()
            measured = group.each(rows, partial(_distances, network, encoded, gauss))
            found.update({rows[place]: distances for place, distances in measured})
            progress("parts learned from", (k + 1) / FOLDS)
    rows = sorted(found)
    return HeldOut(
        torch.cat([found[n] for n in rows]).numpy(),
        encoded.view_index.numpy()[rows].astype(np.int64),
        tuple(items[n].part for n in rows),
        tuple(items[n].variant for n in rows),
    )


def _whole_parts(items: tuple[Item, ...], n_views: int) -> list[str]:
    """Those with a plain picture of every view."""
    views: dict[str, set[str]] = {}
    for item in items:
        if item.variant == PLAIN:
            views.setdefault(item.part, set()).add(item.view)
    return sorted(part for part, found in views.items() if len(found) == n_views)


def _fitted_without(network: AnomalyNetwork, encoded: Encoded, kept: Tensor) -> PlaceGauss | None:
    """The second branch, fitted to the rows where `kept` (n,) is true."""
    if network.gauss is None:
        return None
    modalities, responses = network.gauss.unit.shape
    gauss = PlaceGauss(len(network.region.index), modalities, network.region.count, responses)
    rows = kept.nonzero()[:, 0]
    gauss.fit(encoded.features[rows], encoded.view_index[rows], network.region.neighbours(), network.doubt())
    return gauss


def _distances(network: AnomalyNetwork, encoded: Encoded, gauss: PlaceGauss | None, n: int) -> Tensor:
    """(1, T, N) of row n."""
    features = encoded.features[n : n + 1].float()
    return network.of_features(features, encoded.measured_in(n), encoded.view_index[n : n + 1], gauss)
