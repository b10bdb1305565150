"""`station check`: its arguments and its exit code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import JsonOption
from station.commands.say import say


def check(
    rig: Annotated[
        Path | None, typer.Option("--rig", help="Also open this rig's devices; nothing moves or lights.")
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Home the arm, go to the middle of each axis, show each light to the camera.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what this machine lacks and what to do about it; with --rig, also what the rig's devices are and can do."""
    from station.commands.check.machine import check_machine
    from station.commands.check.rig import check_rig

    if move and rig is None:
        raise typer.BadParameter("--move was given without a rig: name the one to move with --rig FILE")
    findings = check_machine() + (check_rig(rig, move=move) if rig is not None else [])
    say([asdict(f) for f in findings], as_json, "\n".join(f.as_text() for f in findings))
    raise typer.Exit(ExitCode.DONE if all(f.ok for f in findings) else ExitCode.FOUND)
