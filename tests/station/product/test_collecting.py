"""Splits, names, kinds and places of collected parts; archived inspections become parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_collection import SHAPE, VIEWS, made_frames, made_recipe

from drivers.protocols import Frame
from station.archive import Archive, ArchivedFrame, new_inspection_id
from station.collection.folder import CollectedPart, CollectionError, check_part_name
from station.inspection.reasons import ReasonKind
from station.inspection.result import Inspection, Verdict
from station.product.collecting import Known, Taken, check_kind, collecting
from station.product.from_archive import add_archived, archived_name
from station.product.places import PlaceError, masks_at, places_of
from station.product.splits import next_split
from station.recipe.loaded import LoadedRecipe
from station.teach.archived_parts import NoReference


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedRecipe:
    return made_recipe(tmp_path_factory.mktemp("recipe"))


def held(name: str, split: str, kind: str = "good", part_id: str | None = None) -> CollectedPart:
    return CollectedPart(name, kind, split, {}, {}, {} if part_id is None else {"part_id": part_id})


def test_good_parts_train_and_calibrate_in_turn_and_defective_ones_test() -> None:
    parts: list[CollectedPart] = []
    for n in range(4):
        parts.append(held(f"p{n}", next_split("good", f"p{n}", parts)))
    assert [part.split for part in parts] == ["train", "calibrate", "train", "calibrate"]
    assert next_split("scratch", "p9", parts) == "test"


def test_captures_of_one_part_stay_in_one_split() -> None:
    parts = [held("a", "train"), held("b", "calibrate", part_id="SERIAL-7")]
    assert next_split("good", "SERIAL-7", parts) == "calibrate"
    assert next_split("good", "SERIAL-8", parts) == "train"


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "end.", "a b", "x" * 81, "ä"])
def test_a_name_that_no_folder_can_have_is_refused(name: str) -> None:
    with pytest.raises(CollectionError, match="cannot name a part of a collection"):
        check_part_name(name)


def test_a_kind_is_a_word_in_small_letters() -> None:
    assert check_kind("missing_pin") == "missing_pin"
    with pytest.raises(CollectionError, match="'Big Scratch' is no kind"):
        check_kind("Big Scratch")


def test_a_place_is_a_rectangle_or_a_mask_of_the_frames_size(tmp_path: Path) -> None:
    whole = np.zeros(SHAPE, np.uint8)
    whole[3:5, 4:9] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), whole)
    cv2.imwrite(str(tmp_path / "small.png"), whole[:10])
    masks = masks_at(places_of(["top=4,3,5,2", f"left={tmp_path / 'mask.png'}"], VIEWS), SHAPE)
    assert (masks["top"] == (whole > 0)).all()
    assert (masks["left"] == masks["top"]).all()
    for text, told in (
        ("back=1,1,2,2", "no view is named 'back'"),
        ("top", "expected VIEW=X,Y,WIDTH,HEIGHT"),
        ("top=nosuch.png", "neither four numbers"),
    ):
        with pytest.raises(PlaceError, match=told):
            places_of([text], VIEWS)
    for where, told in (
        ("140,90,10,10", "leaves the frame of 144 x 96 pixels"),
        ("1,1,0,4", "is empty"),
        (str(tmp_path / "small.png"), "is of 144 x 10 pixels, expected a mask of 144 x 96"),
    ):
        with pytest.raises(PlaceError, match=told):
            masks_at({"top": where}, SHAPE)


def archived(
    loaded: LoadedRecipe, store: Archive, good: Inspection, frames: Mapping[str, Mapping[str, Frame]],
    verdict: Verdict = Verdict.PASS, calibration: str | None = None, product: str = "tile",
) -> str:  # fmt: skip
    """An inspection in the archive; its id."""
    about = {"calibration": calibration or loaded.sha256s["calibration"]}
    part = replace(
        good, inspection_id=new_inspection_id(), part_id="SERIAL-1", product=product, verdict=verdict, provenance=about,
        views=(), expected_views=VIEWS,
    )  # fmt: skip
    poses = {v.name: v.as_pose() for v in loaded.recipe.viewpoints}
    flat = [
        ArchivedFrame(view, light, replace(frame, timestamp_ns=10**15), poses[view])
        for view, of in frames.items()
        for light, frame in of.items()
    ]
    store.record(part, flat)
    return part.inspection_id


def added(loaded: LoadedRecipe, folder: Path, archive: Path, ids: list[str], known: Known | None = None) -> list[Taken]:
    with collecting(folder, loaded, is_simulated=True) as collector:
        stated = known or Known()
        return list(add_archived(collector, loaded, archive, ids, stated, is_stated=known is not None))


def test_archived_inspections_become_parts_with_their_frames(
    loaded: LoadedRecipe, good_inspection: Inspection, tmp_path: Path
) -> None:
    with Archive.open(tmp_path / "archive") as store:
        first, second = (archived(loaded, store, good_inspection, made_frames(n)) for n in (1, 2))
        failed = archived(loaded, store, good_inspection, made_frames(3, scratched=True), Verdict.FAIL)
    taken = added(loaded, tmp_path / "parts", tmp_path / "archive", [first, second])
    assert [(t.name, t.split, t.reasons) for t in taken] == [
        (archived_name(first), "train", ()), (archived_name(second), "train", ()),
    ]  # fmt: skip
    with pytest.raises(NoReference, match=f"{failed} is FAIL: say with --kind what the part is"):
        added(loaded, tmp_path / "parts", tmp_path / "archive", [failed])
    added(loaded, tmp_path / "parts", tmp_path / "archive", [failed], Known("scratch", by="ann"))
    with collecting(tmp_path / "parts", loaded, is_simulated=True) as collector:
        part = collector.parts[archived_name(failed)]
        assert (part.kind, part.split, part.facts["note"]) == ("scratch", "test", "archived as FAIL")
        frames = collector.collection.frames(collector.parts[archived_name(first)], "top")
    np.testing.assert_array_equal(frames["L45"].pixels, made_frames(1)["top"]["L45"].pixels)


def test_inspections_of_another_calibration_exposure_or_product_are_refused(
    loaded: LoadedRecipe, good_inspection: Inspection, tmp_path: Path
) -> None:
    frames = made_frames(1)
    longer = {
        view: {n: replace(f, exposure_us=2 * f.exposure_us) for n, f in of.items()} for view, of in frames.items()
    }
    louder = {view: {n: replace(f, gain_db=6.0) for n, f in of.items()} for view, of in frames.items()}
    with Archive.open(tmp_path / "archive") as store:
        refused = {
            archived(loaded, store, good_inspection, frames, calibration="c" * 64): "calibration cccccccccccc",
            archived(
                loaded, store, good_inspection, longer
            ): "was taken with 16000 us and 0 dB, the recipe has 8000 us",
            archived(loaded, store, good_inspection, louder): "was taken with 8000 us and 6 dB",
            archived(loaded, store, good_inspection, frames, product="knob"): "shows 'knob', the recipe is for 'tile'",
        }
    for inspection_id, told in refused.items():
        with pytest.raises(NoReference, match=f"{inspection_id}.*{told}"):
            added(loaded, tmp_path / "parts", tmp_path / "archive", [inspection_id])


def test_a_bad_archived_capture_is_refused_by_what_speaks_against_it(
    loaded: LoadedRecipe, good_inspection: Inspection, tmp_path: Path
) -> None:
    """Without any reference the parts before are the witness: two lamps were exchanged, and a frame is missing."""
    swapped = {view: dict(of) for view, of in made_frames(2).items()}
    for of_view in swapped.values():
        of_view["L45"], of_view["L225"] = of_view["L225"], of_view["L45"]
    partial = {view: {n: f for n, f in of.items() if n != "L135"} for view, of in made_frames(3).items()}
    with Archive.open(tmp_path / "archive") as store:
        ids = [archived(loaded, store, good_inspection, each) for each in (made_frames(1), swapped, partial)]
    good, exchanged, missing = added(loaded, tmp_path / "parts", tmp_path / "archive", ids)
    assert not good.reasons
    assert {reason.kind for reason in exchanged.reasons} == {ReasonKind.LIGHT_STUCK_ON}
    assert "looks as if 'L225' shone" in exchanged.reasons[0].text
    assert {reason.kind for reason in missing.reasons} == {ReasonKind.MISSING_FRAME}
    with collecting(tmp_path / "parts", loaded, is_simulated=True) as collector:
        assert list(collector.parts) == [archived_name(ids[0])]
