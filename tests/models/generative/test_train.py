"""Training as a command runs it: reproducible, resumable, and refusing what it cannot use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stepped_views import tiny, write_folder

from models.depth_views import DepthDataError
from models.generative import train
from models.generative.config import Form
from models.generative.depth_model import TrainedDepth, load_depth_model
from models.generative.state import state_file
from models.generative.train import train_depth

STEPS = 6
Models = dict[Form, tuple[Path, TrainedDepth]]


class PowerCutError(Exception):
    """Stands for whatever ends a process."""


def _cut_after(step: int) -> Callable[[str], None]:
    def report(text: str) -> None:
        if text.startswith(f"step {step} of"):
            raise PowerCutError

    return report


def _weights(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = load_depth_model(path).model.state_dict()
    return weights


def test_a_run_that_was_cut_in_both_stages_ends_with_the_same_weights(
    depth_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(autoencoder_share=0.5, adversarial_start=0.0)
    whole, pieces = tmp_path / "whole.pt", tmp_path / "pieces.pt"
    train_depth(depth_folder, whole, "residual", 3, STEPS, False, print, config)
    monkeypatch.setattr(train, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr(train, "SAVE_EVERY_S", 0.0)
    for cut in (2, 5):
        with pytest.raises(PowerCutError):
            train_depth(depth_folder, pieces, "residual", 3, STEPS, True, _cut_after(cut), config)
        assert not pieces.exists()
    said: list[str] = []
    train_depth(depth_folder, pieces, "residual", 3, STEPS, True, said.append, config)
    assert said[0] == f"going on after step 4 of {STEPS}"
    assert not state_file(pieces).exists()
    found, sought = _weights(pieces), _weights(whole)
    assert [name for name in sought if not torch.equal(found[name], sought[name])] == []
    assert load_depth_model(pieces).spread == load_depth_model(whole).spread


def test_a_run_is_not_taken_up_on_other_data_or_settings(
    depth_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr(train, "SAVE_EVERY_S", 0.0)
    out = tmp_path / "model.pt"
    with pytest.raises(PowerCutError):
        train_depth(depth_folder, out, "residual", 0, STEPS, False, _cut_after(2), tiny())
    with pytest.raises(DepthDataError, match="begun with other settings"):
        train_depth(depth_folder, out, "residual", 1, STEPS, True, print, tiny())
    other = write_folder(tmp_path / "other", 2, 2)
    with pytest.raises(DepthDataError, match="begun on other data"):
        train_depth(other, out, "residual", 0, STEPS, True, print, tiny())


def test_progress_says_the_step_and_the_time_left(
    depth_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "REPORT_EVERY_S", 0.0)
    said: list[str] = []
    train_depth(depth_folder, tmp_path / "m.pt", "literal", 0, 2, True, said.append, tiny())
    assert said[0] == "nothing to go on with: starting at step 0"
    assert said[1].startswith("step 1 of 2, latent and decoder: reconstruction ")
    assert said[1].endswith(" s left")


@pytest.mark.parametrize(
    ("form", "steps", "text"), [("sideways", 10, "form 'sideways' is unknown"), ("residual", 1, "steps: found 1")]
)
def test_what_cannot_be_trained_is_named(form: str, steps: int, text: str, depth_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DepthDataError, match=text):
        train_depth(depth_folder, tmp_path / "m.pt", form, 0, steps, False, print)


def test_a_folder_without_held_out_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DepthDataError, match=r"the split `calibrate` holds 1, and 2 parts are needed"):
        train_depth(write_folder(tmp_path / "data", 2, 1), tmp_path / "m.pt", "residual", 0, 4, False, print)


def test_a_model_file_states_how_it_came_to_be(depth_models: Models) -> None:
    path, _ = depth_models["residual"]
    facts = load_depth_model(path).facts
    assert facts["n_train_files"] == 12
    assert facts["n_held_out_files"] == 6
    assert {"reconstruction", "noise"} <= facts["losses"].keys()
