"""A capture proven without a model: levels from the first part on, the part's place once it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from made_collection import SHAPE, VIEWS, made_frames, made_recipe, made_references

from drivers.protocols import Frame
from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import make_plan
from station.acquire.stage_times import StageTimes
from station.inspection.reasons import ReasonKind
from station.inspection.result import Verdict, ViewResult
from station.judge.capture_judge import CaptureJudge
from station.judge.part_checks import PART_LIKENESS, PART_MOVED
from station.recipe.loaded import LoadedRecipe
from station.teach.prepared_view import ViewPreparer


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedRecipe:
    return made_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def trained(loaded: LoadedRecipe) -> LoadedRecipe:
    """The recipe with a part reference."""
    preparer = ViewPreparer(loaded, SHAPE, SHAPE)
    parts = [{view: preparer.on_grid(view, made_frames(n)[view]) for view in VIEWS} for n in (1, 2)]
    return replace(loaded, part_references=made_references(loaded, parts))


def judged(loaded: LoadedRecipe, frames: Mapping[str, Frame], dark_dn: float = 64.0, view: str = "top") -> ViewResult:
    """One view of a part whose dark frame has this level."""
    judge, plan = CaptureJudge(loaded), make_plan(loaded.recipe)
    judge.begin_part(StageTimes())
    captured = CapturedView(view, plan)
    dark = Frame(np.full(SHAPE, round(dark_dn), np.uint16), "BayerRG12", 12, 64.0, 8000.0, 0.0, 0, 0)
    for step in plan:
        if step.view == view:
            frame = dark if step.kind == "dark" else frames[step.light]
            captured.add(CapturedFrame(step, frame, step.pose))
            judge.take(captured.captured[-1])
    return judge.judge(captured)


def kinds(result: ViewResult) -> list[ReasonKind]:
    assert (result.verdict is Verdict.PASS) == (not result.reasons)
    return [reason.kind for reason in result.reasons]


def test_the_first_part_of_a_product_is_proven_by_its_levels(loaded: LoadedRecipe) -> None:
    good = made_frames(3)["top"]
    assert kinds(judged(loaded, good)) == []
    assert kinds(judged(loaded, good, dark_dn=300)) == [ReasonKind.AMBIENT_LIGHT]
    dead = {**good, "L45": replace(good["L45"], pixels=np.full(SHAPE, 64, np.uint16))}
    assert kinds(judged(loaded, dead)) == [ReasonKind.LIGHT_DEAD]
    white = {**good, "diffuse": replace(good["diffuse"], pixels=np.full(SHAPE, 4095, np.uint16))}
    assert ReasonKind.SATURATED in kinds(judged(loaded, white))


def test_a_part_reference_finds_the_part_and_misses_one_that_is_not_there(trained: LoadedRecipe) -> None:
    found = judged(trained, made_frames(3)["top"])
    assert kinds(found) == []
    assert found.quality[PART_LIKENESS] > 0.8
    assert found.quality[PART_MOVED] < 0.5
    rng = np.random.default_rng(1)
    bare = np.clip(814 + 4 * rng.standard_normal(SHAPE), 0, 4095).astype(np.uint16)
    empty = {name: replace(frame, pixels=bare) for name, frame in made_frames(3)["top"].items()}
    assert kinds(judged(trained, empty)) == [ReasonKind.PART_NOT_FOUND]


def test_whatever_goes_wrong_in_a_view_is_a_reason_and_no_end(loaded: LoadedRecipe) -> None:
    good = made_frames(3)["top"]
    tiny = {name: replace(frame, pixels=frame.pixels[:8, :8].copy()) for name, frame in good.items()}
    assert kinds(judged(loaded, tiny)) == [ReasonKind.NOT_JUDGED]
