"""`station demo`: its arguments, its exit code, and the window at its end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import JsonOption, OutOption
from station.commands.say import printable, say


def demo(
    out: OutOption = Path("out/demo"),
    full: Annotated[bool, typer.Option("--full", help="At 5472 x 3648 Mono8, 25 frames per part.")] = False,
    product: Annotated[
        str, typer.Option(help="Which demo product: connector, knob, or once trained crank or sheet.")
    ] = "connector",
    console: Annotated[bool, typer.Option(help="Open the console at the end, where there is a screen.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Inspect three simulated parts: a good one, one scratched on a side wall, one with a dead light."""
    from station.commands.demo.run import run_demo

    report = run_demo(
        out,
        product=product,
        full=full,
        progress=lambda text: print(printable(text), file=sys.stderr if as_json else sys.stdout, flush=True),
    )
    say(report.as_dict(), as_json, report.closing_text())
    if console and not as_json:
        from station.commands.console.window import open_console_where_possible

        open_console_where_possible(report.recipe, out / "console")
    if not report.is_stored:
        raise typer.Exit(ExitCode.FAULT)
    raise typer.Exit(ExitCode.DONE if report.as_promised else ExitCode.FOUND)
