"""`station calibrate teach` and `station calibrate viewpoints`: viewpoints taught, measured, and checked each shift."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from station.commands.calibrate_options import (
    BinningOption,
    BoardOption,
    DiffuseOption,
    DrawingOption,
    JsonOption,
    RigFileOption,
    RigOption,
    ViewsOption,
    ask,
)
from station.commands.exit_codes import ExitCode
from station.commands.say import progress, say

if TYPE_CHECKING:
    from station.calibrate.runs.opened_rig import BoardChoice


def viewpoints(
    rig: RigOption,
    check: Annotated[
        Path | None, typer.Option("--check", help="Drift check against this record, of `viewpoints` or `all`.")
    ] = None,
    views: ViewsOption = None,
    returns: Annotated[int, typer.Option(min=2, help="Visits to each viewpoint.")] = 4,
    board: BoardOption = None,
    diffuse_channel: DiffuseOption = None,
    reference: DrawingOption = None,
    binning: BinningOption = 4,
    out: Annotated[Path, typer.Option("--out", help="The record: written by calibration, never over another.")] = Path(
        "out/viewpoints.yaml"
    ),
    as_json: JsonOption = False,
) -> None:
    """Camera, its mount and every viewpoint from a board; ends with 1 if anything is flagged or has moved."""
    from station.calibrate.runs.opened_rig import BoardChoice
    from station.calibrate.runs.viewpoints import calibrate_viewpoints, refuse_existing
    from station.calibrate.viewpoints.taught_views import views_to_visit

    choice = BoardChoice(board, diffuse_channel, reference)
    if check is not None:
        _check(rig, check, choice, binning, as_json)
    refuse_existing(out)
    poses = views_to_visit(views)
    report = calibrate_viewpoints(rig, choice, poses, out, ask, progress, returns=returns, binning=binning)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.FOUND if report.flags else ExitCode.DONE)


def _check(rig: str, file: Path, choice: BoardChoice, binning: int, as_json: bool) -> NoReturn:
    """The drift check in place of a calibration."""
    from station.calibrate.runs.viewpoints import check_viewpoints

    report = check_viewpoints(rig, file, choice, ask, progress, binning=binning)
    say({**asdict(report), "accepted": report.accepted}, as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.accepted else ExitCode.FOUND)


def teach_by_jogging(
    rig: RigFileOption,
    out: Annotated[Path, typer.Option("--out", help="File of taught viewpoints; added to if it is there.")] = Path(
        "out/taught.yaml"
    ),
) -> None:
    """Move the arm step by step and keep viewpoints: a line per step on standard input, `quit` at the end."""
    from station.calibrate.viewpoints.taught_views import load_taught
    from station.calibrate.viewpoints.teach import teaching_session
    from station.rig.devices import open_rig
    from station.rig.owner import owned_rig

    load_taught(out)  # refused before a device is opened, and read again by the session
    lines = iter(sys.stdin.readline, "")
    with owned_rig(Path(rig), "station calibrate teach"), open_rig(Path(rig)) as station_rig:
        views = teaching_session(station_rig.arm, out, lines, progress, lambda text: print(text, flush=True))
    print(f"{len(views.viewpoints)} viewpoints in {out}")


def add_viewpoint_commands(app: typer.Typer) -> None:
    """Adds `teach` and `viewpoints`."""
    app.command("teach")(teach_by_jogging)
    app.command("viewpoints")(viewpoints)
