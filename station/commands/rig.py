"""`station rig`: the simulated rig in a process of its own, its part, and its faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from station.commands.groups import command_group
from station.commands.options import JsonOption
from station.commands.say import say
from station.errors import BadInput

rig_app = command_group("The simulated rig: start it, load a part, inject a fault.")

FolderOption = Annotated[Path, typer.Option("--folder", help="The rig's folder, where its endpoints are.")]

DEFAULT_RIG_FOLDER = Path("out/rig")
LOAD_TIMEOUT_S = 600.0  # a busy machine, a large part, or the first mesh, for which kernels are compiled
MAXIMUM_SEED = 2**32 - 1


class RequestRefused(BadInput):
    """The rig does not know the product, defect or fault, or its arguments; the text lists what it knows."""


@contextmanager
def _refusals_of(command: str) -> Iterator[None]:
    """What the running rig refuses is bad input, a mistake of whoever typed it; a rig that is lost stays a fault."""
    from drivers.errors import CommandRefused

    try:
        yield
    except CommandRefused as refused:
        raise RequestRefused(f"station rig {command}: {refused.message}") from refused


@rig_app.command("up")
def rig_up(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML of the simulated rig; default: the demo rig. `--show-config` prints one."),
    ] = None,
    lights: Annotated[str | None, typer.Option(help="Light controller: gardasoft, ccs ...")] = None,
    arm: Annotated[str | None, typer.Option(help="Motion controller: grbl ...")] = None,
    line: Annotated[str | None, typer.Option(help="Serial lines: pty, or socket.")] = None,
    stepping: Annotated[str | None, typer.Option(help="What steps the lights: software, or strobe.")] = None,
    show_config: Annotated[bool, typer.Option("--show-config", help="Print the whole configuration and end.")] = False,
    folder: FolderOption = DEFAULT_RIG_FOLDER,
) -> None:
    """Run the simulated rig in the foreground and print the rig file with its endpoints. Ctrl-C ends it."""
    from station.rig.simulated import config_text, configure, run_in_foreground

    settings = configure(config, lights_kind=lights, arm_kind=arm, line_kind=line, stepping=stepping)
    if show_config:
        print(config_text(settings), end="")
        return
    run_in_foreground(folder, settings)


@rig_app.command("load")
def rig_load(
    product: Annotated[str, typer.Argument(help="connector, knob, crank, sheet ..., or the path of a mesh.")],
    seed: Annotated[int, typer.Option(min=0, max=MAXIMUM_SEED, help="Which individual part.")] = 1,
    defect: Annotated[list[str] | None, typer.Option("--defect", help="KIND or KIND:SEED; may be repeated.")] = None,
    folder: FolderOption = DEFAULT_RIG_FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Put a part into the running simulated rig's fixture.

    A mesh (.stl, .obj, .ply) may have a YAML of the same name beside it: units, pose, materials (docs/rig.md).
    """
    from drivers.simulated.control import RigControl
    from station.rig.products import product_for_rig

    defects = tuple(defect_of(d, seed) for d in defect or ())
    known = product_for_rig(product)
    with _refusals_of("load"):
        answer = RigControl(folder, LOAD_TIMEOUT_S).load(known, seed, defects)
    say(answer, as_json, _loaded_text(answer["loaded"]))


def _loaded_text(part: Mapping[str, Any]) -> str:
    """What lies in the fixture, and how."""
    if part.get("board"):
        return f"loaded {part['board']}"
    defects = ", ".join(f"{defect['kind']}:{defect['seed']}" for defect in part["defects"]) or "no defect"
    place = (
        f"{part['x_mm']:g} mm right and {part['y_mm']:g} mm back of its seat, turned by {part['turn_deg']:g} degrees"
    )
    seat = place if any(part[name] for name in ("x_mm", "y_mm", "turn_deg")) else "in its seat"
    return f"loaded {part['product']}, part {part['seed']}, {defects}, {seat}"


def defect_of(text: str, seed: int) -> tuple[str, int]:
    """Kind and seed of `KIND` or `KIND:SEED`; without a seed of its own the defect takes the part's."""
    kind, _, own = text.partition(":")
    if own and not (own.isdecimal() and int(own) <= MAXIMUM_SEED):
        raise typer.BadParameter(f"--defect {text!r}: expected KIND or KIND:SEED with a whole number from 0")
    return kind, int(own) if own else seed


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
        raise typer.BadParameter("no fault was given: name one as DEVICE.NAME, or list this rig's faults with --list")
    with _refusals_of("inject"):
        answer = control.inject(fault, *(arguments or ()))
    say(answer, as_json, str(answer["injected"]))
