"""`station evaluate`: its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import JsonOption
from station.commands.say import say
from station.errors import BadInput


def evaluate(
    product: Annotated[str | None, typer.Argument(help="connector or knob: inspect parts over the wires.")] = None,
    good: Annotated[int, typer.Option(min=0, help="Unseen good parts.")] = 10,
    defective: Annotated[int, typer.Option(min=0, help="Unseen defective parts, mixed kinds.")] = 10,
    out: Annotated[
        Path | None, typer.Option("--out", file_okay=False, help="Folder for results; PRODUCT: out/evaluate.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="Recipe; PRODUCT: its demo recipe.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="A data set, also in a layout of others: judge its test parts instead, without any rig."),
    ] = None,
    model: Annotated[list[Path] | None, typer.Option(dir_okay=False, help="--data: model file; may recur.")] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="--data: local, global, gaussian or mapper, fitted here; may recur.")
    ] = None,
    protocol: Annotated[
        Literal["part", "top", "independent", "ablation"],
        typer.Option(help="--data: views decide together, or as in the paper's Table 2, 3 or 4."),
    ] = "part",
    figures: Annotated[bool, typer.Option("--figures", help="--data: also write pictures of parts and maps.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Inspect unseen parts on a simulated rig, or judge a data set: metrics with intervals over parts."""
    if data is None:
        if model or baseline or figures or protocol != "part":
            raise BadInput("--model, --baseline, --protocol and --figures judge a data set: give it with --data FOLDER")
        from station.commands.evaluate.run import evaluate_product

        inspected = evaluate_product(product or "connector", good, defective, out or Path("out/evaluate"), recipe)
        say(inspected.as_dict(), as_json, inspected.as_text())
        raise typer.Exit(ExitCode.DONE)
    if product is not None:
        raise BadInput(f"{product}: is inspected over the wires, and --data judges pictures; give one of the two")
    from station.teach.evaluation import evaluate_data

    judged = evaluate_data(
        data, model or (), recipe, protocol=protocol, baselines=baseline or (), out=out, figures=figures
    )
    say(judged.as_dict(), as_json, judged.as_text())
    raise typer.Exit(ExitCode.DONE)
