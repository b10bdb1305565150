"""A set from elsewhere teaches a recipe where it can be its camera's, and every result says what was judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_collection import VIEWS, made_frames, made_recipe
from made_up_sets import put
from small_network import use_small_network

from station.console.banner import banner_of
from station.console.situation import Situation
from station.engine.events import ResultReady
from station.errors import BadInput
from station.inspection.result import JUDGED, NO_NORMALS, Inspection
from station.judge.detector import AnomalyDetector, ModelRefused
from station.judge.diffuse_picture import diffuse_rgb
from station.lights.levels import mean_level
from station.photometric_stereo.packing import pack_normals
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.report.display_rgb import linear_to_srgb
from station.report.inspection_text import inspection_document, inspection_lines
from station.teach.set_for_recipe import set_for_recipe

OTHER_NAMES = {"C1": "top", "C2": "left"}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 good parts and a scratched one in the paper's layout, as the recipe's camera shows them, with other views."""
    folder = tmp_path_factory.mktemp("elsewhere") / "tile"
    flat = np.zeros((3, 96, 144), np.float32)
    for seed in range(26):
        split, kind = ("train", "good") if seed < 25 else ("test", "scratch")
        frames = made_frames(seed, scratched=kind != "good")
        for own, view in OTHER_NAMES.items():
            at = f"P{seed:03}/{own}.png"
            shown = linear_to_srgb(diffuse_rgb(frames[view]["diffuse"]).transpose(1, 2, 0))
            put(folder / split / kind / "rgb" / at, shown[:, :, ::-1])
            flat[:2] = np.random.default_rng([seed, int(own[1])]).normal(0, 0.05, (2, 96, 144))
            flat[2] = np.sqrt(1 - (flat[:2] ** 2).sum(axis=0))
            put(folder / split / kind / "nv" / at, pack_normals(flat)[::-1].transpose(1, 2, 0))
            if kind != "good":
                mask = np.zeros((96, 144), np.uint8)
                mask[40:44, 60:80] = 255
                put(folder / split / kind / "gt" / at, mask)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> LoadedRecipe:
    """As `station product new` leaves it after a look."""
    path = made_recipe(tmp_path / "recipe").path
    frames = made_frames(99)
    levels = {view: {name: mean_level(frame) for name, frame in frames[view].items()} for view in VIEWS}
    update_recipe_values(path, reference_levels=levels)
    return load_recipe(path, need_model=False)


def changed(loaded: LoadedRecipe, old: str, new: str) -> LoadedRecipe:
    """The recipe with another text in its file."""
    text = loaded.path.read_text()
    assert old in text
    loaded.path.write_text(text.replace(old, new))
    return load_recipe(loaded.path, need_model=False)


