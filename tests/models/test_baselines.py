"""Baselines find what is wrong, stay within the region, and their calibration is that of the network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="baselines need the extra `train`")

import torch

from models.baselines.calibration import calibrate_view
from models.baselines.features import Features, GoodTokens
from models.baselines.gaussian import PlaceGaussian
from models.baselines.mapper import CrossModalMapper
from models.baselines.method import Rule, fit_baseline, train_tokens
from models.baselines.neighbours import GlobalNeighbours, LocalNeighbours, coreset
from models.config import EncoderConfig, ScoreConfig, TrainConfig
from models.dataset import load_dataset
from models.evaluate import report
from models.judgements import judge_dataset
from models.progress import silent
from models.region import RegionTokens
from models.scoring import ScoreCalibration, Scoring

CONFIG = TrainConfig(
    encoder=EncoderConfig(sigmas_px=(1.0, 2.0), components=12, floor=0.02),
    score=ScoreConfig(top_tokens=2, spread_minimum=0.1),
)
RULES = [LocalNeighbours, lambda: GlobalNeighbours(200, 600), PlaceGaussian, lambda: CrossModalMapper(steps=60)]


def _good(seed: int = 0, parts: int = 7, views: int = 2, inside: np.ndarray | None = None) -> GoodTokens:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(views, 1, 2, 5, 6, 8))
    tokens = (base + 0.1 * rng.normal(size=(views, parts, 2, 5, 6, 8))).astype(np.float16)
    return GoodTokens(tuple(tokens), np.ones((views, 5, 6), bool) if inside is None else inside)


@pytest.mark.parametrize("make", RULES)
def test_a_rule_finds_the_stain_with_its_own_calibration(make: type[Rule], small_dataset: Path) -> None:
    dataset = load_dataset(small_dataset)
    features = Features(dataset, CONFIG, keep=True)
    baseline = fit_baseline(dataset, make(), features, train_tokens(dataset, features), CONFIG)
    found = report(judge_dataset(baseline, dataset), resamples=20)
    assert found.whole.s_auroc.value == 1.0
    assert found.whole.p_auroc.value > 0.8
    assert set(baseline.limits) == set(dataset.views)


def test_the_nearest_neighbour_is_the_nearest_within_one_token() -> None:
    good, rule = _good(), LocalNeighbours()
    rule.fit(good, silent)
    tokens = np.random.default_rng(1).normal(size=(2, 5, 6, 8)).astype(np.float32)
    found = rule.distances(tokens, 1)
    bank = good.by_view[1].astype(np.float32)
    for m, y, x in [(0, 0, 0), (1, 2, 3), (0, 4, 5)]:
        around = bank[:, m, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].reshape(-1, 8)
        assert found[m, y, x] == pytest.approx(np.linalg.norm(around - tokens[m, y, x], axis=1).min(), abs=1e-3)


def test_tokens_outside_the_region_are_no_neighbours_and_have_no_distance() -> None:
    inside = np.ones((2, 5, 6), bool)
    inside[:, :, :3] = False
    good, rule = _good(inside=inside), LocalNeighbours()
    rule.fit(good, silent)
    tokens = good.by_view[0][0].astype(np.float32)
    tokens[:, :, 3] = tokens[:, :, 2]  # what lies there now is known from outside the region alone
    found = rule.distances(tokens, 0)
    assert (found[:, :, :3] == 0).all()
    assert (found[:, :, 3] > 0.5).all()


def test_a_coreset_covers_better_than_chance() -> None:
    rng = np.random.default_rng(2)
    tokens = np.concatenate([rng.normal(size=(900, 3)), rng.normal(size=(20, 3)) + 12]).astype(np.float32)

    def farthest(rows: np.ndarray) -> float:
        return float(np.linalg.norm(tokens[:, None] - tokens[rows][None], axis=2).min(axis=1).max())

    chosen = coreset(tokens, 30, seed=0)
    assert len(set(chosen.tolist())) == 30
    assert farthest(chosen) < 0.6 * farthest(rng.permutation(920)[:30])


def test_the_gaussian_is_mahalanobis_distance() -> None:
    good, rule = _good(parts=20), PlaceGaussian()
    rule.fit(good, silent)
    tokens = np.random.default_rng(3).normal(size=(2, 5, 6, 8)).astype(np.float32)
    x = good.by_view[0][:, 1, 2, 4].astype(np.float64)
    covariance = np.cov(x.T) + 0.01 * np.eye(8)
    moved = tokens[1, 2, 4] - x.mean(axis=0)
    expected = np.sqrt(moved @ np.linalg.solve(covariance, moved))
    assert rule.distances(tokens, 0)[1, 2, 4] == pytest.approx(expected, rel=1e-3)


def test_the_mapper_refuses_features_of_one_modality() -> None:
    good = _good()
    alone = GoodTokens(tuple(t[:, :1] for t in good.by_view), good.inside)
    with pytest.raises(ValueError, match="have 1 modality"):
        CrossModalMapper(steps=1).fit(alone, silent)


@pytest.mark.parametrize("rule", [LocalNeighbours(), GlobalNeighbours(), PlaceGaussian(), CrossModalMapper()])
def test_a_rule_that_was_not_fitted_says_so(rule: Rule) -> None:
    with pytest.raises(RuntimeError, match="`fit` comes first"):
        rule.distances(np.zeros((2, 5, 6, 8), np.float32), 0)


@pytest.mark.parametrize("whole", [True, False])
def test_the_calibration_is_that_of_the_network(whole: bool) -> None:
    rng = np.random.default_rng(4)
    held_out = rng.gamma(4.0, 1.0, (12, 2, 12, 20)).astype(np.float32)
    config, size = ScoreConfig(), (72, 120)
    region = np.ones(size, bool)
    region[:24, :60] = whole
    tokens = RegionTokens(region[None], size, 1, 6)
    inside = tokens.inside[0].numpy() > 0
    found = calibrate_view(held_out, region, inside, config)
    network = Scoring(config, tokens, 2)
    at = tokens.index[0].numpy()
    chosen = [p[None].reshape(1, 2, -1)[:, :, at] for p in (found.center, found.spread)]
    network.calibrate(ScoreCalibration(*chosen, found.median[None], found.p99[None], 12))
    fresh = rng.gamma(4.0, 1.0, (2, 12, 20)).astype(np.float32)
    score, fused = found.judge(fresh)
    with torch.no_grad():
        expected, expected_map, _ = network(
            torch.from_numpy(fresh.reshape(1, 2, -1)[:, :, at]),
            torch.tensor([0]),
            torch.from_numpy(region[None].astype(np.float32)),
        )
    assert score == pytest.approx(float(expected[0]), rel=1e-3)
    assert fused == pytest.approx(expected_map[0].numpy(), abs=5e-3)


def test_nothing_outside_the_region_counts(small_dataset: Path, tmp_path: Path) -> None:
    """The stain lies outside the region: the map is 0 there, and its part scores like the same part without it."""
    folder = tmp_path / "tile"
    shutil.copytree(small_dataset, folder)
    dataset = load_dataset(folder)
    region = np.zeros(dataset.input_size, np.uint8)
    region[:, 50:] = 255
    region[30:, :] = 255
    cv2.imwrite(str(folder / "region.png"), region)
    index = json.loads((folder / "index.json").read_text())
    index["regions"] = dict.fromkeys(dataset.views, "region.png")
    (folder / "index.json").write_text(json.dumps(index))
    changed = load_dataset(folder)
    features = Features(changed, CONFIG)
    baseline = fit_baseline(changed, LocalNeighbours(), features, train_tokens(changed, features), CONFIG)
    stained = next(i for i in dataset.of("test") if i.kind == "stain")
    before = baseline.judge(stained)
    rgb = cv2.imread(str(stained.rgb), cv2.IMREAD_UNCHANGED)
    rgb[:20, :40] = 0
    cv2.imwrite(str(stained.rgb), rgb)
    after = baseline.judge(stained)
    assert (after[1][region == 0] == 0).all()
    assert after[0] == before[0]


def test_too_few_held_out_parts_are_refused(small_dataset: Path, tmp_path: Path) -> None:
    index = json.loads((small_dataset / "index.json").read_text())
    parts = sorted({i["part"] for i in index["items"] if i["split"] == "calibrate"})[:3]
    index["items"] = [i for i in index["items"] if i["split"] == "train" or i["part"] in parts]
    for split in ("train", "calibrate"):
        (tmp_path / split).symlink_to(small_dataset / split)
    (tmp_path / "index.json").write_text(json.dumps(index))
    dataset = load_dataset(tmp_path)
    features = Features(dataset, CONFIG)
    with pytest.raises(Exception, match="3 good `calibrate` parts, and a baseline needs 5"):
        fit_baseline(dataset, LocalNeighbours(), features, train_tokens(dataset, features), CONFIG)
