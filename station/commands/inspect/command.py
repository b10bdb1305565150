"""`station inspect`: its arguments and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.commands.options import JsonOption, OutOption, RecipeOption
from station.commands.part_option import PartOption
from station.commands.say import say


def inspect(
    rig: Annotated[Path, typer.Option("--rig", help="Rig file, as `station rig up` prints it.")],
    recipe: RecipeOption,
    part: PartOption,
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Inspect the part that lies in the fixture, archive it, and write its contact sheet."""
    from station.commands.inspect.part import inspect_part

    report = inspect_part(rig, recipe, part, out)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(report.exit_code)
