"""Made-up good parts on a plate: what is the fixture, and what belongs to the part."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from drivers.protocols import Frame
from station.archive import Archive, ArchivedFrame, new_inspection_id
from station.engine.preparation import warn_of_missing_proofs
from station.inspection.reasons import ReasonKind
from station.inspection.result import Inspection
from station.judge.fixture_picture import FixturePicture
from station.judge.view_proof import check_evidence, view_proofs, why_unproven
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.view_reference_file import ViewReferences, read_references
from station.teach.archived_parts import NoReference
from station.teach.view_reference import (
    check_parts,
    make_view_reference,
    other_lamps,
    references_of,
    write_references,
)

SHAPE = (114, 171)


@pytest.fixture(scope="module")
def loaded() -> LoadedRecipe:
    return load_recipe(DEMO_RECIPES / "connector.yaml", need_model=False)


def part(loaded: LoadedRecipe, number: int, covered: float = 0.3) -> dict[str, Mapping[str, FixturePicture]]:
    """A block of its own tone and place in the middle of a plate; its shadow falls elsewhere under each light."""
    rng = np.random.default_rng(number)
    plate = 0.05 + 0.004 * np.random.default_rng(0).standard_normal(SHAPE)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    half_x, half_y = SHAPE[1] * covered, SHAPE[0] * covered
    off_x, off_y = rng.uniform(-0.4, 0.4, 2)
    tone = 0.4 * (1 + rng.uniform(-0.03, 0.03))
    inside = (np.abs(x - 85 - off_x) < half_x) & (np.abs(y - 57 - off_y) < half_y)
    pictures = {}
    for at, light in enumerate(loaded.recipe.lights):
        slope = [x / 171, y / 114, 1 - x / 171, 1 - y / 114, np.full(SHAPE, 0.5)][at]
        lit = plate * (0.75 + 0.5 * slope**2)
        levels = np.where(inside, tone, lit * (1 + 5e-4 * rng.standard_normal(SHAPE)))
        pictures[light.name] = FixturePicture(
            levels.astype(np.float32), 4, 0.4 + 0.01 * rng.standard_normal(), 8e3, 0.0
        )
    return {viewpoint.name: pictures for viewpoint in loaded.recipe.viewpoints}


def test_the_fixture_is_what_all_good_parts_have_in_common(loaded: LoadedRecipe) -> None:
    """Issue 15, point 6."""
    references = references_of(loaded, [part(loaded, n) for n in range(8)])
    top = references.views["top"]
    assert not top.fixture[30:84, 40:130].any(), "the part is no fixture"
    assert top.fixture[2:15, 2:-2].all()
    assert np.allclose(top.levels[4, top.fixture].mean(), 0.04375, atol=0.002)
    found = replace(loaded, view_references=references)
    assert why_unproven(found) is None
    assert set(view_proofs(found)) == {v.name for v in loaded.recipe.viewpoints}


def test_a_part_that_was_taken_while_the_rig_was_disturbed_is_refused_by_its_cause(loaded: LoadedRecipe) -> None:
    """Issue 15, point 6."""
    parts = [part(loaded, n) for n in range(8)]
    references = references_of(loaded, parts)
    check_parts(loaded, references, parts)
    parts[2] = {
        view: {name: replace(picture, levels=1.3 * picture.levels) for name, picture in pictures.items()}
        for view, pictures in parts[2].items()
    }
    with pytest.raises(NoReference, match=r"good part 3 of 8 .* view 'top': every frame has 1\.3"):
        check_parts(loaded, references, parts)


def test_a_light_under_which_too_little_fixture_is_steady_is_refused_and_never_judged(loaded: LoadedRecipe) -> None:
    """Issue 15, point 6."""
    parts = [part(loaded, n) for n in range(5)]
    references = references_of(loaded, parts)
    views = {}
    for name, view in references.views.items():
        steady = view.steady.copy()
        steady[1, 18:] = steady[1, :, 18:] = False  # a shadow wanders over the rest
        views[name] = replace(view, steady=steady)
    poor = replace(references, views=views)
    light = loaded.recipe.lights[1].name
    with pytest.raises(NoReference, match=rf"view 'top': too little .* under {light}, so .* leave more fixture"):
        check_parts(loaded, poor, parts)
    evidence = view_proofs(replace(loaded, view_references=poor))["top"].evidence_of(parts[0]["top"])
    (reason,) = check_evidence(evidence, loaded.recipe.proof_tolerances)
    assert (reason.kind, reason.light) == (ReasonKind.NO_REFERENCE, light)


@pytest.mark.parametrize("share", [0.17, float("nan")])
def test_a_view_with_a_sixth_of_its_light_is_never_taken_for_proven(loaded: LoadedRecipe, share: float) -> None:
    """Issue 15, point 6: below a fifth nothing of the fixture is looked for, so that is the cause."""
    parts = [part(loaded, n) for n in range(5)]
    proof = view_proofs(replace(loaded, view_references=references_of(loaded, parts)))["top"]
    dark = {n: replace(p, levels=share * p.levels, sharpness=0.4) for n, p in parts[0]["top"].items()}
    (reason,) = check_evidence(proof.evidence_of(dark), loaded.recipe.proof_tolerances)
    assert reason.kind is ReasonKind.EXPOSURE_WRONG


def test_too_few_parts_or_too_little_fixture_are_refused_with_what_to_do(loaded: LoadedRecipe) -> None:
    """Issue 15, point 6."""
    with pytest.raises(NoReference, match="4 good parts given, at least 5"):
        references_of(loaded, [part(loaded, n) for n in range(4)])
    with pytest.raises(NoReference, match=r"only .* of the picture is the same in all 6 parts; leave some fixture"):
        references_of(loaded, [part(loaded, n, covered=0.6) for n in range(6)])
    with pytest.raises(NoReference, match="no such folder"):
        make_view_reference(DEMO_RECIPES / "connector.yaml", Path("nowhere"), ["x"])


@pytest.mark.parametrize(
    ("calibration", "exposure", "gain_db", "told"),
    [
        (None, 1.0, 0.0, "was inspected under an unknown calibration, the recipe names"),
        ("c" * 64, 1.0, 0.0, "was inspected under calibration cccccccccccc, the recipe names"),
        ("its own", 1.5, 0.0, r"top/L45 was taken with .* us and 0 dB, the recipe has"),
        ("its own", 1.0, 6.0, r"top/L45 was taken with .* us and 6 dB, the recipe has"),
        ("its own", 1.005, 0.05, "lacks top/L135"),  # it goes on to what is missing
    ],
)
def test_parts_inspected_under_another_calibration_exposure_or_gain_make_no_reference(
    loaded: LoadedRecipe,
    good_inspection: Inspection,
    tmp_path: Path,
    calibration: str | None,
    exposure: float,
    gain_db: float,
    told: str,
) -> None:
    """Issue 15, point 6: the reference is stamped with what the recipe names now."""
    sha256 = loaded.sha256s["calibration"] if calibration == "its own" else calibration
    about: dict[str, str] = {} if sha256 is None else {"calibration": sha256}
    part = replace(good_inspection, inspection_id=new_inspection_id(), provenance=about)
    light = loaded.recipe.lights[0]
    pixels = np.full((8, 8), 900, np.uint16)
    taken = Frame(pixels, "Mono12", 12, 64.0, exposure * light.exposure_us, gain_db, 10**15, 0)
    with Archive.open(tmp_path) as archive:
        archive.record(part, [ArchivedFrame("top", light.name, taken, loaded.recipe.viewpoints[0].as_pose())])
    with pytest.raises(NoReference, match=f"{part.inspection_id}.* {told}"):
        make_view_reference(loaded.path, tmp_path, [part.inspection_id])


def test_a_recipe_that_could_not_be_changed_still_names_the_reference_that_it_had(
    loaded: LoadedRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 15, point 6."""
    recipe = tmp_path / "connector.yaml"
    recipe.write_bytes(loaded.path.read_bytes())
    first = references_of(loaded, [part(loaded, n) for n in range(5)])
    write_references(recipe, "connector", first)
    before = recipe.read_bytes()

    def full_disk(path: Path, data: bytes) -> None:
        raise OSError(f"{path}: no space left for {len(data)} bytes")

    second = replace(first, parts=6)
    with monkeypatch.context() as patch:
        patch.setattr("station.recipe.edit.write_atomic", full_disk)
        with pytest.raises(OSError, match="no space left"):
            write_references(recipe, "connector", second)
    assert recipe.read_bytes() == before
    assert named_reference(recipe).parts == 5
    write_references(recipe, "connector", second)
    assert named_reference(recipe).parts == 6


