"""`station dataset`, `train`, `gloss` and `view-reference`: what a recipe learns about its product.

The work is `station.teach`; only `train` needs torch, and it is loaded when that command runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from station.commands.groups import command_group
from station.commands.options import ArchiveOption, JsonOption, OutOption
from station.commands.say import progress, say

dataset_app = command_group("Datasets of simulated or captured parts.")

ProductArgument = Annotated[str, typer.Argument(help="connector or knob.")]
MonoOption = Annotated[bool, typer.Option("--mono", help="Grey pictures, for recipes with a Mono pixel format.")]


def _color(mono: bool) -> Literal["rgb", "mono"]:
    return "mono" if mono else "rgb"


@dataset_app.command("simulate")
def dataset_simulate(
    product: ProductArgument,
    out: OutOption = Path("data"),
    good: Annotated[int, typer.Option(min=1, help="Good parts to train on.")] = 60,
    calibrate: Annotated[int, typer.Option(min=1, help="Good parts held out for limits.")] = 80,
    defective: Annotated[int, typer.Option(min=0, help="Defective test parts, mixed kinds; as many good ones.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another dataset.")] = 0,
    mono: MonoOption = False,
    as_json: JsonOption = False,
) -> None:
    """Render parts as the rig would see them and solve them as the station would."""
    from station.teach.training import simulate

    folder = simulate(product, out, good=good, calibrate=calibrate, defective=defective, seed=seed, color=_color(mono))
    say({"folder": str(folder)}, as_json, f"dataset: {folder}")


def train(
    product: ProductArgument,
    data: Annotated[Path, typer.Option(file_okay=False, help="Dataset folder; simulated if absent.")] = Path("data"),
    recipe: Annotated[
        Path | None,
        typer.Option(help="Recipe to receive model, limits and reference levels; default: the demo recipe."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; default: the trainer's.")] = None,
    mono: MonoOption = False,
    preset: Annotated[
        Literal["sound", "paper"],
        typer.Option(help="`paper` is the letter of the paper's equations 1 to 6, for comparisons: docs/cprn.md."),
    ] = "sound",
    as_json: JsonOption = False,
) -> None:
    """Train the product's model, export it, and write hash, limits and light levels into its recipe."""
    from station.teach import training

    report = training.train(product, data, recipe, steps, _color(mono), preset)
    say(report.as_dict(), as_json, report.as_text())


def gloss(
    inspection_id: Annotated[str, typer.Argument(help="An archived good part.")],
    recipe: Annotated[Path, typer.Option("--recipe", help="The recipe whose lights, heights and calibration hold.")],
    archive: ArchiveOption,
    as_json: JsonOption = False,
) -> None:
    """Find a satin product's broad highlight in its frames, and print the lines for the recipe."""
    from station.teach.gloss import teach_gloss

    report = teach_gloss(recipe, archive, inspection_id, progress)
    say(report.as_dict(), as_json, report.as_text())


def view_reference(
    recipe: Annotated[Path, typer.Argument(help="Receives the file's name and hash.")],
    inspection_ids: Annotated[
        list[str] | None, typer.Argument(help="Archived good parts; none: simulated ones.")
    ] = None,
    archive: Annotated[Path | None, typer.Option(help="The archive that holds them.")] = None,
    collection: Annotated[
        Path | None, typer.Option(help="A collection whose good training parts to take, in any placement.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from good parts what the fixture looks like: the judge proves camera and lamps with it."""
    from station.teach.view_reference import make_view_reference

    if bool(inspection_ids) != (archive is not None):
        raise typer.BadParameter("name inspection ids together with --archive, or neither for simulated parts")
    if collection is not None and archive is not None:
        raise typer.BadParameter("name either --archive or --collection")
    report = make_view_reference(recipe, archive, inspection_ids or [], collection)
    say(report.as_dict(), as_json, report.as_text())


def region(
    recipe: Annotated[Path, typer.Argument(help="Names the part reference that holds the regions.")],
    show: Annotated[Path | None, typer.Option(help="Folder for a picture and a mask per view.")] = None,
    mask: Annotated[list[str] | None, typer.Option("--set", help="VIEW=MASK.png, as often as wanted.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show where the part is in each view, or set it from edited masks."""
    from station.teach.region_pictures import set_regions, show_regions

    if (show is None) == (not mask):
        raise typer.BadParameter("give either --show DIR, or --set VIEW=MASK.png")
    if show is not None:
        files = [str(file) for file in show_regions(recipe, show)]
        say({"files": files}, as_json, "\n".join(files))
        return
    pairs = [text.partition("=") for text in mask or []]
    if not all(view and path for view, _, path in pairs):
        raise typer.BadParameter("--set takes VIEW=MASK.png")
    file = set_regions(recipe, {view: Path(path) for view, _, path in pairs})
    say({"file": str(file)}, as_json, f"{file}: {recipe} names it; train the model again, it learned the old region")
