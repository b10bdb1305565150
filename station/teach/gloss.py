"""`station gloss`: a product's broad highlight, found in the archived frames of a good part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from station.archive import Archive
from station.errors import BadInput
from station.judge.view_solver import ViewSolver
from station.photometric_stereo.gloss import GlossFit, GlossView, fit_gloss
from station.photometric_stereo.settings import PhotometricStereoError
from station.recipe.loaded import load_recipe


class GlossNotFound(BadInput, ValueError):
    """The inspection does not fit the recipe, or its frames do not show a gloss; the text says what was found."""


@dataclass(frozen=True, slots=True)
class GlossReport:
    """What was found, and what to write into the recipe."""

    recipe: str
    inspection_id: str
    views: tuple[str, ...]
    lights: int
    fit: GlossFit

    def as_dict(self) -> dict[str, object]:
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
        gloss, fit = self.fit.gloss, self.fit
        few = "" if self.lights >= 8 else f"; {self.lights} lights tell little: inspect a good part under 8 for this"
        return (
            f"{self.inspection_id}, views {', '.join(self.views)}, {self.lights} lights{few}\n"
            f"mean residual {fit.residual_of_albedo:.4f} of the albedo with this gloss, "
            f"{fit.matte_residual_of_albedo:.4f} without\n"
            f"for the recipe's photometric_stereo:\n"
            f"  refine: gloss\n"
            f"  gloss: {{of_albedo: {gloss.of_albedo:.3g}, roughness: {gloss.roughness:.3g}}}"
        )


def teach_gloss(recipe: Path, archive: Path, inspection_id: str) -> GlossReport:
    """Fit the gloss to an archived good part, under the recipe's lights, heights and calibration.

    Raises ArchiveError, DocumentError, GlossNotFound.
    """
    loaded = load_recipe(recipe, need_model=False)
    names = [light.name for light in loaded.recipe.directional_lights]
    if not archive.is_dir():
        raise GlossNotFound(f"{archive}: no such folder")
    with Archive.open(archive) as store:
        archived = store.load_frames(inspection_id)
    found: list[GlossView] = []
    views: list[str] = []
    for viewpoint in loaded.recipe.viewpoints:
        frames = {a.light: a.frame for a in archived if a.view == viewpoint.name}
        missing = [name for name in names if name not in frames]
        if missing:
            raise GlossNotFound(
                f"{inspection_id}: view {viewpoint.name!r} lacks {', '.join(missing)}, which {recipe} lists"
            )
        shape = frames[names[0]].pixels.shape
        solver = ViewSolver(loaded, (shape[0], shape[1]))
        solver.begin(viewpoint.name)
        directional = [frames[name] for name in names]
        for index, frame in enumerate(directional):
            solver.add(index, frame)
        distance_mm = loaded.calibration.working_distance_mm
        found.append(GlossView(directional, solver.lights, solver.first(), distance_mm, solver.flat_field))
        views.append(viewpoint.name)
    try:
        fit = fit_gloss(found, solver.settings)
    except PhotometricStereoError as error:
        raise GlossNotFound(f"{inspection_id}: {error}") from error
    return GlossReport(str(recipe), inspection_id, tuple(views), len(names), fit)
