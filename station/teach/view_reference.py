"""`station view-reference`: what the fixture looks like in each view, from good parts, for the judge's proofs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from station.documents.atomic import write_atomic
from station.judge.fixture_lights import sway_of
from station.judge.fixture_picture import FixturePicture
from station.judge.view_proof import WITH_MORE_FIXTURE, check_evidence, view_proofs
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.view_reference_file import LightUse, ViewReference, ViewReferences, references_bytes
from station.teach.archived_parts import NoReference, Pictures, archived_parts, collected_parts, fixture_pictures
from station.teach.photographer import CAPTURE_BINNING, Color, Photographer
from station.teach.simulated_collection import somewhere

ENOUGH_PARTS = 10  # fewer may not show how a part off its seat sways the fixture's light
FEWEST_PARTS = 5  # fewer do not show what belongs to the part
SIMULATED_PARTS, FIRST_SEED = 20, 5000  # of no split of a data set; half of them lie off their seat
# Relative spreads over good parts from which a cell belongs to the part or to its shadow. A cell of the fixture spreads
# by its texture, as the arm comes back a little off; the mean of its surroundings does not.
UNSTEADY, UNSTEADY_AROUND, AROUND = 0.02, 0.006, (5, 5)
DARK_SHARE = 0.3  # of the median level: darker cells are measured against this
LEAST_SHARE = 0.05  # of the picture that must show the fixture
BLOCK = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class ViewReferenceReport:
    """What was written, and how much of each view shows the fixture."""

    recipe: str
    file: str
    sha256: str
    parts: int
    fixture_shares: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}

    def as_text(self) -> str:
        shares = ", ".join(f"{view} {share:.0%}" for view, share in self.fixture_shares.items())
        return f"{self.file}: from {self.parts} good parts; the fixture fills {shares}; {self.recipe} names it"


def _silent(_text: str) -> None:
    """Reports to nobody."""


def make_view_reference(
    recipe: Path, archive: Path | None, inspections: Sequence[str], collection: Path | None = None,
    progress: Callable[[str], None] = _silent,
) -> ViewReferenceReport:  # fmt: skip
    """From archived good parts, a collection's, or simulated ones where none are named, into a file beside the recipe.

    A collection's parts may lie up to 2 mm from their seat: what they cover or shade anywhere is no fixture then.
    The recipe gets the file's name and hash. Raises NoReference, ArchiveError, DocumentError.
    """
    loaded = load_recipe(recipe, need_model=False)
    is_simulated = archive is None and collection is None
    if collection is not None:
        found = collected_parts(loaded, collection)
    else:
        found = _simulated(loaded) if archive is None else archived_parts(loaded, archive, inspections)
    parts: list[Pictures] = []
    for part in found:
        parts.append(part)
        progress(f"good part {len(parts)}: how its fixture is lit is known")
    references = references_of(loaded, parts, other_lamps(loaded) if is_simulated else None)
    check_parts(loaded, references, parts)
    file, sha256 = write_references(recipe, loaded.recipe.recipe_id, references)
    shares = {name: round(float(view.fixture.mean()), 4) for name, view in references.views.items()}
    return ViewReferenceReport(str(recipe), str(file), sha256, references.parts, shares)


def write_references(recipe: Path, recipe_id: str, references: ViewReferences) -> tuple[Path, str]:
    """Write the file beside the recipe and put its name and hash into the recipe; both are returned.

    The name has part of the hash: the file that the recipe names already stays as it is, so that the recipe loads
    whatever happens in between. Raises DocumentError for a recipe that cannot be edited, OSError.
    """
    content = references_bytes(references)
    sha256 = hashlib.sha256(content).hexdigest()
    file = recipe.parent / "references" / f"{recipe_id}-{sha256[:12]}.npz"
    file.parent.mkdir(exist_ok=True)
    write_atomic(file, content)
    update_recipe_values(recipe, view_reference=(f"references/{file.name}", sha256))
    return file, sha256


def other_lamps(loaded: LoadedRecipe) -> dict[str, LightUse]:
    """The rig's lamps that the recipe does not use, at full light, by the names of the calibration record."""
    recipe = loaded.recipe
    used = {light.channel for light in recipe.lights}
    names = {light.name for light in recipe.lights}
    exposure_us, gain_db = recipe.directional_lights[0].exposure_us, recipe.capture.gain_db
    return {
        light.name if light.name not in names else f"{light.name}-{light.channel}": LightUse(
            light.channel, exposure_us, 1.0, gain_db
        )
        for light in loaded.calibration.lights
        if light.channel not in used
    }


