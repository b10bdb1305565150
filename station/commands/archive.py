"""`station rejudge` and `station lights-trend`: what can be learned from the archive alone, without a rig."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import ArchiveOption, JsonOption
from station.commands.say import say

if TYPE_CHECKING:
    from station.archive import Archive


def rejudge(
    inspection_id: Annotated[str, typer.Argument(help="An archived inspection.")],
    archive: ArchiveOption,
    as_json: JsonOption = False,
) -> None:
    """Judge an archived inspection again, from the archive alone; ends with 1 if the verdict differs."""
    from station.judge.rejudge import rejudge as judge_again

    with _opened(archive) as store:
        report = judge_again(store, inspection_id)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.is_same else ExitCode.FOUND)


def lights_trend(
    archive: ArchiveOption,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many of the latest to look at.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Each light over the archived parts: residual against the others, and level; ends with 1 if one stands out."""
    from station.lights.trend import light_trends

    with _opened(archive) as store:
        report = light_trends(store.light_readings(limit))
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.FOUND if report.flagged else ExitCode.DONE)


def _opened(folder: Path) -> Archive:
    """The archive in `folder`, for reading: a station may write to it meanwhile. Raises ArchiveNotFound."""
    from station.archive import Archive

    if not folder.is_dir():
        raise typer.BadParameter(
            f"--archive {folder}: there is no such folder; give the `archive` folder below the --out of `inspect`"
        )
    return Archive.open(folder, read_only=True)
