"""`station calibrate`: its commands and their arguments; what they do lives beside this file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from station.calibrate.sphere_folder import SphereKind
from station.exit_codes import ExitCode

calibrate_app = typer.Typer(
    help="Camera, lights, sensor, viewpoints: measured, with their uncertainties.", no_args_is_help=True
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def say(document: Any, as_json: bool, text: str) -> None:
    print(json.dumps(document, indent=2, default=str) if as_json else text)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@calibrate_app.command()
def lights(
    folder: Annotated[
        Path, typer.Argument(help="Folder with filenames.txt, mask.png (the sphere), one picture per light.")
    ],
    sphere: Annotated[SphereKind, typer.Option(help="What the sphere is.")] = "mirror",
    second: Annotated[
        Path | None, typer.Option(help="The other kind of sphere under the same lights, for an independent estimate.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Directions of the lights from photographs of a sphere; ends with 1 if anything is flagged."""
    from station.calibrate.sphere_folder import calibrate_lights_folder

    report = calibrate_lights_folder(folder, sphere, second)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.is_clean else ExitCode.FOUND)
