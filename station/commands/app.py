"""`station`: the list of its commands, the options that all of them take, and its exit codes.

A new command gets a module or folder of its own beside this file and one line in `COMMANDS` or `GROUPS`.
Exit codes: 0 done; 1 the part failed or the check found something; 2 bad input; 3 rig or machine fault.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from station.commands.archive import lights_trend, rejudge
from station.commands.calibrate import calibrate_app
from station.commands.check.command import check
from station.commands.console.command import console
from station.commands.demo.command import demo
from station.commands.evaluate.command import evaluate
from station.commands.exit_codes import run_guarded
from station.commands.inspect.command import inspect
from station.commands.plan import plan
from station.commands.rig import rig_app
from station.commands.solve import solve
from station.commands.teach import dataset_app, gloss, train, view_reference

COMMANDS: Mapping[str, Callable[..., None]] = {
    "demo": demo,
    "check": check,
    "inspect": inspect,
    "plan": plan,
    "solve": solve,
    "gloss": gloss,
    "rejudge": rejudge,
    "lights-trend": lights_trend,
    "train": train,
    "view-reference": view_reference,
    "evaluate": evaluate,
    "console": console,
}
GROUPS: Mapping[str, typer.Typer] = {"rig": rig_app, "dataset": dataset_app, "calibrate": calibrate_app}


def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is exchanged with the devices.")] = False,
) -> None:
    """Set up logging, on stderr so that `--json` output on stdout stays one document."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.CRITICAL,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )


def _assembled() -> typer.Typer:
    """The whole command line; `--help` lists commands in the order of `COMMANDS`, then `GROUPS`."""
    whole = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    whole.callback(help="Facet: acquisition and inspection station.")(options)
    for name, command in COMMANDS.items():
        whole.command(name)(command)
    for name, group in GROUPS.items():
        whole.add_typer(group, name=name)
    return whole


app = _assembled()


def main() -> None:
    """Entry point: a known fault becomes one clear line and an exit code, an unknown one a traceback."""
    sys.exit(run_guarded(app))


if __name__ == "__main__":
    main()
