"""Data sets of simulated parts: photographed as the rig would, solved as the station would, written for training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.protocols import Frame, Pose
from drivers.simulated.scene import DEFECT_KINDS, Scene, make_part, random_defect
from station.acquire.plan import CaptureStep, make_plan
from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.judge.diffuse_picture import diffuse_rgb
from station.judge.model_grid import block_mean, block_normals
from station.judge.view_solver import ViewSolver
from station.lights.levels import mean_level
from station.photometric_stereo.normal_map import NormalMap
from station.recipe.aimed_views import reference_camera
from station.recipe.demo import DEMO_RECIPES
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.reference_lights import reference_lights

Progress = Callable[[str, float], None]  # what is being done, and its share done 0..1
Color = Literal["rgb", "mono"]
FIRST_SEED = {"train": 1000, "calibrate": 3000, "test": 7000}
SEED_STRIDE = 100_000  # another `seed` of the data set is another thousand parts
SIGMA_MM, SIGMA_DEG = 0.02, 0.005  # pose repeatability of one visit
SCENE_SEED = 1  # of the sensor's fixed pattern
FORMAT = {"rgb": "BayerRG12", "mono": "Mono12"}
BINNING = 8  # the model's grid; finer captures are averaged down to it
# A mono model serves full-resolution captures, whose block means differ along edges from pictures that the sensor
# binned; half resolution is four times faster to render and close enough.
CAPTURE_BINNING: dict[Color, int] = {"rgb": BINNING, "mono": 2}


@dataclass(frozen=True, slots=True)
class PartToMake:
    """One part of the set: its split, its seed, its defect if any."""

    split: Literal["train", "calibrate", "test"]
    seed: int
    kind: str  # good, or the defect's kind

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.seed}"


@dataclass(frozen=True, slots=True)
class SolvedView:
    """What the detector is given of one view, and the truth about it."""

    rgb: NDArray[np.float32]  # (3, H, W)
    normals: NDArray[np.float32]  # (3, H, W)
    defect_mask: NDArray[np.bool_]  # (H, W)
    levels: dict[str, float]  # mean level of each light's frame


def silent(_what: str, _share: float) -> None:
    """The progress of nobody."""


def parts_of_set(
    good: int, calibrate: int, defective: int, seed: int, test_good: int | None = None
) -> list[PartToMake]:
    """Disjoint seeds for train, calibrate and test; defect kinds in turn."""
    base = SEED_STRIDE * seed
    parts = [PartToMake("train", base + FIRST_SEED["train"] + n, "good") for n in range(good)]
    parts += [PartToMake("calibrate", base + FIRST_SEED["calibrate"] + n, "good") for n in range(calibrate)]
    count = defective if test_good is None else test_good
    first = base + FIRST_SEED["test"]
    parts += [PartToMake("test", first + n, "good") for n in range(count)]
    kinds = [DEFECT_KINDS[n % len(DEFECT_KINDS)] for n in range(defective)]
    return parts + [PartToMake("test", first + count + n, kind) for n, kind in enumerate(kinds)]


def simulate_dataset(
    product: str,
    out: Path,
    *,
    good: int = 60,
    defective: int = 10,
    calibrate: int = 20,
    test_good: int | None = None,
    seed: int = 0,
    color: Color = "rgb",
    recipe: Path | None = None,
    progress: Progress = silent,
) -> Path:
    """Render, solve and write `<out>/<product>`; returns that folder. The same seed gives the same pictures.

    Poses, lights, exposures and solver settings are the recipe's (default: the product's demo recipe); the
    pictures are 12-bit, Bayer on the model's grid, or Mono averaged to it, whatever the recipe's binning.
    Raises BadInput if the folder already holds a data set.
    """
    folder = out / product
    if (folder / "index.json").exists():
        raise BadInput(f"{folder} already holds a data set: choose another folder, or remove it first")
    loaded = load_recipe(recipe or DEMO_RECIPES / f"{product}.yaml", need_model=False)
    if loaded.calibration.provenance is not None:
        raise BadInput(
            f"{loaded.path} is bound to the record {loaded.calibration.calibration_id}, but simulated data sets are of "
            "the rig as drawn: make them with the recipe that names the drawing"
        )
    parts = parts_of_set(good, calibrate, defective, seed, test_good)
    photographer = Photographer(loaded, color)
    entries: list[dict[str, Any]] = []
    levels: dict[str, dict[str, list[float]]] = {}
    shape = photographer.shape
    with ThreadPoolExecutor(1, thread_name_prefix="dataset-writer") as writer:
        pending: list[Future[dict[str, Any]]] = []
        for n, part in enumerate(parts):
            for view, solved in photographer.views(product, part):
                pending.append(writer.submit(_write_view, folder, part, view, solved))
                if part.split == "train":
                    _collect(levels, view, solved.levels)
            entries += [f.result() for f in pending]
            pending = []
            progress(f"{part.split} {part.name}", (n + 1) / len(parts))
    stereo = loaded.recipe.photometric_stereo
    index = {
        "format_version": 1,
        "product": product,
        "views": [v.name for v in loaded.recipe.viewpoints],
        "input_size": list(shape),
        "color": color,
        "seed": seed,
        "is_simulated": True,
        "photometric_stereo": {
            "method": stereo.method,
            "shadow_fraction": stereo.shadow_fraction,
            "refine": stereo.refine if stereo.detector_normals == "refined" else "none",
            "gloss": stereo.gloss_of_detector,
            "plane_heights_mm": {v.name: v.plane_height_mm for v in loaded.recipe.viewpoints if v.plane_height_mm},
            "lights": [light.name for light in loaded.recipe.directional_lights],
        },
        "reference_levels": _means(levels),
        "reference_lights": {
            name: light.model_dump(mode="json")
            for name, light in reference_lights(
                loaded.calibration, loaded.recipe.lights, loaded.recipe.capture.gain_db
            ).items()
        },
        "reference_camera": reference_camera(loaded.calibration).model_dump(mode="json"),
        "items": sorted(entries, key=lambda e: (e["split"], e["part"], e["view"])),
    }
    write_atomic(folder / "index.json", json.dumps(index, indent=1).encode())
    return folder


def _collect(levels: dict[str, dict[str, list[float]]], view: str, found: dict[str, float]) -> None:
    for light, level in found.items():
        levels.setdefault(view, {}).setdefault(light, []).append(level)


class Photographer:
    """Takes a recipe's frames of simulated parts and turns each view into the detector's inputs."""

    def __init__(self, loaded: LoadedRecipe, color: Color = "rgb") -> None:
        self._binning = CAPTURE_BINNING[color]
        capture = loaded.recipe.capture.model_copy(update={"binning": self._binning})
        loaded = replace(loaded, recipe=loaded.recipe.model_copy(update={"capture": capture}))
        self._loaded = loaded
        self._format = FORMAT[color]
        height, width = loaded.calibration.image_height, loaded.calibration.image_width
        self.shape = (height // BINNING, width // BINNING)
        captured = (height // self._binning, width // self._binning)
        self._solver = ViewSolver(loaded, captured)

    def views(self, product: str, part: PartToMake) -> Iterator[tuple[str, SolvedView]]:
        """(view, what was solved there) in the recipe's order; all that is random follows from the part's seed."""
        defects = () if part.kind == "good" else (random_defect(product, part.kind, part.seed),)
        scene = Scene(make_part(product, part.seed, defects), seed=SCENE_SEED)
        rng = np.random.default_rng([part.seed, len(part.kind)])
        steps = make_plan(self._loaded.recipe)
        for viewpoint in self._loaded.recipe.viewpoints:
            mine = [step for step in steps if step.view == viewpoint.name]
            yield viewpoint.name, self._solve(scene, _visited(viewpoint.as_pose(), rng), mine, part.seed)

    def _solve(self, scene: Scene, pose: Pose, steps: list[CaptureStep], seed: int) -> SolvedView:
        frames = {step.light: self._frame(scene, pose, step, seed) for step in steps}
        self._solver.begin(steps[0].view)
        directional = [step.light for step in steps if step.kind == "directional"]
        for index, name in enumerate(directional):
            self._solver.add(index, frames[name])
        diffuse = next(step.light for step in steps if step.kind == "diffuse")
        factor = BINNING // self._binning
        solved = self._for_detector(self._solver.first())
        normals = block_normals(solved.normals, factor)
        is_first = self._loaded.recipe.photometric_stereo.detector_normals == "first"
        if factor > 1 and is_first:  # else they are still in use, or no arrays of the solver's
            self._solver.recycle(solved)
        return SolvedView(
            rgb=block_mean(diffuse_rgb(frames[diffuse]), factor),
            normals=normals,
            defect_mask=scene.truth(pose, BINNING).defect_mask,
            levels={name: mean_level(frame) for name, frame in frames.items()},
        )

    def _for_detector(self, first: NormalMap) -> NormalMap:
        """The detector learns from the normals that it will be given."""
        stereo = self._loaded.recipe.photometric_stereo
        if stereo.detector_normals == "first":
            return first
        refined = self._solver.refined(first)
        self._solver.recycle(first)
        return refined

    def _frame(self, scene: Scene, pose: Pose, step: CaptureStep, seed: int) -> Frame:
        black_dn = self._loaded.calibration.black_level_dn  # on the 12-bit scale, and so are these frames
        pixels = scene.photograph(
            pose,
            {step.channel: step.brightness},
            exposure_us=step.exposure_us,
            gain_db=step.gain_db,
            pixel_format=self._format,
            binning=self._binning,
            roi=None,
            frame_seed=seed * 100 + step.index,
            black_level_dn=black_dn,
        )
        return Frame(pixels, self._format, 12, black_dn, step.exposure_us, step.gain_db, 0, step.index)


def _visited(pose: Pose, rng: np.random.Generator) -> Pose:
    """Where the arm really stops on this visit."""
    sigma = np.array([SIGMA_MM] * 3 + [SIGMA_DEG] * 2)
    return Pose(*(float(a) for a in np.array(pose.as_tuple()) + sigma * rng.standard_normal(5)))


def _write_view(folder: Path, part: PartToMake, view: str, solved: SolvedView) -> dict[str, Any]:
    """Three pictures and their entry in the index."""
    name = f"{part.name}_{view}.png"
    where = Path(part.split) / part.kind
    pictures: dict[str, NDArray[Any]] = {
        "rgb": np.clip(np.round(solved.rgb * 65535), 0, 65535).astype(np.uint16),
        "normal": np.round(solved.normals * 32767 + 32768).astype(np.uint16),
        "mask": (solved.defect_mask * np.uint8(255))[None],
    }
    entry: dict[str, Any] = {"part": part.name, "view": view, "split": part.split, "kind": part.kind}
    entry["seed"] = part.seed
    for what, planes in pictures.items():
        if what == "mask" and not solved.defect_mask.any():
            entry["mask"] = None
            continue
        ok, encoded = cv2.imencode(".png", planes[::-1].transpose(1, 2, 0), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not ok:
            raise RuntimeError(f"{name}: the picture could not be encoded")
        path = where / what / name
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        content = encoded.tobytes()
        (folder / path).write_bytes(content)
        entry[what], entry[f"{what}_sha256"] = path.as_posix(), hashlib.sha256(content).hexdigest()
    return entry


def _means(levels: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    return {view: {light: round(float(np.mean(x)), 5) for light, x in d.items()} for view, d in levels.items()}
