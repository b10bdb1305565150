"""`station console`: its arguments and its exit code."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from station.commands.options import AddressOption, OutOption, TakeoverOption


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
    attach: Annotated[
        bool, typer.Option("--attach", help="Open the window on the running service (`station run`) instead.")
    ] = False,
    address: AddressOption = None,
    takeover: TakeoverOption = False,
    look_on: Annotated[bool, typer.Option("--look-on", help="With --attach: never become the operator.")] = False,
) -> None:
    """Open the operator's window. Nothing moves before RESET is pressed in it."""
    from station.commands.console.window import ConsoleOptions, attach_console, start_console

    if part is not None and screenshot is None:
        raise typer.BadParameter("--part belongs to --screenshot; in the window, scan or type the part id")
    options = ConsoleOptions(screenshot, "SCREENSHOT-1" if part is None else part, scan_prefix, scan_suffix.value)
    if not attach and (address is not None or takeover or look_on):
        raise typer.BadParameter("--address, --takeover and --look-on belong to --attach")
    if attach:
        if rig is not None or recipe is not None:
            raise typer.BadParameter("--attach takes rig and recipe of the service: leave --rig and --recipe out")
        raise typer.Exit(attach_console(address, options, takes_over=takeover, only_looks_on=look_on))
    raise typer.Exit(start_console(rig, recipe, out, options))
