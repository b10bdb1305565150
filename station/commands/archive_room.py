"""`station archive`: its room, what the retention removes, whether its records are whole, and which parts stay."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from station.commands.exit_codes import ExitCode
from station.commands.groups import command_group
from station.commands.options import ArchiveOption, JsonOption
from station.commands.say import printable, say
from station.errors import BadInput

if TYPE_CHECKING:
    from station.archive import Archive
    from station.archive.thinning import Candidate, ThinReport

ABOUT = "The archive's room: days left, raw frames that may go, parts that stay, records that are whole."
archive_app = command_group(ABOUT)


@archive_app.command("room")
def archive_room(archive: ArchiveOption, as_json: JsonOption = False) -> None:
    """Free disk, growth, and days left; ends with 1 from the first watermark on."""
    from station.archive import Archive
    from station.archive.outlook import Mark

    with Archive.open(archive, read_only=True) as store:
        found = store.housekeeping.outlook()
    say(found.as_dict(), as_json, found.as_text())
    raise typer.Exit(ExitCode.DONE if found.mark is Mark.WELL else ExitCode.FOUND)


@archive_app.command("thin")
def archive_thin(
    archive: ArchiveOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go, and how much room it gives.")] = (
        False
    ),
    whatever_age: Annotated[
        bool, typer.Option("--whatever-age", help="As on a full disk: also what is younger than kept_days.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove raw frames of PASS by the archive's rule. A running station does this by itself."""
    from station.archive import Archive

    with Archive.open(archive, read_only=dry_run, purpose="a thinning") as store:
        if dry_run:
            found = store.housekeeping.would_thin(is_disk_full=whatever_age)
            say(*_would_go(archive, store, found, whatever_age=whatever_age, as_json=as_json))
            return
        for note in store.notes:
            print(f"archive: {printable(note)}", file=sys.stderr)
        report = _thinned(store, whatever_age=whatever_age)
    text = f"{archive}: raw frames of {report.parts} PASS removed, {report.bytes / 1e6:.1f} MB"
    say(
        {"parts": report.parts, "bytes": report.bytes, "problems": report.problems},
        as_json,
        "\n".join([text, *(f"  not thinned: {problem}" for problem in report.problems)]),
    )
    raise typer.Exit(ExitCode.FAULT if report.problems else ExitCode.DONE)


@archive_app.command("verify")
def archive_verify(
    archive: ArchiveOption,
    inspections: Annotated[list[str] | None, typer.Argument(help="Archived inspections; default: the latest.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="How many of the latest.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Check every file against its hash; a thinned part is whole where all the rest is. Ends with 1 if one is not."""
    from station.archive import Archive

    with Archive.open(archive, read_only=True) as store:
        rows = [] if inspections else store.history(limit)
        names = inspections or [row.inspection_id for row in rows]
        found = {name: (store.verify(name), store.thinned_sentence(name)) for name in names}
    damaged = {name: problems for name, (problems, _) in found.items() if problems}
    lines = [f"{name}: {problem}" for name, problems in damaged.items() for problem in problems]
    lines += [f"{name}: whole; {mark}" for name, (problems, mark) in found.items() if mark and not problems]
    lines.append(f"{archive}: {len(found) - len(damaged)} of {len(found)} records are whole")
    facts = {name: {"problems": problems, "thinned": mark} for name, (problems, mark) in found.items()}
    say(facts, as_json, "\n".join(lines))
    raise typer.Exit(ExitCode.FOUND if damaged else ExitCode.DONE)


@archive_app.command("pin")
def archive_pin(
    archive: ArchiveOption,
    inspections: Annotated[
        list[str] | None, typer.Argument(help="Archived inspections whose raw frames must stay.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who or what needs these inspections.")] = None,
    named_by: Annotated[
        list[Path] | None,
        typer.Option("--named-by", help="Folder: all that releases and collections below it name; may be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep the raw frames of these parts for good. Releases and collections pin what they name by themselves."""
    from station.release.named import named_below

    named = {name: why for folder in named_by or () for name, why in named_below(folder).items()}
    asked = dict.fromkeys(inspections or (), (by or "").strip())
    if asked and not all(asked.values()):
        raise BadInput("--by is empty: say who or what needs these inspections")
    if not asked and not named_by:
        raise BadInput("no part is named: name inspections, or a folder with --named-by")
    gone, elsewhere = _pinned(archive, asked, named)
    pinned = len({**named, **asked}) - len(gone) - len(elsewhere)
    lines = [f"{name}: its raw frames were removed before" for name in gone]
    lines.append(f"{archive}: {pinned} parts keep their raw frames; {len(elsewhere)} that are named lie elsewhere")
    say({"pinned": pinned, "thinned_before": gone, "elsewhere": elsewhere}, as_json, "\n".join(lines))
    raise typer.Exit(ExitCode.FOUND if gone else ExitCode.DONE)


def _pinned(archive: Path, asked: dict[str, str], named: dict[str, str]) -> tuple[list[str], list[str]]:
    """Pin inspection -> why; returns those that were thinned before, and the named ones that another archive holds.

    Raises InspectionNotFound for one that was asked for and is not there.
    """
    from station.archive.errors import InspectionNotFound
    from station.archive.pins import pin
    from station.archive.store import DATABASE

    gone, elsewhere = [], []
    for name, why in (*asked.items(), *named.items()):
        try:
            gone += pin(archive / DATABASE, [name], why)
        except InspectionNotFound:
            if name in asked:
                raise
            elsewhere.append(name)
    return gone, elsewhere


def _thinned(store: Archive, *, whatever_age: bool) -> ThinReport:
    keeping = store.housekeeping
    return keeping.thin(is_disk_full=lambda: whatever_age or keeping.is_to_be_thinned())


def _would_go(
    archive: Path, store: Archive, found: list[Candidate], *, whatever_age: bool, as_json: bool
) -> tuple[dict[str, object], bool, str]:
    size = sum(candidate.bytes for candidate in found)
    rule = store.housekeeping.retention.rule_text(is_disk_full=whatever_age)
    lines = [
        f"{archive}: {rule}",
        f"{len(found)} PASS would lose their raw frames, {size / 1e6:.1f} MB; nothing is done",
    ]
    if found:
        lines.append(f"  the oldest {found[0].inspection_id}, the youngest {found[-1].inspection_id}")
    facts: dict[str, object] = {
        "rule": rule, "parts": len(found), "bytes": size, "inspections": [each.inspection_id for each in found],
    }  # fmt: skip
    return facts, as_json, "\n".join(lines)
