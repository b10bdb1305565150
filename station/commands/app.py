"""`station`: every command, its arguments and its exit code; what the commands do lives elsewhere.

Exit codes: 0 done; 1 the part failed or the check found something; 2 bad input; 3 rig or machine fault.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from station.commands.calibrate import calibrate_app
from station.commands.exit_codes import ExitCode, run_guarded
from station.photometric_stereo.settings import Method

app = typer.Typer(
    help="Facet: acquisition and inspection station.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
rig_app = typer.Typer(help="The simulated rig: start it, load a part, inject a fault.", no_args_is_help=True)
dataset_app = typer.Typer(help="Datasets of simulated or captured parts.", no_args_is_help=True)
app.add_typer(rig_app, name="rig")
app.add_typer(dataset_app, name="dataset")
app.add_typer(calibrate_app, name="calibrate")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
FolderOption = Annotated[Path, typer.Option("--folder", help="The rig's folder, where its endpoints are.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for results; made if absent.")]

MonoOption = Annotated[bool, typer.Option("--mono", help="Grey pictures, for recipes with a Mono pixel format.")]

DEFAULT_RIG_FOLDER = Path("out/rig")


def say(document: Any, as_json: bool, text: str) -> None:
    """The one place that prints a result: JSON for machines, text for people."""
    print(json.dumps(document, indent=2, default=str) if as_json else text)


@app.callback()
def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the devices say.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.CRITICAL,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )


@app.command()
def demo(
    out: OutOption = Path("out/demo"),
    full: Annotated[bool, typer.Option("--full", help="At 5472 x 3648 Mono8, 25 frames per part.")] = False,
    product: Annotated[str, typer.Option(help="Which demo product.")] = "connector",
    console: Annotated[bool, typer.Option(help="Open the console at the end, where there is a screen.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Inspect three simulated parts: a good one, one scratched on a side wall, one with a dead light."""
    from station.commands.demo import run_demo

    report = run_demo(
        out,
        product=product,
        full=full,
        progress=lambda text: print(text, file=sys.stderr if as_json else sys.stdout, flush=True),
    )
    say(report.as_dict(), as_json, report.closing_text())
    if console and not as_json:
        from station.commands.demo import open_console_where_possible

        open_console_where_possible(out, report)
    raise typer.Exit(ExitCode.DONE if report.as_promised else ExitCode.FOUND)


@rig_app.command("up")
def rig_up(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML of the simulated rig; default: the demo rig. `--show-config` prints one."),
    ] = None,
    lights: Annotated[str | None, typer.Option(help="Light controller: gardasoft, ccs ...")] = None,
    arm: Annotated[str | None, typer.Option(help="Motion controller: grbl ...")] = None,
    line: Annotated[str | None, typer.Option(help="Serial lines: pty, or socket.")] = None,
    stepping: Annotated[str | None, typer.Option(help="Lights are stepped by software, or by strobe.")] = None,
    show_config: Annotated[bool, typer.Option("--show-config", help="Print the whole configuration and end.")] = False,
    folder: FolderOption = DEFAULT_RIG_FOLDER,
) -> None:
    """Run the simulated rig in the foreground; prints the rig file with its endpoints. Ctrl-C ends it."""
    from station.rig.simulated import config_text, configure, run_in_foreground

    settings = configure(config, lights_kind=lights, arm_kind=arm, line_kind=line, stepping=stepping)
    if show_config:
        print(config_text(settings), end="")
        return
    run_in_foreground(folder, settings)


