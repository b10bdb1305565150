"""What the spread of samples is worth, chosen on some parts and checked on others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.generative.fit_spread import Drawn, fit_spread
from models.generative.spread import FEWEST_PARTS, STRATA, Spread, shrunk

SIDE = 24


def _drawn(n: int, noise_px: float = 1.0) -> Drawn:
    """A model that is right on average and says half of its true spread."""
    random = np.random.default_rng(n)
    spread = random.uniform(0.5, 2.0, (SIDE, SIDE)).astype(np.float32) * noise_px
    true = (4.0 * (np.mgrid[:SIDE, :SIDE][1] > SIDE // 2) - 2.0).astype(np.float32)
    true -= true.mean()
    everywhere = np.ones((SIDE, SIDE), bool)
    observed = random.uniform(size=(SIDE, SIDE)) < 0.8
    mean = true + spread * random.normal(size=(SIDE, SIDE)).astype(np.float32)
    reliability = np.where(observed, random.uniform(size=(SIDE, SIDE)), 0).astype(np.float32)
    return Drawn(
        f"part{n:02}", mean.astype(np.float32), spread / 2, true, everywhere, observed, reliability, ~everywhere
    )


def test_95_per_cent_mean_95_per_cent_on_parts_that_did_not_choose_the_numbers() -> None:
    """Parts differ by a factor of two in how wrong they are: whole parts are promised, so the scale covers them."""
    found = fit_spread([_drawn(n, 1.0 + n % 3 / 2) for n in range(60)], shrink=False, sampling_steps=3, samples=3)
    assert set(found.checked) == {"all", *STRATA}
    for name in STRATA:
        assert 0.94 < found.checked[name].share < 0.995
    assert found.checked["all"].parts == 30
    assert found.checked["all"].holds
    assert "hold out more" not in found.sentence()


def test_an_uncertainty_that_is_too_small_is_said_to_be() -> None:
    parts = [_drawn(n, noise_px=3.0 if n % 2 else 1.0) for n in range(20)]  # those that check are three times as noisy
    claimed = [dataclasses.replace(d, std=d.std / 3) if n % 2 else d for n, d in enumerate(parts)]
    found = fit_spread(claimed, shrink=False, sampling_steps=3, samples=3)
    assert not found.checked["all"].holds
    assert "too small" in found.sentence()
    assert f"chosen on 10 parts, and 95 % need {FEWEST_PARTS}" in found.sentence()


def test_what_the_samples_do_not_agree_on_is_left_to_integration() -> None:
    mean, std = np.array([[5.0, 0.1]], np.float32), np.array([[0.5, 1.0]], np.float32)
    kept, dropped = shrunk(mean, std, spread=1.0, floor_px=0.0)[0]
    assert kept == pytest.approx(5.0, rel=0.02)
    assert abs(dropped) < 0.01


def test_a_model_that_knows_nothing_is_shrunk_to_the_integrated_height() -> None:
    def blind(n: int) -> Drawn:
        d = _drawn(n)
        noise = np.random.default_rng(n).normal(0, 1, d.true.shape).astype(np.float32)
        return dataclasses.replace(d, mean=noise, std=np.ones_like(noise), true=np.full_like(noise, 1e-3))

    found = fit_spread([blind(n) for n in range(6)], shrink=True, sampling_steps=3, samples=3)
    noise = np.array([[1.0]], np.float32)
    assert abs(float(found.height(noise, noise)[0, 0])) < 0.15


def test_a_spread_survives_its_file() -> None:
    found = fit_spread([_drawn(n) for n in range(4)], shrink=True, sampling_steps=3, samples=3)
    assert Spread.from_dict(found.to_dict()) == found


def test_one_part_cannot_check_itself() -> None:
    found = fit_spread([_drawn(0)], shrink=True, sampling_steps=3, samples=3)
    assert found.checked == {}
    assert "not checked" in found.sentence()
