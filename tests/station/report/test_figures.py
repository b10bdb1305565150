"""Grids of pictures and POD plots: what they refuse, and that the marks lie where the numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from station.report.figure_grid import draw_grid, write_picture
from station.report.pod_plot import PodPlot, draw_pod_plots

RED, BLUE = np.full((20, 30, 3), (255, 0, 0), np.uint8), np.full((20, 30, 3), (0, 0, 255), np.uint8)


def test_every_cell_is_shown_once_and_an_absent_one_is_hatched(tmp_path: Path) -> None:
    sheet = draw_grid("title", ["a", "b"], ["x", "y"], [[RED, BLUE], [None, RED]], (30, 20), "note")
    pixels = np.asarray(sheet)
    assert (pixels == (255, 0, 0)).all(axis=2).sum() == 2 * 600
    assert (pixels == (0, 0, 255)).all(axis=2).sum() == 600
    write_picture(sheet, tmp_path / "made" / "grid.png")
    with Image.open(tmp_path / "made" / "grid.png") as written:
        assert written.size == sheet.size


def test_a_grid_whose_cells_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 rows of 2"):
        draw_grid("t", ["a", "b"], ["x"], [[RED]], (30, 20))
    with pytest.raises(ValueError, match="has the shape"):
        draw_grid("t", ["a"], ["x"], [[RED]], (31, 20))


def test_a_pod_plot_has_a_mark_for_each_defect_and_the_line_of_a90() -> None:
    sizes, hit = np.array([1.0, 10.0, 100.0]), np.array([False, True, True])

    def curve(s: np.ndarray) -> np.ndarray:
        return 1 / (1 + (5 / s) ** 2)

    bare = PodPlot("pit", "width, um", sizes, hit, note="too few")
    drawn = PodPlot("pit", "width, um", sizes, hit, curve, lambda s: 0.8 * curve(s), 15.0, 30.0)
    without, with_curve = np.asarray(draw_pod_plots([bare])), np.asarray(draw_pod_plots([bare, drawn]))
    assert with_curve.shape == without.shape  # two columns, one row
    red = (with_curve == (213, 94, 0)).all(axis=2)
    left, right = red[:, :640], red[:, 640:]
    assert right.sum() > left.sum() > 0  # the cross of the miss, and the line of a90/95 beside it
    assert right[100:300].sum(axis=0).argmax() == pytest.approx(
        70 + 546 * np.log(30 * np.e**0.1) / np.log(100 * np.e**0.2), abs=3
    )


def test_nothing_to_plot_is_refused() -> None:
    with pytest.raises(ValueError, match="none was given"):
        draw_pod_plots([])
