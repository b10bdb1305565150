"""`station limits`: limits from the scores that the model keeps, written with a note of who, when, from, to and why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_collection import made_recipe

from models.part_limits import Risk
from station.archive import Archive, new_inspection_id
from station.documents.errors import DocumentError
from station.inspection.result import AnomalyMap, Inspection, Verdict, ViewResult
from station.judge.detector import AnomalyDetector
from station.recipe.loaded import load_recipe
from station.teach.limits import LimitsNotFound, choose_limits, log_of, risk_of

RNG = np.random.default_rng(8)
SCORES = {"top": tuple(1.0 + 0.1 * RNG.gumbel(size=60)), "left": tuple(3.0 + 0.5 * RNG.gumbel(size=60))}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe whose model keeps SCORES; the model's file is a stand-in."""
    path = made_recipe(tmp_path).path
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tile.onnx").write_bytes(b"model")
    metadata = SimpleNamespace(held_out_scores=SCORES, learned_scores={}, created="2026-11-30")
    monkeypatch.setattr(AnomalyDetector, "load", lambda *_: SimpleNamespace(metadata=metadata))
    return path


def test_limits_are_shown_with_their_promise_and_written_only_when_asked(recipe: Path) -> None:
    """Issue 17, point 4."""
    before = recipe.read_bytes()
    shown = choose_limits(recipe, Risk(0.01, 0.95))
    assert recipe.read_bytes() == before
    assert not log_of(recipe).exists()
    assert shown.before == {"top": 2.0, "left": 2.0}
    assert shown.above_before == 60, "the recipe's limit of view left lies under every good part"
    text = shown.as_text()
    assert "promises an overkill of at most" in text
    assert "299 good parts without one above would promise 1.00%" in text
    assert "not written; --write puts them into the recipe" in text
    written = choose_limits(recipe, Risk(0.05, 0.9), write=True, why="too many false alarms")
    loaded = load_recipe(recipe, need_model=False)
    assert {v.name: v.limit for v in loaded.recipe.viewpoints} == written.chosen.limits
    assert written.chosen.limits["top"] < shown.chosen.limits["top"]
    again = choose_limits(recipe, Risk(0.01), write=True)
    first, second = map(json.loads, log_of(recipe).read_text().splitlines())
    assert first["why"] == "too many false alarms"
    assert first["from"] == {"top": 2.0, "left": 2.0}
    assert first["to"] == second["from"] == written.chosen.limits
    assert second["to"] == again.chosen.limits
    assert (first["n_parts"], first["overkill"], first["confidence"]) == (60, 0.05, 0.9)
    assert first["who"]
    assert json.dumps(again.as_dict())


def test_a_change_that_cannot_be_noted_is_not_made(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe.read_bytes()

    def full_disk(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("station.teach.limits.note_limits", full_disk)
    with pytest.raises(LimitsNotFound, match=r"cannot be written .* the limits were not changed"):
        choose_limits(recipe, Risk(), write=True)
    assert recipe.read_bytes() == before


def inspection(good: Inspection, model: str, top: float, left: float, verdict: Verdict) -> Inspection:
    scores = {"top": top, "left": left}
    views = tuple(
        ViewResult(name, verdict, 2.0, anomaly_map=AnomalyMap(np.zeros((4, 6), np.float32), score))
        for name, score in scores.items()
    )
    return replace(
        good, inspection_id=new_inspection_id(), views=views, expected_views=tuple(scores), verdict=verdict,
        provenance={"model": model},
    )  # fmt: skip


def test_archived_parts_show_what_the_limits_would_have_done(
    recipe: Path, good_inspection: Inspection, tmp_path: Path
) -> None:
    """Issue 17, point 4: by the limits alone, of those that this model decided."""
    model = load_recipe(recipe).sha256s["model"]
    made = [
        inspection(good_inspection, model, 1.0, 3.0, Verdict.FAIL),
        inspection(good_inspection, model, 1.9, 1.5, Verdict.PASS),
        inspection(good_inspection, model, 1.0, 1.5, Verdict.PASS),
        inspection(good_inspection, "another", 9.0, 9.0, Verdict.FAIL),
        inspection(good_inspection, model, 9.0, 9.0, Verdict.UNDECIDED),
    ]
    with Archive.open(tmp_path / "archive") as archive:
        for one in made:
            archive.record(one, [])
    found = choose_limits(recipe, Risk(), archive=tmp_path / "archive").archived
    assert found is not None
    assert (found.inspections, found.judged, found.failed_then, found.failed_now) == (5, 3, 1, 1)
    assert found.newly_passed == (made[0].inspection_id,)
    assert found.newly_failed == (made[1].inspection_id,)


def test_what_gives_no_limits_is_refused_with_what_to_do(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = SimpleNamespace(
        metadata=SimpleNamespace(held_out_scores={}, learned_scores={}, created="2026-11-24T00:00:00")
    )
    monkeypatch.setattr(AnomalyDetector, "load", lambda *_: old)
    with pytest.raises(
        LimitsNotFound, match=r"no scores of held-out parts for view 'top' \(it was trained 2026-11-24\)"
    ):
        choose_limits(recipe, Risk())
    few = SimpleNamespace(
        metadata=SimpleNamespace(held_out_scores={v: s[:4] for v, s in SCORES.items()}, learned_scores={}, created="")
    )
    monkeypatch.setattr(AnomalyDetector, "load", lambda *_: few)
    with pytest.raises(LimitsNotFound, match="4 held-out good parts, limits need 5 or more"):
        choose_limits(recipe, Risk())
    with pytest.raises(LimitsNotFound, match="overkill is 2"):
        risk_of(2.0, 0.95)
    with pytest.raises(DocumentError):
        choose_limits(recipe.with_name("none.yaml"), Risk())
