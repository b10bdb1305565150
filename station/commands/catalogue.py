"""Every command of `station`: where it is, and its line in `station --help`.

This module imports nothing heavy, so that `--help` and `--version` answer at once; a command's own module is imported
when that command is chosen. `tests/station/commands/test_catalogue.py` holds these lines to the commands' own texts.
"""

from __future__ import annotations

import importlib
import shutil
import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

PACKAGE = "facet-station"
ABOUT = "Facet: acquisition and inspection station."
OPTIONS = {
    "-v, --verbose": "Log what is exchanged with the devices.",
    "--version": "Print the version and end.",
    "--help": "Show this message and exit.",
}
MAXIMUM_COLUMNS = 120


class Entry(NamedTuple):
    """A command or a group of commands: `module:name` of its function or Typer, and its help in one sentence."""

    target: str
    help: str

    def load(self) -> Any:
        """The function or Typer, its module imported now."""
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry(
        "station.commands.demo.command:demo",
        "Inspect three simulated parts: a good one, one scratched on a side wall, one with a dead light.",
    ),
    "check": Entry(
        "station.commands.check.command:check",
        "List what this machine lacks and what to do about it; with --rig, also what the rig's devices are and can do.",
    ),
    "inspect": Entry(
        "station.commands.inspect.command:inspect",
        "Inspect the part that lies in the fixture, archive it, and write its contact sheet.",
    ),
    "plan": Entry(
        "station.commands.plan:plan",
        "Check a recipe and the files that it names, and print its plan: every frame, before any device is touched.",
    ),
    "solve": Entry(
        "station.commands.solve:solve",
        "Photometric stereo on a folder of photographs: normals, albedo, slope, curvature, expected error, residuals.",
    ),
    "history": Entry(
        "station.commands.archive:history",
        "List archived inspections, the latest first: id, part, verdict, time, deciding view, simulated or not.",
    ),
    "word": Entry(
        "station.commands.archive:word",
        "Store a person's word on an archived part beside the machine's verdict; `retrain` learns from it.",
    ),
    "rejudge": Entry(
        "station.commands.archive:rejudge",
        "Judge an archived inspection again, from the archive alone; ends with 1 if the verdict differs.",
    ),
    "timing": Entry(
        "station.commands.timing:timing",
        "Show what an archived inspection's verdict waited for, stage by stage; --out draws a Gantt chart.",
    ),
    "lights-trend": Entry(
        "station.commands.archive:lights_trend",
        "Each light over the archived parts: residual against the others, and level; ends with 1 if one stands out.",
    ),
    "gloss": Entry(
        "station.commands.teach:gloss",
        "Find a satin product's broad highlight in its frames, and print the lines for the recipe.",
    ),
    "train": Entry(
        "station.commands.teach:train",
        "Train the product's model, export it, and write hash, limits and light levels into its recipe.",
    ),
    "limits": Entry(
        "station.commands.teach:limits",
        "Choose limits at a stated overkill of whole parts, with what the held-out parts promise; --write keeps them.",
    ),
    "release": Entry(
        "station.commands.release:release",
        "Run the gate on a draft, write it as the next immutable version, make that active; ends with 1 if it fails.",
    ),
    "rollback": Entry(
        "station.commands.release:rollback",
        "Make another version of a recipe active, once its files have the hashes of its release.",
    ),
    "diff": Entry(
        "station.commands.release:diff",
        "What two recipes or versions differ in: fields, limits, files, model, and verdicts on known parts.",
    ),
    "models": Entry(
        "station.commands.release:models",
        "List a recipe's versions: which is active, when, by whom and why each was released, and what the gate found.",
    ),
    "retrain": Entry(
        "station.commands.release:retrain",
        "Take people's words into the collection, train the next draft on it, and print which verdicts change.",
    ),
    "quantise": Entry(
        "station.commands.teach:quantise",
        "Write a model in int8, if no held-out or test view is judged otherwise.",
    ),
    "collect": Entry(
        "station.commands.collect:collect",
        "Take parts into a collection, each proven as an inspection is; a bad capture is refused with its reason.",
    ),
    "view-reference": Entry(
        "station.commands.teach:view_reference",
        "Learn from good parts what the fixture looks like: the judge proves camera and lamps with it.",
    ),
    "region": Entry(
        "station.commands.teach:region",
        "Show where the part is in each view, or set it from edited masks.",
    ),
    "evaluate": Entry(
        "station.commands.evaluate.command:evaluate",
        "Inspect unseen parts on a simulated rig, or judge a data set: metrics with intervals over parts.",
    ),
    "run": Entry(
        "station.commands.run.command:run",
        "Run the engine as a service without a window; windows attach with `console --attach`, programs with `ctl`.",
    ),
    "ctl": Entry(
        "station.commands.ctl.command:ctl",
        "Ask a running service for a verb (start, stop, abort, reset), for its status, or for its events.",
    ),
    "console": Entry("station.commands.console.command:console", "Open the operator's window."),
}
GROUPS: Mapping[str, Entry] = {
    "archive": Entry(
        "station.commands.archive_room:archive_app",
        "The archive's room: days left, raw frames that may go, parts that stay, records that are whole.",
    ),
    "product": Entry("station.commands.product:product_app", "A product of your own: its first recipe."),
    "rig": Entry("station.commands.rig:rig_app", "The simulated rig: start it, load a part, inject a fault."),
    "dataset": Entry(
        "station.commands.dataset:dataset_app",
        "Data sets of simulated or captured parts: make, import, export, count, show.",
    ),
    "depth": Entry(
        "station.commands.depth:depth_app",
        "Depth of a view: integrated from its normals, or by a trained model; `station depth FOLDER --out DIR`.",
    ),
    "calibrate": Entry(
        "station.commands.calibrate:calibrate_app",
        "Camera, lights, sensor, viewpoints: measured, with their uncertainties.",
    ),
}


def version_text() -> str:
    """The line that `station --version` prints."""
    import importlib.metadata  # takes as long to load as all the rest of `--help`

    return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"


def help_text() -> str:
    """What `station --help` prints, as wide as the terminal up to MAXIMUM_COLUMNS."""
    columns = min(shutil.get_terminal_size().columns, MAXIMUM_COLUMNS)
    listed = {name: entry.help for name, entry in {**COMMANDS, **GROUPS}.items()}
    sections = [_section("Options", OPTIONS, columns), _section("Commands", listed, columns)]
    ending = (
        "`station COMMAND --help` explains a command. Exit codes: 0 done; 1 the part did not pass, or the check found"
    )
    ending += " something; 2 bad input; 3 rig, archive or machine fault."
    head = f"Usage: station [OPTIONS] COMMAND [ARGS]...\n\n  {ABOUT}"
    return "\n\n".join([head, *sections, textwrap.fill(ending, columns)]) + "\n"


def _section(title: str, rows: Mapping[str, str], columns: int) -> str:
    width = max(map(len, rows)) + 4
    indent = " " * width
    lines = [
        textwrap.fill(f"  {name:<{width - 2}}{text}", columns, subsequent_indent=indent) for name, text in rows.items()
    ]
    return "\n".join([f"{title}:", *lines])
