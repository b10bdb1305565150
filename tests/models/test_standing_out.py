"""Good parts that stand far out are named, and ordinary sets are left in peace."""

from __future__ import annotations

import numpy as np
import pytest

from models.standing_out import standing_out

VIEWS = ("top", "left", "right")


def scores(n: int, seed: int) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {view: (2.0 + k + 0.3 * (k + 1) * rng.gumbel(size=n)).tolist() for k, view in enumerate(VIEWS)}


def names(n: int) -> list[str]:
    return [f"good-{k}" for k in range(n)]


def test_an_odd_part_is_named_with_its_view_and_how_far_it_lies() -> None:
    """Issue 11, point 5."""
    table = scores(60, 1)
    table["left"][17] = 12.0
    (found,) = standing_out(names(60), table)
    assert (found.part, found.view, found.score, found.n_parts) == ("good-17", "left", 12.0, 60)
    assert 10 < found.deviations < 30
    assert "good-17, view left: score 12, where the median of 60 good parts is 3" in str(found)


@pytest.mark.parametrize("n", [8, 40])
def test_sets_of_good_parts_are_warned_of_about_once_in_a_hundred(n: int) -> None:
    warned = sum(bool(standing_out(names(n), scores(n, seed))) for seed in range(300))
    assert warned <= 9, "1 % of 300 is 3; more than 9 happen once in a thousand such tests"


def test_a_score_that_is_no_number_stands_out_and_few_parts_say_nothing() -> None:
    table = scores(20, 3)
    table["top"][4] = float("inf")
    assert standing_out(names(20), table)[0].part == "good-4"
    assert standing_out(names(4), scores(4, 1)) == ()
    assert standing_out(names(20), {"top": [1.0] * 20}) == ()
