"""Folders of views with depth: the same arguments give the same arrays, and products have their truth on the part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.depth_views import read_index
from station.depth.dataset import write_products, write_reliefs
from station.depth.generated import ReliefPatches
from station.errors import BadInput

SMALL = ReliefPatches(size_px=16, side=1)


def silent(_what: str, _share: float) -> None:
    return


def test_reliefs_are_the_same_for_the_same_seed_and_no_split_has_another_ones(tmp_path: Path) -> None:
    counts = {"train": 2, "test": 1}
    for name in ("once", "again"):
        write_reliefs(tmp_path / name, counts, 3, SMALL, 1, silent)
    once, again = read_index(tmp_path / "once"), read_index(tmp_path / "again")
    assert [item.file for item in once.items] == [item.file for item in again.items]
    for item in once.items:
        np.testing.assert_array_equal(once.read(item).depth, again.read(item).depth)
        np.testing.assert_array_equal(once.read(item).normals, again.read(item).normals)
    assert len({item.part for item in once.items}) == 3
    with pytest.raises(BadInput, match="already holds a data set"):
        write_reliefs(tmp_path / "once", counts, 3, SMALL, 1, silent)


def test_a_products_view_has_its_truth_on_the_part_and_steps_integration_does_not_know(tmp_path: Path) -> None:
    report = write_products(tmp_path / "block", {"block": 1}, 0, silent, binning=48, views=("top",))
    assert report.views == {"test": 1}
    index = read_index(tmp_path / "block")
    view = index.read(index.items[0])
    assert (index.items[0].product, index.items[0].kind) == ("block", "top")
    assert 0.1 < view.valid.mean() < 0.9
    assert float(np.ptp(view.depth[view.valid])) == pytest.approx(10.0, abs=0.1)  # top at 14 mm, hole's floor at 4
    off = (view.integrated - view.depth)[view.valid]
    assert float(np.std(off)) > 0.5  # the top, the tread and the pocket's floor are not joined by any normal
    assert view.steps[view.valid].any()
    assert not view.steps[~view.valid].any()


def test_an_unknown_product_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="product 'gear' is unknown"):
        write_products(tmp_path / "gear", {"gear": 1}, 0, silent, binning=48)
