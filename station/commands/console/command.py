"""`station console`: its arguments and its exit code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from station.commands.options import OutOption


class ScanSuffix(StrEnum):
    """The key with which a scanner ends a label."""

    ENTER = "enter"
    TAB = "tab"


def console(
    rig: Annotated[Path | None, typer.Option("--rig", help="Rig file; default: start a simulated rig.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe; default: the demo connector.")] = None,
    out: OutOption = Path("out/console"),
    screenshot: Annotated[
        Path | None, typer.Option("--screenshot", help="Inspect one part offscreen, write the picture, end.")
    ] = None,
    part: Annotated[str | None, typer.Option("--part", help="Part id for --screenshot; default: SCREENSHOT-1.")] = None,
    scan_prefix: Annotated[
        str,
        typer.Option("--scan-prefix", help="What the scanner sends before each label; a scan without it is refused."),
    ] = "",
    scan_suffix: Annotated[ScanSuffix, typer.Option("--scan-suffix", help="The key that it sends after it.")] = (
        ScanSuffix.ENTER
    ),
) -> None:
    """Open the operator's window. Nothing moves before RESET is pressed in it."""
    from station.commands.console.window import ConsoleOptions, start_console

    if part is not None and screenshot is None:
        raise typer.BadParameter("--part belongs to --screenshot; in the window, scan or type the part id")
    options = ConsoleOptions(screenshot, "SCREENSHOT-1" if part is None else part, scan_prefix, scan_suffix.value)
    raise typer.Exit(start_console(rig, recipe, out, options))
