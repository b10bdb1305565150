"""`station plan`: a recipe checked and its frames listed, before any device is touched."""

from __future__ import annotations

from dataclasses import asdict

from station.commands.options import JsonOption, RecipeOption
from station.commands.say import say


def plan(recipe: RecipeOption, as_json: JsonOption = False) -> None:
    """Check a recipe and the files that it names, and print its plan: every frame, before any device is touched."""
    from station.acquire.plan import format_plan, make_plan
    from station.recipe.loaded import load_recipe
    from station.recipe.releases import recipe_file

    steps = make_plan(load_recipe(recipe_file(recipe)).recipe)
    say([asdict(step) for step in steps], as_json, format_plan(steps))
