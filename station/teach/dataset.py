"""Data sets of simulated parts: pictures, masks and the `index.json` that describes them, written for training.

models/dataset.py reads them; its docstring describes the pictures.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.photometric_stereo.packing import pack_normals
from station.recipe.aimed_views import reference_camera
from station.recipe.demo import DEMO_RECIPES
from station.recipe.fields import Recipe
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.reference_lights import reference_lights
from station.teach.parts import PartToMake, parts_of_set
from station.teach.photographer import Color, Photographer, SolvedView

Progress = Callable[[str, float], None]  # what is being done, and its share done 0..1
Levels = dict[str, dict[str, list[float]]]  # per view and light, of each train part


def silent(_what: str, _share: float) -> None:
    """Reports to nobody."""


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

    Poses, lights, exposures and solver settings are the recipe's (default: the product's demo recipe).
    Raises BadInput if the folder already holds a data set, or the recipe is bound to a calibration record.
    """
    folder = out / product
    if (folder / "index.json").exists():
        raise BadInput(f"{folder} already holds a data set: choose another folder, or remove it first")
    loaded = _drawn_recipe(recipe or DEMO_RECIPES / f"{product}.yaml")
    parts = parts_of_set(good, calibrate, defective, seed, test_good)
    photographer = Photographer(loaded, color)
    levels: Levels = {}
    entries: list[dict[str, Any]] = []
    for n, (part, written) in enumerate(_written_parts(photographer, product, parts, folder, levels)):
        entries += written
        progress(f"{part.split} {part.name}", (n + 1) / len(parts))
    index = {
        "format_version": 1,
        "product": product,
        "views": [v.name for v in loaded.recipe.viewpoints],
        "input_size": list(photographer.shape),
        "color": color,
        "seed": seed,
        "is_simulated": True,
        **made_under(loaded, levels),
        "items": sorted(entries, key=lambda e: (e["split"], e["part"], e["view"])),
    }
    write_atomic(folder / "index.json", json.dumps(index, indent=1).encode())
    return folder


def _drawn_recipe(path: Path) -> LoadedRecipe:
    """The recipe, which must name the rig as drawn; BadInput if it is bound to a measured rig's record."""
    loaded = load_recipe(path, need_model=False)
    if loaded.calibration.provenance is not None:
        raise BadInput(
            f"{loaded.path} is bound to the record {loaded.calibration.calibration_id}, but simulated data sets are of "
            "the rig as drawn: make them with the recipe that names the drawing"
        )
    return loaded


def _written_parts(
    photographer: Photographer, product: str, parts: list[PartToMake], folder: Path, levels: Levels
) -> Iterator[tuple[PartToMake, list[dict[str, Any]]]]:
    """Each part with its entries of the index, once its pictures are written; adds to `levels` from train parts.

    Pictures are encoded in another thread while the next view is rendered.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="dataset-writer") as writer:
        for part in parts:
            pending = []
            for view, solved in photographer.views(product, part):
                pending.append(writer.submit(_write_view, folder, part, view, solved))
                if part.split == "train":
                    for light, level in solved.levels.items():
                        levels.setdefault(view, {}).setdefault(light, []).append(level)
            yield part, [f.result() for f in pending]


def made_under(loaded: LoadedRecipe, levels: Levels) -> dict[str, Any]:
    """What recipe and model must know about how the set was made: solver settings, levels, lights and camera."""
    recipe, calibration = loaded.recipe, loaded.calibration
    lights = reference_lights(calibration, recipe.lights, recipe.capture.gain_db)
    return {
        "photometric_stereo": stereo_settings(recipe),
        "reference_levels": {
            view: {light: round(float(np.mean(found)), 5) for light, found in of_view.items()}
            for view, of_view in levels.items()
        },
        "reference_lights": {name: light.model_dump(mode="json") for name, light in lights.items()},
        "reference_camera": reference_camera(calibration).model_dump(mode="json"),
    }


def stereo_settings(recipe: Recipe) -> dict[str, Any]:
    """How the recipe solves the detector's normals; the model keeps it, and another recipe's model is refused by it."""
    stereo = recipe.photometric_stereo
    return {
        "method": stereo.method,
        "shadow_fraction": stereo.shadow_fraction,
        "refine": stereo.refine if stereo.detector_normals == "refined" else "none",
        "gloss": stereo.gloss_of_detector,
        "plane_heights_mm": {v.name: v.plane_height_mm for v in recipe.viewpoints if v.plane_height_mm},
        "lights": [light.name for light in recipe.directional_lights],
    }


def _write_view(folder: Path, part: PartToMake, view: str, solved: SolvedView) -> dict[str, Any]:
    """Three pictures (no mask without a defect) and their entry in the index."""
    name = f"{part.name}_{view}.png"
    where = Path(part.split) / part.kind
    pictures: dict[str, NDArray[Any]] = {
        "rgb": np.clip(np.round(solved.rgb * 65535), 0, 65535).astype(np.uint16),
        "normal": pack_normals(solved.normals),
        "mask": (solved.defect_mask * np.uint8(255))[None],
    }
    entry: dict[str, Any] = {"part": part.name, "view": view, "split": part.split, "kind": part.kind}
    entry["seed"] = part.seed
    for what, planes in pictures.items():
        if what == "mask" and not solved.defect_mask.any():
            entry["mask"] = None
            continue
        path = where / what / name
        entry[what], entry[f"{what}_sha256"] = path.as_posix(), write_png(folder / path, planes)
    return entry


def write_png(path: Path, planes: NDArray[Any]) -> str:
    """Write (3, H, W) RGB or (1, H, W) grey, 8 or 16 bits; returns the file's SHA-256."""
    return write_picture(path, planes[::-1].transpose(1, 2, 0))


def write_picture(path: Path, picture: NDArray[Any]) -> str:
    """Write a picture in OpenCV's order of channels, (H, W, 3) or (H, W); returns the file's SHA-256."""
    ok, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise RuntimeError(f"{path}: OpenCV could not encode the picture of {picture.shape} {picture.dtype}")
    content = encoded.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
