"""`station gloss`: a satin product's broad highlight, fitted to the archived frames of a good part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from drivers.protocols import Frame
from station.archive import Archive
from station.errors import BadInput
from station.judge.view_solver import ViewSolver
from station.photometric_stereo.gloss import GlossFit, GlossView, fit_gloss
from station.photometric_stereo.settings import PhotometricStereoError
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.solver_inputs import solver_settings


class GlossNotFound(BadInput, ValueError):
    """The inspection does not fit the recipe, or its frames do not show a gloss; the text says what was found."""


@dataclass(frozen=True, slots=True)
class GlossReport:
    """The fitted gloss, how well it fits, and what to write into the recipe."""

    recipe: str
    inspection_id: str
    views: tuple[str, ...]
    lights: int
    fit: GlossFit

    def as_dict(self) -> dict[str, object]:
        """The fields of `station gloss --json`."""
        gloss = self.fit.gloss
        return {
            "recipe": self.recipe,
            "inspection_id": self.inspection_id,
            "views": list(self.views),
            "lights": self.lights,
            "of_albedo": gloss.of_albedo,
            "roughness": gloss.roughness,
            "residual_of_albedo": self.fit.residual_of_albedo,
            "matte_residual_of_albedo": self.fit.matte_residual_of_albedo,
        }

    def as_text(self) -> str:
        """The finding in two lines, then the lines for the recipe."""
        gloss, fit = self.fit.gloss, self.fit
        few = "" if self.lights >= 8 else f"; {self.lights} lights tell little about gloss: inspect a good part under 8"
        return (
            f"{self.inspection_id}, views {', '.join(self.views)}, {self.lights} lights{few}\n"
            f"mean residual {fit.residual_of_albedo:.4f} of the albedo with this gloss, "
            f"{fit.matte_residual_of_albedo:.4f} without\n"
            f"for the recipe's photometric_stereo:\n"
            f"  refine: gloss\n"
            f"  gloss: {{of_albedo: {gloss.of_albedo:.3g}, roughness: {gloss.roughness:.3g}}}"
        )


def teach_gloss(
    recipe: Path, archive: Path, inspection_id: str, progress: Callable[[str], None] | None = None
) -> GlossReport:
    """Fit the gloss to an archived good part, under the recipe's lights, heights and calibration.

    The recipe itself is not changed. What is being done goes to `progress` line by line. Raises ArchiveNotFound for a
    folder that is no archive, ArchiveError for frames that cannot be read, DocumentError for the recipe, GlossNotFound
    for a missing frame and where no gloss shows.
    """
    loaded = load_recipe(recipe, need_model=False)
    tell = progress or _no_progress
    tell(f"{inspection_id}: reading the archived frames")
    with Archive.open(archive, read_only=True) as store:
        archived = store.load_frames(inspection_id)
    views = tuple(viewpoint.name for viewpoint in loaded.recipe.viewpoints)
    frames_of = {view: {a.light: a.frame for a in archived if a.view == view} for view in views}
    try:
        fit = gloss_of_frames(loaded, inspection_id, frames_of, tell)
    except PhotometricStereoError as error:
        raise GlossNotFound(f"{inspection_id}: {error}") from error
    return GlossReport(str(recipe), inspection_id, views, len(loaded.recipe.directional_lights), fit)


def gloss_of_frames(
    loaded: LoadedRecipe, inspection_id: str, frames_of: Mapping[str, Mapping[str, Frame]], tell: Callable[[str], None]
) -> GlossFit:
    """The gloss of a part's frames, view -> light -> frame. Raises GlossNotFound for a missing frame and
    PhotometricStereoError where no gloss shows."""
    found = []
    for number, (view, frames) in enumerate(frames_of.items(), start=1):
        tell(f"view {view}, {number} of {len(frames_of)}: solving")
        found.append(_gloss_view(loaded, inspection_id, view, frames))
    tell("fitting the gloss to all views")
    return fit_gloss(found, solver_settings(loaded.recipe), tell)


def _no_progress(_text: str) -> None:
    """For callers that show none."""


def _gloss_view(loaded: LoadedRecipe, inspection_id: str, view: str, frames: Mapping[str, Frame]) -> GlossView:
    """The view's frames under every light of the recipe, solved; GlossNotFound if one is missing."""
    names = [light.name for light in loaded.recipe.directional_lights]
    missing = [name for name in names if name not in frames]
    if missing:
        raise GlossNotFound(
            f"{inspection_id}: view {view!r} lacks {', '.join(missing)}, which {loaded.path} lists: "
            "name the recipe of that inspection"
        )
    shape = frames[names[0]].pixels.shape
    solver = ViewSolver(loaded, (shape[0], shape[1]))
    solver.begin(view)
    directional = [frames[name] for name in names]
    for index, frame in enumerate(directional):
        solver.add(index, frame)
    distance_mm = loaded.calibration.working_distance_mm
    return GlossView(directional, solver.lights, solver.first(), distance_mm, solver.flat_field)
