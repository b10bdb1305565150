"""Missing normals: replaced where they say nothing, kept where they show a defect."""

from __future__ import annotations

import numpy as np
import torch

from models.config import TrainConfig, preset
from models.place_gauss import PlaceGauss
from models.unseen import UnseenNormals, without_holes

SIZE = (48, 72)
VIEW = torch.tensor([0])
SLOPED = torch.tensor([0.6, 0.0, 0.8])


def _plane(*, unseen: tuple[slice, slice] | None = None) -> torch.Tensor:
    normals = SLOPED[None, :, None, None].expand(1, 3, *SIZE).clone()
    if unseen is not None:
        normals[:, :, unseen[0], unseen[1]] = 0
    return normals


def _fitted() -> UnseenNormals:
    """Twenty good parts: none has a normal in the pocket's bottom, one in five lacks them on its wall."""
    network, inside = UnseenNormals(1, SIZE), torch.ones(1, *SIZE)
    bottom, deeper = (slice(20, 28), slice(10, 30)), (slice(20, 32), slice(10, 30))
    network.fit((_plane(unseen=deeper if n % 5 == 0 else bottom), inside, VIEW) for n in range(20))
    return network


def test_a_mosaic_s_missing_colour_is_filled_from_the_pixels_around() -> None:
    normals = _plane()
    normals[:, :, 10:30:2, 10:30:2] = 0
    assert torch.allclose(without_holes(normals), _plane())


def test_nothing_is_replaced_before_good_parts_were_seen_but_holes() -> None:
    patch = _plane(unseen=(slice(10, 20), slice(10, 20)))
    assert torch.equal(UnseenNormals(1, SIZE)(patch, VIEW), patch)


def test_a_patch_that_is_missing_beside_a_pocket_is_replaced_by_the_usual_normals() -> None:
    """Issue 17: one good bracket of 44 lacked normals where the others had them, and set the limits."""
    found = _fitted()(_plane(unseen=(slice(18, 36), slice(10, 30))), VIEW)
    assert torch.allclose(found[0, :, 28:36, 12:28], _plane()[0, :, 28:36, 12:28], atol=1e-3)


def test_a_pit_on_a_plain_face_stays_missing() -> None:
    pit = _plane(unseen=(slice(6, 14), slice(50, 58)))
    assert torch.equal(_fitted()(pit, VIEW)[:, :, 4:16, 48:60], pit[:, :, 4:16, 48:60])


def test_a_normal_that_is_shown_where_good_parts_show_some_is_kept() -> None:
    bent = _plane()
    bent[:, :, 34:36, 12:28] = torch.tensor([0.0, 0.6, 0.8])[None, :, None, None]
    assert torch.equal(_fitted()(bent, VIEW)[:, :, 34:36], bent[:, :, 34:36])


def test_what_was_measured_of_a_token_is_known_and_a_mosaic_s_hole_counts_as_measured() -> None:
    normals = _plane(unseen=(slice(12, 18), slice(30, 33)))
    normals[:, :, 2:4:2, 2:4:2] = 0
    share = UnseenNormals(1, SIZE).measured(normals, 6)[0]
    assert share.shape == (8, 12)
    assert share[2, 5] == 0.5
    assert share[0, 0] == 1.0
    assert int((share < 1).sum()) == 1


def test_a_doubtful_place_counts_less() -> None:
    """Issue 17: what 44 good parts had not shown yet lay at seven times the limit."""
    torch.manual_seed(0)
    features, view = torch.randn(20, 1, 4, 5), torch.zeros(20, dtype=torch.int64)
    alone = np.arange(4)[None, :, None]
    odd = torch.full((1, 1, 4, 5), 6.0)
    sure, doubted = PlaceGauss(1, 1, 4, 5), PlaceGauss(1, 1, 4, 5)
    sure.fit(features, view, alone)
    doubted.fit(features, view, alone, torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]))
    ratio = (doubted(odd, VIEW) / sure(odd, VIEW))[0, 0]
    assert ratio[0] < 0.5 * ratio[1:].min()


def test_the_preset_fills_and_no_other_does() -> None:
    assert preset("filled").network.fill_unseen
    assert not preset("sound").network.fill_unseen
    written = TrainConfig().to_dict()
    del written["network"]["fill_unseen"]
    assert not TrainConfig.from_dict(written).network.fill_unseen, "a file from before knows of none"
