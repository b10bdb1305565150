"""Parts that were learned from: measured as if the second branch had not, and only where that says something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.config import EncoderConfig, NetworkConfig, TrainConfig
from models.cross_fit import FEWEST_PARTS, learned_distances
from models.dataset import Item
from models.fit import Encoded
from models.network import AnomalyNetwork
from models.progress import silent

CONFIG = TrainConfig(
    encoder=EncoderConfig(sigmas_px=(1.0,), components=8),
    network=NetworkConfig(width=16, heads=2, prototypes=3, stages=1),
)
VIEWS = 2
ODD = 7  # of the parts


def _items(parts: int) -> tuple[Item, ...]:
    files = (Path("rgb.png"), Path("normal.png"), Path("mask.png"))
    return tuple(Item(f"good-{n:02d}", f"view{v}", "train", "good", *files) for n in range(parts) for v in range(VIEWS))


def _network(config: TrainConfig = CONFIG) -> AnomalyNetwork:
    torch.manual_seed(0)
    return AnomalyNetwork(config, (24, 36), VIEWS).eval()


def _encoded(network: AnomalyNetwork, parts: int) -> Encoded:
    """Good parts alike but for noise, one of which is odd at one place of its first view."""
    shape = (parts * VIEWS, 2, network.region.count, network.bank.responses)
    features = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    features[ODD * VIEWS, 1, 4] += 9.0
    return Encoded(features.half(), torch.arange(VIEWS).repeat(parts), None)


def test_a_part_s_oddness_shows_because_the_branch_that_measures_it_has_not_learned_it() -> None:
    """Issue 17: with few good parts, one that lies off its seat widens its own spread and looks ordinary."""
    network, items = _network(), _items(12)
    encoded = _encoded(network, 12)
    assert network.gauss is not None
    network.gauss.fit(encoded.features, encoded.view_index, network.region.neighbours())
    found = learned_distances(network, items, encoded, CONFIG, silent)
    assert found is not None
    assert found.part == tuple(item.part for item in items)
    at = network.targets.index("normals_at_place")
    row = ODD * VIEWS
    with torch.no_grad():
        learned = network.gauss(encoded.features[row : row + 1].float(), torch.tensor([0]))[0, 1, 4]
    assert found.distances[row, at, 4] > 2 * float(learned)
    assert found.distances[row, at, 4] == found.distances[:, at].max()


def test_no_part_is_measured_where_that_says_nothing() -> None:
    network = _network()
    few = FEWEST_PARTS - 1
    assert learned_distances(network, _items(few), _encoded(network, few), CONFIG, silent) is None
    free = replace(CONFIG, score=replace(CONFIG.score, local=False, place_gauss=False))
    encoded = _encoded(network, FEWEST_PARTS)
    assert learned_distances(_network(free), _items(FEWEST_PARTS), encoded, free, silent) is None
    held_out_alone = replace(CONFIG, score=replace(CONFIG.score, learned_parts=False))
    assert learned_distances(network, _items(FEWEST_PARTS), encoded, held_out_alone, silent) is None


def test_a_part_that_lacks_a_view_is_left_out() -> None:
    network, items = _network(), _items(11)
    encoded = _encoded(network, 11)
    kept = Encoded(encoded.features[:-1], encoded.view_index[:-1], None)
    found = learned_distances(network, items[:-1], kept, CONFIG, silent)
    assert found is not None
    assert sorted(set(found.part)) == [f"good-{n:02d}" for n in range(10)]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_distance_of_normals_counts_by_what_was_measured(share: float) -> None:
    filled = replace(CONFIG, network=replace(CONFIG.network, fill_unseen=True))
    network = _network(filled)
    encoded = _encoded(network, 1 + ODD)
    features, view = encoded.features[:1].float(), torch.tensor([0])
    with torch.no_grad():
        whole = network.of_features(features, None, view, network.gauss)
        part = network.of_features(features, torch.full((1, network.region.count), share), view, network.gauss)
    for at, name in enumerate(network.targets):
        factor = share if name.startswith("normals") else 1.0
        assert torch.allclose(part[:, at], factor * whole[:, at]), name
