"""One small folder of views for all tests, and one trained model of each form."""

from __future__ import annotations

from pathlib import Path

import pytest
from stepped_views import tiny, write_folder

from models.generative.config import Form
from models.generative.depth_model import TrainedDepth
from models.generative.train import train_depth

STEPS = 12


@pytest.fixture(scope="session")
def depth_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve views to train on and six held out."""
    return write_folder(tmp_path_factory.mktemp("depth"), 12, 6)


@pytest.fixture(scope="session")
def depth_models(depth_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Form, tuple[Path, TrainedDepth]]:
    """A model of each form after a few steps: good for nothing but whole."""
    folder = tmp_path_factory.mktemp("models")
    forms: tuple[Form, ...] = ("residual", "literal")
    return {
        form: (
            folder / f"{form}.pt",
            train_depth(depth_folder, folder / f"{form}.pt", form, 0, STEPS, False, print, tiny()),
        )
        for form in forms
    }
