"""`station history`, `rejudge` and `lights-trend`: what can be learned from the archive alone, without a rig."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import ArchiveOption, JsonOption
from station.commands.say import say
from station.inspection.part_id import visible

if TYPE_CHECKING:
    from station.archive import Archive
    from station.inspection.result import HistoryRow

LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=1_000_000, help="How many of the latest inspections to look at.")
]
HEADINGS = ("time (UTC)", "verdict", "part", "deciding view", "inspection")


def history(
    archive: ArchiveOption,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many, the latest.")] = 50,
    part: Annotated[str | None, typer.Option("--part", help="Only of this part.")] = None,
    verdict: Annotated[
        Literal["PASS", "FAIL", "UNDECIDED"] | None, typer.Option("--verdict", help="Only with this verdict.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List archived inspections, the latest first: id, part, verdict, time, deciding view, simulated or not."""
    from station.inspection.result import Verdict

    wanted = None if verdict is None else Verdict(verdict)
    with _opened(archive) as store:
        rows = store.history(limit, part_id=part, verdict=wanted)
    say([_as_dict(row) for row in rows], as_json, _table(rows) if rows else f"{archive}: no such inspection")


def word(
    archive: Annotated[Path, typer.Argument(help="Folder of the archive, as `inspect` writes it.")],
    inspection_id: Annotated[str, typer.Argument(help="An archived inspection.")],
    said: Annotated[
        Literal["confirmed", "false-call", "missed", "cannot-tell"],
        typer.Argument(
            metavar="WORD", help="confirmed, false-call (it is good), missed (it is defective), cannot-tell."
        ),
    ],
    by: Annotated[str, typer.Option("--by", help="Who judged the part.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    as_json: JsonOption = False,
) -> None:
    """Store a person's word on an archived part beside the machine's verdict; `retrain` learns from it."""
    from station.archive.store import DATABASE
    from station.archive.words import give_word
    from station.inspection.words import Word

    given = give_word(archive / DATABASE, inspection_id, Word(said), by, reason)
    text = f"{inspection_id}: {given.word.value}, says {given.by}; the machine's verdict stays as it is"
    say({"inspection_id": inspection_id, **given.as_dict()}, as_json, text)


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


def lights_trend(archive: ArchiveOption, limit: LimitOption = 1000, as_json: JsonOption = False) -> None:
    """Each light over the archived parts: residual against the others, and level; ends with 1 if one stands out."""
    from station.lights.trend import light_trends

    with _opened(archive) as store:
        report = light_trends(store.light_readings(limit))
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.FOUND if report.flagged else ExitCode.DONE)


def _opened(folder: Path) -> Archive:
    """The archive in `folder`, for reading: a station may write to it meanwhile. Raises ArchiveNotFound."""
    from station.archive import Archive

    return Archive.open(folder, read_only=True)


def _as_dict(row: HistoryRow) -> dict[str, object]:
    return {
        "inspection_id": row.inspection_id,
        "part_id": row.part_id,
        "verdict": row.verdict.value,
        "creation_time": row.creation_time.isoformat(),
        "deciding_view": row.deciding_view,
        "is_simulated": row.is_simulated,
        "folder": row.folder,
        "is_draft": row.is_draft,
        "is_thinned": row.is_thinned,
        "words": [word.as_dict() for word in row.words],
    }


def _table(rows: list[HistoryRow]) -> str:
    """A line per inspection under headings, each column as wide as its widest text."""
    cells = [HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join(
        [lines[0], *(entry for line, row in zip(lines[1:], rows, strict=True) for entry in (line, *_said(row)))]
    )


def _said(row: HistoryRow) -> list[str]:
    """A line for each word that a person gave on the part."""
    return [
        f"    {word.word.value}, says {visible(word.by)} ({word.when:%Y-%m-%d %H:%M}): {visible(word.reason)}"
        for word in row.words
    ]


def _cells(row: HistoryRow) -> tuple[str, ...]:
    marks = ("  simulated" if row.is_simulated else "") + ("  DRAFT" if row.is_draft else "")
    marks += "  thinned" if row.is_thinned else ""
    return (
        f"{row.creation_time:%Y-%m-%d %H:%M:%S}",
        row.verdict.value,
        visible(row.part_id),
        visible(row.deciding_view or "-"),
        row.inspection_id + marks,
    )