def test_a_set_without_known_normals_trains_the_recipe_on_pictures_alone_and_the_recipe_says_so(
    tiles: Path, recipe: LoadedRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from station.teach.training import train

    use_small_network(monkeypatch)
    levels = recipe.recipe.reference_levels
    data = set_for_recipe(tiles, recipe, OTHER_NAMES)
    trained = train(None, data, recipe.path, 2)
    text = trained.as_text()
    assert "The set's normals are left out" in text
    assert "no normals are judged" in text
    after = load_recipe(recipe.path)
    assert after.recipe.model.judges == "pictures"
    assert after.recipe.reference_levels == levels, "what the look found stays"
    detector = AnomalyDetector.load(after.model_path, after.recipe.model.sha256)
    detector.check_fits(after.recipe)
    detector.check_regions(after)
    image = diffuse_rgb(made_frames(3)["left"]["diffuse"])
    some, others = (
        np.ascontiguousarray(np.broadcast_to(np.float32([[[x]], [[0]], [[0.8]]]), image.shape)) for x in (0, 0.6)
    )
    scores = {detector.detect(image, normals, "left").pred_score for normals in (some, others)}
    assert len(scores) == 1, "the station's normals change nothing"
    silent = changed(after, "judges: pictures", "judges: both")
    with pytest.raises(ModelRefused, match="learned from pictures alone, and the recipe does not say so"):
        detector.check_fits(silent.recipe)


def test_normals_count_where_a_person_says_that_the_recipe_s_solver_made_them(
    tiles: Path, recipe: LoadedRecipe
) -> None:
    data = set_for_recipe(tiles, recipe, OTHER_NAMES, same_solver=True)
    index = json.loads((data / "index.json").read_text())
    assert index["photometric_stereo"]["lights"] == ["L45", "L135", "L225", "L315"]
    assert all(item["normal"] for item in index["items"])
    assert any("is not proven" in note for note in index["notes"])
    assert index["views"] == ["top", "left"]
    assert set_for_recipe(tiles, recipe, OTHER_NAMES, same_solver=True) == data
    stamp = (data / "index.json").stat().st_mtime_ns
    assert (
        set_for_recipe(tiles, recipe, OTHER_NAMES, same_solver=True).joinpath("index.json").stat().st_mtime_ns == stamp
    )


@pytest.mark.parametrize(
    ("old", "new", "view_of", "said"),
    [
        ("", "", {}, r"none of them is 'top' of .*: join them with --view-of SETVIEW=top"),
        ("", "", {"C1": "top"}, r"none of them is 'left'"),
        ("", "", {"C1": "top", "C2": "top"}, r"C1 and C2 would both be the view 'top'"),
        ("", "", {"C9": "top"}, r"has no view 'C9', only C1, C2"),
        ("", "", {"C1": "front"}, r"has no view 'front', only top, left"),
        ("product: tile", "product: knob", OTHER_NAMES, r"is of 'tile', .* is for 'knob'"),
        ("binning: 8", "binning: 4", OTHER_NAMES, None),  # averaged over whole blocks: the same grid
        ("image_width: 1152", "image_width: 1200", OTHER_NAMES, r"is 144 x 96 px, .* takes 150 x 96"),
        ("BayerRG12", "Mono12", OTHER_NAMES, r"shows colours, the recipe's camera gives grey pictures"),
        ("diffuse: 0.", "diffuse: 0.7", OTHER_NAMES, r"good pictures of the set are 0\.\d\d times as bright"),
        ("reference_levels", "#", OTHER_NAMES, r"reference_levels\.top\.diffuse is missing"),
        ("product: tile", "part_reference: {file: a.npz, sha256: '" + "0" * 64 + "'}\nproduct: tile", OTHER_NAMES,
         r"field part_reference: .*: take the field out, or train from a collection"),
    ],
)  # fmt: skip
def test_what_cannot_be_the_recipe_s_own_pictures_is_refused_in_one_line(
    old: str, new: str, view_of: dict[str, str], said: str | None, tiles: Path, recipe: LoadedRecipe
) -> None:
    path = recipe.calibration_path if old.startswith("image_width") else recipe.path
    text = path.read_text()
    path.write_text(text[: text.index(old)] if old == "reference_levels" else text.replace(old, new))
    loaded = load_recipe(recipe.path, need_model=False)
    if said is None:
        assert set_for_recipe(tiles, loaded, view_of).is_dir()
        return
    with pytest.raises(BadInput, match=said) as refused:
        set_for_recipe(tiles, loaded, view_of)
    assert "\n" not in str(refused.value)


def test_every_result_of_a_model_of_pictures_alone_says_so(good_inspection: Inspection) -> None:
    alone = replace(good_inspection, provenance={JUDGED: NO_NORMALS})
    assert any(NO_NORMALS in line for line in inspection_lines(alone))
    assert inspection_document(alone)["judged"] == NO_NORMALS
    assert inspection_document(good_inspection)["judged"] == "pictures and normals"
    situation = Situation()
    situation.take(ResultReady(alone, "folder"))
    assert NO_NORMALS in banner_of(situation).lines
