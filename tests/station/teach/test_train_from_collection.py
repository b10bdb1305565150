"""From a collection to a recipe with model, limits, references and tolerances; then its limits are chosen anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_collection import made_collection, made_recipe, made_references
from small_network import use_small_network

from models.part_limits import Risk
from station.errors import BadInput
from station.recipe.loaded import load_recipe
from station.teach.limits import choose_limits, log_of
from station.teach.step_clock import StepClock
from station.teach.training import train


@pytest.mark.filterwarnings("ignore")
def test_a_collection_trains_its_recipe_and_the_record_keeps_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 17, points 3 and 4."""
    monkeypatch.setattr("station.teach.prepare.part_references_of", made_references)
    use_small_network(monkeypatch)
    loaded = made_recipe(tmp_path / "recipe")
    made_collection(loaded, tmp_path / "tiles")
    trained = train(None, tmp_path / "tiles", loaded.path, 3, disturbed=1)
    after = load_recipe(loaded.path)
    assert after.sha256s["model"] == trained.sha256
    assert {v.name: v.limit for v in after.recipe.viewpoints} == trained.report.limits
    assert after.part_references is not None
    assert set(after.recipe.reference_levels) == {"top", "left"}
    text = trained.as_text()
    for told in (
        "time: references",
        "good parts under",
        "noise x2",
        "held-out good parts lie above",
        "one light 1 deg off",
    ):
        assert told in text
    assert {"preparing", "tokens", "training", "held-out parts", "limits", "export", "disturbances"} <= set(
        trained.seconds
    )
    record = json.loads(loaded.path.with_name("tile.training.json").read_text())
    assert record["disturbances"]["rows"][0]["name"] == "undisturbed"
    assert record["risk"]["n_parts"] == 5
    (note,) = map(json.loads, log_of(loaded.path).read_text().splitlines())
    assert note["from"] == {"top": 2.0, "left": 2.0}
    assert note["why"].startswith("trained: ")
    assert choose_limits(loaded.path, Risk()).chosen.limits == trained.report.limits


def test_a_folder_of_nothing_is_refused_with_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is neither a data set, nor a collection, .*; or name a product"):
        train(None, tmp_path, None, 1)


def test_the_time_of_a_step_is_what_passed_before_it_was_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("station.teach.step_clock.time.monotonic", lambda: now[0])
    said: list[str] = []
    clock = StepClock(lambda what, _share: said.append(what))
    for seconds, what in ((2.0, "preparing, train good-1"), (3.0, "preparing, test good-2"), (4.0, "export")):
        now[0] += seconds
        clock.progress(what, 1.0)
    assert clock.seconds == {"preparing": 5.0, "export": 4.0}
    for seconds, share in ((10.0, 0.25), (310.0, 0.5)):
        now[0] += seconds
        clock.progress("training, loss 0.5", share)
    assert said[-2:] == ["training, loss 0.5, 30 s left of this step", "training, loss 0.5, 5 min left of this step"]
