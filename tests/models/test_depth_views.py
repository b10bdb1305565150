"""Views with depth on disk: what is written is what is read, and what is wrong is named."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from models.depth_views import (
    INDEX,
    DepthDataError,
    DepthItem,
    DepthView,
    read_index,
    read_view,
    write_index,
    write_view,
)


def made_view() -> DepthView:
    rng = np.random.default_rng(3)
    plane = rng.normal(size=(24, 32)).astype(np.float32)
    mask = rng.uniform(size=(24, 32)) < 0.8
    vectors = rng.normal(size=(3, 24, 32)).astype(np.float32)
    return DepthView(vectors, vectors, mask, plane, abs(plane), 2 * plane, ~mask, mask, 0.082)


def test_a_view_is_read_as_it_was_written(tmp_path: Path) -> None:
    view = made_view()
    write_view(tmp_path / "train" / "a.npz", view)
    again = read_view(tmp_path / "train" / "a.npz")
    for field in fields(DepthView):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(view, field.name))


def test_a_cut_has_mean_0_anew() -> None:
    cut = made_view().cut(4, 8, 16, 20)
    assert cut.shape == (16, 20)
    assert cut.integrated[cut.mask].mean() == pytest.approx(0, abs=1e-6)
    assert cut.depth[cut.valid].mean() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="leaves a view"):
        made_view().cut(10, 0, 16, 16)


def test_a_file_that_lacks_a_map_or_has_another_shape_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mask=np.ones((2, 2), bool))
    with pytest.raises(DepthDataError, match=r"a\.npz: no view with depth .*picture"):
        read_view(tmp_path / "a.npz")
    view = made_view()
    write_view(tmp_path / "b.npz", replace(view, depth=view.depth[:5]))
    with pytest.raises(DepthDataError, match=r"b\.npz: depth is float32 \(5, 32\), expected float32 \(24, 32\)"):
        read_view(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"half")
    with pytest.raises(DepthDataError, match=r"c\.npz"):
        read_view(tmp_path / "c.npz")


def test_an_index_names_its_splits_and_a_file_that_is_missing(tmp_path: Path) -> None:
    items = [DepthItem(f"{split}.npz", split, "generated", "box", split) for split in ("test", "train")]
    for item in items:
        write_view(tmp_path / item.file, made_view())
    write_index(tmp_path, 5, "made by a test", items)
    index = read_index(tmp_path)
    assert index.of("train") == (items[1],)
    assert index.seed == 5
    assert index.read(items[0]).shape == (24, 32)
    (tmp_path / "test.npz").unlink()
    with pytest.raises(DepthDataError, match=r"test\.npz is missing"):
        read_index(tmp_path)
    (tmp_path / INDEX).write_text("{")
    with pytest.raises(DepthDataError, match=r"dataset\.json: not readable"):
        read_index(tmp_path)
