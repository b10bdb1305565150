"""`station console`: its arguments and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.commands.options import OutOption


def console(
    rig: Annotated[Path | None, typer.Option("--rig", help="Rig file; default: start a simulated rig.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe; default: the demo connector.")] = None,
    out: OutOption = Path("out/console"),
    screenshot: Annotated[
        Path | None, typer.Option("--screenshot", help="Inspect one part offscreen, write the picture, end.")
    ] = None,
    part: Annotated[str, typer.Option("--part", help="Part id for --screenshot.")] = "SCREENSHOT-1",
) -> None:
    """Open the operator's window."""
    from station.commands.console.window import start_console

    raise typer.Exit(start_console(rig, recipe, out, screenshot, part))
