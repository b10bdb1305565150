"""`station product new`: a product's first recipe, from what a person chose and what a look at a good part shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.record import Calibration
from drivers.geometry.pose import Pose
from drivers.protocols import Frame
from station.acquire.plan import make_plan
from station.documents.atomic import write_atomic
from station.documents.document import load_document
from station.documents.errors import DocumentError
from station.errors import BadInput
from station.inspection.reasons import reason_lines
from station.judge.capture_judge import CaptureJudge
from station.lights.levels import mean_level
from station.photometric_stereo.gloss import GlossFit
from station.photometric_stereo.settings import PhotometricStereoError
from station.product.choice import (
    ProductChoice,
    ProductError,
    check_product_name,
    chosen_lights,
    chosen_views,
    recipe_text,
    refuse_existing,
)
from station.product.collecting import by_view
from station.product.exposures import ChosenExposure, choose_exposures
from station.product.grazing_lamps import GrazingLamp, grazing_lamps, unexplained
from station.product.plane_heights import FEWEST_VIEWS, PlaneHeight, plane_heights_of
from station.product.ready_rig import captured, ready_rig
from station.recipe.fields import LightChoice
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.rig.file import RigFile, load_rig
from station.teach.gloss import gloss_of_frames

FEWEST_FOR_GLOSS = 8  # directional lights: fewer tell little about gloss
WORTH = 0.8  # of the residual without gloss: with more left, the part is as good as matte
Progress = Callable[[str], None]


class LookRefused(BadInput):
    """What lies in the fixture could not be looked at soundly; the text has the reasons with their remedies."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a good part shows."""

    exposures: tuple[ChosenExposure, ...] = ()
    levels: Mapping[str, Mapping[str, float]] | None = None  # view -> light -> mean level, of full scale
    grazing: tuple[GrazingLamp, ...] = ()
    heights: Mapping[str, PlaneHeight] | None = None  # of views whose height was measured; None: not looked for
    gloss: GlossFit | None = None
    why_no_gloss: str = "not looked for"


@dataclass(frozen=True, slots=True)
class NewProduct:
    """The recipe that was written, what was found by looking, and what is left to do."""

    recipe: Path
    rig: Path
    frames: int
    found: Found
    lamps_were_chosen: bool  # by a person: those that graze stay
    unknown_heights: tuple[str, ...]
    has_near_lights: bool

    def as_dict(self) -> dict[str, object]:
        """The fields of `station product new --json`."""
        found, fit = self.found, self.found.gloss
        gloss = None if fit is None else {"of_albedo": fit.gloss.of_albedo, "roughness": fit.gloss.roughness}
        return {
            "recipe": str(self.recipe),
            "frames": self.frames,
            "exposures": {
                e.light: {"exposure_us": e.exposure_us, "brightest": {v: round(b, 4) for v, b in e.bright.items()}}
                for e in found.exposures
            },
            "grazing": {lamp.light: dict(lamp.views) for lamp in found.grazing},
            "left_out": [] if self.lamps_were_chosen else [lamp.light for lamp in found.grazing],
            "plane_heights_mm": {v: [h.mm, h.unsure_mm] for v, h in (found.heights or {}).items()},
            "gloss": gloss,
            "why_no_gloss": found.why_no_gloss,
            "left_to_do": self.left_to_do(),
        }

    def as_text(self) -> str:
        """What was found, then what is left to do, in order."""
        lines = [f"{self.recipe}: written, {self.frames} frames a part; station plan --recipe {self.recipe} lists them"]
        lines += [exposure.as_text() for exposure in self.found.exposures]
        lines += [lamp.as_text(is_left_out=not self.lamps_were_chosen) for lamp in self.found.grazing]
        lines += [self._heights_text(), self._gloss_text()]
        return "\n".join([*lines, "left to do:", *(f"  {n}. {text}" for n, text in enumerate(self.left_to_do(), 1))])

    def _heights_text(self) -> str:
        if self.found.heights is None:
            return "plane heights: not looked for"
        if not self.found.heights:
            return f"plane heights: not measured; {FEWEST_VIEWS} views or more must see the same surfaces of the part"
        heights = ", ".join(f"{view} {height.as_text()}" for view, height in self.found.heights.items())
        return f"plane heights, measured between the views (k = 2): {heights}"

    def _gloss_text(self) -> str:
        if self.found.gloss is None:
            return f"gloss: {self.found.why_no_gloss}"
        found = self.found.gloss.gloss
        return (
            f"gloss: {found.of_albedo:.3g} of the albedo, roughness {found.roughness:.3g}; it is in the recipe, and "
            "counts with `refine: gloss`"
        )

    def left_to_do(self) -> list[str]:
        """The way to a model, one step a line."""
        recipe, parts = self.recipe, self.recipe.with_name(f"{self.recipe.stem}-parts")
        heights = [] if not (self.unknown_heights and self.has_near_lights) else [
            f"give plane_height_mm, the mean height of the part over the target plane toward the camera, in the views "
            f"{', '.join(self.unknown_heights)} (it is 0 there; 5 mm too little cost 0.5 degrees)"
        ]  # fmt: skip
        return [
            *heights,
            "collect good parts, best 50 of several batches, some up to 2 mm off their seat: "
            f"station collect {recipe} {parts} --rig {self.rig}",
            "after some 20 of them, of which half are to train, learn what the fixture looks like: "
            f"station view-reference {recipe} --collection {parts}",
            f"collect defective parts for the test: station collect {recipe} {parts} --rig {self.rig} --kind KIND",
            f"train, which finds the part's region too: station train --data {parts} --recipe {recipe}",
            f"look at the region: station region {recipe} --show regions; after an edit, train again",
            f"choose limits: station limits {recipe}",
        ]


