"""Whether a model has learned already what a data set teaches: then a training would end with the same weights again.

The record `RECIPE.training.json` keeps a hash of everything on which the weights rest: the good parts' pictures, the
set's views, grid, regions and solver, and the trainer's settings. Test parts teach nothing and do not count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from station.documents.atomic import write_atomic
from station.recipe.edit import update_recipe_values
from station.recipe.loaded import LoadedRecipe

TEACHES = ("train", "calibrate")  # splits
OF_SET = ("product", "views", "input_size", "color", "alignment", "part_reference", "photometric_stereo")
HASHES = ("rgb_sha256", "normal_sha256")


def learned_sha256(index: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """SHA-256 of what a training on the set of this `index.json` rests on, with these settings of the trainer."""
    items = [
        [item["part"], item["view"], item["split"], item.get("variant"), *(item.get(name) for name in HASHES)]
        for item in index["items"]
        if item["split"] in TEACHES and item["kind"] == "good"
    ]
    about = {name: index.get(name) for name in OF_SET}
    return hashlib.sha256(json.dumps([about, items, dict(config)], sort_keys=True).encode()).hexdigest()


def record_of(recipe: Path) -> Path:
    """The file beside a recipe that says what its training found."""
    return recipe.with_name(f"{recipe.stem}.training.json")


def has_learned(record: Path, model_sha256: str, learned: str) -> bool:
    """Whether the record of a training says that this model learned just that."""
    try:
        found = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return False  # then it is trained
    return (found.get("sha256"), found.get("learned")) == (model_sha256, learned)


def keep_model(record: Path, base: LoadedRecipe, draft: LoadedRecipe) -> None:
    """Give the draft the model of its base, and the record of its training."""
    found = json.loads(record.read_text("utf-8"))
    draft.model_path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(draft.model_path, base.model_path.read_bytes())
    update_recipe_values(draft.path, sha256=base.sha256s["model"], judges=base.recipe.model.judges)
    said = {**found, "recipe": str(draft.path), "model": str(draft.model_path)}
    write_atomic(record_of(draft.path), json.dumps(said, indent=1).encode())
