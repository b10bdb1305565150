"""The branch of nearest neighbours: it finds what good parts never show, and its graph agrees with torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from models.config import NeighbourConfig
from models.encoders.filterbank import FilterBankEncoder
from models.neighbours import NeighbourBranch, k_centres

SIZE = (60, 84)
GRID = (10, 14)


def _part(seed: int, dark: tuple[int, int] = (12, 24)) -> tuple[Tensor, Tensor, Tensor]:
    """A bright plate with noise and a dark square of 12 px, the same in every good part unless `dark` moves it."""
    generator = torch.Generator().manual_seed(seed)
    rgb = 0.6 + 0.02 * torch.randn(1, 3, *SIZE, generator=generator)
    rgb[:, :, dark[0] : dark[0] + 12, dark[1] : dark[1] + 12] -= 0.3
    return rgb, torch.zeros(1, 3, *SIZE), torch.tensor([0])


def _branch(place_weight: float, modalities: int = 1, bank: int = 120) -> NeighbourBranch:
    config = NeighbourConfig(encoder="filterbank", bank=bank, pool=800, place_weight=place_weight)
    branch = NeighbourBranch(FilterBankEncoder(modalities=modalities), config, SIZE, GRID, 1)
    branch.fit([_part(n) for n in range(8)])
    return branch.eval()


def test_a_strange_spot_is_farther_than_anything_good() -> None:
    branch = _branch(place_weight=0.0)
    rgb, normals, view = _part(99)
    rgb[:, :, 42:48, 60:66] += torch.tensor([0.4, -0.4, 0.0])[None, :, None, None]
    good, bad = branch.distances(*_part(98)), branch.distances(rgb, normals, view)
    assert good.shape == (1, 1, *GRID)
    assert float(bad[0, 0, 7, 10]) > 3 * float(good.max())
    assert float(bad[0, 0, :, :6].max()) < 1.5 * float(good.max())


def test_a_place_counts_only_where_parts_are_aligned() -> None:
    """The dark square is good at its place; elsewhere it is a defect only for judging that is bound to places."""
    ratios = []
    for weight in (0.0, 6.0):
        branch = _branch(place_weight=weight)
        good, moved = branch.distances(*_part(98)), branch.distances(*_part(97, dark=(42, 60)))
        ratios.append(float(moved[0, 0, 7:9, 10:12].mean() / good.mean()))
    assert ratios[0] < 1.8
    assert ratios[1] > 1.5 * ratios[0]


def test_distances_come_to_the_grid_that_is_asked_for() -> None:
    config = NeighbourConfig(encoder="filterbank", bank=50, pool=400, place_weight=0.0)
    branch = NeighbourBranch(FilterBankEncoder(), config, SIZE, (7, 9), 1)
    branch.fit([_part(n) for n in range(4)])
    assert branch.distances(*_part(9)).shape == (1, 2, 7, 9)


def test_onnxruntime_agrees_with_torch(tmp_path: Path) -> None:
    branch = _branch(place_weight=1.0, modalities=2)
    file = tmp_path / "branch.onnx"
    names = ["rgb", "normals", "view"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            branch, _part(0), str(file), input_names=names, output_names=["distances"],
            dynamic_axes={n: {0: "batch"} for n in [*names, "distances"]}, opset_version=17, dynamo=False,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    inputs = _part(5, dark=(6, 42))
    (got,) = session.run(None, dict(zip(names, (i.numpy() for i in inputs), strict=True)))
    with torch.no_grad():
        expected = branch(*inputs).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-4 * float(expected.max()))


def test_the_same_parts_give_the_same_bank() -> None:
    assert torch.equal(_branch(1.0).bank, _branch(1.0).bank)


def test_centres_spread_over_all_groups() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(6).repeat_interleave(torch.tensor([500, 5, 5, 5, 5, 5]))
    x = torch.randn(525, 4, generator=generator) * 0.01 + groups[:, None] * torch.tensor([1.0, -1.0, 0.5, 2.0])
    assert set(groups[k_centres(x, 6, generator)].tolist()) == set(range(6))


def test_too_few_tokens_for_the_bank_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than the bank of 5000"):
        _branch(0.0, bank=5000)
