"""Archived inspections into a collection: what production saw teaches the next model.

One way for `station collect --from-archive` and for people's words (`station retrain`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from station.acquire.captured_view import CapturedFrame, CapturedView
from station.acquire.plan import lit_steps, make_plan
from station.acquire.stage_times import StageTimes
from station.archive import Archive
from station.collection.folder import Collection, CollectionError
from station.documents.document import read_document
from station.inspection.result import Inspection, Verdict
from station.inspection.rule import judge_part
from station.judge.capture_judge import CaptureJudge
from station.judge.rejudge import what_ended
from station.judge.whole_view import judged_view
from station.lights.ambient import archived_dark_level
from station.product.collecting import Collector, Known, Taken
from station.product.ready_rig import Capture
from station.product.splits import GOOD
from station.recipe.fields import DARK, Recipe
from station.recipe.loaded import LoadedRecipe
from station.teach.archived_parts import NoReference, check_calibration, check_settings


def archived_name(inspection_id: str) -> str:
    """What the part is called in a collection."""
    return f"archived-{inspection_id}"


def add_archived(
    collector: Collector, loaded: LoadedRecipe, archive: Path, inspections: Sequence[str], known: Known,
    *, is_stated: bool,
) -> Iterator[Taken]:  # fmt: skip
    """Add each of these inspections, with its frames as they were archived.

    Where no person stated the kind, what PASSed is good, and nothing else is taken. Raises as `add_inspection`.
    """
    if not archive.is_dir():
        raise NoReference(f"{archive}: no such folder; name the archive that `station inspect` wrote with --archive")
    with Archive.open(archive, read_only=True) as store:
        for inspection_id in inspections:
            verdict = store.load_figures(inspection_id).verdict
            if not is_stated and verdict is not Verdict.PASS:
                raise NoReference(
                    f"{inspection_id} is {verdict.value}: say with --kind what the part is, good or the kind of its "
                    "defect"
                )
            yield add_inspection(collector, loaded, store, inspection_id, known)


def add_inspection(
    collector: Collector, loaded: LoadedRecipe, store: Archive, inspection_id: str, known: Known
) -> Taken:
    """Add one inspection under `archived_name`; what speaks against its capture refuses it, as it would on a rig.

    Raises NoReference: it was taken under another calibration, exposure, gain or use of the lights, or shows another
    product; CollectionError: frames of another size or format than the collection's; ArchiveError.
    """
    before = store.load(inspection_id)
    _check_alike(loaded, store, before)
    store.pin([inspection_id], f"collection {collector.collection.folder.resolve()}")
    capture = _capture(loaded, store, before, collector.judge)
    _check_size(collector.collection, before, capture)
    stated = f"archived as {before.verdict.value}"
    note = f"{known.note}; {stated}" if known.note else stated
    return collector.add(
        archived_name(inspection_id), before.part_id, capture, replace(known, note=note), taken=before.creation_time
    )


def holds_inspection(collection: Collection, inspection_id: str, kind: str) -> bool:
    """Whether the part is there already. Raises CollectionError where it is there as good and now is not, or so."""
    name = archived_name(inspection_id)
    if not collection.holds(name):
        return False
    there = collection.part(name)
    if (there.kind == GOOD) != (kind == GOOD):
        raise CollectionError(
            f"{collection.folder}: holds {name} as {there.kind}, {there.split}; now it is {kind}: remove the folder "
            f"{collection.folder / 'parts' / name}, and the prepared data set beside the collection"
        )
    return True


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


def _check_size(collection: Collection, before: Inspection, capture: Capture) -> None:
    """Raises CollectionError for frames that no data set could hold beside those of the collection."""
    if not capture.frames:
        return
    found = capture.frames[0].frame
    shape = _shape(collection)
    if found.pixel_format != collection.about.pixel_format or shape not in (None, found.pixels.shape):
        raise CollectionError(
            f"{before.inspection_id}: its frames are {found.pixel_format} {found.pixels.shape}, those of "
            f"{collection.folder} {collection.about.pixel_format} {shape}: name a collection that was taken as the "
            "part was"
        )


def _shape(collection: Collection) -> tuple[int, ...] | None:
    """Of the first part's first frame; None of an empty collection."""
    for part in collection.parts():
        frames = collection.frames(part, next(iter(part.frames)))
        return next(iter(frames.values())).pixels.shape
    return None


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
    expected = tuple(viewpoint.name for viewpoint in loaded.recipe.viewpoints)
    views = tuple(
        judged_view(judge, CapturedView(view, plan), [each for each in frames if each.step.view == view])
        for view in expected
    )
    _, reasons, _ = judge_part(views, expected, judge.reasons_of_part(views))
    return Capture(before.part_id, tuple(frames), (*what_ended(before), *reasons), dict(before.provenance))
