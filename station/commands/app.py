"""`station`: the command line itself, its common options, and its exit codes.

A new command gets a module or folder of its own beside this file and one entry in `catalogue.py`.
Exit codes: 0 done; 1 the part failed or the check found something; 2 bad input; 3 rig or machine fault.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from drivers.compile_notice import report_compiles, report_on_stderr
from station.commands.catalogue import ABOUT, COMMANDS, GROUPS, help_text, version_text
from station.commands.exit_codes import run_guarded


class LazyCommands(MutableMapping[str, Any]):
    """Every command by its name; the one that is asked for is imported then, and kept."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}
        self._names = [*COMMANDS, *GROUPS]

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _loaded_command(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command
        self._names += [] if name in self._names else [name]

    def __delitem__(self, name: str) -> None:
        self._names.remove(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


class LazyGroup(TyperGroup):
    """The whole command line, of which only the chosen command is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        formatter.write(help_text())


def _loaded_command(name: str) -> Any:
    """The command as typer runs it. Raises KeyError for a name that the catalogue does not have."""
    if name in GROUPS:
        command: Any = typer.main.get_group(GROUPS[name].load())
    else:
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(name)(COMMANDS[name].load())
        command = typer.main.get_command(alone)
    command.name = name
    return command


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(version_text())
        raise typer.Exit()


def options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is exchanged with the devices.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Set up logging and what is said of compilers, on stderr: `--json` output on stdout stays one document."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.CRITICAL,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    report_compiles(report_on_stderr)


app = typer.Typer(
    cls=LazyGroup,
    help=ABOUT,
    callback=options,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run what was typed: a known fault becomes one clear line and an exit code, an unknown one a traceback."""
    sys.exit(run_guarded(app))
