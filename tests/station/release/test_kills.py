"""`train` and `release` killed at seeded moments: nothing half is used, and the next run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from killed_runs import command, context, count, ended, needs_fork, run, train_tiles
from made_collection import made_collection, made_recipe

from station.recipe.loaded import load_recipe
from station.recipe.releases import changed_files, home_of, read_active, read_manifest
from station.release.version import PARTIAL

PARTS = 12  # of the made-up collection; 10 of them come plain and under an ordinary day


@needs_fork
@pytest.mark.parametrize("seed", [11])
def test_a_killed_training_and_a_killed_release_go_on_where_they_stopped(tmp_path: Path, seed: int) -> None:
    """Issue 11, acceptance."""
    pytest.importorskip("torch", reason="training needs the extra `train`")
    rng = np.random.default_rng(seed)
    loaded = made_recipe(tmp_path / "recipe")
    made_collection(loaded, tmp_path / "tiles")
    recipe, entries = loaded.path, tmp_path / "tiles-prepared" / "entries"
    before = recipe.read_bytes()
    forks = context("station.teach.training", "models.train", "made_collection")
    training = (str(tmp_path / "tiles"), str(recipe), 2, str(tmp_path / "log"))

    wanted = int(rng.integers(1, 2 * PARTS - 4))
    assert run(forks, train_tiles, *training, kill_when=lambda: count(entries, "*.json") >= wanted)
    written = {path: path.stat().st_mtime_ns for path in entries.glob("*.json")}
    assert run(forks, train_tiles, *training, kill_when=lambda: (entries.parent / "index.json").exists())
    assert recipe.read_bytes() == before, "a recipe never names half a model"
    assert {path: path.stat().st_mtime_ns for path in written} == written, "what was prepared is not prepared again"
    assert ended(forks, train_tiles, *training) == 0, (tmp_path / "log").read_text()
    assert load_recipe(recipe).sha256s["model"]

    home = home_of(recipe, "tile")
    words = ("release", str(recipe), "--why", "w", "--collection", str(tmp_path / "tiles"))
    accept = ("--accept", "scratch-11")
    for wanted in sorted(int(n) for n in rng.choice(np.arange(1, 5), 2, replace=False)):
        run(
            forks, command, (*words, *accept), str(tmp_path / "log"),
            kill_when=lambda wanted=wanted: count(home, f"{PARTIAL}*/*") >= wanted,
        )  # fmt: skip
        active = read_active(home)
        assert active is None or not changed_files(home, read_manifest(home, active.number)), (
            "no half release is active"
        )
    assert ended(forks, command, (*words, *accept), str(tmp_path / "log")) == 0, (tmp_path / "log").read_text()
    active = read_active(home)
    assert active is not None
    assert not changed_files(home, read_manifest(home, active.number))
    assert not list(home.glob(f"{PARTIAL}*"))
