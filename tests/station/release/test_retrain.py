"""What people said of archived parts teaches the next draft, and no recipe but the draft is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from made_collection import POSES, SHAPE, VIEWS, made_frames
from small_network import use_small_network

from drivers.geometry.pose import Pose
from models.limits import GoodScores
from station.archive import Archive, ArchivedFrame, new_inspection_id
from station.archive.store import DATABASE
from station.archive.words import give_word
from station.collection.folder import Collection, CollectionError
from station.inspection.result import Inspection, Verdict
from station.inspection.words import Word
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.releases import ReleaseError
from station.release.gate import Asked
from station.release.known_parts import archived_inspections, recorded
from station.release.releasing import release_recipe
from station.release.retrain import Taught, _base, _known_parts, retrain, take_words
from station.teach.archived_parts import NoReference
from station.teach.mislabelled import suspects

Said = Callable[..., str]


@pytest.fixture
def archive(folder: Path) -> Path:
    return folder / "archive"


@pytest.fixture
def inspected(archive: Path, recipe: Path, good_inspection: Inspection) -> Said:
    """Archive a part of that seed with that verdict, say a word of it, and return the inspection's id."""
    calibration = load_recipe(recipe).sha256s["calibration"]

    def record(seed: int, verdict: Verdict, word: Word | None, *, scratched: bool = False, under: str = "") -> str:
        name = new_inspection_id()
        about = replace(
            good_inspection, inspection_id=name, product="tile", verdict=verdict, views=(), expected_views=VIEWS,
            provenance={"calibration": under or calibration},
        )  # fmt: skip
        frames = [
            ArchivedFrame(view, light, frame, Pose(*POSES[view]))
            for view, of_view in made_frames(seed, scratched).items()
            for light, frame in of_view.items()
        ]
        with Archive.open(archive) as store:
            store.record(about, frames)
        if word is not None:
            give_word(archive / DATABASE, name, word, "Anna", "seen under the lens")
        return name

    return record


