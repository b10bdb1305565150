"""The demo's connector with its first views alone, for tests to which another view says nothing new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from station.documents.document import load_document, save_document
from station.recipe.demo import DEMO_RECIPES
from station.recipe.fields import Recipe

RECIPE = DEMO_RECIPES / "connector.yaml"


def recipe_of_few_views(folder: Path, count: int, **changes: Any) -> Path:
    """A recipe file in `folder` with the first `count` viewpoints and these fields changed; its files stay where they
    are."""
    recipe = load_document(RECIPE, Recipe)
    views = recipe.viewpoints[:count]
    files = {
        name: getattr(recipe, name).model_copy(update={"file": str(DEMO_RECIPES / getattr(recipe, name).file)})
        for name in ("model", "view_reference", "part_reference")
    }
    few: dict[str, Any] = {
        "viewpoints": views,
        "reference_levels": {view.name: recipe.reference_levels[view.name] for view in views},
        "calibration": str(DEMO_RECIPES / recipe.calibration),
    }
    path = folder / "few_views.yaml"
    save_document(path, recipe.model_copy(update={**few, **files, **changes}), header="Of a test.")
    return path
