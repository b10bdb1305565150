"""`station train`: data set, training, and what the recipe must know of the model.

torch is imported inside `train` alone, so that a station without the extra `train` runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from station.collection.folder import INDEX as COLLECTION_INDEX
from station.collection.folder import Collection
from station.documents.atomic import write_atomic
from station.errors import BadInput
from station.judge.detector import AnomalyDetector
from station.recipe.aimed_views import reference_camera
from station.recipe.demo import DEMO_RECIPES
from station.recipe.edit import update_recipe_values
from station.recipe.fields import ReferenceCamera, ReferenceLight
from station.recipe.loaded import LoadedRecipe, load_recipe
from station.recipe.reference_lights import reference_lights
from station.recipe.releases import refuse_version
from station.rig.products import product_name
from station.teach.dataset import simulate_dataset
from station.teach.disturbance_table import DisturbanceTable, disturbance_table
from station.teach.layouts.known import unknown
from station.teach.learned import learned_sha256, record_of
from station.teach.limits import note_limits
from station.teach.photographer import Color
from station.teach.prepare import Prepared, prepare
from station.teach.set_for_recipe import set_for_recipe
from station.teach.simulated_collection import collect_simulated, parts_to_learn_from, parts_to_test
from station.teach.step_clock import StepClock
from station.teach.trained_recipe import TrainedRecipe

GOOD, CALIBRATE = 60, 60  # parts of a simulated collection, where none is there

if TYPE_CHECKING:
    from models.config import Preset as Preset  # `retrain` names it too
    from models.config import TrainConfig


def simulate(
    product: str, out: Path, *, good: int, calibrate: int, defective: int, seed: int, color: Color = "rgb",
    recipe: Path | None = None,
) -> Path:  # fmt: skip
    """`station dataset simulate`, with progress on stderr. Raises BadInput for a mesh that is no part."""
    product = product_name(product)
    return simulate_dataset(
        product,
        out,
        good=good,
        calibrate=calibrate,
        defective=defective,
        seed=seed,
        color=color,
        recipe=_recipe_for(product, recipe, color),
        progress=show_progress,
    )


def simulate_collection(
    product: str, out: Path, good: int, calibrate: int, defective: int, seed: int, color: Color,
    recipe: Path | None = None,
) -> Path:  # fmt: skip
    """`station dataset simulate --raw`: the folder of the collection. As many good test parts as defective ones."""
    product = product_name(product)
    loaded = load_recipe(_recipe_for(product, recipe, color), need_model=False)
    folder = (out if color == "rgb" else out / "mono") / product
    parts = [*parts_to_learn_from(good, calibrate, seed), *parts_to_test(defective, seed)]
    collect_simulated(loaded, folder, parts, show_progress, color)
    return folder


def train(
    product: str | None,
    data: Path,
    recipe: Path | None,
    steps: int | None,
    color: Color = "rgb",
    preset_name: Preset = "sound",
    disturbed: int = 10,
    encoder: str | None = None,
) -> TrainedRecipe:
    """Train and write model, hash, limits, levels, references and tolerances into the recipe.

    `data` is a collection, which is prepared into the folder NAME-prepared beside it, or a data set, or a folder that
    holds one: then `<data>/<product>`, a collection that is simulated there if absent. A mono model of simulated parts
    serves full-resolution captures; it learns from `<data>/mono/<product>`, whose pictures are averaged ones.
    `steps` None is the trainer's default; `preset_name` is one of `models.config.preset`. Of a collection, `disturbed`
    held-out good parts (0: none) are judged under every disturbance. `encoder` adds the branch of nearest neighbours.

    Raises BadInput when torch is not installed, no recipe is there or the data does not fit it, DocumentError for the
    recipe, and what `prepare` and `train_product` raise.
    """
    return fitted(ready_set(product, data, recipe, steps, color, preset_name, encoder), disturbed)


@dataclass(frozen=True, slots=True)
class ReadySet:
    """All that a training needs: the recipe, the prepared data set with its index, and the trainer's settings."""

    loaded: LoadedRecipe
    folder: Path
    index: Mapping[str, Any]
    config: TrainConfig
    clock: StepClock
    collection: Path | None = None  # from which the set was prepared
    prepared: Prepared | None = None

    @property
    def learned(self) -> str:
        """SHA-256 of what the model's weights will rest on."""
        return learned_sha256(self.index, self.config.to_dict())


