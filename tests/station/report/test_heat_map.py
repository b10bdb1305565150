"""A colour means the same score against the limit in every picture, for every kind of colour vision."""

from __future__ import annotations

import numpy as np
import pytest

from station.report.heat_map import colour_bar, colour_map, over_ground

# Viénot, Brettel, Mollon 1999: linear RGB as a deuteranope sees it.
DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


def test_the_same_score_under_the_same_limit_has_the_same_colour_in_two_pictures() -> None:
    quiet = np.full((4, 4), 0.5, dtype=np.float32)
    loud = np.linspace(0, 9, 16, dtype=np.float32).reshape(4, 4)
    loud[2, 1] = 0.5
    assert np.array_equal(colour_map(quiet, 1.6)[0, 0], colour_map(loud, 1.6)[2, 1])


def test_the_limit_itself_is_still_under_and_the_next_number_is_over() -> None:
    limit = 1.5
    scores = np.array([[limit, np.nextafter(np.float32(limit), np.float32(9))]], dtype=np.float32)
    at_limit, above = colour_map(scores, limit)[0].astype(int)
    assert at_limit[2] > at_limit[0], "blue up to the limit"
    assert above[0] > above[2], "yellow over it"


def test_the_limit_stays_at_its_place_whatever_its_value() -> None:
    scores = np.array([[0.4, 0.8, 1.2]], dtype=np.float32)
    assert np.array_equal(colour_map(scores, 1.0), colour_map(scores * 7, 7.0))


def test_a_score_of_zero_is_transparent_and_a_score_that_is_not_finite_is_marked() -> None:
    rgba = colour_map(np.array([[0.0, -3.0, np.nan, np.inf]], dtype=np.float32), 1.0)[0]
    assert rgba[0, 3] == 0
    assert rgba[1, 3] == 0
    assert tuple(rgba[2]) == tuple(rgba[3]) == (204, 121, 167, 255)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_without_a_place_on_the_scale_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        colour_map(np.zeros((1, 1), dtype=np.float32), limit)


def test_a_deuteranope_tells_just_over_from_just_under_the_limit() -> None:
    rgba = colour_map(np.array([[0.99, 1.01]], dtype=np.float32), 1.0)
    under, over = (over_ground(rgba, np.full((1, 2, 3), 128, np.uint8))[0] / 255.0) ** 2.2 @ DEUTERANOPE.T
    assert np.abs(under - over).max() > 0.25


def test_the_bar_has_its_mark_in_the_middle_and_the_colours_of_the_map() -> None:
    bar = colour_bar(201, 8)
    assert bar.shape == (201, 8, 3)
    assert np.all(bar[99:101] == 0)
    assert bar[10, 0, 0] > bar[10, 0, 2]
    assert bar[150, 0, 2] > bar[150, 0, 0]