def new_product(choice: ProductChoice, progress: Progress, *, look: bool = True, gloss: bool = True) -> NewProduct:
    """Write the recipe. A good part lies in the fixture; without `look` no device is opened, and exposures are guessed.

    A lamp that grazes the fixture in some view is left out, unless the choice names its lamps. Raises before anything
    moves: ProductError for a name, a light or a file that is there already, DocumentError for rig, record and
    viewpoints. Then LookRefused, TooDark, DeviceError; no recipe is written then.
    """
    check_product_name(choice.name)
    refuse_existing(choice.recipe)
    rig = load_rig(choice.rig)
    views = chosen_views(choice)
    lights = chosen_lights(choice, load_document(choice.calibration, Calibration))
    loaded = _draft(choice, recipe_text(choice, views, lights))
    found = Found()
    if look:
        loaded, found = _looked(rig, loaded, choice, progress, gloss=gloss)
    text = _text(choice, views, loaded.recipe.lights, found)
    loaded = _draft(choice, text)
    refuse_existing(choice.recipe)
    write_atomic(choice.recipe, text.encode("utf-8"))
    unknown = tuple(v for v in views if v not in choice.plane_heights_mm and v not in (found.heights or {}))
    channels = [light.channel for light in loaded.recipe.directional_lights]
    has_near_lights = loaded.calibration.positions_mm(channels) is not None
    return NewProduct(
        choice.recipe, choice.rig, len(make_plan(loaded.recipe)), found, bool(choice.channels), unknown, has_near_lights
    )


def _text(choice: ProductChoice, views: Mapping[str, Pose], lights: Sequence[LightChoice], found: Found) -> str:
    """The recipe's YAML with what was found. What a person gave goes before what was measured."""
    measured = {v: h for v, h in (found.heights or {}).items() if v not in choice.plane_heights_mm}
    heights = {**choice.plane_heights_mm, **{view: height.mm for view, height in measured.items()}}
    unsure_mm = {view: height.unsure_mm for view, height in measured.items()}
    fit = found.gloss
    gloss = None if fit is None else (round(fit.gloss.of_albedo, 3), round(fit.gloss.roughness, 3))
    return recipe_text(replace(choice, plane_heights_mm=heights), views, lights, found.levels, gloss, unsure_mm)


