"""`station release`, `rollback`, `diff`, `models`, `retrain`: drafts become versions, and versions can be gone back to.

The work is `station.release`; `retrain` needs torch, which is loaded when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import JsonOption, PresetOption
from station.commands.say import say

RecipeArgument = Annotated[Path, typer.Argument(help="Recipe file; its releases lie in `releases` beside it.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why, for the record.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides; default: who is logged in.")]


def release(
    recipe: RecipeArgument,
    why: WhyOption,
    by: ByOption = "",
    collection: Annotated[
        Path | None, typer.Option(file_okay=False, help="Its defective test parts must not PASS.")
    ] = None,
    archive: Annotated[Path | None, typer.Option(help="Archive of the inspections named with --reference.")] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="An archived inspection for the reference set, as often as wanted.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="A part whose verdict may change or be wrong, as often as wanted.")
    ] = None,
    new_reference: Annotated[
        bool, typer.Option("--new-reference", help="Define the reference set anew, from --collection and --reference.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Run the gate alone, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the gate on a draft, write it as the next immutable version, make that active; ends with 1 if it fails."""
    from station.release.gate import Asked
    from station.release.releasing import release_recipe
    from station.teach.training import show_progress

    asked = Asked(collection, archive, tuple(reference or ()), tuple(accept or ()), new_reference)
    report = release_recipe(recipe, why, by, asked, show_progress, only_check=check)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.FOUND if report.is_refused else ExitCode.DONE)


def rollback(
    recipe: RecipeArgument,
    number: Annotated[int, typer.Argument(min=1, max=9999, help="The version to make active.")],
    why: WhyOption,
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make another version of a recipe active, once its files have the hashes of its release."""
    from station.release.releasing import roll_back

    report = roll_back(recipe, number, why, by)
    say(report.as_dict(), as_json, report.as_text())


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A recipe file, RECIPE@N, or a folder of releases.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    as_json: JsonOption = False,
) -> None:
    """What two recipes or versions differ in: fields, limits, files, model, and verdicts on known parts."""
    from station.release.diff import diff as compare

    report = compare(a, b)
    say(report.as_dict(), as_json, report.as_text())


def models(recipe: RecipeArgument, as_json: JsonOption = False) -> None:
    """List a recipe's versions: which is active, when, by whom and why each was released, and what the gate found."""
    from station.release.listing import versions_of

    report = versions_of(recipe)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.FOUND if report.damage else ExitCode.DONE)


def retrain(
    recipe: RecipeArgument,
    collection: Annotated[Path, typer.Option(file_okay=False, help="Receives the parts, and is trained on.")],
    archive: Annotated[Path, typer.Option(help="Archive with people's words (`station word`).")],
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; default: the trainer's.")] = None,
    disturbed: Annotated[
        int, typer.Option(min=0, max=1000, help="As of `station train`: held-out parts to judge under disturbances.")
    ] = 10,
    encoder: Annotated[str | None, typer.Option(help="As of `station train`.")] = None,
    preset: PresetOption = "sound",
    as_json: JsonOption = False,
) -> None:
    """Take people's words into the collection, train the next draft on it, and print which verdicts change."""
    from station.release.retrain import retrain as train_draft

    report = train_draft(
        recipe, collection, archive, steps=steps, disturbed=disturbed, encoder=encoder, preset_name=preset
    )
    say(report.as_dict(), as_json, report.as_text())
