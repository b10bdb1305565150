"""`station dataset`: sets of parts, simulated, from elsewhere or for elsewhere; what they hold."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from station.commands.groups import command_group
from station.commands.options import JsonOption, MonoOption, OutOption, color_of
from station.commands.say import say
from station.errors import BadInput

dataset_app = command_group("Data sets of simulated or captured parts: make, import, export, count, show.")

ProductArgument = Annotated[str, typer.Argument(help="connector, knob, or with --recipe any product or mesh file.")]
LayoutArgument = Annotated[
    str, typer.Argument(help="mvtec, visa, real-iad, real-iad-d3, real-iad-mvn or collection: docs/datasets.md.")
]
SetArgument = Annotated[
    Path, typer.Argument(help="A data set, a collection, a folder in a known layout, or a JSON file of Real-IAD.")
]


@dataset_app.command("simulate")
def dataset_simulate(
    product: ProductArgument,
    out: OutOption = Path("data"),
    good: Annotated[int, typer.Option(min=1, help="Good parts to train on.")] = 60,
    calibrate: Annotated[int, typer.Option(min=1, help="Good parts held out for limits.")] = 80,
    defective: Annotated[int, typer.Option(min=0, help="Defective test parts, mixed kinds; as many good ones.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another dataset.")] = 0,
    mono: MonoOption = False,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="The product's recipe; default: its demo recipe.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="A collection: raw frames, some parts off their seat.")] = False,
    depth: Annotated[
        bool,
        typer.Option("--depth", help="Views with exact depth of --good parts, on the rig as drawn: docs/depth.md."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Render parts as the rig would see them, and solve them as the station would, or keep the --raw frames."""
    from station.teach.training import show_progress, simulate, simulate_collection

    if depth:
        from station.depth.dataset import write_products

        if raw or mono or recipe is not None:
            raise BadInput("--depth takes neither --raw, --mono nor --recipe: it has viewpoints and lights of the rig")
        written = write_products(out / f"{Path(product).stem}-depth", {product: good}, seed, show_progress)
        say(asdict(written), as_json, written.as_text())
        return
    if raw:
        folder = simulate_collection(product, out, good, calibrate, defective, seed, color_of(mono), recipe)
        say({"folder": str(folder)}, as_json, f"collection: {folder}; next: station train --data {folder}")
        return

    folder = simulate(
        product,
        out,
        good=good,
        calibrate=calibrate,
        defective=defective,
        seed=seed,
        color=color_of(mono),
        recipe=recipe,
    )
    say({"folder": str(folder)}, as_json, f"dataset: {folder}")


@dataset_app.command("import")
def dataset_import(
    layout: LayoutArgument,
    folder: Annotated[Path, typer.Argument(help="The product's folder, or a JSON file of Real-IAD.")],
    out: Annotated[
        Path, typer.Option("--out", file_okay=False, help="The data set to write, or to add a collection to.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Read a set from elsewhere, with its masks, into a data set that also keeps its files; or join two collections."""
    from station.teach.exchange import import_from

    report = import_from(layout, folder, out)
    text = f"{report.as_text()}\nnext: station train --data {report.folder}"
    say(report.as_dict(), as_json, text)


@dataset_app.command("export")
def dataset_export(
    data: SetArgument,
    layout: LayoutArgument,
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="The folder to write the product's folder into.")],
    view: Annotated[str | None, typer.Option(help="One view alone; a layout of one view needs it.")] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Of a collection: the recipe that solves its frames.")
    ] = None,
    linear: Annotated[
        bool,
        typer.Option("--linear", help="Our own pictures as linear light of 16 bits, bit for bit; else sRGB, 8 bits."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a set, with its masks, in a layout that others read."""
    from station.teach.exchange import export_to

    report = export_to(data, layout, out, view=view, recipe=recipe, linear=linear)
    say(report.as_dict(), as_json, report.as_text())


@dataset_app.command("stats")
def dataset_stats(
    data: Annotated[Path, typer.Argument(help="A set of any kind, or a folder of several.")],
    figure: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A PNG to draw: the kinds of the paper's Figure 2.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count parts, pictures, views and kinds of defects, and measure masks as shares of their picture."""
    from station.teach.dataset_stats import stats_of
    from station.teach.dataset_stats_figure import draw_stats

    report = stats_of(data)
    if figure is not None:
        draw_stats(report, figure)
    say(report.as_dict(), as_json, report.as_text() + (f"\nwritten: {figure}" if figure else ""))


@dataset_app.command("sheet")
def dataset_sheet(
    data: Annotated[Path, typer.Argument(help="A set of any kind, or a folder of several.")],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="The PNG to write.")] = Path("sheet.png"),
    rows: Annotated[int, typer.Option(min=1, max=40, help="How many rows at most.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Draw a row for each product, or each kind of defect: a good part, then every view with normals and mask."""
    from station.teach.dataset_sheet import draw_sheet

    drawn = draw_sheet(data, out, rows)
    say({"file": str(out), "rows": list(drawn)}, as_json, f"written: {out} ({len(drawn)} rows)")
