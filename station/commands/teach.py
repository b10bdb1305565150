"""`station train`, `limits`, `quantise`, `gloss`, `view-reference`: what a recipe learns about its product.

The work is `station.teach`; `train` needs torch and `quantise` onnx, which are loaded when these commands run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from station.commands.options import ArchiveOption, JsonOption, MonoOption, PresetOption, color_of
from station.commands.say import progress, say
from station.errors import BadInput


def train(
    product: Annotated[
        str | None,
        typer.Argument(
            help="connector, knob, crank or sheet; may be left out where --data names a collection or data set."
        ),
    ] = None,
    data: Annotated[
        Path,
        typer.Option(
            help="A collection (raw frames of parts), a data set, a folder in a layout of others "
            "(docs/datasets.md), or the folder of simulated ones, made if absent.",
        ),
    ] = Path("data"),
    recipe: Annotated[
        Path | None,
        typer.Option(help="Recipe to receive model, limits, references and tolerances; default: the demo recipe."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; default: the trainer's.")] = None,
    mono: MonoOption = False,
    preset: PresetOption = "sound",
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Adds the branch of nearest neighbours on this encoder: filterbank, efficientnet-lite0 (extra "
            "`pretrained`), dinov2:FOLDER or onnx:FILE."
        ),
    ] = None,
    disturbed: Annotated[
        int, typer.Option(min=0, max=1000, help="Held-out good parts of a collection to judge under every disturbance.")
    ] = 10,
    view_of: Annotated[
        list[str] | None,
        typer.Option(help="SETVIEW=RECIPEVIEW, as often as needed: a set from elsewhere calls its views otherwise."),
    ] = None,
    same_solver: Annotated[
        bool,
        typer.Option(
            "--same-solver",
            help="The normals of a set from elsewhere were solved as the recipe solves them; else they are left out.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the product's model, export it, and write hash, limits and light levels into its recipe."""
    from station.teach import training
    from station.teach.layouts.bring import is_from_elsewhere
    from station.teach.picture_training import train_on_pictures
    from station.teach.several_processes import help_along, is_first

    if not is_first():
        help_along()
        return
    is_foreign = is_from_elsewhere(data)
    if (view_of or same_solver) and not (is_foreign and recipe is not None):
        raise BadInput(
            f"--view-of and --same-solver join a set from elsewhere to a --recipe; {data} with "
            f"{recipe or 'no recipe'} needs none: leave them out"
        )
    if is_foreign and recipe is not None:
        data = training.made_for_recipe(
            data, recipe, _pairs(view_of or [], "--view-of takes SETVIEW=RECIPEVIEW"), same_solver=same_solver
        )
    elif is_foreign:
        pictures = train_on_pictures(data, steps, preset, encoder, training.show_progress)
        say(pictures.as_dict(), as_json, pictures.as_text())
        return
    report = training.train(product, data, recipe, steps, color_of(mono), preset, disturbed, encoder)
    say(report.as_dict(), as_json, report.as_text())


def limits(
    recipe: Annotated[Path, typer.Argument(help="Its model keeps the scores of the good parts that were held out.")],
    overkill: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Share of whole good parts that may FAIL, 0.01 for 1 %.")
    ] = 0.01,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="Of what the number of parts promises.")
    ] = 0.95,
    archive: Annotated[Path | None, typer.Option(help="Also: what of the inspections archived here.")] = None,
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many of the latest of these.")] = 100,
    write: Annotated[
        bool, typer.Option("--write", help="Put the limits into the recipe, and note the change.")
    ] = False,
    why: Annotated[str, typer.Option(help="Why, for the note.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Choose limits at a stated overkill of whole parts, with what the held-out parts promise; --write keeps them."""
    from station.teach.limits import choose_limits, risk_of

    report = choose_limits(recipe, risk_of(overkill, confidence), archive=archive, last=last, write=write, why=why)
    say(report.as_dict(), as_json, report.as_text())


def quantise(
    model: Annotated[Path, typer.Argument(dir_okay=False, help="A model file that `station train` wrote.")],
    data: Annotated[Path, typer.Option(file_okay=False, help="The data set with its held-out and test parts.")],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="The file to write.")],
    as_json: JsonOption = False,
) -> None:
    """Write a model in int8, if no held-out or test view is judged otherwise."""
    from station.teach.quantising import quantised

    report = quantised(model, data, out)
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
    report = make_view_reference(recipe, archive, inspection_ids or [], collection, progress)
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
    masks = _pairs(mask or [], "--set takes VIEW=MASK.png")
    file = set_regions(recipe, {view: Path(path) for view, path in masks.items()})
    say({"file": str(file)}, as_json, f"{file}: {recipe} names it; train the model again, it learned the old region")


def _pairs(texts: list[str], what: str) -> dict[str, str]:
    """NAME=VALUE, as often as wanted; BadParameter where one is no such pair, or a name comes twice."""
    pairs = [text.partition("=")[::2] for text in texts]
    if not all(name and value for name, value in pairs) or len(dict(pairs)) < len(pairs):
        raise typer.BadParameter(f"{what}, each name once")
    return dict(pairs)
