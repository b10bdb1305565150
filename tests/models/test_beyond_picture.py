"""What lies beyond a picture is no edge, is not judged, and is found again in prepared pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.beyond_picture import BEYOND, beyond_in, with_repeated
from models.config import EncoderConfig, NetworkConfig, TrainConfig
from models.network import AnomalyNetwork

SIZE = (48, 72)


def _part() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours, normals and region of a part that reaches to the lower border."""
    rgb, normals = np.full((3, *SIZE), 0.4, np.float32), np.zeros((3, *SIZE), np.float32)
    rgb += 0.1 * np.sin(np.arange(SIZE[1], dtype=np.float32) / 5)
    normals[2] = 1.0
    region = np.zeros(SIZE, bool)
    region[12:, 8:64] = True
    return rgb * region, normals * region, region


def _without(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The same, its lowest rows beyond the picture; and where that is."""
    rgb, normals, region = _part()
    beyond = np.zeros(SIZE, bool)
    beyond[SIZE[0] - rows :] = True
    return rgb * ~beyond, normals * ~beyond, region, beyond


@pytest.mark.parametrize("rows", [1, 3, 9])
def test_a_prepared_picture_shows_where_it_ends(rows: int) -> None:
    rgb, normals, region, beyond = _without(rows)
    rgb[:, 20:24, 30:34] = normals[:, 20:24, 30:34] = 0  # a dark hole is the part's own
    assert np.array_equal(beyond_in(rgb, normals) & region, beyond & region)


def test_a_strip_repeats_the_nearest_pixel_and_counts_unless_it_is_wide() -> None:
    wanted, _, region = _part()
    for rows, value in ((2, 1.0), (9, BEYOND)):
        rgb, normals, shown = with_repeated(*_without(rows))
        assert np.allclose(rgb, wanted)
        assert np.array_equal(shown > 0, region)
        assert (shown[SIZE[0] - rows :][region[SIZE[0] - rows :]] == np.float32(value)).all()
        assert (np.linalg.norm(normals, axis=0)[region] == 1).all()
    rgb, normals, region, _ = _without(0)
    assert with_repeated(rgb, normals, region, ~region)[0] is rgb


@pytest.mark.parametrize("rows", [1, 9])
def test_the_encoder_sees_no_edge_where_the_picture_ends(rows: int) -> None:
    """Issue 17: one missing row at the border had given good connectors 9.7 where they have 1.7."""
    config = TrainConfig(encoder=EncoderConfig(sigmas_px=(1.0, 2.0)), network=NetworkConfig(width=16, heads=2))
    network = AnomalyNetwork(config, SIZE, 1, _part()[2][None]).eval()
    network.region.fill.copy_(torch.tensor([0.9, 0.1, 0.1, 0.0, 0.0, 1.0]))

    def features(rgb: np.ndarray, normals: np.ndarray, region: np.ndarray) -> torch.Tensor:
        colours, directions, shown = (torch.from_numpy(np.asarray(a, np.float32))[None] for a in (rgb, normals, region))
        with torch.no_grad():
            cut, turned = network.region(colours, directions, shown)
            return network.features(cut, turned, torch.tensor([0]))

    whole = features(*_part())
    rgb, normals, region, beyond = _without(rows)
    assert torch.allclose(features(*with_repeated(rgb, normals, region, beyond)), whole, atol=1e-4)
    assert not torch.allclose(features(rgb, normals, region & ~beyond), whole, atol=1e-2)
    judged = network.region.tokens_of(
        torch.from_numpy(with_repeated(rgb, normals, region, beyond)[2])[None], torch.tensor([0])
    )
    assert bool(judged[0, -1].any()) is (rows == 1)
