"""`benchmarks/foreign_renderer.py` without its renderer: it says so, compares in true units, reads its own files."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
NAMES = ("foreign", "foreign.views", "foreign.pixels", "foreign.scene", "foreign.solver", "truth_views")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setitem(sys.modules, "mitsuba", None)  # as if it were not installed
    yield importlib.import_module("foreign_renderer")
    for name in ("foreign_renderer", *NAMES):
        sys.modules.pop(name, None)


@pytest.fixture
def matte_view(benchmark: Any) -> Any:  # noqa: ARG001 -- it opens the folder
    """The block from above as the Scene shows it: one mean of bounced light stands for the renderer's."""
    scene_module, views = sys.modules["foreign.scene"], sys.modules["foreign.views"]
    scene, pose = scene_module.scene_of("block", 0.5, 0), views.VIEWS["top"]
    truth = scene.truth(pose, views.BINNING)
    direct = np.stack([scene_module.light_of(scene, pose, k) for k in range(1, 9)]).astype(np.float32)
    dome = scene_module.light_of(scene, pose, 9).astype(np.float32)
    lit = np.stack([~scene.shadow(pose, k, views.BINNING) for k in range(1, 9)])
    lamps = np.array([scene.head.light(k).position_mm for k in range(1, 9)])
    return views.RenderedView(
        direct, direct, lit, dome, dome, truth.normals, truth.depth_mm, truth.part_mask,
        np.where(truth.part_mask, 0.5, views.PLATE_ALBEDO).astype(np.float32), truth.faces - np.int16(1), lamps,
        250.0 / 24429.0 * 16, (170.5, 113.5), 0.0,
    )  # fmt: skip


def run(benchmark: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["foreign_renderer.py", *arguments])
    return int(benchmark.main())


def test_without_mitsuba_it_names_what_to_install_and_ends_with_2(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(benchmark, monkeypatch, "--products", "block", "--views", "top", "--bounces", "0") == 2
    assert "Mitsuba is not installed (" in capsys.readouterr().err


def test_a_broken_file_of_the_cache_is_named(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "block_top_a50.npz").write_bytes(b"no view")
    arguments = ("--cache", str(tmp_path), "--products", "block", "--views", "top", "--bounces", "0")
    assert run(benchmark, monkeypatch, *arguments) == 2
    assert "block_top_a50.npz is not a rendered view" in capsys.readouterr().err


def test_light_is_counted_in_the_units_of_its_contract(matte_view: Any) -> None:
    middle = matte_view.direct[:, 113, 205]  # flat, 6 mm above the target, 6 mm beside the axis
    assert middle == pytest.approx(0.5 * np.cos(np.radians(40.0)), rel=0.1)
    assert matte_view.dome_direct[113, 205] == pytest.approx(0.5, rel=1e-3)


def test_a_view_of_its_own_light_agrees_with_the_scene_and_is_solved(
    benchmark: Any, matte_view: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    matte_view.save(tmp_path / "block_top_a50.npz")
    arguments = ("--cache", str(tmp_path), "--products", "block", "--views", "top", "--bounces", "0")
    assert run(benchmark, monkeypatch, *arguments, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    opened = next(row for row in found["scene"] if row["where"] == "open")
    assert opened["direct"]["p95"] < 0.05  # percent
    assert opened["shadow_share"] == 0.0
    solved = next(row for row in found["solver"] if row["lights"] == 8)
    assert solved["mean_of_three_deg"] < 1.0
    assert solved["fewer_than_three"] < 10  # of 28,000: pixels where a lamp only grazes


@pytest.mark.usefixtures("benchmark")
def test_the_fit_keeps_a_slope_lowers_noise_and_mixes_no_two_patches() -> None:
    views = sys.modules["foreign.views"]
    rows, columns = np.mgrid[0:40, 0:60]
    patches = (columns >= 30).astype(np.int16)
    slope = np.where(patches == 1, 5.0, 1.0 + 0.02 * rows + 0.01 * columns)
    assert views.smooth(slope[None].astype(np.float32), patches)[0] == pytest.approx(slope, rel=1e-3)
    noise = np.random.default_rng(1).normal(0.0, 0.1, slope.shape)
    fitted = views.smooth((slope + noise)[None].astype(np.float32), patches)[0]
    assert (fitted - slope)[2:-2, 2:28].std() < 0.1 / 4
