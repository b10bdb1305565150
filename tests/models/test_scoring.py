"""The second, finer smoothing of the map."""

from __future__ import annotations

import torch

from models.config import LACKING, ScoreConfig, TrainConfig, preset
from models.region import RegionTokens
from models.scoring import Scoring

GRID = (12, 16)
STRIDE = 6


def _scoring(config: ScoreConfig) -> Scoring:
    size = (GRID[0] * STRIDE, GRID[1] * STRIDE)
    return Scoring(config, RegionTokens(None, size, 1, STRIDE), n_targets=1)


def _ratio_of_a_spot(config: ScoreConfig, tokens: int) -> float:
    """The score of a spot of `tokens` x `tokens` over the highest of pictures of noise alone."""
    scoring, view = _scoring(config), torch.tensor([0])
    region = torch.ones(1, GRID[0] * STRIDE, GRID[1] * STRIDE)
    torch.manual_seed(0)
    noise = torch.rand(20, 1, *GRID)
    maps = torch.cat([scoring.smooth(n.reshape(1, 1, -1), view) for n in noise])
    scoring.p99.copy_(torch.quantile(maps.permute(1, 0, 2, 3).reshape(maps.shape[1], -1), 0.99, dim=1)[None])
    scores = [float(scoring(n.reshape(1, 1, -1), view, region)[0]) for n in noise]
    spot = noise[0].clone()
    spot[:, 4 : 4 + tokens, 6 : 6 + tokens] += 4.0
    return float(scoring(spot.reshape(1, 1, -1), view, region)[0]) / max(scores)


def test_a_spot_of_one_token_stands_out_more_with_the_finer_map() -> None:
    assert _ratio_of_a_spot(ScoreConfig(top_tokens=1), 1) > 1.15 * _ratio_of_a_spot(
        ScoreConfig(top_tokens=1, fine_sigma_px=0), 1
    )


def test_a_wide_spot_is_not_lost_by_the_finer_map() -> None:
    assert _ratio_of_a_spot(ScoreConfig(), 4) > 0.95 * _ratio_of_a_spot(ScoreConfig(fine_sigma_px=0), 4)


def test_every_target_has_a_map_at_every_scale() -> None:
    scoring = _scoring(ScoreConfig())
    assert scoring.smooth(torch.rand(2, 1, GRID[0] * GRID[1]), torch.tensor([0, 0])).shape == (2, 2, *GRID)
    assert ScoreConfig().scaled_names(("rgb", "normals")) == ("rgb", "normals", "rgb_fine", "normals_fine")
    assert preset("paper").score.scaled_names(("rgb",)) == ("rgb",)


def test_a_file_from_before_the_finer_map_has_none() -> None:
    written = TrainConfig().to_dict()
    del written["score"]["fine_sigma_px"]
    assert TrainConfig.from_dict(written).score.scales_px == (9.0,)
    assert LACKING["fine_sigma_px"] == 0
