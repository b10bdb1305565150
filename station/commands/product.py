"""`station product new`: a product's first recipe, by questions on a terminal or all by options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from station.commands.calibrate_options import checked_binning
from station.commands.groups import command_group
from station.commands.options import JsonOption
from station.commands.say import progress, say

product_app = command_group("A product of your own: its first recipe.")


@product_app.callback(help="A product of your own: its first recipe.")
def product() -> None:
    """Keeps `new` a command of its own while it is the only one."""


@product_app.command("new")
def product_new(
    name: Annotated[str | None, typer.Argument(help="Of the product: small letters, digits, dashes.")] = None,
    rig: Annotated[Path | None, typer.Option("--rig", help="Rig file.")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Record of `station calibrate all`, or the drawing of a simulated rig.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml. Never overwritten.")] = None,
    viewpoints: Annotated[
        Path | None, typer.Option(help="File of `station calibrate teach`; the five of the rig without it.")
    ] = None,
    channel: Annotated[
        list[int] | None, typer.Option(min=1, max=255, help="Of a light to use, may be repeated; default: all.")
    ] = None,
    pixel_format: Annotated[
        Literal["Mono8", "Mono12", "BayerRG8", "BayerRG12"], typer.Option(help="Of the camera.")
    ] = "BayerRG12",
    binning: Annotated[int, typer.Option(callback=checked_binning, help="1, 2, 4 or 8.")] = 8,
    gain_db: Annotated[float, typer.Option(min=0, max=48, help="Of the camera.")] = 0.0,
    brightness: Annotated[float, typer.Option(min=0.01, max=1, help="Of every light.")] = 1.0,
    plane_height: Annotated[
        list[str] | None,
        typer.Option(help="VIEW=MM: the part's mean height over the target plane, toward that view's camera."),
    ] = None,
    look: Annotated[
        bool, typer.Option("--look/--no-look", help="Choose exposures on the good part in the fixture.")
    ] = True,
    gloss: Annotated[bool, typer.Option("--gloss/--no-gloss", help="Measure the part's broad highlight too.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Begin a product: a recipe whose exposures suit the good part in the fixture, and what is left to do."""
    from station.product.choice import ProductChoice, check_product_name, refuse_existing
    from station.product.new_recipe import new_product

    name = check_product_name(name or _asked("NAME", "Name of the product"))
    rig = rig or Path(_asked("--rig", "Rig file", "out/rig/rig.yaml"))
    calibration = calibration or Path(_asked("--calibration", "Calibration record of the rig"))
    if recipe is None:
        recipe = Path(_asked("--recipe", "Recipe to write", f"{name}.yaml") if _is_terminal() else f"{name}.yaml")
    refuse_existing(recipe)
    if viewpoints is None and _is_terminal():
        taught = _asked("--viewpoints", "File of taught viewpoints (empty: the five of the rig)", "")
        viewpoints = Path(taught) if taught else None
    heights = _heights(plane_height or [])
    choice = ProductChoice(
        name, recipe, rig, calibration, viewpoints, tuple(channel or ()), pixel_format, binning, gain_db, brightness,
        heights,
    )  # fmt: skip
    if look and _is_terminal():
        typer.prompt("Put a good part into the fixture. Then press Enter", default="", show_default=False, err=True)
    report = new_product(choice, progress, look=look, gloss=gloss)
    say(report.as_dict(), as_json, report.as_text())


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _asked(option: str, question: str, default: str | None = None) -> str:
    """The answer of a person; where there is none to ask, the option must be given."""
    if not _is_terminal():
        raise typer.BadParameter(f"{option} is missing ({question}): give it, or call this on a terminal")
    return str(typer.prompt(question, default=default, err=True)).strip()


def _heights(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        view, _, height = text.partition("=")
        try:
            found[view] = float(height)
        except ValueError:
            raise typer.BadParameter(f"--plane-height {text!r}: expected VIEW=MM") from None
        if not -100 <= found[view] <= 100:
            raise typer.BadParameter(f"--plane-height {text!r}: must lie between -100 and 100 mm")
    return found