def references_of(
    loaded: LoadedRecipe, parts: Sequence[Pictures], others: Mapping[str, LightUse] | None = None
) -> ViewReferences:
    """The references of these good parts, which show the recipe's lights and the lamps `others`, by name.

    Raises NoReference for too few parts, or too little fixture.
    """
    if len(parts) < FEWEST_PARTS:
        raise NoReference(f"{len(parts)} good parts given, at least {FEWEST_PARTS} are needed, best of several batches")
    recipe = loaded.recipe
    diffuse = next(index for index, light in enumerate(recipe.lights) if light.kind == "diffuse")
    uses = {
        light.name: LightUse(light.channel, light.exposure_us, light.brightness, recipe.capture.gain_db)
        for light in recipe.lights
    } | dict(others or {})
    views = {v.name: _view(v.name, [part[v.name] for part in parts], tuple(uses), diffuse) for v in recipe.viewpoints}
    found = ViewReferences(views, uses, recipe.capture.pixel_format, loaded.sha256s["calibration"], len(parts))
    return _with_turns(loaded, found, parts)


def _with_turns(loaded: LoadedRecipe, references: ViewReferences, parts: Sequence[Pictures]) -> ViewReferences:
    """The references with what good parts make their lamps seem to have turned by: it is taken off another part's."""
    proofs = view_proofs(replace(loaded, view_references=references))
    lights = [light.name for light in loaded.recipe.lights]
    views = {}
    for name, view in references.views.items():
        pictures = [{light: part[name][light] for light in lights} for part in parts]
        seen = [proofs[name].turned_deg(of_part) for of_part in pictures]
        usual = [_usual([turned[lamp] for turned in seen if lamp in turned]) for lamp in view.lights]
        views[name] = replace(view, turns=np.array(usual))
    return replace(references, views=views)