def named_reference(recipe: Path) -> ViewReferences:
    """Read and checked by its hash, as the station does."""
    named = yaml.safe_load(recipe.read_text(encoding="utf-8"))["view_reference"]
    return read_references(recipe.parent / named["file"], named["sha256"])


def test_lamps_that_the_recipe_does_not_use_are_known_by_their_names_in_the_record(loaded: LoadedRecipe) -> None:
    """Issue 15, point 6."""
    assert {name: use.channel for name, use in other_lamps(loaded).items()} == {"L0": 1, "L90": 3, "L180": 5, "L270": 7}


def test_a_recipe_without_reference_or_with_that_of_another_rig_proves_nothing_and_says_so(
    loaded: LoadedRecipe, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue 15, point 6."""
    assert why_unproven(replace(loaded, view_references=None)) == "the recipe names no view_reference"
    references = references_of(loaded, [part(loaded, n) for n in range(5)])
    elsewhere = replace(loaded, view_references=references, sha256s={**loaded.sha256s, "calibration": "0" * 64})
    assert "another calibration record" in str(why_unproven(elsewhere))
    assert view_proofs(elsewhere) == {}
    with caplog.at_level(logging.WARNING):
        warn_of_missing_proofs(loaded.path, why_unproven(elsewhere))
        warn_of_missing_proofs(loaded.path, None)
    (record,) = caplog.records
    assert "station view-reference" in record.getMessage()
