"""Good parts that were learned from, measured as if the second branch had not: they serve calibration and limits too.

Twenty held-out parts say little of a place at which one good part in thirty is odd, and a limit from twenty scores lies
twice as high as one from forty. The second branch is fitted in a blink, so it is fitted anew without a fifth of the
train parts at a time, which measures that fifth. CPRN's weights have seen these parts; its distances to them are a few
per cent lower than to others (docs/evaluation.md). So the promise that needs no law counts held-out parts alone.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from models.config import TrainConfig
from models.dataset import PLAIN, Item
from models.fit import Encoded
from models.limits import HeldOut
from models.network import AnomalyNetwork
from models.place_gauss import PlaceGauss, Sums
from models.progress import Progress
from models.together import ALONE, Together

FEWEST_PARTS = 10  # to learn from: fewer know the places too badly once one of them is left out


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
    found: dict[int, Tensor] = {}
    with torch.no_grad():
        for view in range(len(network.region.index)):
            rows = [n for n, item in enumerate(items) if item.part in parts and int(encoded.view_index[n]) == view]
            found.update(_of_view(network, items, encoded, view, rows, group))
            progress("parts learned from", (view + 1) / len(network.region.index))
    rows = sorted(found)
    return HeldOut(
        torch.cat([found[n] for n in rows]).numpy(),
        encoded.view_index.numpy()[rows].astype(np.int64),
        tuple(items[n].part for n in rows),
        tuple(items[n].variant for n in rows),
    )


def _whole_parts(items: tuple[Item, ...], n_views: int) -> set[str]:
    """Those with a plain picture of every view."""
    views: dict[str, set[str]] = {}
    for item in items:
        if item.variant == PLAIN:
            views.setdefault(item.part, set()).add(item.view)
    return {part for part, found in views.items() if len(found) == n_views}


def _of_view(
    network: AnomalyNetwork, items: tuple[Item, ...], encoded: Encoded, view: int, rows: list[int], group: Together
) -> dict[int, Tensor]:
    """(1, T, N) of each of `rows`, which are one view's, by a second branch that has not seen the row's part."""
    gauss, of_view = deepcopy(network.gauss), encoded.features[rows]
    sums = None if gauss is None else Sums(of_view)
    neighbours, doubt = network.region.neighbours()[view], network.doubt()
    of_part = np.array([items[n].part for n in rows])

    def measured(part: str) -> Tensor:
        own = np.flatnonzero(of_part == part)
        if gauss is not None and sums is not None:
            gauss.fit_view(view, *sums.without(of_view[own]), neighbours, None if doubt is None else doubt[view])
        return torch.cat([_distances(network, encoded, gauss, rows[n]) for n in own])

    found: dict[int, Tensor] = {}
    names = sorted(set(of_part.tolist()))
    for place, distances in group.each(names, measured):
        own = np.flatnonzero(of_part == names[place])
        found.update({rows[n]: distances[at : at + 1] for at, n in enumerate(own)})
    return found


def _distances(network: AnomalyNetwork, encoded: Encoded, gauss: PlaceGauss | None, n: int) -> Tensor:
    """(1, T, N) of row n."""
    features = encoded.features[n : n + 1].float()
    return network.of_features(features, encoded.measured_in(n), encoded.view_index[n : n + 1], gauss)
