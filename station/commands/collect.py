"""`station collect`: its arguments, what it says of each part, and its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from station.commands.exit_codes import ExitCode
from station.commands.options import JsonOption
from station.commands.rig import MAXIMUM_SEED
from station.commands.say import say


def collect(
    recipe: Annotated[Path, typer.Argument(help="The product's recipe; it needs no model yet.")],
    collection: Annotated[Path, typer.Argument(file_okay=False, help="Folder of the collection; made if absent.")],
    inspection_ids: Annotated[list[str] | None, typer.Argument(help="With --from-archive: what to add.")] = None,
    rig: Annotated[Path | None, typer.Option("--rig", help="Rig file.")] = None,
    from_archive: Annotated[Path | None, typer.Option(help="Add inspections of this archive, by their ids.")] = None,
    part_id: Annotated[
        str | None, typer.Option("--part-id", help="Take the one part that lies in the fixture, and end.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="good (default), or the kind of the parts' defect.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="VIEW=X,Y,WIDTH,HEIGHT or VIEW=MASK.png: where the defect lies, if known.")
    ] = None,
    split: Annotated[
        Literal["train", "calibrate", "test"] | None,
        typer.Option(help="Default: good parts train and calibrate in turn, defective ones test."),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who says so; default: the user.")] = None,
    note: Annotated[str, typer.Option(help="What else should be kept.")] = "",
    count: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="How many parts; default: until `quit`, or 1 with --load.")
    ] = None,
    load: Annotated[
        str | None, typer.Option(help="Simulated rig: what `station rig load` takes, loaded before each capture.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAXIMUM_SEED, help="With --load: of the first part.")] = 1,
    defect: Annotated[
        list[str] | None, typer.Option("--defect", help="With --load: KIND or KIND:SEED; may be repeated.")
    ] = None,
    spread: Annotated[
        float, typer.Option(min=0, max=5, help="With --load: half of the parts lie up to so many mm, deg off the seat.")
    ] = 0.0,
    again: Annotated[bool, typer.Option("--again", help="Take parts anew that the collection holds.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take parts into a collection, each proven as an inspection is; a bad capture is refused with its reason.

    Without --part-id, --load or --from-archive it asks for part after part: put it in, type its id or nothing, press
    Enter; `quit` ends. Ends with 1 if a capture was refused: nothing of it was added.
    """
    from station.commands.collecting import Asked, collect_parts

    modes = {"--part-id": part_id, "--load": load, "--from-archive": from_archive}
    given = [name for name, value in modes.items() if value is not None]
    if len(given) > 1:
        raise typer.BadParameter(f"name one of {' and '.join(given)}")
    if (from_archive is not None) != bool(inspection_ids):
        raise typer.BadParameter("name inspection ids together with --from-archive ARCHIVE")
    if (rig is None) != (from_archive is not None):
        raise typer.BadParameter("name the rig with --rig, or an archive with --from-archive, and not both")
    if defect and load is None:
        raise typer.BadParameter("--defect is what the simulated rig puts on a part: name the part with --load")
    if spread and load is None:
        raise typer.BadParameter("--spread is how the simulated rig puts a part down: name the part with --load")
    asked = Asked(
        recipe, collection, rig, from_archive, tuple(inspection_ids or ()), part_id, kind, tuple(where or ()), split,
        by, note, count, load, seed, tuple(defect or ()), spread, again,
    )  # fmt: skip
    report = collect_parts(asked)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.FOUND if report.refused else ExitCode.DONE)
