"""`station product new`: a product's first recipe, from what a person chose and what a look at a good part shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calibration.record import Calibration
from station.acquire.captured_view import CapturedFrame
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
from station.product.ready_rig import captured, ready_rig
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.rig.file import RigFile, load_rig
from station.teach.gloss import gloss_of_frames

FEWEST_FOR_GLOSS = 8  # directional lights: fewer tell little about gloss
WORTH = 0.8  # of the residual without gloss: with more left, the part is as good as matte
Progress = Callable[[str], None]


class LookRefused(BadInput):
    """What lies in the fixture could not be looked at soundly; the text has the reasons with their remedies."""


@dataclass(frozen=True, slots=True)
class NewProduct:
    """The recipe that was written, what was found by looking, and what is left to do."""

    recipe: Path
    rig: Path
    frames: int
    exposures: tuple[ChosenExposure, ...]
    gloss: GlossFit | None
    why_no_gloss: str
    unknown_heights: tuple[str, ...]
    has_near_lights: bool

    def as_dict(self) -> dict[str, object]:
        """The fields of `station product new --json`."""
        gloss = None if self.gloss is None else {
            "of_albedo": self.gloss.gloss.of_albedo, "roughness": self.gloss.gloss.roughness,
        }  # fmt: skip
        return {
            "recipe": str(self.recipe),
            "frames": self.frames,
            "exposures": {
                e.light: {"exposure_us": e.exposure_us, "brightest": {v: round(b, 4) for v, b in e.bright.items()}}
                for e in self.exposures
            },
            "gloss": gloss,
            "why_no_gloss": self.why_no_gloss,
            "left_to_do": self.left_to_do(),
        }

    def as_text(self) -> str:
        """What was found, then what is left to do, in order."""
        lines = [f"{self.recipe}: written, {self.frames} frames a part; station plan --recipe {self.recipe} lists them"]
        lines += [exposure.as_text() for exposure in self.exposures]
        lines.append(self._gloss_text())
        return "\n".join([*lines, "left to do:", *(f"  {n}. {text}" for n, text in enumerate(self.left_to_do(), 1))])

    def _gloss_text(self) -> str:
        if self.gloss is None:
            return f"gloss: {self.why_no_gloss}"
        found = self.gloss.gloss
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
            "after some 10 of them, learn what the fixture looks like: "
            f"station view-reference {recipe} --collection {parts}",
            f"collect defective parts for the test: station collect {recipe} {parts} --rig {self.rig} --kind KIND",
            f"train, which finds the part's region too: station train --data {parts} --recipe {recipe}",
            f"look at the region: station region {recipe} --show regions; after an edit, train again",
            f"choose limits: station limits {recipe}",
        ]


def new_product(choice: ProductChoice, progress: Progress, *, look: bool = True, gloss: bool = True) -> NewProduct:
    """Write the recipe. A good part lies in the fixture; without `look` no device is opened, and exposures are guessed.

    Raises before anything moves: ProductError for a name, a light or a file that is there already, DocumentError for
    rig, record and viewpoints. Then LookRefused, TooDark, DeviceError; no recipe is written then.
    """
    check_product_name(choice.name)
    refuse_existing(choice.recipe)
    rig = load_rig(choice.rig)
    views = chosen_views(choice)
    lights = chosen_lights(choice, load_document(choice.calibration, Calibration))
    loaded = _draft(choice, recipe_text(choice, views, lights))
    exposures: tuple[ChosenExposure, ...] = ()
    levels: Mapping[str, Mapping[str, float]] | None = None
    fit, why = None, "not looked for"
    if look:
        loaded, exposures, frames = _looked(choice.rig, rig, loaded, progress)
        levels = _levels(loaded, frames)
        if gloss:
            fit, why = _gloss(loaded, frames, progress)
    found = None if fit is None else (round(fit.gloss.of_albedo, 3), round(fit.gloss.roughness, 3))
    text = recipe_text(choice, views, loaded.recipe.lights, levels, found)
    loaded = _draft(choice, text)
    refuse_existing(choice.recipe)
    write_atomic(choice.recipe, text.encode("utf-8"))
    unknown = tuple(view for view in views if view not in choice.plane_heights_mm)
    channels = [light.channel for light in loaded.recipe.directional_lights]
    has_near_lights = loaded.calibration.positions_mm(channels) is not None
    return NewProduct(
        choice.recipe, choice.rig, len(make_plan(loaded.recipe)), exposures, fit, why, unknown, has_near_lights
    )


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
    path: Path, rig: RigFile, loaded: LoadedRecipe, progress: Progress
) -> tuple[LoadedRecipe, tuple[ChosenExposure, ...], tuple[CapturedFrame, ...]]:
    """The recipe with its exposures, and the part's frames under them. Raises LookRefused."""
    with ready_rig(path, rig, loaded, "station product new") as opened:
        loaded, exposures = choose_exposures(opened, loaded, progress)
        progress("looking at the whole part with these exposures")
        capture = captured(opened, loaded, CaptureJudge(loaded), "first-look")
    if capture.reasons:
        raise LookRefused("\n".join(reason_lines(capture.reasons, len(loaded.recipe.viewpoints))))
    return loaded, exposures, capture.frames


def _levels(loaded: LoadedRecipe, frames: tuple[CapturedFrame, ...]) -> dict[str, dict[str, float]]:
    """View -> light -> mean level, as share of full scale."""
    found, _ = by_view(frames)
    names = [light.name for light in loaded.recipe.lights]
    return {view: {name: round(mean_level(of_view[name]), 5) for name in names} for view, of_view in found.items()}


def _gloss(loaded: LoadedRecipe, frames: tuple[CapturedFrame, ...], progress: Progress) -> tuple[GlossFit | None, str]:
    """The fit, or why there is none."""
    count = len(loaded.recipe.directional_lights)
    if count < FEWEST_FOR_GLOSS:
        return None, f"not measured: {count} directional lights tell little about it, {FEWEST_FOR_GLOSS} are needed"
    found, _ = by_view(frames)
    try:
        fit = gloss_of_frames(loaded, "first-look", found, progress)
    except PhotometricStereoError as error:
        return None, f"not measured: {error}"
    if not fit.residual_of_albedo <= WORTH * fit.matte_residual_of_albedo:
        return None, (
            f"none worth taking: mean residual {fit.residual_of_albedo:.4f} of the albedo with it, "
            f"{fit.matte_residual_of_albedo:.4f} without"
        )
    return fit, ""
