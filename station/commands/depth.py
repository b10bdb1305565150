"""`station depth`: heights of views by integration or by a model, the model's training and data, and sheets."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from station.commands.groups import command_group
from station.commands.options import JsonOption, OutOption
from station.commands.say import progress, say
from station.errors import BadInput

ABOUT = "Depth of a view: integrated from its normals, or by a trained model; `station depth FOLDER --out DIR`."
depth_app = command_group(ABOUT, default="of")

MethodOption = Annotated[
    Literal["integrate", "generate", "residual"],
    typer.Option(help="integrate: from the normals alone; generate, residual: by a model (extra `generative`)."),
]
StepsOption = Annotated[int, typer.Option(min=1, max=1000, help="Of the sampler (DDIM).")]
SamplesOption = Annotated[int, typer.Option(min=2, max=64, help="Whose spread is the standard deviation.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Another seed gives other random numbers.")]


@depth_app.command("of")
def depth_of(
    source: Annotated[
        str, typer.Argument(help="Folder of photographs or of views with depth; with --archive an inspection's id.")
    ],
    out: OutOption,
    method: MethodOption = "integrate",
    model: Annotated[Path | None, typer.Option(dir_okay=False, help="Model file of `station depth train`.")] = None,
    archive: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder of the archive, as `inspect` writes it.")
    ] = None,
    mm_per_px: Annotated[
        float | None, typer.Option(help="Photographs: size of a pixel on the part; heights are in pixels without.")
    ] = None,
    split: Annotated[
        Literal["train", "calibrate", "test"], typer.Option(help="Of a folder of views with depth.")
    ] = "test",
    steps: StepsOption = 10,
    samples: SamplesOption = 4,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write the depth of each view: 16-bit PNG, uncertainty or reliability, a picture with colour bars, and PLY."""
    from station.depth.run import DepthChoice, depth_of_source

    choice = DepthChoice(method, model, steps, samples, seed)
    report = depth_of_source(source, out, choice, progress, archive=archive, mm_per_px=mm_per_px, split=split)
    say(report.as_dict(), as_json, report.as_text())


@depth_app.command("data")
def depth_data(
    out: OutOption,
    train: Annotated[int, typer.Option(min=0, help="Random reliefs to train on.")] = 160,
    calibrate: Annotated[int, typer.Option(min=0, help="Reliefs held out for the spread.")] = 96,
    test: Annotated[int, typer.Option(min=0, help="Reliefs to test on.")] = 24,
    size: Annotated[int, typer.Option(min=16, max=256, help="Of a patch, in pixels.")] = 128,
    side: Annotated[int, typer.Option(min=1, max=8, help="Patches along and across a relief.")] = 1,
    seed: SeedOption = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: the cores.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write random reliefs with exact depth, photographed and solved: data to train a depth model on."""
    from station.depth.dataset import write_reliefs
    from station.depth.generated import ReliefPatches
    from station.teach.training import show_progress

    reliefs = {"train": train, "calibrate": calibrate, "test": test}
    if not any(reliefs.values()):
        raise BadInput("--train, --calibrate and --test are all 0: nothing to write")
    count = workers or os.cpu_count() or 1
    report = write_reliefs(out, reliefs, seed, ReliefPatches(size, side), count, show_progress)
    say(asdict(report), as_json, report.as_text())


@depth_app.command("train")
def depth_train(
    data: Annotated[Path, typer.Argument(file_okay=False, help="Folder of `station depth data`.")],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="Model file to write.")],
    form: Annotated[
        Literal["residual", "literal"],
        typer.Option(help="residual: what integration misses; literal: depth from scratch, as the paper has it."),
    ] = "residual",
    head: Annotated[
        Literal["diffusion", "slopes"] | None,
        typer.Option(
            help="diffusion: the paper's; slopes: a regression of what the normals miss, residual alone. "
            "Default: slopes, or diffusion for the literal form."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="Training steps.")] = 2500,
    seed: SeedOption = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the generative depth model (extra `generative`); the same seed gives the same model."""
    from station.depth.model_half import train_depth

    head = head or ("slopes" if form == "residual" else "diffusion")
    train_depth(data, out, form, head, seed, steps, resume, progress)
    say({"model": str(out), "form": form, "head": head}, as_json, f"{out}: trained, form {form}, head {head}")


@depth_app.command("calibrate")
def depth_calibrate(
    model: Annotated[Path, typer.Argument(dir_okay=False, help="Model file of `station depth train`.")],
    data: Annotated[
        Path, typer.Argument(file_okay=False, help="Folder of `station depth data` with held-out reliefs.")
    ],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="Model file to write; may be MODEL.")],
    as_json: JsonOption = False,
) -> None:
    """Calibrate the uncertainty of a trained model again, on other or on more held-out reliefs."""
    from station.depth.model_half import calibrate_depth, uncertainty_of

    calibrate_depth(model, data, out, progress)
    found = uncertainty_of(out)
    say({"model": str(out), "uncertainty": found}, as_json, f"{out}: {found}")


@depth_app.command("export")
def depth_export(
    model: Annotated[Path, typer.Argument(dir_okay=False, help="Model file of `station depth train`.")],
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Write a trained model's networks as ONNX graphs, which onnxruntime must reproduce; for other programs."""
    from station.depth.model_half import export_depth

    found = export_depth(model, out)
    lines = [f"{out / name}.onnx: differs from torch by {100 * share:.2g} %" for name, share in found.items()]
    say({"folder": str(out), "differences": found}, as_json, "\n".join(lines))


@depth_app.command("sheet")
def depth_sheet(
    folders: Annotated[
        list[Path],
        typer.Argument(file_okay=False, help="comparison: views with depth; overview: data sets."),
    ],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="Picture to write (.png).")],
    figure: Annotated[
        Literal["comparison", "overview"],
        typer.Option(help="comparison: after the paper's Figures A1 and A2; overview: after A3."),
    ] = "comparison",
    rows: Annotated[int, typer.Option(min=1, max=40, help="comparison: views to show.")] = 6,
    generate: Annotated[Path | None, typer.Option(dir_okay=False, help="comparison: literal form.")] = None,
    residual: Annotated[Path | None, typer.Option(dir_okay=False, help="comparison: residual form.")] = None,
    steps: StepsOption = 10,
    samples: SamplesOption = 4,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Draw a sheet after the figures of the paper's appendices, from our own data."""
    from station.depth.model_half import Method
    from station.depth.run import DepthChoice
    from station.depth.sheets import comparison_sheet, overview_sheet
    from station.report.figure_grid import write_picture

    if figure == "overview":
        picture = overview_sheet(folders)
    else:
        if len(folders) != 1:
            raise BadInput(f"{len(folders)} folders were given, and a comparison shows one: name one")
        given: dict[Method, Path | None] = {"generate": generate, "residual": residual}
        models = {method: model for method, model in given.items() if model is not None}
        picture = comparison_sheet(folders[0], models, rows, DepthChoice(steps=steps, samples=samples, seed=seed))
    write_picture(picture, out)
    say({"file": str(out)}, as_json, f"written to {out}")