def ready_set(
    product: str | None, data: Path, recipe: Path | None, steps: int | None, color: Color = "rgb",
    preset_name: Preset = "sound", encoder: str | None = None,
) -> ReadySet:  # fmt: skip
    """The first half of `train`, with its arguments: what a collection lacks is prepared, and nothing is trained."""
    if importlib.util.find_spec("torch") is None:
        raise BadInput("training needs torch, which is not installed: run pip install -e '.[train]'")
    from models.config import NeighbourConfig, preset

    clock = StepClock(show_progress)
    path = _recipe_of(product or _product_of(data), recipe, color)
    refuse_version(path)
    loaded = load_recipe(path, need_model=False)
    color = "rgb" if loaded.recipe.capture.is_color else "mono"
    data = _source(data, loaded, color, clock.progress)
    is_collection = (data / COLLECTION_INDEX).is_file()
    prepared = None
    folder = data
    if is_collection:
        folder = data.parent / f"{data.name}-prepared"
        prepared = prepare(loaded, Collection.open(data), folder, clock.progress)
    index = json.loads((folder / "index.json").read_text("utf-8"))
    if loaded.recipe.part_reference is not None and index.get("part_reference") is None:
        raise BadInput(
            f"{folder} has no part reference, but {path} names one, which would cut its pictures: train from a "
            "collection, or take part_reference out of the recipe"
        )
    if index["color"] != color:
        raise BadInput(f"{folder} holds {index['color']} pictures, not {color} ones: name another folder with --data")
    config = replace(preset(preset_name), color=color)
    config = config if steps is None else replace(config, steps=steps)
    config = config if encoder is None else replace(config, neighbours=NeighbourConfig(encoder))
    return ReadySet(loaded, folder, index, config, clock, data if is_collection else None, prepared)


def fitted(ready: ReadySet, disturbed: int) -> TrainedRecipe:
    """The second half of `train`: the model, and what the recipe receives. Raises as `train` does."""
    from models.dataset import DatasetError
    from models.encoders.protocol import EncoderError
    from models.export import ParityError
    from models.train import train_product
    from station.teach.mislabelled import suspects

    loaded, folder, index, clock = ready.loaded, ready.folder, ready.index, ready.clock
    path = loaded.path
    before = {v.name: v.limit for v in loaded.recipe.viewpoints}
    try:
        report = train_product(folder, loaded.model_path, ready.config, clock.progress)
    except (DatasetError, EncoderError, ParityError) as error:
        raise BadInput(str(error)) from error
    sha256 = hashlib.sha256(loaded.model_path.read_bytes()).hexdigest()
    update_recipe_values(
        path, limits=report.limits, sha256=sha256, judges="both" if report.has_normals else "pictures",
        reference_levels=index["reference_levels"],
        reference_lights=lights_of_set(index, loaded), reference_camera=camera_of_set(index, loaded),
        part_reference=_kept_reference(folder, index, path, loaded.recipe.recipe_id),
    )  # fmt: skip
    note_limits(path, before, report.risk, f"trained: {sha256[:12]} from {folder.name}")
    doubted = suspects(folder, loaded.model_path, report.held_out, report.limits, path)
    table = None
    if ready.collection is not None and disturbed:
        table = _table(path, ready.collection, disturbed, clock.progress)
        update_recipe_values(path, proof_tolerances=table.tolerances)
    notes = tuple(index.get("notes", ()))
    trained = TrainedRecipe(report, path, sha256, clock.seconds, ready.prepared, table, doubted, notes, ready.learned)
    write_atomic(record_of(path), json.dumps(trained.as_dict(), indent=1).encode())
    return trained


