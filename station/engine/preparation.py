"""A recipe on its way to the first part: its files read and checked, then the devices set up, all warmed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from drivers.protocols import CameraSettings
from station.acquire.plan import CaptureStep, make_plan
from station.inspection.result import DRAFT
from station.judge.detector import AnomalyDetector
from station.judge.view_judge import ViewJudge
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.releases import recipe_file, release_of
from station.rig.devices import Rig
from station.rig.inference import CPU, InferenceChoice

log = logging.getLogger(__name__)

MAP_BYTES = 17  # a pixel of a view: colour picture 6, normals 6, albedo 2, residual 2, quality 1 (archive.view_files)


@dataclass(frozen=True, slots=True)
class RecipeFiles:
    """A recipe and all files that it needs, read and checked against each other; no device was asked yet."""

    path: Path
    loaded: LoadedRecipe
    plan: tuple[CaptureStep, ...]
    detector: AnomalyDetector
    release: str = f"{DRAFT}: not compared with any release"  # see station.recipe.releases.release_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a part needs, ready: checked files, warm detector and solver."""

    files: RecipeFiles
    judge: ViewJudge
    record_bytes: int = 0  # the most that the archive will need for one part


def read_recipe_files(path: Path, inference: InferenceChoice = CPU) -> RecipeFiles:
    """Read the recipe and the model, which is to run by `inference`, and check that they fit.

    A folder of releases stands for the active one. Raises DocumentError, ModelRefused, ReleaseError.
    """
    loaded = load_recipe(recipe_file(path))
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256, inference)
    detector.check_fits(loaded.recipe)
    detector.check_regions(loaded)
    return RecipeFiles(path, loaded, make_plan(loaded.recipe), detector, release_of(loaded))


def prepare(files: RecipeFiles, rig: Rig) -> Prepared:
    """Check the recipe against the rig, configure the camera, warm up.

    What can be refused before a part is loaded is refused here or when the files are read. Raises DocumentError with
    the field that the rig cannot do, DeviceError, LightGeometryError.
    """
    recipe = files.loaded.recipe
    files.loaded.check_calibration(camera=rig.camera.identity.serial_number, is_simulated_rig=rig.is_simulated)
    for viewpoint in recipe.viewpoints:
        with files.loaded.naming(f"viewpoints.{viewpoint.name}"):
            rig.arm.check_reachable(viewpoint.as_pose())
    actual = rig.camera.configure(recipe.camera_settings())
    files.detector.warm_up()
    judge = ViewJudge(files.loaded, files.detector)
    judge.warm_up(actual)
    warn_of_missing_proofs(files.path, judge.why_unproven)
    looks = 1 if recipe.re_look is None else 2
    return Prepared(files, judge, record_bytes(files.plan, actual, looks))


def record_bytes(plan: tuple[CaptureStep, ...], settings: CameraSettings, looks: int = 1) -> int:
    """The most that a part's record can need on the disk: frames and maps as if nothing could be compressed.

    `looks` is how often each view may be captured and kept.
    """
    pixels = (settings.width or 0) * (settings.height or 0)
    views = len({step.view for step in plan})
    frame = pixels * (1 if settings.pixel_format.endswith("8") else 2)
    return looks * len(plan) * frame + views * pixels * MAP_BYTES


def warn_of_missing_proofs(recipe: Path, why: str | None) -> None:
    """A person must know that a moved camera or a weak lamp could make good parts FAIL; `why` None: nothing to say."""
    if why is not None:
        log.warning(
            "%s: where the camera stands and which lamps shine is not proven in the pictures: %s; "
            "make a reference from good parts: station view-reference", recipe, why,
        )  # fmt: skip