def _draft(choice: ProductChoice, text: str) -> LoadedRecipe:
    """The recipe as it would load from its place, which stays empty. Raises ProductError."""
    folder = choice.recipe.parent
    draft = choice.recipe.with_name(f".{choice.recipe.name}.draft")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(draft, text.encode("utf-8"))
    except OSError as error:
        raise ProductError(f"{folder}: cannot be written to ({error.strerror}); choose another --recipe") from error
    try:
        return load_recipe(draft, need_model=False)
    except DocumentError as error:
        raise ProductError(str(error).replace(str(draft), str(choice.recipe))) from error
    finally:
        draft.unlink(missing_ok=True)


def _looked(
    rig: RigFile, loaded: LoadedRecipe, choice: ProductChoice, progress: Progress, *, gloss: bool
) -> tuple[LoadedRecipe, Found]:
    """The recipe with its exposures and the lamps that stay, and what the part's frames show. Raises LookRefused."""
    with ready_rig(choice.rig, rig, loaded, "station product new") as opened:
        loaded, exposures = choose_exposures(opened, loaded, progress)
        progress("looking at the whole part with these exposures")
        capture = captured(opened, loaded, CaptureJudge(loaded), "first-look")
    frames, _ = by_view(capture.frames)
    is_whole = len(capture.frames) == len(make_plan(loaded.recipe))
    lamps = tuple(light.name for light in loaded.recipe.directional_lights)
    grazing = grazing_lamps(frames, lamps) if is_whole else ()
    reasons = unexplained(capture.reasons, grazing)
    if reasons:
        raise LookRefused("\n".join(reason_lines(reasons, len(loaded.recipe.viewpoints))))
    progress("measuring how high the part stands")
    heights = plane_heights_of(loaded, frames)
    fit, why = _gloss(with_heights(loaded, heights), frames, progress) if gloss else (None, "not looked for")
    if not choice.channels:
        loaded = without_lamps(loaded, [lamp.light for lamp in grazing])
    return loaded, Found(exposures, _levels(loaded, frames), grazing, heights, fit, why)


def without_lamps(loaded: LoadedRecipe, names: Sequence[str]) -> LoadedRecipe:
    """The recipe without these lights."""
    lights = tuple(light for light in loaded.recipe.lights if light.name not in names)
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"lights": lights}))


def with_heights(loaded: LoadedRecipe, heights: Mapping[str, PlaneHeight]) -> LoadedRecipe:
    """The recipe with these plane heights where it has none."""
    views = tuple(
        view.model_copy(update={"plane_height_mm": heights[view.name].mm})
        if view.name in heights and not view.plane_height_mm
        else view
        for view in loaded.recipe.viewpoints
    )
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"viewpoints": views}))


def _levels(loaded: LoadedRecipe, frames: Mapping[str, Mapping[str, Frame]]) -> dict[str, dict[str, float]]:
    """View -> light -> mean level, as share of full scale."""
    names = [light.name for light in loaded.recipe.lights]
    return {view: {name: round(mean_level(of_view[name]), 5) for name in names} for view, of_view in frames.items()}


def _gloss(
    loaded: LoadedRecipe, frames: Mapping[str, Mapping[str, Frame]], progress: Progress
) -> tuple[GlossFit | None, str]:
    """The fit, or why there is none."""
    count = len(loaded.recipe.directional_lights)
    if count < FEWEST_FOR_GLOSS:
        return None, f"not measured: {count} directional lights tell little about it, {FEWEST_FOR_GLOSS} are needed"
    try:
        fit = gloss_of_frames(loaded, "first-look", frames, progress)
    except PhotometricStereoError as error:
        return None, f"not measured: {error}"
    if not fit.residual_of_albedo <= WORTH * fit.matte_residual_of_albedo:
        return None, (
            f"none worth taking: mean residual {fit.residual_of_albedo:.4f} of the albedo with it, "
            f"{fit.matte_residual_of_albedo:.4f} without"
        )
    return fit, ""