def made_for_recipe(data: Path, recipe: Path, view_of: Mapping[str, str], *, same_solver: bool) -> Path:
    """The data set that a set from elsewhere makes for this recipe, with progress on stderr; raises as that does."""
    refuse_version(recipe)
    loaded = load_recipe(recipe, need_model=False)
    return set_for_recipe(data, loaded, view_of, same_solver=same_solver, progress=show_progress)


def _product_of(data: Path) -> str:
    """What the data is of, where only --data says it."""
    for name in (COLLECTION_INDEX, "index.json"):
        if (data / name).is_file():
            return str(json.loads((data / name).read_text("utf-8"))["product"])
    raise BadInput(f"{unknown(data)}; or name a product")


def _source(data: Path, loaded: LoadedRecipe, color: Color, progress: Callable[[str, float], None]) -> Path:
    """`data` itself if it is a collection or a data set; else the product's in it, simulated if absent."""
    if any((data / name).is_file() for name in (COLLECTION_INDEX, "index.json")):
        return data
    folder = (data if color == "rgb" else data / "mono") / loaded.recipe.product
    if (folder / "index.json").is_file():
        return folder

    def collecting(what: str, share: float) -> None:
        progress(f"collect, {what}", share)

    collect_simulated(loaded, folder, parts_to_learn_from(GOOD, CALIBRATE), collecting, color)
    return folder


def _kept_reference(folder: Path, index: Mapping[str, Any], recipe: Path, recipe_id: str) -> tuple[str, str] | None:
    """The data set's part reference, copied beside the recipe: its name there, and its hash; None if it has none.

    The name has part of the hash: the file that the recipe names already stays as it is.
    """
    named = index.get("part_reference")
    if named is None:
        return None
    content = (folder / named["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != named["sha256"]:
        raise BadInput(f"{folder / named['file']}: was changed since the data set was made: prepare it anew")
    file = recipe.parent / "references" / f"{recipe_id}-part-{named['sha256'][:12]}.npz"
    file.parent.mkdir(exist_ok=True)
    write_atomic(file, content)
    return f"references/{file.name}", named["sha256"]


def _table(recipe: Path, data: Path, n: int, progress: Callable[[str, float], None]) -> DisturbanceTable:
    """With the model and the limits that the recipe has just received."""
    loaded = load_recipe(recipe)
    detector = AnomalyDetector.load(loaded.model_path, loaded.recipe.model.sha256)
    return disturbance_table(loaded, detector, Collection.open(data), n, progress)


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


def _recipe_for(product: str, recipe: Path | None, color: Color) -> Path:
    """As `_recipe_of`; BadInput for a recipe of another product, whose parts would be rendered instead."""
    path = _recipe_of(product, recipe, color)
    if recipe is not None and (own := load_recipe(path, need_model=False).recipe.product) != product:
        raise BadInput(f"{path}: field product: is {own!r}, but parts of {product!r} were asked for; name its recipe")
    return path


class _Told:
    """Which tenth of which step was printed last."""

    step, tenth = "", -1

    @classmethod
    def is_new(cls, what: str, share: float) -> bool:
        """Whether this tenth of this step, whose name ends at the first comma, was not printed yet."""
        before = cls.step, cls.tenth
        cls.step, cls.tenth = what.split(",")[0], int(share * 10 + 1e-9)
        return (cls.step, cls.tenth) != before


def show_progress(what: str, share: float) -> None:
    """Progress on stderr: one line rewritten on a terminal, or a line for every tenth of a step elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{share:6.1%} {what:<72}", end="" if share < 1 else "\n", file=sys.stderr, flush=True)
    elif _Told.is_new(what, share):
        print(f"{share:6.1%} {what}", file=sys.stderr, flush=True)
