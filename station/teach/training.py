"""`station train`: data set, training, and what the recipe must know of the model.

torch is imported inside `train` alone, so that a station without the extra `train` runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from station.errors import BadInput
from station.recipe.aimed_views import reference_camera
from station.recipe.demo import DEMO_RECIPES
from station.recipe.edit import update_recipe_values
from station.recipe.fields import ReferenceCamera, ReferenceLight
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.reference_lights import reference_lights
from station.teach.dataset import simulate_dataset
from station.teach.photographer import Color

if TYPE_CHECKING:
    from models.train import TrainReport


@dataclass(frozen=True, slots=True)
class TrainedRecipe:
    """The trainer's report, and the recipe that received the model, its hash and its limits."""

    report: TrainReport
    recipe: Path
    sha256: str

    def as_dict(self) -> dict[str, object]:
        """The fields of `station train --json`."""
        r = self.report
        return {
            "product": r.product,
            "color": r.color,
            "model": r.file,
            "bytes": r.bytes,
            "sha256": self.sha256,
            "recipe": str(self.recipe),
            "n_train_parts": r.n_train_parts,
            "n_calibrate_parts": r.n_calibrate_parts,
            "steps": r.steps,
            "first_loss": r.first_loss,
            "last_loss": r.last_loss,
            "seconds": r.seconds,
            "limits": r.limits,
            "parity": {
                "map_difference": r.parity.map_difference,
                "score_difference": r.parity.score_difference,
                "label_flips": r.parity.label_flips,
            },
        }

    def as_text(self) -> str:
        """Four lines for the screen."""
        r = self.report
        limits = ", ".join(f"{view} {limit:.3f}" for view, limit in r.limits.items())
        return (
            f"{r.product} ({r.color}): {r.n_train_parts} good parts, {r.steps} steps in {r.seconds:.0f} s, "
            f"loss {r.first_loss:.4f} -> {r.last_loss:.4f}\n"
            f"limits from {r.n_calibrate_parts} held-out good parts: {limits}\n"
            f"torch against onnxruntime: map {r.parity.map_difference:.1e}, score {r.parity.score_difference:.1e}, "
            f"label flips {r.parity.label_flips}\n"
            f"model {r.file} ({r.bytes / 1e6:.2f} MB, SHA-256 {self.sha256[:12]}...); recipe {self.recipe} updated"
        )


def simulate(
    product: str, out: Path, *, good: int, calibrate: int, defective: int, seed: int, color: Color = "rgb"
) -> Path:
    """`station dataset simulate`, with progress on stderr."""
    return simulate_dataset(
        product,
        out,
        good=good,
        calibrate=calibrate,
        defective=defective,
        seed=seed,
        color=color,
        recipe=_recipe_of(product, None, color),
        progress=show_progress,
    )


def train(
    product: str,
    data: Path,
    recipe: Path | None,
    steps: int | None,
    color: Color = "rgb",
    preset_name: Literal["sound", "paper"] = "sound",
) -> TrainedRecipe:
    """Train on `<data>/<product>` (simulated there if absent) and write the result into the recipe.

    A mono model serves full-resolution captures; it learns from `<data>/mono/<product>`, whose pictures are averaged
    from finer ones. `steps` None is the trainer's default; `preset_name` is one of
    `models.config.preset`. Raises BadInput when torch is not installed, no recipe is
    there or the data set has other colours, DocumentError for the recipe, and what `train_product` raises.
    """
    if importlib.util.find_spec("torch") is None:
        raise BadInput("training needs torch, which is not installed: run pip install -e '.[train]'")
    from models.config import preset
    from models.train import train_product

    path = _recipe_of(product, recipe, color)
    loaded = load_recipe(path, need_model=False)
    sets = data if color == "rgb" else data / "mono"
    folder = sets / product
    if not (folder / "index.json").is_file():
        simulate(product, sets, good=60, calibrate=80, defective=0, seed=0, color=color)
    index = json.loads((folder / "index.json").read_text("utf-8"))
    if index["color"] != color:
        raise BadInput(f"{folder} holds {index['color']} pictures, not {color} ones: name another folder with --data")
    config = replace(preset(preset_name), color=color)
    config = config if steps is None else replace(config, steps=steps)
    report = train_product(folder, loaded.model_path, config, show_progress)
    sha256 = hashlib.sha256(loaded.model_path.read_bytes()).hexdigest()
    update_recipe_values(
        path, limits=report.limits, sha256=sha256, reference_levels=index["reference_levels"],
        reference_lights=lights_of_set(index, loaded), reference_camera=camera_of_set(index, loaded),
    )  # fmt: skip
    return TrainedRecipe(report, path, sha256)


def lights_of_set(index: Mapping[str, Any], loaded: LoadedRecipe) -> dict[str, ReferenceLight]:
    """The lights under which the set was made.

    Older sets do not list them: these were made under the rig as the recipe had it.
    """
    kept = index.get("reference_lights")
    if kept is None:
        recipe = loaded.recipe
        return recipe.reference_lights or reference_lights(loaded.calibration, recipe.lights, recipe.capture.gain_db)
    return {name: ReferenceLight.model_validate_json(json.dumps(light)) for name, light in kept.items()}


def camera_of_set(index: Mapping[str, Any], loaded: LoadedRecipe) -> ReferenceCamera:
    """The camera with which the set was made; for an older set, that of the recipe."""
    kept = index.get("reference_camera")
    if kept is None:
        return loaded.recipe.reference_camera or reference_camera(loaded.calibration)
    return ReferenceCamera.model_validate_json(json.dumps(kept))


def _recipe_of(product: str, recipe: Path | None, color: Color) -> Path:
    """The given recipe, or the product's demo recipe for this colour; BadInput if there is no such file."""
    path = recipe or DEMO_RECIPES / (f"{product}.yaml" if color == "rgb" else f"{product}_full.yaml")
    if not path.is_file():
        known = sorted(p.stem for p in DEMO_RECIPES.glob("*.yaml") if "calibration" not in p.name)
        raise BadInput(f"there is no recipe {path}: name one with --recipe, or a demo product of {', '.join(known)}")
    return path


def show_progress(what: str, share: float) -> None:
    """Progress on stderr: one line rewritten on a terminal, or a line for every tenth of the work elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{share:6.1%} {what:<50}", end="" if share < 1 else "\n", file=sys.stderr, flush=True)
    elif int(share * 1000) % 100 == 0:
        print(f"{share:6.1%} {what}", file=sys.stderr, flush=True)
