"""What sets hold, in figures and pictures: counted by hand here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from made_up_sets import mask, mvtec, real_iad_mvn

from station.errors import BadInput
from station.teach.dataset_sheet import draw_sheet
from station.teach.dataset_stats import bin_names, histogram, stats_of
from station.teach.dataset_stats_figure import draw_stats


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two products: pictures alone, and two views with normals."""
    folder = tmp_path_factory.mktemp("several")
    mvtec(folder, 6, 2)
    real_iad_mvn(folder, 6, 2)
    return folder


def test_parts_views_kinds_and_areas_are_those_of_the_set(root: Path) -> None:
    (product,) = stats_of(root / "knob_cap").products
    assert (product.parts, product.pictures, product.views) == (10, 20, ("left", "top"))
    assert (product.good, product.defective) == ({"train": 5, "calibrate": 1, "test": 2}, {"test": 2})
    assert (product.kinds, product.seen_in, product.modalities) == (
        {"hole": 2},
        {"left": 0, "top": 2},
        "MV-RGB + MV-Normal",
    )
    assert product.areas == {"hole": (float((mask() > 0).mean()),) * 2}
    assert product.where.tolist() == [[0, 0, 0], [0, 0, 2], [0, 0, 0]]
    assert (product.smallest_px, product.largest_px) == ((60, 72), (60, 72))


def test_several_products_give_one_row_of_table_1(root: Path) -> None:
    stats = stats_of(root)
    table = stats.as_dict()["table_1"]
    assert table == {
        "Dataset": root.name, "Categories": 2, "Defect Types": 2, "Samples": 20,
        "Modalities": "MV-RGB + MV-Normal; RGB", "Geometric Resolution": "not stated in the files",
        "Multi-View": "Yes (1-2 views)", "Primary Geometric Data": "multi-view normals, of some products",
    }  # fmt: skip
    assert "hole      2      2   2.616   2.616   2.616" in stats.as_text()


def test_constant_normals_are_named_and_do_not_count(tmp_path: Path) -> None:
    folder = real_iad_mvn(tmp_path, 6, 2)
    for file in folder.rglob("nv/*/*.png"):
        cv2.imwrite(str(file), np.full((60, 72, 3), (255, 128, 128), np.uint8))
    (product,) = stats_of(folder).products
    assert not product.has_normals
    assert "constant (0 0 1) and say nothing" in product.as_text()


def test_every_area_falls_into_one_named_bin() -> None:
    assert histogram([0.00005, 0.0001, 0.02, 0.5]) == [1, 1, 0, 0, 0, 1, 0, 1]
    assert bin_names()[:2] == ["< 0.01 %", "0.01-0.03 %"]
    assert len(bin_names()) == len(histogram([]))


def test_a_sheet_has_a_row_for_each_product_or_each_kind(root: Path, tmp_path: Path) -> None:
    assert draw_sheet(root, tmp_path / "all.png", 20) == ("knob_cap", "washer")
    assert draw_sheet(root / "knob_cap", tmp_path / "one.png", 20) == ("hole",)
    sheet = cv2.imread(str(tmp_path / "one.png"))
    assert sheet.shape[1] > 7 * 150  # a good part, then two views of picture, normals and mask
    white = (sheet > 250).all(axis=2)
    assert white.mean() < 0.6


def test_the_figure_is_a_picture(root: Path, tmp_path: Path) -> None:
    draw_stats(stats_of(root), tmp_path / "figure.png")
    assert cv2.imread(str(tmp_path / "figure.png")).shape[1] == 1280


def test_what_is_no_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is neither a data set, nor a collection, nor a folder in one of the layouts"):
        stats_of(tmp_path)
