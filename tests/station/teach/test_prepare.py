"""A collection becomes a data set that the trainer reads, goes on where it ended, and refuses what cannot teach."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_collection import SHAPE, TILE, VIEWS, made_collection, made_frames, made_recipe, made_references

from models.config import TrainConfig
from models.dataset import load_dataset, read_normals, read_rgb
from station.collection.folder import Collection, CollectionError
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.teach.archived_parts import NoReference
from station.teach.fit_for_recipe import grid_of
from station.teach.prepare import Prepared, prepare
from station.teach.prepared_view import ViewPreparer
from station.teach.region_pictures import set_regions, write_part_references


@pytest.fixture(autouse=True)
def _references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.teach.prepare.part_references_of", made_references)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedRecipe:
    return made_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def collection(loaded: LoadedRecipe, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return made_collection(loaded, tmp_path_factory.mktemp("collection") / "tiles")


@pytest.fixture
def copy(collection: Collection, tmp_path: Path) -> Callable[[], Path]:
    """The collection's folder, to be changed."""
    return lambda: Path(shutil.copytree(collection.folder, tmp_path / "tiles"))


def quiet(_what: str, _share: float) -> None:
    return None


@pytest.fixture(scope="module")
def prepared(loaded: LoadedRecipe, collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("station.teach.prepare.part_references_of", made_references)
        return prepare(loaded, collection, tmp_path_factory.mktemp("prepared") / "set", quiet)


def index_of(prepared: Prepared) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((prepared.folder / "index.json").read_text())
    return found


def test_a_collection_becomes_a_data_set_plain_and_under_an_ordinary_day(prepared: Prepared) -> None:
    """Issue 17, point 3: no recorded part is needed twice."""
    index = index_of(prepared)
    assert index["input_size"] == list(SHAPE)
    assert index["alignment"] == "placed"
    by_variant = {(i["split"], i["variant"]) for i in index["items"]}
    assert by_variant == {
        ("train", "plain"), ("train", "ordinary-day"), ("calibrate", "plain"), ("calibrate", "ordinary-day"),
        ("test", "plain"),
    }  # fmt: skip
    assert not prepared.left_out
    assert not prepared.doubted
    dataset = load_dataset(prepared.folder)
    assert len(dataset.of("train")) == 5 * len(VIEWS) * 2
    assert index["reference_levels"]["top"]["diffuse"] > 0.1
    region = cv2.imread(str(prepared.folder / index["regions"]["top"]), cv2.IMREAD_GRAYSCALE)
    assert region is not None
    assert (region[TILE] == 255).all()
    normals = read_normals(dataset.of("train")[0].normal)  # type: ignore[arg-type]
    assert (normals[:, region == 0] == 0).all(), "nothing outside the region"
    np.testing.assert_allclose((normals[:, 30:66, 46:98] ** 2).sum(axis=0), 1, atol=1e-3)
    (scratched,) = [i for i in dataset.of("test") if i.kind == "scratch" and i.view == "top"]
    mask = cv2.imread(str(scratched.mask), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    assert mask[40:44, 60:80].mean() > 200


def test_a_disturbed_part_differs_from_its_plain_one_a_little(prepared: Prepared) -> None:
    index = index_of(prepared)
    plain, day = (
        next(i for i in index["items"] if (i["part"], i["view"], i["variant"]) == ("good-1", "top", variant))
        for variant in ("plain", "ordinary-day")
    )
    a, b = (read_rgb(prepared.folder / i["rgb"], TrainConfig())[(slice(None), *TILE)] for i in (plain, day))
    ratio = b.mean() / a.mean()
    assert 0.9 < ratio < 1.1
    assert np.abs(b - ratio * a).mean() / a.mean() > 1e-3


def test_a_second_run_goes_on_where_the_first_one_ended(
    loaded: LoadedRecipe, collection: Collection, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 17, point 3: raw frames are solved once."""

    def ends_early(what: str, share: float) -> None:
        if what.startswith("preparing") and share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(loaded, collection, tmp_path / "set", ends_early)
    assert not (tmp_path / "set" / "index.json").exists()
    done = len(list((tmp_path / "set" / "entries").iterdir()))
    solved = []
    original = ViewPreparer.prepared

    def counted(self: ViewPreparer, part: str, view: str, *rest: Any) -> Any:
        solved.append((part, view))
        return original(self, part, view, *rest)

    monkeypatch.setattr(ViewPreparer, "prepared", counted)
    resumed = index_of(prepare(loaded, collection, tmp_path / "set", quiet))
    assert len(solved) == (22 - done) * len(VIEWS)
    assert resumed == index_of(prepared)


def test_a_part_whose_plain_views_are_left_out_is_left_out_whole(
    loaded: LoadedRecipe, collection: Collection, prepared: Prepared, tmp_path: Path
) -> None:
    """And the trainer says so, where too few are left to calibrate."""
    folder = Path(shutil.copytree(prepared.folder, tmp_path / "set"))
    change(folder / "entries", "calibrate_good-7_plain.json", items=[], reason="view 'top': the part lies 3 mm off")
    with pytest.raises(CollectionError, match=r"only 4 good parts to calibrate .* as good-7 \(plain\): view 'top'"):
        prepare(loaded, collection, folder, quiet)
    index = json.loads((folder / "index.json").read_text())
    assert set(index["left_out"]) == {"good-7 (plain)", "good-7 (ordinary-day)"}
    assert "good-7" not in {item["part"] for item in index["items"]}


def test_a_folder_that_was_prepared_otherwise_is_not_mixed(
    loaded: LoadedRecipe, collection: Collection, prepared: Prepared, tmp_path: Path
) -> None:
    with pytest.raises(CollectionError, match="was prepared with another seed: remove the folder"):
        prepare(loaded, collection, prepared.folder, quiet, seed=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("x")
    with pytest.raises(CollectionError, match="holds something else"):
        prepare(loaded, collection, tmp_path / "other", quiet)


def change(folder: Path, file: str, **fields: Any) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"calibration_sha256": "c" * 64}, "taken under calibration cccccccccccc, the recipe names"),
        ({"product": "knob"}, "of 'knob', the recipe is for 'tile'"),
        ({"pixel_format": "Mono12"}, "taken as Mono12, the recipe has BayerRG12"),
        ({"views": ["top"]}, "lacks the view 'left' of the recipe"),
        ({"lights": {}}, "light 'L45' was not used, the recipe has directional on channel 2 for 8000 us"),
    ],
)
def test_a_collection_that_was_taken_otherwise_is_refused(
    loaded: LoadedRecipe, copy: Callable[[], Path], tmp_path: Path, fields: dict[str, Any], told: str
) -> None:
    folder = copy()
    change(folder, "collection.json", **fields)
    with pytest.raises(CollectionError, match=told):
        prepare(loaded, Collection.open(folder), tmp_path / "set", quiet)
    assert not (tmp_path / "set").exists()


def test_parts_that_cannot_teach_are_refused(loaded: LoadedRecipe, copy: Callable[[], Path], tmp_path: Path) -> None:
    folder = copy()

    def refused(told: str) -> None:
        with pytest.raises(CollectionError, match=told):
            prepare(loaded, Collection.open(folder), tmp_path / "set", quiet)

    one = folder / "parts" / "good-1"
    frames = json.loads((one / "part.json").read_text())["frames"]
    change(one, "part.json", frames={**frames, "left": {}})
    refused("part good-1 lacks left/L45: take it anew")
    change(one, "part.json", frames=frames, split="calibrate")
    refused("4 good parts to train, at least 5 are needed")
    change(one, "part.json", split="train")
    shutil.copytree(one, folder / "parts" / "copied")
    change(folder / "parts" / "copied", "part.json", name="copied", split="calibrate")
    refused(r"good-1 \(train\) and copied \(calibrate\) share a frame .* they are one part")


def test_the_grid_is_the_largest_that_whole_blocks_give() -> None:
    assert grid_of((456, 684)) == (456, 684)
    assert grid_of((3648, 5472)) == (456, 684)
    assert grid_of((1200, 1920)) == (300, 480)
    with pytest.raises(CollectionError, match="2448 x 2048 pixels: no whole number of them"):
        grid_of((2048, 2448))


def test_a_part_that_was_taken_again_is_prepared_anew_and_no_other(
    loaded: LoadedRecipe, copy: Callable[[], Path], prepared: Prepared, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Issue 11, point 3: a part counts as prepared by what was taken, not by its name."""
    folder = Path(shutil.copytree(prepared.folder, tmp_path / "set"))
    changed = Collection.open(copy())
    taken = changed.part("good-1")
    changed.add("good-1", "good", taken.split, made_frames(77))
    solved = []
    original = ViewPreparer.prepared

    def counted(self: ViewPreparer, part: str, view: str, *rest: Any) -> Any:
        solved.append(part)
        return original(self, part, view, *rest)

    monkeypatch.setattr(ViewPreparer, "prepared", counted)
    before = {(i["part"], i["view"], i["variant"]): i["rgb_sha256"] for i in index_of(prepared)["items"]}
    again = prepare(loaded, changed, folder, quiet)
    assert set(solved) == {"good-1"}
    after = {(i["part"], i["view"], i["variant"]): i["rgb_sha256"] for i in index_of(again)["items"]}
    assert {key[0] for key in before if before[key] != after[key]} == {"good-1"}
    prepare(loaded, changed, folder, quiet)
    assert len(solved) == 2 * len(VIEWS), "once prepared, it stays"


def test_a_region_that_a_person_set_counts_in_training(
    loaded: LoadedRecipe, collection: Collection, prepared: Prepared, tmp_path: Path
) -> None:
    """Issue 11, point 3: it was found anew before, and the edit was lost."""
    own = Path(shutil.copytree(loaded.path.parent, tmp_path / "recipe")) / loaded.path.name
    write_part_references(own, "tile", prepared.references)
    (own.parent / "models").mkdir()
    (own.parent / "models" / "tile.onnx").write_bytes(b"of no use here")
    mask = np.zeros(SHAPE, np.uint8)
    mask[30:60, 50:80] = 255
    cv2.imwrite(str(tmp_path / "top.png"), mask)
    set_regions(own, {"top": tmp_path / "top.png"})
    edited = load_recipe(own, need_model=False)
    folder = Path(shutil.copytree(prepared.folder, tmp_path / "set"))
    again = prepare(edited, collection, folder, quiet)
    index = index_of(again)
    region = cv2.imread(str(folder / index["regions"]["top"]), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(region, mask)
    assert again.references.edited == ("top",)
    (picture,) = [i for i in index["items"] if (i["part"], i["view"], i["variant"]) == ("good-0", "top", "plain")]
    assert (read_rgb(folder / picture["rgb"], TrainConfig())[:, mask == 0] == 0).all(), "nothing outside the edit"
    untouched = cv2.imread(str(folder / index["regions"]["left"]), cv2.IMREAD_GRAYSCALE)
    assert untouched is not None
    assert (untouched[TILE] == 255).all()
    without = prepare(loaded, collection, folder, quiet)
    assert without.references.edited == (), "without the edit the regions are found again"


def test_an_edited_region_that_does_not_fit_any_more_is_never_lost_in_silence(
    loaded: LoadedRecipe, collection: Collection, prepared: Prepared, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(loaded.path.parent, tmp_path / "recipe")) / loaded.path.name
    foreign = replace(prepared.references, edited=("top",), calibration_sha256="c" * 64)
    write_part_references(own, "tile", foreign)
    with pytest.raises(NoReference, match=r"regions of top were set by hand, and they do not fit any more .*another"):
        prepare(load_recipe(own, need_model=False), collection, tmp_path / "set", quiet)
