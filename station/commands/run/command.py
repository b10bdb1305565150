"""`station run`: its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.commands.options import RecipeOption

DEFAULT_PORT = 9463  # a test holds it to `station.service.pages`


def run(
    rig: Annotated[Path, typer.Option("--rig", help="Rig file, as `station rig up` prints it.")],
    recipe: RecipeOption,
    archive: Annotated[Path, typer.Option("--archive", file_okay=False, help="Folder of the archive; made if absent.")],
    home: Annotated[
        bool, typer.Option("--home", help="Home the arm at the start. Without it nothing moves before `reset`.")
    ] = False,
    http: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of /health, /ready and /metrics on loopback; 0: any free one.")
    ] = DEFAULT_PORT,
    no_http: Annotated[bool, typer.Option("--no-http", help="Show no pages.")] = False,
    run_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for socket and address, for this user alone.")
    ] = None,
    tcp: Annotated[bool, typer.Option("--tcp", help="Listen on loopback with a token also where Unix sockets are.")] = (
        False
    ),
    log: Annotated[Path | None, typer.Option(help="Also write the log to this file, which is rotated.")] = None,
) -> None:
    """Run the engine as a service without a window; windows attach with `console --attach`, programs with `ctl`.

    Nothing is opened and nothing moves before a client asks for `reset`, or with --home. SIGTERM or Ctrl-C ends the
    running part at its next view, UNDECIDED, puts the lights out, and closes the devices. The log is JSON on stderr.
    """
    from station.commands.run.service import RunOptions, run_service

    run_service(RunOptions(rig, recipe, archive, home, None if no_http else http, run_dir, tcp, log))
