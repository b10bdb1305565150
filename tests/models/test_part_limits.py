"""Limits by risk on the part: over many draws the overkill of unseen parts is what was asked for and promised."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models.part_limits import Risk, limits_by_risk, parts_above, parts_needed, upper_bound

VIEWS = ("top", "front", "right", "back", "left")
LOCATION, SCALE = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0.1, 0.2, 0.5, 0.05, 1.0])
Table = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Table]


def gumbel(rng: np.random.Generator, n: int) -> Table:
    return np.asarray(LOCATION + SCALE * rng.gumbel(size=(n, len(VIEWS))))


def dependent(rng: np.random.Generator, n: int) -> Table:
    """Views of a part that rise together."""
    together, own = rng.gumbel(size=(n, 1)), rng.gumbel(size=(n, len(VIEWS)))
    return np.asarray(LOCATION + SCALE * np.maximum(together, own - 1))


def heavy(rng: np.random.Generator, n: int) -> Table:
    return np.asarray(LOCATION * np.exp(0.4 * rng.normal(size=(n, len(VIEWS)))))


def by_view(table: Table) -> dict[str, list[float]]:
    return {view: table[:, v].tolist() for v, view in enumerate(VIEWS)}


@pytest.mark.parametrize("draw", [gumbel, dependent, heavy])
@pytest.mark.parametrize("n", [20, 60])
def test_unseen_parts_fail_at_about_the_stated_rate_and_never_oftener_than_promised(draw: Draw, n: int) -> None:
    """Issue 17, point 4: no law is true, and the promise needs none."""
    rng = np.random.default_rng(3)
    overkill, kept = [], 0
    for _ in range(60):
        found = limits_by_risk(by_view(draw(rng, n)), Risk(0.01, 0.95))
        limits = np.array([found.limits[view] for view in VIEWS])
        overkill.append(float((draw(rng, 1500) > limits).any(axis=1).mean()))
        kept += overkill[-1] <= found.promised
    assert 0.004 < np.mean(overkill) < 0.02
    assert kept >= 55  # 57 of 60 at 95 %, less its own chance


def test_every_view_has_the_same_tail_however_unequal_their_scores() -> None:
    rng = np.random.default_rng(4)
    shares = np.zeros(len(VIEWS))
    for _ in range(30):
        found = limits_by_risk(by_view(gumbel(rng, 80)), Risk(0.05))
        shares += (gumbel(rng, 4000) > np.array([found.limits[v] for v in VIEWS])).mean(axis=0) / 30
    assert shares.min() > 0.005
    assert shares.max() < 0.02


def test_one_odd_part_among_eighty_does_not_blind_its_view() -> None:
    table = gumbel(np.random.default_rng(1), 80)
    before = limits_by_risk(by_view(table))
    table[17, 0] = 13.0
    odd = limits_by_risk(by_view(table))
    assert odd.limits["top"] < before.limits["top"] + 0.2
    assert odd.above_by_view["top"] == 1
    assert odd.highest["top"] == 13.0


def test_more_parts_above_than_the_tail_explains_raise_the_limits() -> None:
    """Four odd parts of 80 are no accident: the law of the others does not hold."""
    table = gumbel(np.random.default_rng(2), 80)
    table[:4] += 20 * SCALE
    found = limits_by_risk(by_view(table))
    assert found.is_refuted
    assert "limits were raised" in found.as_text()
    assert found.above <= 1


def test_the_text_says_what_so_few_parts_promise_and_how_many_would_do() -> None:
    table = gumbel(np.random.default_rng(5), 60)
    found = limits_by_risk(by_view(table), Risk(0.01, 0.95))
    assert found.needed == parts_needed(found.risk) == 299
    assert found.promised == pytest.approx(upper_bound(found.above, 60, 0.95))
    assert upper_bound(0, 60, 0.95) == pytest.approx(1 - 0.05 ** (1 / 60))
    assert f"promises an overkill of at most {found.promised:.2%} at 95% confidence" in found.as_text()
    assert "299 good parts without one above" in found.as_text()
    assert parts_above(by_view(table), found.limits) == found.above


def test_a_higher_overkill_gives_lower_limits_and_scores_that_are_all_alike_give_some() -> None:
    table = gumbel(np.random.default_rng(6), 60)
    strict, loose = (limits_by_risk(by_view(table), Risk(rate)).limits for rate in (0.2, 0.001))
    assert all(strict[view] < loose[view] for view in VIEWS)
    alike = limits_by_risk({"top": [1.0] * 10, "left": [0.0] * 10})
    assert alike.limits["top"] >= 1.0
    assert 0 < alike.limits["left"] < 1


def test_what_gives_no_limits_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="4 held-out good parts, limits need 5 or more: collect more parts"):
        limits_by_risk({"top": [1.0] * 4})
    with pytest.raises(ValueError, match="a score of every part, found"):
        limits_by_risk({"top": [1.0] * 6, "left": [1.0] * 5})
    with pytest.raises(ValueError, match="not finite"):
        limits_by_risk({"top": [1.0] * 5 + [float("nan")]})
    with pytest.raises(ValueError, match="overkill is 1"):
        Risk(1.0)


def test_parts_that_were_learned_from_sharpen_the_law_and_promise_nothing() -> None:
    """Issue 17: from 22 parts in five views the limits lay twice as far out as from 44."""
    rng = np.random.default_rng(6)
    alone, both, overkill = [], [], []
    for _ in range(30):
        held = by_view(gumbel(rng, 22))
        found = limits_by_risk(held, Risk(), by_view(gumbel(rng, 22)))
        assert (found.n_parts, found.n_learned) == (22, 22)
        assert found.promised >= upper_bound(0, 22, 0.95)
        alone.append(limits_by_risk(held).limits["top"])
        both.append(found.limits["top"])
        limits = np.array([found.limits[view] for view in VIEWS])
        overkill.append(float((gumbel(rng, 1500) > limits).any(axis=1).mean()))
    assert np.mean(both) < np.mean(alone) - 0.1
    assert 0.004 < np.mean(overkill) < 0.02
    assert "22 parts that were learned from" in found.as_text()