@pytest.mark.filterwarnings("ignore")
def test_words_become_parts_and_the_draft_learns_from_them(
    recipe: Path, archive: Path, inspected: Said, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 11, point 8."""
    use_small_network(monkeypatch)
    false_call = inspected(50, Verdict.FAIL, Word.FALSE_CALL)
    missed = inspected(51, Verdict.PASS, Word.MISSED, scratched=True)
    confirmed = inspected(52, Verdict.FAIL, Word.CONFIRMED, scratched=True)
    inspected(53, Verdict.PASS, Word.CONFIRMED)
    unknown = inspected(54, Verdict.UNDECIDED, Word.CANNOT_TELL)
    inspected(55, Verdict.PASS, None)
    before = recipe.read_bytes(), (recipe.parent / "models" / "tile.onnx").read_bytes()
    report = retrain(recipe, folder / "tiles", archive, steps=2, disturbed=0)
    assert (recipe.read_bytes(), (recipe.parent / "models" / "tile.onnx").read_bytes()) == before
    draft = load_recipe(recipe.with_name("tile.draft.yaml"))
    assert report.draft == draft.path
    assert draft.recipe.model.file == "models/tile.draft.onnx"
    assert report.trained is not None
    assert report.trained.report.n_train_parts == 6
    held = {part.name: (part.kind, part.split, part.facts["by"]) for part in Collection.open(folder / "tiles").parts()
            if part.name.startswith("archived-")}  # fmt: skip
    assert held == {
        f"archived-{false_call}": ("good", "train", "Anna"),
        f"archived-{missed}": ("defective", "test", "Anna"),
        f"archived-{confirmed}": ("defective", "test", "Anna"),
    }
    assert report.taught.words == {"false-call": 1, "missed": 1, "confirmed": 2, "cannot-tell": 1}
    assert report.compared == 2 + 4, "the collection's test parts, and what people said of five but for one"
    text = report.as_text()
    assert "added to the collection: 1 good parts to train on, 2 defective test parts" in text
    assert f"of {report.compared} known parts change" in text
    assert json.dumps(report.as_dict())
    collection = Collection.open(folder / "tiles")
    assert take_words(load_recipe(recipe), collection, archive).added_good == 0, "what is there is not added again"
    give_word(archive / DATABASE, unknown, Word.FALSE_CALL, "Anna", "it is clean after all")
    assert take_words(load_recipe(recipe), collection, archive).added_good == 1
    give_word(archive / DATABASE, unknown, Word.CANNOT_TELL, "Otto", "or not")
    with pytest.raises(CollectionError, match=f"archived-{unknown}, of which Otto said cannot-tell since: remove"):
        take_words(load_recipe(recipe), collection, archive)
    give_word(archive / DATABASE, unknown, Word.MISSED, "Otto", "a dent")
    with pytest.raises(CollectionError, match="as good, train; now it is defective: remove the folder"):
        take_words(load_recipe(recipe), collection, archive)


@pytest.mark.filterwarnings("ignore")
def test_a_draft_with_nothing_new_to_learn_keeps_its_base_s_model_and_is_judged_once(
    recipe: Path, archive: Path, inspected: Said, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_network(monkeypatch)
    inspected(51, Verdict.PASS, Word.MISSED, scratched=True)
    monkeypatch.setattr("station.release.retrain.fitted", None)
    report = retrain(recipe, folder / "tiles", archive, steps=3)
    assert report.trained is None
    assert "nothing new to learn" in report.as_text()
    assert json.dumps(report.as_dict())
    draft = load_recipe(report.draft)
    assert draft.sha256s["model"] == load_recipe(recipe).sha256s["model"]
    assert (report.compared, report.changes) == (3, ())
    with pytest.raises(TypeError):  # other settings end with other weights: it would be trained
        retrain(recipe, folder / "tiles", archive, steps=4)


def test_a_part_that_was_taken_otherwise_is_refused(recipe: Path, archive: Path, inspected: Said, folder: Path) -> None:
    inspected(50, Verdict.FAIL, Word.FALSE_CALL, under="0" * 64)
    with pytest.raises(NoReference, match="was inspected under calibration 000000000000"):
        take_words(load_recipe(recipe), Collection.open(folder / "tiles"), archive)


@pytest.mark.usefixtures("gated")
def test_a_draft_is_compared_with_the_active_release_on_its_reference_set(recipe: Path, folder: Path) -> None:
    loaded: LoadedRecipe = load_recipe(recipe)
    assert _base(recipe, loaded) == recipe
    release_recipe(recipe, "first", "Anna", Asked(collection=folder / "tiles"), lambda *_: None)
    base = _base(recipe, loaded)
    assert base == folder / "recipe" / "releases" / "tile" / "0001" / "recipe.yaml"
    known = _known_parts(base, folder / "tiles", Taught({}, 0, 0, 0, ()))
    assert [(part.name, part.expected) for part in known] == [("scratch-11", Verdict.FAIL), ("good-10", Verdict.PASS)]
    assert recorded((), base.parent) == []


def test_a_persons_last_word_says_what_an_archived_reference_part_should_be(archive: Path, inspected: Said) -> None:
    said = [
        inspected(50, Verdict.FAIL, Word.FALSE_CALL), inspected(51, Verdict.PASS, Word.MISSED),
        inspected(52, Verdict.FAIL, None),
    ]  # fmt: skip
    parts = archived_inspections(archive, said)
    assert [part.expected for part in parts] == [Verdict.PASS, Verdict.FAIL, Verdict.FAIL]
    undecided = inspected(53, Verdict.UNDECIDED, None)
    with pytest.raises(ReleaseError, match="is UNDECIDED, and nobody said what it is: say it with `station word`"):
        archived_inspections(archive, [undecided])


def test_a_part_that_stands_far_out_is_shown_beside_the_recipe(recipe: Path, folder: Path) -> None:
    """Issue 11, point 5."""
    parts = tuple(f"good-{n}" for n in range(5, 10))
    usual = dict.fromkeys(VIEWS, (1.0, 1.02, 0.98, 1.01, 0.99))
    limits = dict.fromkeys(VIEWS, 2.0)
    data, model = folder / "tiles-prepared", recipe.parent / "models" / "tile.onnx"
    assert suspects(data, model, GoodScores(parts, {"plain": usual}), limits, recipe) == ()
    odd = {**usual, "left": (1.0, 1.02, 60.0, 1.01, 0.99)}
    (found,) = suspects(data, model, GoodScores(parts, {"plain": odd}), limits, recipe)
    assert found.picture == recipe.parent / "tile.suspects" / "good-7_left.png"
    assert cv2.imread(str(found.picture)).shape == (*SHAPE, 3)
    assert str(found).startswith(
        "WARNING: good part good-7, view left: score 60, where the median of 5 good parts is 1"
    )
    assert json.dumps(found.as_dict())
