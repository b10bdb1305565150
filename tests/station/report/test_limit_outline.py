"""The outline lies where the scores cross the limit, and is always closed."""

from __future__ import annotations

import numpy as np
import pytest

from station.report.limit_outline import limit_segments


def test_the_outline_of_a_disc_lies_on_its_edge() -> None:
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    distance = np.hypot(columns - 40, rows - 30)
    segments = limit_segments((2.0 - distance / 12.0).astype(np.float32), 1.0)
    radii = np.hypot(segments[..., 0] - 40, segments[..., 1] - 30)
    assert np.abs(radii - 12.0).max() < 0.2
    lengths = np.linalg.norm(segments[:, 0] - segments[:, 1], axis=1)
    assert lengths.sum() == pytest.approx(2 * np.pi * 12, rel=0.02)


def test_an_outline_is_closed_at_the_edge_and_absent_under_the_limit() -> None:
    assert limit_segments(np.full((5, 7), 0.9, dtype=np.float32), 1.0).shape == (0, 2, 2)
    segments = limit_segments(np.full((5, 7), 3.0, dtype=np.float32), 1.0)
    ends = {tuple(p) for p in np.round(segments.reshape(-1, 2), 3).tolist()}
    assert all(sum(tuple(q) == p for q in np.round(segments.reshape(-1, 2), 3).tolist()) == 2 for p in ends)


def test_two_scores_that_touch_at_a_corner_have_closed_outlines() -> None:
    scores = np.zeros((4, 4), dtype=np.float32)
    scores[1, 1] = scores[2, 2] = 2.0
    points = np.round(limit_segments(scores, 1.0).reshape(-1, 2), 3).tolist()
    assert len(points) == 16
    assert all(points.count(point) == 2 for point in points)


def test_scores_that_are_not_finite_are_outlined() -> None:
    scores = np.zeros((5, 5), dtype=np.float32)
    scores[2, 2] = np.nan
    assert len(limit_segments(scores, 1.0)) == 4
