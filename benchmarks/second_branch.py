"""What the second branch alone makes of good parts, with and without filling missing normals: no weights are trained.

    python benchmarks/second_branch.py PREPARED_SET [--views top back] [--presets sound filled] [--threads 1]

`PREPARED_SET` is what `station train` writes beside a collection (COLLECTION-prepared). The branch is fitted to good
train parts and calibrated on the held-out ones (`models/limits.py`), plain views only. Printed are, for each preset,
each view's held-out scores and limit at 1 % overkill of the part, and of each test part the highest score over its
limit. Some 0.3 CPU-s a view and preset.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from models.config import TrainConfig, preset
from models.dataset import PLAIN, Dataset, Item, load_dataset
from models.fit import Inputs, as_others, mean_of_parts, seen_tokens
from models.limits import HeldOut, calibrate_scores, cross_scores, good_scores, scores_of
from models.network import AnomalyNetwork
from models.part_limits import limits_by_risk
from models.scoring import Scoring


@dataclass
class Encoded:
    """Features (n, 2, N, F) of views, the view (n,) of each, and which of its tokens were seen (n, N)."""

    features: Tensor
    view: Tensor
    items: list[Item]
    measured: list[Tensor | None]  # (1, N) of each: AnomalyNetwork.measured


class Branch:
    """The second branch of one preset on some views of a set, with all that stands before it."""

    def __init__(self, dataset: Dataset, views: Sequence[str], config: TrainConfig) -> None:
        self._views, self._config = views, config
        self._inputs = Inputs(dataset, config)
        regions = self._inputs.regions[[dataset.views.index(view) for view in views]]
        self._network = AnomalyNetwork(config, dataset.input_size, len(views), regions)
        gauss = self._network.gauss
        assert gauss is not None
        self._gauss = gauss
        scoring = Scoring(config.score, self._network.region, 2)
        self._judge = cast(Any, SimpleNamespace(scoring=scoring, region=self._network.region))

    def fit(self, train: list[Item]) -> None:
        network = self._network
        network.region.fill.copy_(mean_of_parts(tuple(train), self._inputs))
        if network.unseen is not None:
            network.unseen.fit((c[1], network.region.cut(c[2]), c[3]) for c in self._cuts(train))
        of_train = self.encoded(train)
        self._gauss.fit(of_train.features, of_train.view, network.region.neighbours(), network.doubt())

    def encoded(self, items: list[Item]) -> Encoded:
        rows, measured = [], []
        for rgb, normals, region, view in self._cuts(items):
            features = self._network.features(rgb, normals, view)[0].half()
            rows.append((features, view[0], seen_tokens(self._network, region, view)))
            measured.append(self._network.measured(normals, view))
        features, view, seen = (torch.stack(column) for column in zip(*rows, strict=True))
        return Encoded(as_others(features, seen, view), view, items, measured)

    def report(self, held: list[Item], test: list[Item]) -> Iterator[str]:
        distances = self._distances(held)
        scores = cross_scores(self._judge, distances, len(self._views), self._config)
        good = good_scores(scores, distances, tuple(self._views)).worst()
        limits = limits_by_risk(good).limits
        for view in self._views:
            yield f"  {view:<8} limit {limits[view]:6.1f}   held-out good {np.sort(good[view]).round(1).tolist()}"
        calibrate_scores(self._judge, distances, len(self._views), self._config)
        shares: dict[tuple[str, str], float] = {}
        for item, score in zip(test, scores_of(self._judge, self._distances(test)), strict=True):
            key = (item.kind, item.part)
            shares[key] = max(shares.get(key, 0.0), float(score) / limits[item.view])
        yield from (f"  {kind:<16} {part:<34} {share:6.2f} of the limit" for (kind, part), share in shares.items())

    def _cuts(self, items: list[Item]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Colour and normals as the region cuts them, the region, and the view."""
        for item in items:
            rgb, normals, _, region = self._inputs.of(item)
            yield *self._network.region(rgb, normals, region), region, torch.tensor([self._views.index(item.view)])

    def _distances(self, items: list[Item]) -> HeldOut:
        of = self.encoded(items)
        found = [self._gauss(of.features[n : n + 1].float(), of.view[n : n + 1]) for n in range(len(items))]
        for distances, measured in zip(found, of.measured, strict=True):
            if measured is not None:
                distances[:, 1] *= measured
        return HeldOut(torch.cat(found).numpy(), of.view.numpy().astype(np.int64), tuple(i.part for i in items))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--views", nargs="*", default=[])
    parser.add_argument("--presets", nargs="*", default=["sound", "filled"])
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    dataset = load_dataset(asked.data)
    views = [view for view in dataset.views if not asked.views or view in asked.views]
    plain = [item for item in dataset.items if item.variant == PLAIN and item.view in views]
    train, held = ([i for i in plain if (i.split, i.kind) == (s, "good")] for s in ("train", "calibrate"))
    with torch.no_grad():
        for name in asked.presets:
            branch = Branch(dataset, views, preset(name))
            branch.fit(train)
            print(name)
            print("\n".join(branch.report(held, [i for i in plain if i.split == "test"])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
