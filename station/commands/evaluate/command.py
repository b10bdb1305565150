"""`station evaluate`: its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import JsonOption, OutOption
from station.commands.say import say


def evaluate(
    product: Annotated[str, typer.Argument(help="connector or knob.")] = "connector",
    good: Annotated[int, typer.Option(min=0, help="Unseen good parts.")] = 10,
    defective: Annotated[int, typer.Option(min=0, help="Unseen defective parts, mixed kinds.")] = 10,
    out: OutOption = Path("out/evaluate"),
    recipe: Annotated[Path | None, typer.Option(help="Recipe; default: the product's demo recipe.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Inspect unseen parts on a simulated rig; print the confusion table and per-defect scores."""
    from station.commands.evaluate.run import evaluate_product

    report = evaluate_product(product, good, defective, out, recipe)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE)
