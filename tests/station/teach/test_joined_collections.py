"""One collection joins another: whole parts, bit for bit, and never of another rig."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivers.protocols import Frame
from station.collection.folder import About, Collection, CollectionError, LightTaken
from station.errors import BadInput
from station.teach.dataset_sheet import draw_sheet
from station.teach.dataset_stats import stats_of
from station.teach.exchange import export_to, import_from

LIGHTS = {"north": LightTaken(1, "directional", 100.0, 1.0, 0.0), "dome": LightTaken(2, "diffuse", 100.0, 1.0, 0.0)}
ABOUT = About("tile", ("top", "left"), LIGHTS, "Mono8", "0" * 64, is_simulated=True)
DENT = np.zeros((24, 36), bool)
DENT[4:8, 6:10] = True


def collection(folder: Path, names: tuple[str, ...], about: About = ABOUT, seed: int = 0) -> Collection:
    made = Collection.create(folder, about)
    for n, name in enumerate(names):
        rng = np.random.default_rng(seed + n)
        frames = {view: {light: Frame(rng.integers(0, 255, (24, 36), np.uint8), "Mono8", 8, 0.0, 100.0, 0.0, 0, 0)
                         for light in LIGHTS} for view in about.views}  # fmt: skip
        kind = "dent" if name.startswith("D") else "good"
        masks = {"top": DENT} if kind == "dent" else {}
        made.add(
            name, kind, "test" if masks else "train", frames, masks, {"by": "ann"}, {"top": (1.0, 2.0, 3.0, 4.0, 5.0)}
        )
    return made


def test_parts_are_copied_whole_and_those_that_are_there_stay(tmp_path: Path) -> None:
    source, into = collection(tmp_path / "a", ("P-1", "D-1")), collection(tmp_path / "b", ("P-0",), seed=9)
    report = import_from("collection", tmp_path / "a", tmp_path / "b")
    assert report.notes == ()
    assert [part.name for part in into.parts()] == ["D-1", "P-0", "P-1"]
    for part in source.parts():
        other = into.part(part.name)
        assert (other.kind, other.split, other.facts, other.poses) == (part.kind, part.split, part.facts, part.poses)
        for view in ABOUT.views:
            np.testing.assert_array_equal(into.mask(other, view, (24, 36)), source.mask(part, view, (24, 36)))
            for light, frame in source.frames(part, view).items():
                np.testing.assert_array_equal(into.frames(other, view)[light].pixels, frame.pixels)
    again = import_from("collection", tmp_path / "a", tmp_path / "b")
    assert again.notes == ("2 of 2 parts were there already.",)
    assert into.part("D-1").take == 1


def test_a_collection_is_exported_as_a_collection(tmp_path: Path) -> None:
    collection(tmp_path / "a", ("P-1", "D-1"))
    export_to(tmp_path / "a", "collection", tmp_path / "copy")
    copy, source = Collection.open(tmp_path / "copy"), Collection.open(tmp_path / "a")
    assert (copy.about, [p.fingerprint for p in copy.parts()]) == (
        source.about,
        [p.fingerprint for p in source.parts()],
    )


def test_a_collection_of_another_calibration_is_refused(tmp_path: Path) -> None:
    collection(tmp_path / "a", ("P-1",), replace(ABOUT, calibration_sha256="1" * 64))
    collection(tmp_path / "b", ("P-0",))
    with pytest.raises(CollectionError, match=r"collection\.json was taken otherwise \(calibration_sha256"):
        import_from("collection", tmp_path / "a", tmp_path / "b")


def test_another_part_of_the_same_name_is_refused(tmp_path: Path) -> None:
    collection(tmp_path / "a", ("P-1",))
    collection(tmp_path / "b", ("P-1",), seed=9)
    with pytest.raises(CollectionError, match="has another part 'P-1'"):
        import_from("collection", tmp_path / "a", tmp_path / "b")


def test_raw_frames_are_exported_with_the_recipe_that_solves_them(tmp_path: Path) -> None:
    collection(tmp_path / "a", ("P-1",))
    with pytest.raises(BadInput, match="holds raw frames: name the recipe that solves them with --recipe"):
        export_to(tmp_path / "a", "mvtec", tmp_path / "out")


def test_a_collection_is_counted_and_shown(tmp_path: Path) -> None:
    collection(tmp_path / "tile", ("P-1", "D-1"))
    (product,) = stats_of(tmp_path / "tile").products
    assert (product.parts, product.kinds, product.seen_in) == (2, {"dent": 1}, {"top": 1, "left": 0})
    assert product.areas == {"dent": (float(DENT.mean()),)}
    assert draw_sheet(tmp_path / "tile", tmp_path / "sheet.png", 20) == ("dent",)
