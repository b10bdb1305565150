"""Archived inspections into a collection: what production saw teaches the next model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.archive import Archive
from station.documents.document import read_document
from station.inspection.result import Inspection, Verdict
from station.inspection.rule import judge_part
from station.judge.capture_judge import CaptureJudge
from station.judge.rejudge import what_ended
from station.judge.view_checks import missing_frames
from station.lights.ambient import archived_dark_level
from station.product.collecting import Collector, Known, Taken
from station.product.ready_rig import Capture
from station.recipe.fields import DARK, Recipe
from station.recipe.loaded import LoadedRecipe
from station.teach.archived_parts import NoReference, check_calibration, check_settings


def add_archived(
    collector: Collector, loaded: LoadedRecipe, archive: Path, inspections: Sequence[str], known: Known,
    *, is_stated: bool,
) -> Iterator[Taken]:  # fmt: skip
    """Add each of these inspections under its id, with its frames as they were archived.

    Where no person stated the kind, what PASSed is good, and nothing else is taken. Raises NoReference: one was taken
    under another calibration, exposure, gain or use of the lights, or shows another product; ArchiveError.
    """
    if not archive.is_dir():
        raise NoReference(f"{archive}: no such folder; name the archive that `station inspect` wrote with --archive")
    with Archive.open(archive, read_only=True) as store:
        for inspection_id in inspections:
            before = store.load(inspection_id)
            _check_alike(loaded, store, before)
            if not is_stated and before.verdict is not Verdict.PASS:
                raise NoReference(
                    f"{inspection_id} is {before.verdict.value}: say with --kind what the part is, good or the kind "
                    "of its defect"
                )
            store.pin([inspection_id], f"collection {collector.collection.folder.resolve()}")
            yield _added(collector, loaded, store, before, known)


def _added(collector: Collector, loaded: LoadedRecipe, store: Archive, before: Inspection, known: Known) -> Taken:
    capture = _capture(loaded, store, before, collector.judge)
    stated = f"archived as {before.verdict.value}"
    note = f"{known.note}; {stated}" if known.note else stated
    return collector.add(
        before.inspection_id, before.part_id, capture, replace(known, note=note), taken=before.creation_time
    )


def _check_alike(loaded: LoadedRecipe, store: Archive, before: Inspection) -> None:
    """Raises NoReference for another product, calibration or use of the lights."""
    recipe, found = loaded.recipe, before.inspection_id
    if before.product != recipe.product:
        raise NoReference(f"{found} shows {before.product!r}, the recipe is for {recipe.product!r}: name others")
    check_calibration(loaded, found, before.provenance.get("calibration"))
    if "recipe" not in before.provenance:
        return
    then = read_document(store.kept_document(before.provenance["recipe"], ".yaml")).validated(Recipe)
    uses = {light.name: (light.channel, light.kind, light.brightness) for light in then.lights}
    for light in recipe.lights:
        now = (light.channel, light.kind, light.brightness)
        if light.name in uses and uses[light.name] != now:
            raise NoReference(
                f"{found}: light {light.name!r} was {_use(*uses[light.name])}, the recipe has {_use(*now)}: name parts "
                "that were inspected with the recipe's lights"
            )


def _use(channel: int, kind: str, brightness: float) -> str:
    return f"{kind} on channel {channel} at brightness {brightness:g}"


def _capture(loaded: LoadedRecipe, store: Archive, before: Inspection, judge: CaptureJudge) -> Capture:
    """The archived frames, proven as those of a live capture are; what ended the inspection then still counts."""
    plan = make_plan(loaded.recipe)
    steps = {(step.view, step.light): step for step in plan}
    frames = []
    for archived in store.load_frames(before.inspection_id):
        step = steps.get((archived.view, archived.light))
        if step is not None:
            if step.kind != "dark":
                check_settings(loaded, before.inspection_id, archived)
            frames.append(CapturedFrame(step, archived.frame, archived.pose))
    dark = None
    if not any(each.step.light == DARK for each in frames):  # archived before the dark frame was
        plan, dark = lit_steps(plan), archived_dark_level(before, loaded.recipe.viewpoints[0].name)
    judge.begin_part(StageTimes(), dark)
    results = []
    for viewpoint in loaded.recipe.viewpoints:
        view = CapturedView(viewpoint.name, plan)
        for each in frames:
            if each.step.view == viewpoint.name:
                view.add(each)
                judge.take(each)
        results.append(judge.judge(view) if view.is_complete else judge.undecided(view.name, missing_frames(view)))
    expected = tuple(v.name for v in loaded.recipe.viewpoints)
    _, reasons, _ = judge_part(tuple(results), expected, judge.reasons_of_part(results))
    return Capture(before.part_id, tuple(frames), (*what_ended(before), *reasons), dict(before.provenance))
