"""A recipe with a real model, trained for a few steps on a made-up collection, once for all tests of this folder."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
from made_collection import made_collection, made_recipe, made_references
from small_network import use_small_network

from station.recipe.loaded import load_recipe
from station.recipe.releases import home_of
from station.release.gate import Asked, GateReport, run_gate
from station.teach.training import train


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`recipe/tile.yaml` with model and references, and the collection `tiles` with a good and a scratched part."""
    pytest.importorskip("torch", reason="training needs the extra `train`")
    folder = tmp_path_factory.mktemp("trained")
    loaded = made_recipe(folder / "recipe")
    made_collection(loaded, folder / "tiles")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr("station.teach.prepare.part_references_of", made_references)
        use_small_network(patch)
        train(None, folder / "tiles", loaded.path, 3, disturbed=0)
    return folder


@pytest.fixture
def folder(trained_folder: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def recipe(folder: Path) -> Path:
    return folder / "recipe" / "tile.yaml"


@pytest.fixture(scope="session")
def found(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> GateReport:
    """The gate, run once on the trained recipe; for tests of what comes after it."""
    folder = tmp_path_factory.mktemp("gate")
    shutil.copytree(trained_folder, folder, dirs_exist_ok=True)
    loaded = load_recipe(folder / "recipe" / "tile.yaml")
    return run_gate(loaded, None, home_of(loaded.path, "tile"), Asked(collection=folder / "tiles"), lambda *_: None)


@pytest.fixture
def gated(found: GateReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate finds the same again without judging."""
    monkeypatch.setattr("station.release.releasing.run_gate", lambda *_: found)