@rig_app.command("load")
def rig_load(
    product: Annotated[str, typer.Argument(help="connector, knob, or a target such as sphere_diffuse.")],
    seed: Annotated[int, typer.Option(help="Which individual part.")] = 1,
    defect: Annotated[list[str] | None, typer.Option("--defect", help="KIND or KIND:SEED; may be repeated.")] = None,
    folder: FolderOption = DEFAULT_RIG_FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Put a part into the running simulated rig's fixture."""
    from drivers.simulated.control import RigControl

    answer = RigControl(folder).load(product, seed, tuple(_defect(d, seed) for d in defect or ()))
    say(answer, as_json, f"loaded {answer['loaded']}")


def _defect(text: str, seed: int) -> tuple[str, int]:
    kind, _, own = text.partition(":")
    try:
        return kind, int(own) if own else seed
    except ValueError:
        raise typer.BadParameter(f"--defect {text!r}: expected KIND or KIND:SEED with a whole number") from None


@rig_app.command("inject")
def rig_inject(
    fault: Annotated[str | None, typer.Argument(help="DEVICE.NAME, such as lights.light_dead, or `ambient`.")] = None,
    arguments: Annotated[list[str] | None, typer.Argument(help="What the fault needs, such as a channel.")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Print every fault of this rig with its arguments.")] = False,
    folder: FolderOption = DEFAULT_RIG_FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Inject a fault into the running simulated rig."""
    from drivers.simulated.control import RigControl

    control = RigControl(folder)
    if list_all:
        faults: dict[str, str] = control.call("faults")["faults"]
        say(faults, as_json, "\n".join(f"{name} {words}".rstrip() for name, words in faults.items()))
        return
    if fault is None:
        raise typer.BadParameter("say which fault, or --list for all that this rig has")
    answer = control.inject(fault, *(arguments or ()))
    say(answer, as_json, str(answer["injected"]))


@app.command()
def check(
    rig: Annotated[
        Path | None, typer.Option("--rig", help="Also open this rig's devices; nothing moves or lights.")
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Home the arm, go to the middle of each axis, show each light to the camera.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say in plain words what is missing on this machine, or what a rig's devices are and can do."""
    from station.commands.check_machine import check_machine
    from station.commands.check_rig import check_rig

    if move and rig is None:
        raise typer.BadParameter("--move needs --rig FILE: which rig is to move?")
    findings = check_machine() + (check_rig(rig, move=move) if rig is not None else [])
    say([asdict(f) for f in findings], as_json, "\n".join(f.as_text() for f in findings))
    raise typer.Exit(ExitCode.DONE if all(f.ok for f in findings) else ExitCode.FOUND)


@app.command()
def inspect(
    rig: Annotated[Path, typer.Option("--rig", help="Rig file, as `station rig up` prints it.")],
    recipe: Annotated[Path, typer.Option("--recipe", help="Recipe file.")],
    part: Annotated[str, typer.Option("--part", help="The part's id or serial number.")],
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Inspect the part that lies in the fixture; archive it; write its contact sheet."""
    from station.commands.inspect import inspect_part

    report = inspect_part(rig, recipe, part, out)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(report.exit_code)


@app.command()
def plan(
    recipe: Annotated[Path, typer.Option("--recipe", help="Recipe file.")],
    as_json: JsonOption = False,
) -> None:
    """Check a recipe with all that it refers to, and print its plan: every frame, before any device is touched."""
    from station.acquire.plan import format_plan, make_plan
    from station.recipe.loaded import load_recipe

    steps = make_plan(load_recipe(recipe).recipe)
    say([asdict(step) for step in steps], as_json, format_plan(steps))


@app.command()
def solve(
    folder: Annotated[Path, typer.Argument(help="Folder with filenames.txt, light_directions.txt, mask.png.")],
    out: OutOption,
    method: Annotated[Method, typer.Option(help="Solver.")] = "ls",
    lights: Annotated[str | None, typer.Option(help="Only these: names or file names, separated by commas.")] = None,
    height: Annotated[bool, typer.Option("--height", help="Also integrate the height.")] = False,
    mm_per_px: Annotated[
        float | None, typer.Option(help="Size of a pixel on the part; height and curvature are in pixels without.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Photometric stereo on a folder of photographs: normals, albedo, slope, curvature, expected error, residuals."""
    from station.photometric_stereo.folder import solve_folder
    from station.report.text import solve_lines

    report = solve_folder(
        folder, out, method, None if lights is None else lights.split(","), height=height, mm_per_px=mm_per_px
    )
    say(asdict(report), as_json, "\n".join(solve_lines(report)))


@app.command()
def gloss(
    inspection_id: Annotated[str, typer.Argument(help="An archived good part.")],
    recipe: Annotated[Path, typer.Option("--recipe", help="The recipe whose lights, heights and calibration hold.")],
    archive: Annotated[Path, typer.Option("--archive", help="Folder of the archive, as `inspect` writes it.")],
    as_json: JsonOption = False,
) -> None:
    """Find a satin product's broad highlight in its frames; prints the lines for the recipe."""
    from station.teach.gloss import teach_gloss

    report = teach_gloss(recipe, archive, inspection_id)
    say(report.as_dict(), as_json, report.as_text())


@app.command()
def rejudge(
    inspection_id: Annotated[str, typer.Argument(help="An archived inspection.")],
    archive: Annotated[Path, typer.Option("--archive", help="Folder of the archive, as `inspect` writes it.")],
    as_json: JsonOption = False,
) -> None:
    """Judge an archived inspection again, from the archive alone; ends with 1 if the verdict differs."""
    from station.archive import Archive
    from station.judge.rejudge import rejudge as judge_again

    if not archive.is_dir():
        raise typer.BadParameter(f"--archive {archive}: no such folder")
    with Archive.open(archive) as store:
        report = judge_again(store, inspection_id)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE if report.is_same else ExitCode.FOUND)


@app.command("lights-trend")
def lights_trend(
    archive: Annotated[Path, typer.Option("--archive", help="Folder of the archive, as `inspect` writes it.")],
    limit: Annotated[int, typer.Option(help="Latest inspections to look at.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Each light over the archived parts: its residual against the others, its level; names a light that stands out."""
    from station.archive import Archive
    from station.lights.trend import light_trends

    if not archive.is_dir():
        raise typer.BadParameter(f"--archive {archive}: no such folder")
    with Archive.open(archive) as store:
        report = light_trends(store.light_readings(limit))
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.FOUND if report.flagged else ExitCode.DONE)


def _color(mono: bool) -> Literal["rgb", "mono"]:
    return "mono" if mono else "rgb"


@dataset_app.command("simulate")
def dataset_simulate(
    product: Annotated[str, typer.Argument(help="connector or knob.")],
    out: OutOption = Path("data"),
    good: Annotated[int, typer.Option(help="Good parts to train on.")] = 60,
    calibrate: Annotated[int, typer.Option(help="Good parts held out for limits.")] = 80,
    defective: Annotated[int, typer.Option(help="Defective test parts, mixed kinds; as many good ones.")] = 10,
    seed: Annotated[int, typer.Option(help="Another seed is another dataset.")] = 0,
    mono: MonoOption = False,
    as_json: JsonOption = False,
) -> None:
    """Render parts as the rig would see them and solve them as the station would."""
    from station.teach.training import simulate

    folder = simulate(product, out, good=good, calibrate=calibrate, defective=defective, seed=seed, color=_color(mono))
    say({"folder": str(folder)}, as_json, f"dataset: {folder}")


@app.command()
def train(
    product: Annotated[str, typer.Argument(help="connector or knob.")],
    data: Annotated[Path, typer.Option(help="Dataset folder; simulated there if absent.")] = Path("data"),
    recipe: Annotated[
        Path | None,
        typer.Option(help="Recipe to receive model, limits and reference levels; default: the demo recipe."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps; default: the trainer's.")] = None,
    mono: MonoOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train the product's model, export it, and write hash, limits and light levels into its recipe."""
    from station.teach import training

    report = training.train(product, data, recipe, steps, _color(mono))
    say(report.as_dict(), as_json, report.as_text())


@app.command()
def evaluate(
    product: Annotated[str, typer.Argument(help="connector or knob.")] = "connector",
    good: Annotated[int, typer.Option(help="Unseen good parts.")] = 10,
    defective: Annotated[int, typer.Option(help="Unseen defective parts, mixed kinds.")] = 10,
    out: OutOption = Path("out/evaluate"),
    recipe: Annotated[Path | None, typer.Option(help="Recipe; default: the product's demo recipe.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Inspect unseen parts over the simulated wires; print the confusion table and per-defect scores."""
    from station.commands.evaluate import evaluate_product

    report = evaluate_product(product, good, defective, out, recipe)
    say(report.as_dict(), as_json, report.as_text())
    raise typer.Exit(ExitCode.DONE)


@app.command()
def console(
    rig: Annotated[Path | None, typer.Option("--rig", help="Rig file; default: start a simulated rig.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe; default: the demo connector.")] = None,
    out: OutOption = Path("out/console"),
    screenshot: Annotated[
        Path | None, typer.Option("--screenshot", help="Inspect one part offscreen, write the picture, end.")
    ] = None,
    part: Annotated[str, typer.Option("--part", help="Part id for --screenshot.")] = "SCREENSHOT-1",
) -> None:
    """The operator's window."""
    from station.commands.console import start_console

    raise typer.Exit(start_console(rig, recipe, out, screenshot, part))


def main() -> None:
    """Entry point: known faults become one clear line and an exit code, unknown ones a traceback."""
    sys.exit(run_guarded(app))


if __name__ == "__main__":
    main()