def _usual(turned_deg: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """The mean along two axes, and by how much another part may lie beside it; NaN of too few parts."""
    if len(turned_deg) < FEWEST_PARTS:
        return float("nan"), float("nan"), float("nan")
    found = np.array(turned_deg)
    spread = float(np.sqrt(found.var(axis=0, ddof=1).mean() * (1 + 1 / len(found))))
    return float(found[:, 0].mean()), float(found[:, 1].mean()), spread


def check_parts(loaded: LoadedRecipe, references: ViewReferences, parts: Sequence[Pictures]) -> None:
    """Hold every part against the references that were made of them all.

    Raises NoReference where one would be UNDECIDED: the rig was disturbed, or the fixture shows too little.
    """
    proofs = view_proofs(replace(loaded, view_references=references))
    lights = [light.name for light in loaded.recipe.lights]
    for number, part in enumerate(parts, start=1):
        for view, proof in proofs.items():
            evidence = proof.evidence_of({light: part[view][light] for light in lights})
            if evidence.untold:
                raise NoReference(
                    f"view {view!r}: too little of the fixture is the same in all {len(parts)} parts under "
                    f"{', '.join(evidence.untold)}, so that their strength cannot be told; {WITH_MORE_FIXTURE}"
                )
            for reason in check_evidence(evidence, loaded.recipe.proof_tolerances):
                few = f"; {len(parts)} parts are few, take some {ENOUGH_PARTS}" if len(parts) < ENOUGH_PARTS else ""
                raise NoReference(
                    f"good part {number} of {len(parts)} does not agree with the others: {reason.of_view(view)}; take "
                    f"good parts of an undisturbed rig, before a fixture that shows some texture{few}"
                )


def _view(
    name: str, parts: Sequence[Mapping[str, FixturePicture]], lights: tuple[str, ...], diffuse: int
) -> ViewReference:
    stack = np.stack([[part[light].levels for light in lights] for part in parts])  # parts, lights, h, w
    mean = stack.mean(axis=0)
    level = np.maximum(mean, DARK_SHARE * np.median(mean, axis=(1, 2), keepdims=True))
    around = np.stack([[cv2.blur(plane, AROUND) for plane in part] for part in stack])
    steady = (_spread(stack) < UNSTEADY * level) & (_spread(around) < UNSTEADY_AROUND * level)
    whole = np.asarray(cv2.morphologyEx(steady[diffuse].astype(np.uint8), cv2.MORPH_OPEN, BLOCK), np.uint8)
    fixture = _shrunk(whole)
    if not fixture.mean() >= LEAST_SHARE:
        raise NoReference(
            f"view {name!r}: only {fixture.mean():.1%} of the picture is the same in all {len(parts)} parts; leave "
            "some fixture in the picture around the part, and take good parts of an undisturbed rig"
        )
    sharpness = np.array([np.mean([part[light].sharpness for part in parts]) for light in lights])
    noise = np.array([np.mean([part[light].noise for part in parts]) for light in lights])
    steady = np.stack([_shrunk(plane.astype(np.uint8) & whole) for plane in steady]) & fixture
    levels = np.where(fixture, mean, 0).astype(np.float32)
    sway = np.stack([sway_of(stack[:, j], steady[j]) for j in range(len(lights))])
    return ViewReference(lights, levels, fixture, steady, sharpness, noise, sway)


def _spread(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(stack.std(axis=0, ddof=1))


def _shrunk(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Without its outermost cells: half a cell of shift shall not bring the part in."""
    return cv2.erode(mask, BLOCK, borderType=cv2.BORDER_REPLICATE).astype(np.bool_)


def _simulated(loaded: LoadedRecipe) -> Iterable[Pictures]:
    if loaded.calibration.provenance is not None:
        raise NoReference(
            f"{loaded.path} is bound to the record {loaded.calibration.calibration_id}: name good parts inspected on "
            "that rig, with --archive ARCHIVE and their inspection ids"
        )
    color: Color = "rgb" if loaded.recipe.capture.is_color else "mono"
    noise = None if loaded.recipe.capture.binning == CAPTURE_BINNING[color] else _noise_as_captured(loaded, color)
    photographer = Photographer(loaded, color)
    others = {name: use.channel for name, use in other_lamps(loaded).items()}
    for seed in range(FIRST_SEED, FIRST_SEED + SIMULATED_PARTS):
        views = photographer.frames(loaded.recipe.product, seed, others, somewhere(seed))
        pictures = {view: fixture_pictures(frames) for view, frames in views.items()}
        if noise is not None:
            pictures = {view: _with_noise(of_view, noise[view]) for view, of_view in pictures.items()}
        yield pictures


def _noise_as_captured(loaded: LoadedRecipe, color: Color) -> dict[str, dict[str, float]]:
    """View -> light -> noise of one part's frames at the recipe's own format and binning: noise depends on both."""
    photographer = Photographer(loaded, color, as_captured=True)
    views = photographer.frames(loaded.recipe.product, FIRST_SEED, {}, None)
    return {
        view: {light: picture.noise for light, picture in fixture_pictures(frames).items()}
        for view, frames in views.items()
    }


def _with_noise(pictures: Mapping[str, FixturePicture], noise: Mapping[str, float]) -> dict[str, FixturePicture]:
    """Lamps beside the recipe's lights have the noise of none: no frame of theirs is ever compared."""
    return {light: replace(picture, noise=noise.get(light, 0.0)) for light, picture in pictures.items()}
