"""A recipe with a real model, trained for a few steps on a made-up collection, once for all tests of this folder."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
from made_collection import made_collection, made_recipe, made_references

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
