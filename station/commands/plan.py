"""`station plan`: a recipe checked and its frames listed, before any device is touched."""

from __future__ import annotations

from dataclasses import asdict

from station.commands.options import JsonOption, RecipeOption
from station.commands.say import progress, say


def plan(recipe: RecipeOption, as_json: JsonOption = False) -> None:
    """Check a recipe and the files that it names, and print its plan: every frame, before any device is touched."""
    from station.acquire.plan import expected_text, format_plan, make_plan
    from station.recipe.loaded import awaits_model, load_recipe
    from station.recipe.releases import recipe_file

    file = recipe_file(recipe)
    is_new = awaits_model(file)
    chosen = load_recipe(file, need_model=not is_new, need_references=True).recipe
    steps = make_plan(chosen)
    if is_new:
        progress(f"{recipe} has no model yet: collect parts (station collect), then train (station train)")
    say([asdict(step) for step in steps], as_json, f"{format_plan(steps)}\n{expected_text(chosen)}")
